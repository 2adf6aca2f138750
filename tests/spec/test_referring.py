"""Which manifest refers to which, by what manifests, lists and tags say."""

from __future__ import annotations

from typing import Any

import pytest

from regscope.spec.annotations import REFERENCE_DIGEST, REFERENCE_TYPE
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import parse_manifest
from regscope.spec.media_types import DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST
from regscope.spec.platform import Platform
from regscope.spec.referring import (
    fallback_tag,
    is_about,
    is_list,
    stated_by_list,
    stated_by_manifest,
    stated_by_tag,
    subject_of_tag,
    type_of_tag,
)
from tests.lab.documents import DIGEST, OTHER_DIGEST, docker_image, encoded, index, oci_image

IMAGE, REFERRER, SBOM = Digest(DIGEST), Digest(OTHER_DIGEST), Digest("sha256:" + "c" * 64)
LONG = Digest("sha512:" + "d" * 128)
SUBJECT = {"mediaType": OCI_MANIFEST, "size": 5, "digest": IMAGE}
ATTESTATION = {REFERENCE_TYPE: "attestation-manifest", REFERENCE_DIGEST: str(IMAGE)}


def entry(digest: Digest = REFERRER, **fields: Any) -> Descriptor:
    return Descriptor.model_validate({"mediaType": OCI_MANIFEST, "size": 1, "digest": digest, **fields})


def stated(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [tuple(found) for found in stated_by_manifest(REFERRER, parse_manifest(encoded(document)))]


def index_with(annotations: dict[str, str], **fields: Any) -> dict[str, Any]:
    of_sbom = {"mediaType": OCI_MANIFEST, "size": 1, "digest": SBOM, "annotations": annotations}
    return index(manifests=[{"mediaType": OCI_MANIFEST, "size": 1, "digest": IMAGE}, of_sbom], **fields)


# --- manifests --------------------------------------------------------------------------------------------------------


def test_a_manifest_refers_to_its_subject_and_says_what_it_is() -> None:
    assert stated(oci_image(subject=SUBJECT, artifactType="a/b")) == [(IMAGE, REFERRER, "a/b", "subject")]
    assert stated(index(subject=SUBJECT)) == [(IMAGE, REFERRER, None, "subject")]
    assert stated(oci_image()) == stated(docker_image(subject=SUBJECT)) == []


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_MANIFEST_LIST])
def test_an_index_says_which_of_its_children_attest_which(media_type: str) -> None:
    document = index_with(ATTESTATION, mediaType=media_type)
    assert stated(document) == [(IMAGE, SBOM, "attestation-manifest", "attestation")]


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {REFERENCE_DIGEST: str(IMAGE)},
        {REFERENCE_TYPE: "attestation-manifest"},
        {REFERENCE_TYPE: "something-else", REFERENCE_DIGEST: str(IMAGE)},
        *({**ATTESTATION, REFERENCE_DIGEST: odd} for odd in ("", "latest", "../x", "sha256:", "md5:" + "a" * 32)),
    ],
)
def test_what_breaks_buildkits_rules_attests_nothing(annotations: dict[str, str]) -> None:
    assert stated(index_with(annotations)) == []


@pytest.mark.parametrize(
    ("fields", "is_attestation", "is_artifact", "is_image"),
    [
        ({}, False, False, True),
        ({"mediaType": OCI_INDEX}, False, False, False),
        ({"annotations": ATTESTATION}, True, True, False),
        ({"annotations": {REFERENCE_TYPE: "something-else"}}, False, True, False),
        ({"annotations": {REFERENCE_DIGEST: str(IMAGE)}}, False, False, True),
        ({"artifactType": "a/b"}, False, True, False),
        ({"platform": Platform(os="unknown", architecture="unknown")}, False, True, False),
        ({"platform": Platform(os="linux", architecture="amd64")}, False, False, True),
    ],
)
def test_an_entry_of_an_index_is_an_image_or_an_attestation_or_another_artifact(
    fields: dict[str, Any], is_attestation: bool, is_artifact: bool, is_image: bool
) -> None:
    found = entry(**fields)
    assert (found.is_attestation, found.is_artifact, found.is_image) == (is_attestation, is_artifact, is_image)


# --- lists and tags ---------------------------------------------------------------------------------------------------


def test_a_registrys_list_names_referrers_with_their_types() -> None:
    found = list(stated_by_list(IMAGE, [entry(artifactType="a/b"), entry(SBOM)]))
    assert [tuple(each) for each in found] == [(IMAGE, REFERRER, "a/b", "api"), (IMAGE, SBOM, None, "api")]


def by_tag(suffix: str, named: Digest, children: list[Descriptor] | None) -> list[tuple[Any, ...]]:
    return [tuple(each)[1:] for each in stated_by_tag(fallback_tag(IMAGE) + suffix, IMAGE, named, children)]


def test_the_children_of_the_index_under_a_fallback_tag_refer_to_its_subject() -> None:
    listed = [entry(artifactType="a/b"), entry(SBOM)]
    assert by_tag("", IMAGE, listed) == [(REFERRER, "a/b", "fallback tag"), (SBOM, None, "fallback tag")]
    assert by_tag("", REFERRER, []) == []


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".sig", "signature"), (".att", "attestation"), (".sbom", "SBOM"), (".other", None)]
)
@pytest.mark.parametrize("children", [None, [], [entry(SBOM)]])
def test_the_manifest_under_a_tag_of_cosigns_refers_to_its_subject(
    suffix: str, kind: str | None, children: list[Descriptor] | None
) -> None:
    assert by_tag(suffix, REFERRER, children) == [(REFERRER, kind, "cosign tag")]


def test_a_fallback_tag_on_something_else_than_an_index_names_a_referrer_unless_it_is_the_subject_itself() -> None:
    assert by_tag("", REFERRER, None) == [(REFERRER, None, "cosign tag")]
    assert by_tag("", IMAGE, None) == []


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom", ".x"])
def test_a_tag_tells_its_subject(suffix: str) -> None:
    tag = fallback_tag(IMAGE) + suffix
    assert subject_of_tag(tag) == IMAGE
    assert is_about(tag, IMAGE)
    assert not is_about(tag, REFERRER)
    assert is_list(tag) is (suffix == "")


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        "sha256-",
        "sha256-" + "a" * 63,
        "sha256-" + "a" * 65,
        "sha256-" + "a" * 128,
        "sha256-" + "A" * 64,
        "sha256-" + "a" * 64 + ".a.b",
        "x-sha256-" + "a" * 64,
        "md5-" + "a" * 64,
    ],
)
def test_another_tag_is_about_nothing(tag: str) -> None:
    assert subject_of_tag(tag) is None
    assert type_of_tag(tag) is None
    assert not is_about(tag, IMAGE)


def test_the_fallback_tag_of_a_sha512_digest_is_cut_and_so_known_only_by_who_knows_the_digest() -> None:
    tag = fallback_tag(LONG)
    assert tag == "sha512-" + "d" * 64
    assert subject_of_tag(tag) is None
    assert is_about(tag, LONG)
    assert not is_about(tag, IMAGE)
    assert subject_of_tag(LONG.replace(":", "-")) == LONG  # too long for a tag, where that is enforced
