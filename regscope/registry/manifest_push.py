"""Pushing a manifest under a tag or a digest, verified (distribution-spec, Pushing manifests)."""

from __future__ import annotations

from typing import NamedTuple

from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.responses import discard
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import Manifest, ManifestSchema1
from regscope.spec.schema1 import schema1_payload, signed_schema1


class Pushed(NamedTuple):
    """The result of a push.

    Attributes:
        descriptor: the descriptor of the pushed manifest.
        is_counted: whether the registry states that it lists it among its subject's referrers (`OCI-Subject`).
    """

    descriptor: Descriptor
    is_counted: bool


def push_manifest(
    client: DockerRegistryV2Client,
    repository: str,
    reference: str,
    manifest: Manifest,
    *,
    timeout: AskTimeout = "default",
) -> Pushed:
    """Push the bytes of a manifest; no list of referrers is changed.

    A schema 1 manifest whose signatures are not valid for its content is signed with the key of `get_private_key`.

    Raises:
        DigestMismatch: `reference`, or the digest that the registry states, is not the manifest's digest.
        RequestError: the registry refused the manifest.
    """
    raw, kind, what = manifest.raw, manifest.media_type, f"the manifest {repository}:{reference}"
    if isinstance(manifest, ManifestSchema1):
        from regscope.registry.signing_key import get_private_key  # imports libtrust, which is rarely needed

        raw, kind = signed_schema1(manifest, get_private_key()), ManifestSchema1.content_type()
    named = schema1_payload(raw) if isinstance(manifest, ManifestSchema1) else raw
    wanted = Digest(reference) if ":" in reference else None
    if wanted is not None:
        wanted.verify(named, what)
    url = client.url(repository, "manifests", reference)
    response = client.request("PUT", url, headers={"Content-Type": kind}, data=raw, timeout=timeout)
    discard(response)
    digest = client.stated_digests.read(response) or wanted or Digest.of(named)
    digest.verify(named, what)
    descriptor = Descriptor(mediaType=kind, digest=digest, size=len(named))
    return Pushed(descriptor, "OCI-Subject" in response.headers)
