"""The digests of what a manifest leads to: all that is kept of the many that a run looks at."""

from __future__ import annotations

from typing import NamedTuple

from regscope.registry.manifests import RawManifest
from regscope.spec.digest import Digest
from regscope.spec.referring import stated_by_manifest


class Links(NamedTuple):
    """Attributes:
    blobs: config and layers that the store keeps, and what an index names that is no manifest.
    children: of an index.
    subject: what it refers to.
    referring: what it says of others: the subject and the referrer of each.
    """

    blobs: tuple[Digest, ...]
    children: tuple[Digest, ...]
    subject: Digest | None
    referring: tuple[tuple[Digest, Digest], ...]


NO_LINKS = Links((), (), None, ())


def links_of(manifest: RawManifest) -> Links:
    """What it names.

    Raises:
        InvalidManifest: it cannot be understood, and so might name anything.
    """
    read = manifest.parse()
    return Links(
        tuple(blob.digest for blob in read.stored_blobs),
        tuple(child.digest for child in read.children),
        read.subject.digest if read.subject else None,
        tuple((referral.subject, referral.referrer) for referral in stated_by_manifest(manifest.digest, read)),
    )
