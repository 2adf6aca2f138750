"""Pushing a manifest under a tag or a digest, verified (distribution-spec, Pushing manifests)."""

from __future__ import annotations

from typing import NamedTuple

from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.responses import discard
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import Manifest, ManifestSchema1
from regscope.spec.schema1 import schema1_payload


class Pushed(NamedTuple):
    """Attributes:
    descriptor: of what the registry has now.
    is_counted: whether the registry says that it lists the manifest among its subject's referrers (`OCI-Subject`).
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
    """Push the bytes of a manifest, and nothing else: no list of referrers is changed.

    A schema 1 manifest without signatures is signed, by a key that is made for it.

    Raises:
        DigestMismatch: the digest that it is pushed under, or that the registry gives back, is another.
        RequestError: it was refused.
    """
    raw, kind, what = manifest.raw, manifest.media_type, f"the manifest {repository}:{reference}"
    if isinstance(manifest, ManifestSchema1):
        from regscope.spec.schema1_signatures import signed_schema1  # the few who write one wait for it

        raw, kind = signed_schema1(manifest), ManifestSchema1.content_type()
    named = schema1_payload(raw) if isinstance(manifest, ManifestSchema1) else raw
    wanted = Digest(reference) if ":" in reference else None
    if wanted is not None:
        wanted.verify(named, what)
    url = client.url(repository, "manifests", reference)
    response = client.put(url, headers={"Content-Type": kind}, data=raw, timeout=timeout)
    discard(response)
    digest = client.stated_digests.read(response) or wanted or Digest.of(named)
    digest.verify(named, what)
    descriptor = Descriptor(mediaType=kind, digest=digest, size=len(named))
    return Pushed(descriptor, "OCI-Subject" in response.headers)
