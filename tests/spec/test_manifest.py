from __future__ import annotations

import copy
import hashlib
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from regscope.errors import InvalidManifest, RegscopeError, UnSupportMediaType
from regscope.spec.descriptor import Descriptor, DockerConfigDescriptor, DockerLayerDescriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import (
    MODELS,
    DockerManifestList,
    ManifestSchema1,
    ManifestSchema2,
    OCIIndex,
    OCIManifestSchema1,
    parse_manifest,
)
from regscope.spec.media_types import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    DOCKER_SCHEMA1,
    DOCKER_SCHEMA1_SIGNED,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)
from tests.lab.documents import (
    CONFIG,
    DIGEST,
    LAYER,
    OTHER_DIGEST,
    docker_image,
    encoded,
    index,
    json_values,
    oci_image,
    schema1,
)

SIGNED: dict[str, Any] = {"signatures": [{"header": {"alg": "ES256"}, "signature": "abc", "protected": "def"}]}
ONE_OF_EACH = {
    DOCKER_SCHEMA1: schema1({"id": "x"}),
    DOCKER_SCHEMA1_SIGNED: schema1({"id": "x"}, **SIGNED),
    DOCKER_MANIFEST: docker_image(),
    DOCKER_MANIFEST_LIST: index(mediaType=DOCKER_MANIFEST_LIST),
    OCI_MANIFEST: oci_image(mediaType=OCI_MANIFEST),
    OCI_INDEX: index(mediaType=OCI_INDEX),
}


def hand_built(**fields: Any) -> OCIManifestSchema1:
    config = Descriptor(mediaType=OCI_CONFIG, size=10, digest=Digest(DIGEST))
    layer = Descriptor(mediaType=OCI_LAYER_GZIP, size=20, digest=Digest(OTHER_DIGEST))
    return OCIManifestSchema1(config=config, layers=(layer,), **fields)


def refusal(document: Any, media_type: str | None = None) -> str:
    """What the user is told of `document`."""
    with pytest.raises(InvalidManifest) as caught:
        parse_manifest(document if isinstance(document, bytes) else encoded(document), media_type)
    return caught.value.message


# --- what it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_header", [True, False])
@pytest.mark.parametrize("media_type", ONE_OF_EACH)
def test_every_kind_is_read_as_itself_with_or_without_a_header(media_type: str, with_header: bool) -> None:
    manifest = parse_manifest(encoded(ONE_OF_EACH[media_type]), media_type if with_header else None)
    assert type(manifest) is MODELS[media_type]
    assert manifest.media_type == media_type


def test_the_model_of_a_type_states_that_type() -> None:
    for media_type, model in MODELS.items():
        assert model.content_type() == (DOCKER_SCHEMA1_SIGNED if model is ManifestSchema1 else media_type)


@pytest.mark.parametrize(
    "header", [f"{OCI_MANIFEST}; charset=utf-8", f" {OCI_MANIFEST.upper()} ;x=y", OCI_MANIFEST + ";"]
)
def test_a_header_may_have_parameters_and_capitals(header: str) -> None:
    assert isinstance(parse_manifest(encoded(oci_image()), header), OCIManifestSchema1)
    assert "the registry states the media type" in refusal(index(), header)


@pytest.mark.parametrize("header", [None, "", "application/json", "text/plain; charset=utf-8", "application/x-new"])
def test_a_generic_header_leaves_it_to_the_body(header: str | None) -> None:
    assert isinstance(parse_manifest(encoded(docker_image()), header), ManifestSchema2)
    assert isinstance(parse_manifest(encoded(oci_image()), header), OCIManifestSchema1)
    assert isinstance(parse_manifest(encoded(index()), header), OCIIndex)


def test_a_body_without_a_media_type_is_read_as_oci_as_umoci_writes_it() -> None:
    image, children = parse_manifest(encoded(oci_image())), parse_manifest(encoded(index()), OCI_INDEX)
    assert isinstance(image, OCIManifestSchema1)
    assert isinstance(children, OCIIndex)
    assert (image.media_type, children.media_type) == (OCI_MANIFEST, OCI_INDEX)
    null = parse_manifest(encoded(oci_image(mediaType=None)))
    assert null.media_type == OCI_MANIFEST


@pytest.mark.parametrize(
    "stated", ["application/vnd.example+json", "", 1, True, ["x"], {"x": 1}, "\x1b[2J" + "x" * 9999]
)
def test_a_body_that_names_another_type_is_not_supported(stated: Any) -> None:
    with pytest.raises(UnSupportMediaType) as caught:
        parse_manifest(encoded(oci_image(mediaType=stated)), OCI_MANIFEST)
    assert repr(str(stated)[:120]) in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 300


# --- contradictions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ONE_OF_EACH)
@pytest.mark.parametrize("body", [DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_MANIFEST, OCI_INDEX])
def test_the_type_that_the_body_states_counts_whatever_the_header_says(header: str, body: str) -> None:
    """Some registries call all manifests the same; the digest vouches for the body, and nothing for the header."""
    assert parse_manifest(encoded(ONE_OF_EACH[body]), header).media_type == body


@pytest.mark.parametrize("document", [oci_image(), index()])
@pytest.mark.parametrize("header", ONE_OF_EACH)
def test_a_body_without_a_type_is_refused_where_the_header_says_index_and_the_body_image_or_the_reverse(
    document: dict[str, Any], header: str
) -> None:
    """CVE-2021-41190."""
    families = {OCI_INDEX: {DOCKER_MANIFEST_LIST, OCI_INDEX}, OCI_MANIFEST: {DOCKER_MANIFEST, OCI_MANIFEST}}
    shape = OCI_INDEX if "manifests" in document else OCI_MANIFEST
    if header in families[shape]:
        assert parse_manifest(encoded(document), header).media_type == shape
    else:
        why = f"the registry states the media type {header}, but the manifest has the fields of {shape}"
        assert why in refusal(document, header)


def test_a_header_may_call_a_schema1_manifest_signed_or_not() -> None:
    for header in (DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED):
        for stated in (dict[str, Any](), {"mediaType": DOCKER_SCHEMA1}, {"mediaType": DOCKER_SCHEMA1_SIGNED}):
            assert isinstance(parse_manifest(encoded(schema1({"id": "x"}, **stated)), header), ManifestSchema1)


@pytest.mark.parametrize(
    "document",
    [
        {**oci_image(), **index()},
        {**oci_image(), **index(), "mediaType": OCI_MANIFEST},
        {**oci_image(), **index(), "mediaType": OCI_INDEX},
        oci_image(manifests=[]),
        index(layers=[]),
        index(fsLayers=[]),
        {"schemaVersion": 2, "layers": [], "manifests": []},
        # The body's own word is a claim as well: no `manifests`, and still an index that carries an image's layers.
        oci_image(mediaType=OCI_INDEX),
        oci_image(mediaType=DOCKER_MANIFEST_LIST),
    ],
)
@pytest.mark.parametrize("header", [None, OCI_MANIFEST, OCI_INDEX])
def test_an_index_and_image_at_once_is_refused_whatever_the_header_says(document: Any, header: str | None) -> None:
    assert "the fields of an index and of an image" in refusal(document, header)


@pytest.mark.parametrize("document", [oci_image(fsLayers=[]), docker_image(fsLayers=[]), schema1(config=CONFIG)])
def test_schema1_and_schema2_at_once_is_refused(document: Any) -> None:
    assert "the fields of schema 1 and of schema 2" in refusal(document)


def test_layers_are_not_lost_behind_a_schema_version_of_1() -> None:
    assert "schemaVersion" in refusal(oci_image(schemaVersion=1))
    assert "schemaVersion" in refusal(index(schemaVersion=1))


# --- what is wrong with what ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "not JSON"),
        (b"<html>404</html>", "not JSON"),
        (encoded(oci_image())[:-5], "not JSON"),
        (encoded(oci_image()) + b"{}", "not JSON"),
        (b"\xef\xbb\xbf" + encoded(oci_image()), "not JSON"),
        (encoded(oci_image()).decode().encode("utf-16"), "not JSON"),
        (b'{"config": "\xff"}', "not JSON"),
        (b'{"config": "\xed\xa0\x80"}', "not JSON"),
        (rb'{"config": {}, "x": "\ud800"}', "not JSON"),
        (b'{"config": "\x01"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"layers":' * 100_000, "not JSON"),
        (b'{"config": {}, "x": ' + b"9" * 100_000 + b"}", "not JSON"),
        (b"null", "must be a JSON object"),
        (b"[]", "must be a JSON object, not a list"),
        (b'"text"', "must be a JSON object, not a str"),
        (b"17", "must be a JSON object, not a int"),
        (b"{}", "no config, layers or manifests"),
        (b'{"schemaVersion": 2, "annotations": {}}', "no config, layers or manifests"),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_reason(raw: bytes, complaint: str) -> None:
    assert complaint in refusal(raw)


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (oci_image(config={**CONFIG, "digest": "sha256:abc"}), "config.digest: 'sha256:abc' is not a digest"),
        (oci_image(layers=[LAYER, {**LAYER, "digest": "md5:" + "a" * 32}]), "layers.1.digest: .*unknown algorithm"),
        (oci_image(layers=[{**LAYER, "digest": "../../etc/passwd"}]), "layers.0.digest: .* is not a digest"),
        (oci_image(layers=[{**LAYER, "size": -1}]), "layers.0.size: .*greater than or equal to 0"),
        (oci_image(layers=[{**LAYER, "size": 2**63}]), "layers.0.size: .*less than 9223372036854775808"),
        (oci_image(layers=[{**LAYER, "size": 10**400}]), "layers.0.size: "),
        (oci_image(layers=[{**LAYER, "size": 0.5}]), "layers.0.size: "),
        (oci_image(layers=[{**LAYER, "size": float("inf")}]), "layers.0.size: "),
        (oci_image(layers=[{**LAYER, "size": None}]), "layers.0.size: "),
        (oci_image(layers=[{"mediaType": OCI_LAYER_GZIP, "size": 1}]), "layers.0.digest: Field required"),
        (oci_image(layers=[{"size": 1}]), "layers.0.mediaType: Field required"),
        (oci_image(config={"size": 1, "digest": DIGEST}), "config.mediaType: Field required"),
        (oci_image(annotations={"a": 1}, layers=[None]), "layers.0: "),
        (oci_image(layers={}), "layers: "),
        (oci_image(layers=[None]), "layers.0: "),
        (oci_image(config=None), "config: "),
        (oci_image(subject={"size": 1}), "subject.mediaType: Field required"),
        (oci_image(schemaVersion=3), "schemaVersion: Input should be 2"),
        (oci_image(schemaVersion="2"), "schemaVersion: Input should be 2"),
        ({"schemaVersion": 2, "layers": []}, "config: Field required"),
        (index(manifests=[{**CONFIG, "digest": "x"}]), "manifests.0.digest: 'x' is not a digest"),
        (index(manifests=[None]), "manifests.0: "),
        (docker_image(config={**CONFIG, "size": -5}), "config.size: "),
        (schema1({"id": "x"}, fsLayers=[{"blobSum": "x"}]), "fsLayers.0.blobSum: 'x' is not a digest"),
        (schema1({"id": "x"}, history=[{"v1Compatibility": {}}]), "history.0.v1Compatibility: "),
    ],
)
def test_the_message_names_the_kind_and_the_field(document: Any, complaint: str) -> None:
    with pytest.raises(InvalidManifest, match=f"^not a valid application/vnd[^ ]*json: {complaint}") as caught:
        parse_manifest(encoded(document))
    assert caught.value.next_step
    assert "\n" not in caught.value.message


def test_a_hostile_key_cannot_flood_or_colour_the_message() -> None:
    [fault] = parse_manifest(encoded(oci_image(annotations={"\x1b[2J" + "x" * 100_000: 1}))).faults
    assert "annotations." in fault
    assert "\x1b" not in fault
    assert len(fault) < 500


def test_of_a_repeated_key_the_last_one_counts_as_in_go() -> None:
    raw = b'{"layers": null, "config": 5, "config": ' + json.dumps(CONFIG).encode() + b"}"
    manifest = parse_manifest(raw)
    assert isinstance(manifest, OCIManifestSchema1)
    assert manifest.config.digest == DIGEST
    assert manifest.raw == raw


def test_null_is_an_empty_list_or_map_as_go_writes_it() -> None:
    image = parse_manifest(encoded(oci_image(layers=None, annotations=None)))
    assert isinstance(image, OCIManifestSchema1)
    assert (image.layers, image.annotations) == ([], {})
    children = parse_manifest(encoded(index(manifests=None)))
    assert isinstance(children, OCIIndex)
    assert children.manifests == []
    old = parse_manifest(encoded(schema1(fsLayers=None, history=None, signatures=None)))
    assert isinstance(old, ManifestSchema1)
    assert (old.fsLayers, old.history) == ([], [])


PLATFORM = {"os": None, "architecture": "arm64", "variant": None, "os.version": None, "os.features": None}
ALL_NULL = {"urls": None, "annotations": None, "data": None, "artifactType": None, "platform": None}


@pytest.mark.parametrize(
    "document",
    [
        oci_image(subject=None, artifactType=None, mediaType=None, schemaVersion=None, manifests=None, fsLayers=None),
        oci_image(annotations={"a": None, "b": "c"}, layers=[{**LAYER, **ALL_NULL}], config={**CONFIG, **ALL_NULL}),
        oci_image(layers=[{**LAYER, "urls": [None], "annotations": {"a": None}}]),
        docker_image(layers=[{**LAYER, "mediaType": None}], config={**CONFIG, "mediaType": None}),
        docker_image(schemaVersion=None, annotations={"a": None}, layers=None),
        index(subject=None, artifactType=None, config=None, layers=None),
        index(manifests=[{**LAYER, **ALL_NULL}, {**LAYER, "platform": PLATFORM}]),
        index(mediaType=DOCKER_MANIFEST_LIST, annotations={"a": None}),
        schema1({"id": "x"}, name=None, tag=None, architecture=None, mediaType=None, manifests=None, layers=None),
    ],
)
def test_every_null_is_absent_by_itself_and_no_fault(document: dict[str, Any]) -> None:
    raw = encoded(document)
    manifest = parse_manifest(raw)
    assert manifest.raw == raw
    assert manifest.faults == ()


def test_beside_a_null_all_else_is_read() -> None:
    image = parse_manifest(encoded(oci_image(annotations={"a": None, "b": "c"})))
    assert isinstance(image, OCIManifestSchema1)
    assert image.annotations == {"b": "c"}
    assert [layer.digest for layer in image.layers] == [OTHER_DIGEST]
    children = parse_manifest(encoded(index(manifests=[{**LAYER, "platform": PLATFORM}])))
    assert isinstance(children, OCIIndex)
    assert children.manifests[0].platform is not None
    assert (children.manifests[0].platform.os, children.manifests[0].platform.architecture) == ("", "arm64")


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (oci_image(annotations={"a": 1, "b": "c"}), "annotations.a: "),
        (oci_image(annotations=[], artifactType=None), "annotations: "),
        (oci_image(artifactType=5), "artifactType: "),
        (oci_image(layers=[{**LAYER, "urls": "https://x"}]), "layers.0.urls: "),
        (oci_image(layers=[LAYER, {**LAYER, "urls": ["https://x", 5]}]), "layers.1.urls.1: "),
        (oci_image(config={**CONFIG, "data": {}}), "config.data: "),
        (index(manifests=[{**LAYER, "platform": "linux"}]), "manifests.0.platform: "),
        (index(manifests=[{**LAYER, "platform": {"os": "linux", "variant": 8}}]), "manifests.0.platform.variant: "),
        (index(manifests=[{**LAYER, "platform": {"os.features": "win32k"}}]), "manifests.0.platform.os.features: "),
        (schema1({"id": "x"}, name=5), "name: "),
    ],
)
def test_an_odd_value_costs_itself_and_is_said(document: dict[str, Any], fault: str) -> None:
    raw = encoded(document)
    manifest = parse_manifest(raw)
    assert manifest.raw == raw
    assert len(manifest.faults) == 1
    assert manifest.faults[0].startswith(fault)
    assert pickle.loads(pickle.dumps(manifest)).faults == manifest.model_copy().faults == manifest.faults


def test_of_a_list_only_the_entries_that_cannot_be_read_are_left_out() -> None:
    image = parse_manifest(encoded(oci_image(layers=[{**LAYER, "urls": [1, "https://a", None, "https://b", {}]}])))
    assert isinstance(image, OCIManifestSchema1)
    assert image.layers[0].urls == ["https://a", "https://b"]
    assert [fault.partition(":")[0] for fault in image.faults] == ["layers.0.urls.0", "layers.0.urls.4"]


@pytest.mark.parametrize("named", [{}, {"mediaType": None}])
def test_a_layer_or_child_without_a_media_type_is_one_as_for_other_clients(named: dict[str, None]) -> None:
    entry = {"size": 20, "digest": OTHER_DIGEST, **named}
    image = parse_manifest(encoded(oci_image(layers=[entry])))
    assert isinstance(image, OCIManifestSchema1)
    assert (image.layers[0].mediaType, image.layers[0].digest) == ("", OTHER_DIGEST)
    children = parse_manifest(encoded(index(manifests=[entry])))
    assert isinstance(children, OCIIndex)
    assert children.manifests[0].mediaType == ""


def test_more_faults_than_a_thousand_are_refused() -> None:
    few, many = ({f"{number}": 1 for number in range(size)} for size in (1000, 1001))
    assert len(parse_manifest(encoded(oci_image(annotations=few))).faults) == 1000
    assert "annotations.0" in refusal(oci_image(annotations=many))


def test_deep_but_bearable_nesting_in_an_unknown_field_is_kept() -> None:
    raw = b'{"config": %s, "x": %s%s}' % (json.dumps(CONFIG).encode(), b"[" * 150, b"]" * 150)
    assert parse_manifest(raw).raw == raw


FIELDS = ["schemaVersion", "mediaType", "config", "layers", "manifests", "fsLayers", "history", "subject"]
FIELDS += ["annotations", "artifactType", "signatures", "name", "raw", "digest", "media_type", "_raw", "model_config"]
HEADERS = [None, "application/json", *MODELS]


@given(st.binary(max_size=60), st.sampled_from(HEADERS) | st.text(max_size=20))
def test_arbitrary_bytes_raise_nothing_but_our_own_errors(raw: bytes, header: str | None) -> None:
    with pytest.raises(RegscopeError):
        parse_manifest(raw, header)


@given(
    st.sampled_from(list(ONE_OF_EACH)), st.dictionaries(st.sampled_from(FIELDS), json_values), st.sampled_from(HEADERS)
)
def test_arbitrary_fields_raise_nothing_but_our_own_errors(
    base: str, fields: dict[str, Any], header: str | None
) -> None:
    raw = json.dumps(ONE_OF_EACH[base] | fields).encode()
    try:
        manifest = parse_manifest(raw, header)
    except RegscopeError:
        return
    assert manifest.raw == raw
    assert manifest.media_type in MODELS


# --- the models -------------------------------------------------------------------------------------------------------


def test_an_oci_manifest_knows_its_subject_artifact_type_data_and_annotations() -> None:
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": DIGEST, "data": "e30="}
    manifest = parse_manifest(
        encoded(
            oci_image(
                mediaType=OCI_MANIFEST,
                artifactType="application/vnd.example.sbom",
                config=empty,
                subject={**CONFIG, "mediaType": OCI_MANIFEST},
                annotations={"org.opencontainers.image.created": "2024-01-01T00:00:00Z"},
            )
        )
    )
    assert isinstance(manifest, OCIManifestSchema1)
    assert manifest.artifactType == "application/vnd.example.sbom"
    assert manifest.config.data == "e30="
    assert manifest.subject is not None
    assert manifest.subject.mediaType == OCI_MANIFEST
    assert manifest.annotations == {"org.opencontainers.image.created": "2024-01-01T00:00:00Z"}


def test_an_index_knows_its_children_with_and_without_a_platform() -> None:
    children = [*index()["manifests"], {**CONFIG, "mediaType": OCI_MANIFEST, "annotations": {"a": "b"}}]
    found = parse_manifest(encoded(index(manifests=children, artifactType="application/x", subject=CONFIG)))
    assert isinstance(found, OCIIndex)
    assert [str(child.platform) if child.platform else None for child in found.manifests] == ["linux/arm64/v8", None]
    assert found.manifests[1].annotations == {"a": "b"}
    assert found.artifactType == "application/x"
    assert found.subject is not None


def test_a_manifest_list_knows_its_children() -> None:
    found = parse_manifest(encoded(index(mediaType=DOCKER_MANIFEST_LIST)))
    assert isinstance(found, DockerManifestList)
    assert [child.digest for child in found.manifests] == [DIGEST]


def test_unknown_fields_survive_at_every_level() -> None:
    vendor = {"nested": [1, "ü", None]}
    document = oci_image(
        config={**CONFIG, "x-config": vendor}, layers=[{**LAYER, "x-layer": vendor}], **{"x-top": vendor}
    )
    dumped = parse_manifest(encoded(document)).model_dump()
    assert dumped["x-top"] == dumped["config"]["x-config"] == dumped["layers"][0]["x-layer"] == vendor


@pytest.mark.parametrize(
    "name", ["raw", "_raw", "digest", "media_type", "content_type", "model_copy", "self", "__dict__"]
)
def test_a_field_named_like_our_own_cannot_take_its_place(name: str) -> None:
    raw = encoded(oci_image(**{name: "hostile"}))
    manifest = parse_manifest(raw)
    assert manifest.raw == raw
    assert manifest.digest == Digest.of(raw)
    assert manifest.media_type == OCI_MANIFEST
    assert manifest.model_copy().raw == raw


# --- the bytes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", ONE_OF_EACH)
def test_the_very_bytes_that_were_read_are_kept(media_type: str) -> None:
    raw = b"\n\t" + encoded({**ONE_OF_EACH[media_type], "x-vendor": "é\u2028"})
    manifest = parse_manifest(raw)
    assert manifest.raw is raw
    assert manifest.digest == f"sha256:{hashlib.sha256(raw).hexdigest()}"


def test_copying_and_pickling_keep_the_bytes() -> None:
    raw = encoded(oci_image())
    manifest = parse_manifest(raw)
    copies = [manifest.model_copy(), manifest.model_copy(deep=True), copy.copy(manifest), copy.deepcopy(manifest)]
    for other in [*copies, pickle.loads(pickle.dumps(manifest))]:
        assert other.raw == raw
        assert other == manifest


def test_a_changed_copy_forgets_the_bytes_and_the_original_keeps_them() -> None:
    raw = encoded(oci_image(mediaType=OCI_MANIFEST, annotations={"a": "b"}, **{"x-vendor": 1}))
    manifest = parse_manifest(raw)
    changed = manifest.model_copy(update={"annotations": {"a": "c"}})
    assert manifest.raw == raw
    assert changed.digest != manifest.digest
    assert json.loads(changed.raw) == json.loads(raw) | {"annotations": {"a": "c"}}


def test_the_bytes_of_a_model_cannot_be_set() -> None:
    manifest = parse_manifest(encoded(oci_image()))
    with pytest.raises((AttributeError, ValidationError)):
        manifest.raw = b"{}"  # type: ignore[misc]


def test_a_manifest_built_by_hand_is_always_serialised_alike() -> None:
    manifest = hand_built(annotations={"b": "1", "a": "2"})
    assert manifest.raw == hand_built(annotations={"b": "1", "a": "2"}).raw
    assert manifest.digest == Digest.of(manifest.raw)
    assert (
        manifest.raw
        == (
            f'{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}",'
            f'"config":{{"mediaType":"{OCI_CONFIG}","size":10,"digest":"{DIGEST}"}},'
            f'"layers":[{{"mediaType":"{OCI_LAYER_GZIP}","size":20,"digest":"{OTHER_DIGEST}"}}],'
            '"annotations":{"b":"1","a":"2"}}'
        ).encode()
    )


def test_a_docker_manifest_built_by_hand_states_every_media_type() -> None:
    manifest = ManifestSchema2(
        config=DockerConfigDescriptor(size=1, digest=Digest(DIGEST)),
        layers=(DockerLayerDescriptor(size=2, digest=Digest(OTHER_DIGEST)),),
    )
    document = json.loads(manifest.raw)
    assert document["mediaType"] == DOCKER_MANIFEST
    assert document["config"]["mediaType"] == DOCKER_CONFIG
    assert document["layers"][0]["mediaType"] == DOCKER_LAYER


def test_a_platform_built_by_hand_is_written_under_its_own_names() -> None:
    child = index()["manifests"][0] | {"platform": {"os": "windows", "architecture": "amd64", "os.version": "10"}}
    built = OCIIndex(manifests=(Descriptor.model_validate(child),))
    assert json.loads(built.raw)["manifests"][0]["platform"]["os.version"] == "10"
    assert parse_manifest(built.raw).model_copy(update={"annotations": {}}).raw == built.raw


def test_an_annotation_that_is_called_urls_or_annotations_is_not_dropped_for_being_empty() -> None:
    written = json.loads(hand_built(annotations={"urls": "", "annotations": "", "kept": ""}).raw)
    assert written["annotations"] == {"urls": "", "annotations": "", "kept": ""}


@pytest.mark.parametrize("media_type", ONE_OF_EACH)
def test_what_is_written_reads_back_as_the_same_model(media_type: str) -> None:
    model = MODELS[media_type].model_validate(ONE_OF_EACH[media_type])
    again = parse_manifest(model.raw, media_type)
    assert again.model_dump() == model.model_dump()
    assert again == model


def test_manifests_are_equal_when_their_bytes_are() -> None:
    built, same = hand_built(), hand_built()
    assert built.raw  # reading the bytes changes nothing
    assert built == same == parse_manifest(built.raw)
    assert built != hand_built(annotations={"a": "b"})
    assert parse_manifest(encoded(oci_image())) != parse_manifest(b" " + encoded(oci_image()))
    assert built != built.raw
