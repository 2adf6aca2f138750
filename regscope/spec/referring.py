"""Which manifest is a referrer of which subject, as stated by manifests, indexes and tags; decided only here.

A manifest states it by its `subject` (OCI image-spec, manifest.md); an index by the annotations of its entries
(BuildKit, attestation-storage.md); a tag by its name: the fallback tag of a subject points to the list of its referrers
(distribution-spec, Referrers Tag Schema), and each of cosign's tags to one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from regscope.spec.annotations import ATTESTATION_MANIFEST
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import Manifest

_TAG = re.compile(r"(?P<algorithm>sha256|sha512)-(?P<encoded>[0-9a-f]{64,128})(?:\.(?P<suffix>[A-Za-z0-9_]{1,32}))?")
_ENCODED_LENGTH = {"sha256": 64, "sha512": 128}
_COSIGN_TYPES = {"sig": "signature", "sbom": "SBOM", "att": "attestation"}


class Referral(NamedTuple):
    """The statement that one manifest is a referrer of another.

    Attributes:
        subject: the digest of the manifest that is referred to.
        referrer: the digest of the manifest that refers to it.
        artifact_type: the type of the referrer; None where the source does not state it.
        how: the source of the statement; "api" is the registry's list of referrers.
    """

    subject: Digest
    referrer: Digest
    artifact_type: str | None
    how: Literal["api", "subject", "fallback tag", "cosign tag", "attestation"]


def stated_by_manifest(digest: Digest, manifest: Manifest) -> Iterator[Referral]:
    """The referrals in a manifest: its own `subject`, and in an index the attestations among its children.

    Args:
        digest: the manifest's digest.
    """
    for child in manifest.children:
        if attested := child.attested:
            yield Referral(attested, child.digest, ATTESTATION_MANIFEST, "attestation")
    if manifest.subject is not None:
        yield Referral(manifest.subject.digest, digest, manifest.artifact_type, "subject")


def stated_by_list(subject: Digest, entries: Iterable[Descriptor]) -> Iterator[Referral]:
    """The referrals in a registry's list of the referrers of `subject`."""
    for entry in entries:
        yield Referral(subject, entry.digest, entry.artifactType, "api")


def stated_by_tag(
    tag: str, subject: Digest, digest: Digest, children: Sequence[Descriptor] | None
) -> Iterator[Referral]:
    """The referrals of a tag about `subject`: the children of its index for a fallback tag, otherwise its manifest.

    A manifest under a fallback tag that is no index counts as a referrer itself, as under cosign's tags.

    Args:
        digest: the digest of the manifest that the tag points to.
        children: the children of that manifest; None where it is no index, or `is_list` is False for the tag.
    """
    if children is not None and is_list(tag):
        for child in children:
            yield Referral(subject, child.digest, child.artifactType, "fallback tag")
    elif digest != subject:
        yield Referral(subject, digest, type_of_tag(tag), "cosign tag")


def fallback_tag(subject: Digest) -> str:
    """The fallback tag of `subject`, for the list of its referrers; of a sha512 digest it has only half the digits."""
    return f"{subject.algorithm[:32]}-{subject.encoded[:64]}"


def subject_of_tag(tag: str) -> Digest | None:
    """The digest that is part of a tag: a referrers fallback tag `sha256-…`, or cosign's `sha256-….sig`; else None.

    The fallback tag of a sha512 digest does not contain all of it; `is_about` recognises that tag too.
    """
    match = _TAG.fullmatch(tag)
    if match is None or len(match["encoded"]) != _ENCODED_LENGTH[match["algorithm"]]:
        return None
    return Digest(f"{match['algorithm']}:{match['encoded']}")


def is_about(tag: str, subject: Digest) -> bool:
    """Whether a tag is the fallback tag of `subject`, or one of cosign's tags for it."""
    return tag == fallback_tag(subject) or subject_of_tag(tag) == subject


def is_list(tag: str) -> bool:
    """Whether a tag about a subject is a fallback tag, for the list of referrers, and not a tag of one referrer."""
    return "." not in tag


def type_of_tag(tag: str) -> str | None:
    """The artifact type by the suffix of a cosign tag: signature, SBOM or attestation; None for other tags."""
    match = _TAG.fullmatch(tag)
    return _COSIGN_TYPES.get(match["suffix"] or "") if match else None
