"""What is asked of a manifest: every kind answers, and by the same names."""

from __future__ import annotations

from typing import Any

import pytest

from regscope.spec.digest import Digest
from regscope.spec.manifest import Manifest, OCIIndex, OCIManifestSchema1, parse_manifest
from regscope.spec.media_types import (
    DOCKER_FOREIGN_LAYER,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)
from tests.lab.documents import CONFIG, DIGEST, LAYER, OTHER_DIGEST, docker_image, encoded, index, oci_image, schema1

SUBJECT = {"mediaType": OCI_MANIFEST, "size": 5, "digest": OTHER_DIGEST}
THIRD = "sha256:" + "c" * 64
OF_DOCKER = {
    "schema 1": schema1({"id": "x"}),
    "schema 2": docker_image(),
    "manifest list": index(mediaType=DOCKER_MANIFEST_LIST),
}
OF_OCI = {"image": oci_image(), "index": index()}
KINDS = {**OF_DOCKER, **OF_OCI}


def read(document: dict[str, Any], **fields: Any) -> Manifest:
    return parse_manifest(encoded({**document, **fields}))


def digests(entries: Any) -> list[Digest]:
    return [entry.digest for entry in entries]


@pytest.mark.parametrize("kind", KINDS)
def test_only_lists_of_manifests_are_indexes_and_have_children(kind: str) -> None:
    manifest, lists = read(KINDS[kind]), kind in ("manifest list", "index")
    assert manifest.is_index is lists
    assert digests(manifest.children) == ([DIGEST] if lists else [])


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_subject_there_is_none(kind: str) -> None:
    assert read(KINDS[kind]).subject is None


@pytest.mark.parametrize("kind", OF_OCI)
def test_a_manifest_of_ocis_refers_to_its_subject(kind: str) -> None:
    manifest = read(OF_OCI[kind], subject=SUBJECT)
    assert manifest.subject is not None
    assert manifest.subject.digest == OTHER_DIGEST


@pytest.mark.parametrize("kind", OF_DOCKER)
@pytest.mark.parametrize("value", [SUBJECT, "x", 5, [], {"digest": None}])
def test_dockers_kinds_know_no_subject_and_no_artifact_type_whatever_they_call_so(kind: str, value: Any) -> None:
    manifest = read(OF_DOCKER[kind], subject=value, artifactType=value)
    assert manifest.subject is None
    assert manifest.artifactType is None
    assert b'"subject"' in manifest.raw


def test_a_field_of_the_document_takes_no_propertys_place() -> None:
    odd = dict.fromkeys(("is_index", "children", "blobs", "stored_blobs", "artifact_type"), "odd")
    for document in KINDS.values():
        manifest, plain = read(document, **odd), read(document)
        assert [getattr(manifest, name) for name in odd] == [getattr(plain, name) for name in odd]


@pytest.mark.parametrize("kind", ["schema 2", "image"])
def test_the_blobs_of_an_image_are_its_config_and_its_layers_in_order(kind: str) -> None:
    layers = [{**LAYER, "digest": THIRD}, LAYER, {**LAYER, "digest": THIRD}]
    manifest = read(KINDS[kind], layers=layers)
    assert digests(manifest.blobs) == [DIGEST, THIRD, OTHER_DIGEST, THIRD]
    assert digests(manifest.stored_blobs) == [DIGEST, THIRD, OTHER_DIGEST]


@pytest.mark.parametrize(
    "foreign", [DOCKER_FOREIGN_LAYER, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"]
)
def test_a_layer_that_may_be_elsewhere_is_no_stored_blob(foreign: str) -> None:
    manifest = read(oci_image(layers=[{**LAYER, "mediaType": foreign}, {**LAYER, "digest": THIRD}]))
    assert digests(manifest.blobs) == [DIGEST, OTHER_DIGEST, THIRD]
    assert digests(manifest.stored_blobs) == [DIGEST, THIRD]


def test_the_blobs_of_schema_1_are_its_layers_as_they_are_written() -> None:
    layers = [{"blobSum": digest} for digest in (OTHER_DIGEST, DIGEST, OTHER_DIGEST)]
    manifest = read(schema1({"id": "x"}, {"id": "y"}, {"id": "z"}, fsLayers=layers))
    assert digests(manifest.blobs) == [OTHER_DIGEST, DIGEST, OTHER_DIGEST]
    assert digests(manifest.stored_blobs) == [OTHER_DIGEST, DIGEST]


@pytest.mark.parametrize("kind", ["manifest list", "index"])
def test_what_an_index_names_is_a_child_or_a_blob(kind: str) -> None:
    cache = {"mediaType": OCI_LAYER_GZIP, "size": 7, "digest": OTHER_DIGEST}
    child = {"mediaType": DOCKER_MANIFEST, "size": 7, "digest": DIGEST}
    nested = {"mediaType": OCI_INDEX, "size": 7, "digest": THIRD}
    manifest = read(KINDS[kind], manifests=[cache, child, cache, nested])
    assert digests(manifest.children) == [DIGEST, THIRD]
    assert digests(manifest.blobs) == [OTHER_DIGEST, OTHER_DIGEST]
    assert digests(manifest.stored_blobs) == [OTHER_DIGEST]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (oci_image(), None),
        (docker_image(), None),
        (schema1({"id": "x"}), None),
        (index(), None),
        (index(mediaType=DOCKER_MANIFEST_LIST), None),
        (index(artifactType="a/b"), "a/b"),
        (oci_image(artifactType="a/b"), "a/b"),
        (oci_image(config={**CONFIG, "mediaType": "application/vnd.cncf.helm.config.v1+json"}),
         "application/vnd.cncf.helm.config.v1+json"),
        (oci_image(config={**CONFIG, "mediaType": OCI_EMPTY}, layers=[{**LAYER, "mediaType": "x/y"}]), "x/y"),
        (oci_image(config={**CONFIG, "mediaType": OCI_EMPTY}, layers=[]), OCI_EMPTY),
        (oci_image(layers=[{**LAYER, "mediaType": "application/vnd.in-toto+json"}]), "application/vnd.in-toto+json"),
        (oci_image(layers=[{**LAYER, "mediaType": "x/y"}, LAYER]), None),
        (oci_image(layers=[]), None),
        (docker_image(config={**CONFIG, "mediaType": "application/vnd.docker.plugin.v1+json"}),
         "application/vnd.docker.plugin.v1+json"),
        (docker_image(layers=[{**LAYER, "mediaType": DOCKER_LAYER}]), None),
    ],
)  # fmt: skip
def test_an_artifact_says_what_it_is(document: dict[str, Any], expected: str | None) -> None:
    assert read(document).artifact_type == expected


def test_what_is_written_by_hand_answers_too() -> None:
    image = read(oci_image())
    assert isinstance(image, OCIManifestSchema1)
    changed = image.model_copy(update={"layers": ()})
    assert digests(changed.blobs) == [DIGEST]
    assert OCIIndex(manifests=()).children == ()
    assert image.config.mediaType == OCI_CONFIG
