"""Models that are changed: what is pushed is what they say."""

from __future__ import annotations

import json
from io import BytesIO

import pytest

from regscope import Blob, ManifestRef, ManifestSchema1, ManifestSchema2
from regscope.compat.moby.spec.image_json import ContainerConfig, History, default_created
from regscope.errors import InvalidInput
from regscope.spec.digest import Digest
from regscope.spec.image_config import parse_image_config
from regscope.spec.manifest import OCIManifestSchema1, parse_manifest
from regscope.spec.media_types import DOCKER_LAYER
from tests.servers.registry import Registry

DIGEST = "sha256:" + "a" * 64
LAYER = {"mediaType": DOCKER_LAYER, "size": 20, "digest": DIGEST}
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": ManifestSchema2.content_type(),
    "config": {"size": 10, "digest": DIGEST, "mediaType": "application/vnd.docker.container.image.v1+json"},
    "layers": [LAYER],
    "x-kept": {"b": None, "a": [1.50]},
}
CONFIG = {
    "os": "linux",
    "created": "2024-01-02T03:04:05.123456789Z",
    "architecture": "amd64",
    "history": [{"created": "2024-01-02T03:04:05.987654321Z", "created_by": "RUN a"}, {"created_by": "RUN b"}],
    "config": {"Env": ["A=1"], "OnBuild": None, "Vendor": {"deep": [1, None]}},
    "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
}


def read(document: object) -> bytes:
    return json.dumps(document, indent=1).encode()


def test_an_unchanged_model_keeps_its_bytes() -> None:
    manifest = parse_manifest(read(MANIFEST))
    assert isinstance(manifest, ManifestSchema2)
    layer = manifest.layers.pop()
    assert manifest.raw != read(MANIFEST)
    manifest.layers.append(layer)
    assert manifest.raw == read(MANIFEST)
    assert manifest.digest == Digest.of(read(MANIFEST))


def test_a_changed_manifest_says_what_was_changed_and_keeps_all_else() -> None:
    manifest = parse_manifest(read(MANIFEST))
    assert isinstance(manifest, ManifestSchema2)
    manifest.layers.append(manifest.layers[0].model_copy(update={"size": 5}))
    manifest.config.size = 11
    expected = {**MANIFEST, "layers": [LAYER, {**LAYER, "size": 5}], "config": {**MANIFEST["config"], "size": 11}}  # type: ignore[dict-item]
    assert json.loads(manifest.raw) == expected
    assert list(json.loads(manifest.raw)) == list(MANIFEST)
    assert manifest.digest == Digest.of(manifest.raw) != Digest.of(read(MANIFEST))
    assert manifest.read_size == len(read(MANIFEST))
    with pytest.warns(DeprecationWarning, match="model_dump"):  # pydantic's own word on it
        assert manifest.dict() == manifest.model_dump()


def test_a_changed_config_keeps_unknown_fields_and_the_nanoseconds_of_its_times() -> None:
    config = parse_image_config(read(CONFIG))
    config.config.Env = ["A=2"]
    config.history.append(History(created_by="RUN c"))
    written = json.loads(config.raw)
    assert written["config"] == {"Env": ["A=2"], "OnBuild": None, "Vendor": {"deep": [1, None]}}
    assert written["created"] == CONFIG["created"]
    assert written["history"][:2] == CONFIG["history"]
    assert written["history"][2]["created_by"] == "RUN c"
    config.config = ContainerConfig(Cmd=["sh"])
    assert json.loads(config.raw)["config"]["Cmd"] == ["sh"]
    assert "Env" not in json.loads(config.raw)["config"]


def test_a_field_that_is_set_to_none_is_gone() -> None:
    subject = {"mediaType": OCIManifestSchema1.content_type(), "size": 1, "digest": DIGEST}
    document = {"schemaVersion": 2, "config": LAYER, "layers": [], "subject": subject}
    manifest = parse_manifest(read(document))
    assert isinstance(manifest, OCIManifestSchema1)
    manifest.subject = None
    assert "subject" not in json.loads(manifest.raw)


def test_what_has_no_place_in_a_document_is_refused_when_it_is_written() -> None:
    manifest = parse_manifest(read(MANIFEST))
    assert isinstance(manifest, ManifestSchema2)
    manifest.layers.append("nonsense")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"layers\.1"):
        assert manifest.raw
    with pytest.raises(ValueError, match="config"):
        manifest.config = "nonsense"  # type: ignore[assignment]


def test_a_layer_given_as_a_dict_is_written() -> None:
    manifest = parse_manifest(read(MANIFEST))
    assert isinstance(manifest, ManifestSchema2)
    manifest.layers.append({"digest": "sha256:" + "b" * 64, "size": 3, "mediaType": DOCKER_LAYER})  # type: ignore[arg-type]
    assert json.loads(manifest.raw)["layers"][1]["size"] == 3


def test_a_changed_manifest_is_pushed_as_it_says(hub: Registry) -> None:
    manifest = ManifestRef("legacy", "1").get()
    assert isinstance(manifest, ManifestSchema2)
    config = Blob("legacy", manifest.config.digest).read(2**20)
    changed = Blob("legacy", fileobj=BytesIO(config + b"\n")).upload()
    manifest.config.digest, manifest.config.size = changed.digest, changed.size
    assert ManifestRef("legacy", "2").put(manifest)
    pushed = ManifestRef("legacy", "2").get()
    assert pushed.config.digest == changed.digest
    assert pushed == manifest
    assert ManifestRef("legacy", "1").get() != manifest


def test_a_schema_1_manifest_has_its_signatures_and_a_changed_one_is_signed_anew(hub: Registry) -> None:
    manifest = ManifestRef("legacy", "1").get(ManifestSchema1.content_type())
    assert isinstance(manifest, ManifestSchema1)
    assert manifest.signatures
    assert manifest.signatures[0].header["alg"] == "ES256"
    before = manifest.digest
    assert ManifestRef("legacy", "same").put(manifest)
    assert ManifestRef("legacy", "same").fetch(ManifestSchema1.content_type()).digest == before
    manifest.tag = "moved"
    assert ManifestRef("legacy", "moved").put(manifest)
    found = ManifestRef("legacy", "moved").get(ManifestSchema1.content_type())
    assert isinstance(found, ManifestSchema1)
    assert (found.tag, found.fsLayers) == ("moved", manifest.fsLayers)
    assert found.signatures != manifest.signatures


def test_every_kind_can_be_asked_for_by_its_media_type() -> None:
    assert ManifestRef.TYPES[ManifestSchema2.content_type()] is ManifestSchema2
    assert ManifestRef.TYPES[OCIManifestSchema1.content_type()] is OCIManifestSchema1
    assert ManifestRef.TYPES[ManifestSchema1.content_type()] is ManifestSchema1


def test_a_time_for_a_step_is_now_to_the_second() -> None:
    assert default_created().microsecond == 0
    assert History(created=default_created()).created is not None


def test_a_model_as_json_can_be_indented() -> None:
    manifest = parse_manifest(read(MANIFEST))
    assert json.loads(manifest.json(indent=3, exclude_unset=True)) == MANIFEST
    assert "\n   " in manifest.json(indent=3)
