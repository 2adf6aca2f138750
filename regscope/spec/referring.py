"""Which manifest refers to which, and so goes with it: decided here alone, by what manifests, indexes and tags say.

A manifest by its `subject` (OCI image-spec, manifest.md); an index by what its entries are to one another (BuildKit,
attestation-storage.md); a tag by its name: the fallback tag of a subject names the list of its referrers
(distribution-spec, Referrers Tag Schema), and each of cosign's tags names one of them.
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
    """That one manifest refers to another.

    Attributes:
        subject: what is referred to.
        referrer: what refers to it.
        artifact_type: what the referrer is; None where this does not say it.
        how: what says so; "api" is the registry's own list.
    """

    subject: Digest
    referrer: Digest
    artifact_type: str | None
    how: Literal["api", "subject", "fallback tag", "cosign tag", "attestation"]


def stated_by_manifest(digest: Digest, manifest: Manifest) -> Iterator[Referral]:
    """What a manifest says: of itself by its `subject`, and an index of the attestations among its children.

    Args:
        digest: the manifest's.
    """
    for child in manifest.children:
        if attested := child.attested:
            yield Referral(attested, child.digest, ATTESTATION_MANIFEST, "attestation")
    if manifest.subject is not None:
        yield Referral(manifest.subject.digest, digest, manifest.artifact_type, "subject")


def stated_by_list(subject: Digest, entries: Iterable[Descriptor]) -> Iterator[Referral]:
    """What a registry's answer to a request for the referrers of `subject` says."""
    for entry in entries:
        yield Referral(subject, entry.digest, entry.artifactType, "api")


def stated_by_tag(
    tag: str, subject: Digest, digest: Digest, children: Sequence[Descriptor] | None
) -> Iterator[Referral]:
    """What a tag that is about `subject` says: a fallback tag of each child of its index, another one of its manifest.

    A manifest that has a fallback tag and is no index is taken for a referrer, as under cosign's tags.

    Args:
        digest: of the manifest that the tag names.
        children: of that, where it is an index; None where it is none, or `is_list` says that they do not matter.
    """
    if children is not None and is_list(tag):
        for child in children:
            yield Referral(subject, child.digest, child.artifactType, "fallback tag")
    elif digest != subject:
        yield Referral(subject, digest, type_of_tag(tag), "cosign tag")


def fallback_tag(subject: Digest) -> str:
    """The tag of the list of the referrers of `subject`: of a sha512 digest only half is in it."""
    return f"{subject.algorithm[:32]}-{subject.encoded[:64]}"


def subject_of_tag(tag: str) -> Digest | None:
    """The digest that a tag is about: a referrers fallback tag `sha256-…`, or cosign's `sha256-….sig`; else None.

    The fallback tag of a sha512 digest does not tell it; `is_about` knows that tag as well.
    """
    match = _TAG.fullmatch(tag)
    if match is None or len(match["encoded"]) != _ENCODED_LENGTH[match["algorithm"]]:
        return None
    return Digest(f"{match['algorithm']}:{match['encoded']}")


def is_about(tag: str, subject: Digest) -> bool:
    """Whether a tag is the fallback tag of `subject`, or one of cosign's about it."""
    return tag == fallback_tag(subject) or subject_of_tag(tag) == subject


def is_list(tag: str) -> bool:
    """Whether a tag that is about something names the list of its referrers, and not one of them."""
    return "." not in tag


def type_of_tag(tag: str) -> str | None:
    """What the suffix of a cosign tag says: signature, SBOM or attestation; None for another tag."""
    match = _TAG.fullmatch(tag)
    return _COSIGN_TYPES.get(match["suffix"] or "") if match else None
