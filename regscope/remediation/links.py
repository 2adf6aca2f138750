"""`Links`: the digests that a manifest names; a run keeps only these of the many manifests that it reads."""

from __future__ import annotations

from typing import NamedTuple

from regscope.registry.manifests import RawManifest
from regscope.spec.digest import Digest
from regscope.spec.referring import stated_by_manifest


class Links(NamedTuple):
    """Attributes:
    blobs: the config and the layers that the store has, and entries of an index that are no manifests.
    children: the children of an index.
    subject: the subject.
    referring: pairs of a subject and a referrer, from a list of referrers.
    """

    blobs: tuple[Digest, ...]
    children: tuple[Digest, ...]
    subject: Digest | None
    referring: tuple[tuple[Digest, Digest], ...]


NO_LINKS = Links((), (), None, ())


def links_of(manifest: RawManifest) -> Links:
    """The digests that a manifest names.

    Raises:
        InvalidManifest: the manifest cannot be parsed; it may name any content.
    """
    read = manifest.parse()
    return Links(
        tuple(blob.digest for blob in read.stored_blobs),
        tuple(child.digest for child in read.children),
        read.subject.digest if read.subject else None,
        tuple((referral.subject, referral.referrer) for referral in stated_by_manifest(manifest.digest, read)),
    )
