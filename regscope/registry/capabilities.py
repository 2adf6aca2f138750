"""The capabilities of a registry, found by requests that do not change its content."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple, Protocol

from regscope import text
from regscope.errors import (
    AuthFailed,
    CapabilityWarning,
    ContentMissing,
    PermissionDeny,
    RegscopeError,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    Unsupported,
)
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.deletion import Deletion
from regscope.registry.manifests import ManifestRef
from regscope.registry.paging import strings
from regscope.registry.referrers import has_referrers_api
from regscope.registry.responses import discard, read_json
from regscope.registry.tags import Tags
from regscope.registry.uploads import open_upload
from regscope.spec.digest import Digest
from regscope.spec.index_children import DEEPEST

_PAGE_LIMIT = 2**20
_OF_PROVIDERS = ("reasons", "provider", "adds", "needs", "would_add")
_LACKING = {
    "catalog": "does not list its repositories: name them when scanning",
    "delete": "does not delete manifests: nothing can be cleaned up through its API",
    "tag_delete": "does not delete a tag by its name: regscope pushes another manifest over it and deletes that",
    "referrers": "has no referrers API: signatures and SBOMs are found by their fallback tags",
    "ranges": "does not support range requests: an interrupted download starts again from the beginning",
}


class _Offers(Protocol):
    """What a provider says of itself, see `regscope.hosted.provider.Provider`."""

    name: ClassVar[str]
    adds: ClassVar[tuple[str, ...]]
    needs: ClassVar[str]
    would_add: ClassVar[Mapping[str, str]]
    untags: ClassVar[bool]
    deletes: ClassVar[bool]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities of a registry for these credentials; None where one could not be determined.

    Attributes:
        catalog: whether it lists its repositories.
        delete: whether it deletes manifests by digest.
        tag_delete: whether it deletes a tag and keeps the manifest (distribution-spec, Deleting tags).
        referrers: whether it has the referrers API (distribution-spec, Listing referrers).
        ranges: whether it supports range requests for blobs (RFC 9110, 14).
        chunk_minimum: the fewest bytes of a chunk of an upload (`OCI-Chunk-Min-Length`); 0 where it states none.
        reasons: the reason for each value that is False or None, by the name of the attribute.
        provider: the service that runs the registry, where it is known.
        adds: what the provider's own API adds to the distribution API.
        needs: the rights that the login needs for that.
        would_add: what another credential would add, by the kind of credential.
    """

    catalog: bool | None = None
    delete: bool | None = None
    tag_delete: bool | None = None
    referrers: bool | None = None
    ranges: bool | None = None
    chunk_minimum: int | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    provider: str | None = None
    adds: tuple[str, ...] = ()
    needs: str = ""
    would_add: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, str]:
        """Each capability by its name, as text for people."""
        names = [found.name for found in fields(self) if found.name not in _OF_PROVIDERS]
        found = {name.replace("_", " "): self._worded(name) for name in names}
        if self.provider is not None:
            found["provider"] = f"{self.provider} adds {', '.join(self.adds)}, by {self.needs}"
            found |= {f"with {credential}": f"also {what}" for credential, what in self.would_add.items()}
        return found

    def beside(self, provider: _Offers, lists: bool) -> Capabilities:
        """These capabilities with those of a provider; `lists`: whether it lists the repositories."""
        own_ways = {"catalog": lists, "delete": provider.deletes, "tag_delete": provider.untags}
        reasons = {name: why for name, why in self.reasons.items() if not own_ways.get(name)}
        return replace(
            self,
            catalog=lists or self.catalog,
            delete=provider.deletes or self.delete,
            tag_delete=provider.untags or self.tag_delete,
            reasons=reasons,
            provider=provider.name,
            adds=provider.adds,
            needs=provider.needs,
            would_add=provider.would_add,
        )

    def _worded(self, name: str) -> str:
        value = getattr(self, name)
        if value is None:
            said = "not known"
        elif isinstance(value, bool):
            said = "yes" if value else "no"
        else:
            said = text.size(value) if value else "none"
        return f"{said}: {self.reasons[name]}" if name in self.reasons else said

    def warn(self, location: str) -> None:
        """Show a CapabilityWarning for each capability that the registry at `location` lacks."""
        for name, what in _LACKING.items():
            if getattr(self, name) is False:
                warnings.warn(CapabilityWarning(f"{location} {what}", name), stacklevel=3)

    def _repr_html_(self) -> str:
        return text.card("Capabilities", self.facts())


def probe_capabilities(
    client: DockerRegistryV2Client, repository: str | None = None, counts_pulls: bool = False
) -> Capabilities:
    """Find the capabilities of a registry, by about ten requests that do not change its content.

    Deletion is tried on content that cannot exist: the digest of random bytes, and a tag with a random name. An upload
    is opened and cancelled; docker-registry keeps some bytes of it until it next purges old uploads.

    Args:
        client: the client of the registry.
        repository: an existing repository; by default the first in the catalog.
        counts_pulls: whether a GET of a manifest counts as a pull, and is avoided.

    Raises:
        RequestError: the registry refuses these credentials, or has no such repository.
    """
    discard(client.request("GET", client.url()))
    if repository:
        Tags(repository, client).list()
    catalog, names = _catalog(client)
    repository = repository or next(iter(names), None)
    found = {"catalog": catalog}
    for name, probe in _PROBES.items():
        if name == "ranges" and (counts_pulls or client.counts_pulls):
            found[name] = _Found(None, "not tried, since the request would count as a pull")
        else:
            found[name] = _asked(probe, client, repository) if repository else _Found(None, "no repository is known")
    return Capabilities(
        **{name: answer.value for name, answer in found.items()},
        reasons={name: answer.why for name, answer in found.items() if answer.why},
    )


class _Found(NamedTuple):
    value: Any
    why: str = ""


def _asked(probe: Callable[[DockerRegistryV2Client, str], _Found], client: DockerRegistryV2Client, at: str) -> _Found:
    try:
        return probe(client, at)
    except Unsupported as error:
        return _Found(False, error.message)
    except RegscopeError as error:
        return _Found(None, error.message)


def _catalog(client: DockerRegistryV2Client) -> tuple[_Found, list[str]]:
    try:
        page = read_json(client.request("GET", client.url("_catalog"), params={"n": 1}), _PAGE_LIMIT, "the catalog")
    except (AuthFailed, PermissionDeny, ResourceNotFound, Unsupported) as error:
        return _Found(False, error.message), []
    except RequestError as error:
        return _Found(None, error.message), []
    return _Found(True), strings(page, "repositories")


def _delete(client: DockerRegistryV2Client, repository: str) -> _Found:
    return _deletes(client, repository, Digest.of(secrets.token_bytes(32)))


def _tag_delete(client: DockerRegistryV2Client, repository: str) -> _Found:
    try:
        return _deletes(client, repository, f"regscope-asks-{secrets.token_hex(16)}")
    except RequestErrorWithResponse as error:
        if error.status_code != HTTPStatus.BAD_REQUEST:  # it takes the tag for an invalid digest
            raise
        return _Found(False, error.message)


def _deletes(client: DockerRegistryV2Client, repository: str, absent: str) -> _Found:
    """Whether the registry deletes manifests, by its answer to the deletion of one that does not exist."""
    refusal = Deletion(client, repository).refusal(absent)
    return _Found(True) if refusal is None else _Found(None, f"the answer is not a registry's: {refusal.message}")


def _referrers(client: DockerRegistryV2Client, repository: str) -> _Found:
    return _Found(True) if has_referrers_api(client, repository) else _Found(False, "the registry does not list them")


def _ranges(client: DockerRegistryV2Client, repository: str) -> _Found:
    blob = _some_blob(client, repository)
    response = client.request("GET", client.url(repository, "blobs", blob), headers={"Range": "bytes=0-0"})
    response.close()
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        return _Found(True)
    return _Found(False, "the registry answers a request for the first byte with the whole blob")


def _some_blob(client: DockerRegistryV2Client, repository: str) -> Digest:
    for tag in Tags(repository, client).list():
        manifest = ManifestRef(repository, tag, client).fetch().parse()
        for _ in range(DEEPEST):
            if manifest.children:
                manifest = ManifestRef(repository, manifest.children[0].digest, client).fetch().parse()
        if manifest.blobs:
            return manifest.blobs[0].digest
    raise ContentMissing(f"{repository} has no image with a blob to request")


def _chunk_minimum(client: DockerRegistryV2Client, repository: str) -> _Found:
    upload = open_upload(client, repository)
    upload.cancel()
    return _Found(upload.chunk_minimum)


_PROBES = {
    "delete": _delete,
    "tag_delete": _tag_delete,
    "referrers": _referrers,
    "ranges": _ranges,
    "chunk_minimum": _chunk_minimum,
}
