"""The referrers of a manifest: signatures, SBOMs, attestations (distribution-spec, Listing referrers)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError

from regscope.errors import InvalidManifest, RequestErrorWithResponse
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.paging import pages
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.lenient_reading import first_fault
from regscope.spec.manifest import OCIIndex

_NO_SUCH_MANIFEST = "MANIFEST_INVALID"  # with 400: some have the API, and answer so for a digest that they do not have


def list_referrers(
    client: DockerRegistryV2Client, repository: str, digest: str, artifact_type: str | None = None
) -> list[Descriptor] | None:
    """The referrers of a manifest by the registry's API; None where the registry has no such API.

    In a registry without it the referrers are listed under the fallback tag, which is in the tag list.

    Args:
        artifact_type: return only referrers of this type. Registries need not filter (`OCI-Filters-Applied` states
            whether they did), so the answer is always filtered here.

    Raises:
        RequestError: the registry has the API, and it failed.
    """
    if not has_referrers_api(client, repository):
        return None
    found: list[Descriptor] = []
    url = client.url(repository, "referrers", digest)
    if artifact_type is not None:
        url += "?" + urlencode({"artifactType": artifact_type})
    for page in _pages(client, url, digest):
        try:
            found += OCIIndex.from_document({"manifests": page.get("manifests")}, None).manifests
        except ValidationError as error:
            raise InvalidManifest(f"the referrers of {digest} cannot be read: {first_fault(error)}") from None
    return [entry for entry in found if artifact_type in (None, entry.artifactType)]


def _pages(client: DockerRegistryV2Client, url: str, digest: str) -> Iterator[dict[str, Any]]:
    """The pages of a list of referrers; none for a manifest that the registry does not have."""
    try:
        yield from pages(client, url, f"the referrers of {digest}", "manifests")
    except RequestErrorWithResponse as error:
        if error.code != _NO_SUCH_MANIFEST:
            raise


def has_referrers_api(client: DockerRegistryV2Client, repository: str) -> bool:
    """Whether the registry has the referrers API; tried once for each client, for a digest that no manifest has."""
    if client.has_referrers_api is None:
        nothing = Digest.of(b"regscope asks whether there is a referrers API")
        try:
            page = next(pages(client, client.url(repository, "referrers", nothing), "referrers", "manifests"))
            client.has_referrers_api = isinstance(page.get("manifests", ""), list | None)
        except RequestErrorWithResponse as error:
            if error.status_code not in (200, 400, 401, 403, 404, 405):  # 200: a web page for every path
                raise
            if error.code == "NAME_UNKNOWN":  # no answer about the API: the repository does not exist
                return False
            client.has_referrers_api = error.code == _NO_SUCH_MANIFEST
    return client.has_referrers_api
