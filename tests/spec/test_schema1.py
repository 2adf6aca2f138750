from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import libtrust
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libtrust.keys.ec_key import generate_private_key

from regscope.errors import InvalidManifest
from regscope.spec.image_config import ImageJSON
from regscope.spec.manifest import ManifestSchema1, parse_manifest
from regscope.spec.schema1 import schema1_config, schema1_payload, signed_schema1
from tests.lab.documents import encoded, json_values, schema1

NEWEST = {
    "id": "c" * 64,
    "parent": "b" * 64,
    "created": "2015-04-22T18:00:03Z",
    "author": "someone",
    "os": "windows",
    "architecture": "arm64",
    "throwaway": True,
    "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) CMD [\"/bin/bash\"]"]},
    "config": {"Cmd": ["/bin/bash"], "Env": ["A=b"], "Labels": {"team": "x"}},
}  # fmt: skip
MIDDLE = {
    "created": "2015-04-22T18:00:02Z",
    "comment": "a comment",
    "container_config": {"Cmd": ["apt-get", "install"]},
}
OLDEST = {"created": "2015-04-22T18:00:01Z", "container_config": {"Cmd": ["#(nop) ADD file:1 in /"]}}


def config_of(*steps: Any, **fields: Any) -> ImageJSON:
    manifest = parse_manifest(encoded(schema1(*steps, **fields)))
    assert isinstance(manifest, ManifestSchema1)
    return schema1_config(manifest)


def test_the_history_is_turned_round_to_oldest_first() -> None:
    config = config_of(NEWEST, MIDDLE, OLDEST)
    assert [step.created_by for step in config.history] == [
        "#(nop) ADD file:1 in /",
        "apt-get install",
        '/bin/sh -c #(nop) CMD ["/bin/bash"]',
    ]
    assert [step.created.second for step in config.history if step.created] == [1, 2, 3]
    assert config.history[1].comment == "a comment"
    assert config.history[2].author == "someone"


def test_a_throwaway_step_made_no_layer() -> None:
    assert [step.empty_layer for step in config_of(NEWEST, MIDDLE, OLDEST).history] == [False, False, True]


def test_the_newest_step_says_what_the_image_runs() -> None:
    config = config_of(NEWEST, MIDDLE, OLDEST)
    assert config.created == datetime(2015, 4, 22, 18, 0, 3, tzinfo=UTC)
    assert (config.os, config.architecture) == ("windows", "arm64")
    assert config.config.Cmd == ["/bin/bash"]
    assert config.config.Labels == {"team": "x"}
    assert config.rootfs.diff_ids == []


def test_what_the_newest_step_leaves_open_is_linux_and_the_manifests_architecture() -> None:
    config = config_of({}, NEWEST)
    assert (config.os, config.architecture) == ("linux", "amd64")
    assert config.created is None
    assert config.config.Labels == {}


def test_a_command_may_be_a_plain_string_or_missing() -> None:
    steps = [
        {"container_config": {"Cmd": "make all"}},
        {"container_config": None},
        {"container_config": {"Cmd": None}},
        {},
    ]
    assert [step.created_by for step in config_of(*steps).history] == ["", "", "", "make all"]


def test_the_manifest_itself_keeps_its_layers_newest_first_and_its_bytes() -> None:
    raw = encoded(schema1(NEWEST, OLDEST))
    manifest = parse_manifest(raw)
    assert isinstance(manifest, ManifestSchema1)
    assert json.loads(manifest.history[0].v1Compatibility) == NEWEST
    assert (manifest.name, manifest.tag) == ("team/app", "1.0")
    assert manifest.raw == raw


@pytest.mark.parametrize(("steps", "layers"), [(0, 1), (1, 0), (1, 2), (3, 2)])
def test_mismatching_counts_of_layers_and_history_are_refused(steps: int, layers: int) -> None:
    with pytest.raises(InvalidManifest, match=f"{layers} layers, but {steps} history entries"):
        config_of(*[OLDEST] * steps, layers=layers)


def test_no_layers_and_no_history_make_an_empty_config() -> None:
    assert config_of().history == []


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("not json", "not JSON"),
        ("", "not JSON"),
        (r'{"author": "\ud800"}', "not JSON"),
        ("[" * 10_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
    ],
)
def test_a_broken_history_entry_is_refused_with_the_reason(step: Any, complaint: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        config_of(step)
    assert complaint in caught.value.message


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ({"comment": 5}, "history.0.comment: "),
        ({"author": []}, "history.0.author: "),
        ({"config": "x"}, "config: "),
        ({"config": {"Labels": 5}}, "config.Labels: "),
        ({"os": 5}, "os: "),
        ({"architecture": {"x": 1}}, "architecture: "),
    ],
)
def test_an_odd_value_of_a_history_entry_costs_itself_and_is_said(step: dict[str, Any], fault: str) -> None:
    config = config_of({"created": "2020-01-01T00:00:00Z", **step})
    assert [said.startswith(fault) for said in config.faults] == [True]
    assert config.created is not None


def test_nulls_of_a_history_entry_are_absent() -> None:
    config = config_of({"os": None, "architecture": None, "config": None, "container_config": {"Cmd": [None, "a"]}})
    assert (config.os, config.architecture, config.faults) == ("linux", "amd64", ())
    assert config.history[0].created_by == "a"


FIELDS = ["created", "author", "comment", "os", "architecture", "config", "container_config", "throwaway"]


@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), json_values), max_size=3))
def test_arbitrary_steps_raise_nothing_but_invalid_manifest(steps: list[dict[str, Any]]) -> None:
    try:
        config = config_of(*steps)
    except InvalidManifest:
        return
    assert len(config.history) == len(steps)


@given(json_values)
def test_arbitrary_container_configs_raise_nothing_but_invalid_manifest(value: Any) -> None:
    for container in (value, {"Cmd": value}):
        assert isinstance(config_of({"container_config": container}).history[0].created_by, str)


# --- what the signatures sign -----------------------------------------------------------------------------------------


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


TAIL = base64url(b"\n}")


def protected(length: Any, tail: Any = TAIL) -> dict[str, Any]:
    return {"protected": base64url(json.dumps({"formatLength": length, "formatTail": tail}).encode())}


def signature_of(payload: bytes) -> dict[str, Any]:
    """A real signature, by a key of its own."""
    made = libtrust.JSONSignature(base64url(payload), 3, len(payload) - 2, "\n}")
    made.sign(generate_private_key(), datetime(2020, 1, 1))
    return asdict(made.signatures[0])


def signed(payload: bytes, *signatures: Any) -> bytes:
    """`payload` as libtrust signs it: the signatures are put in before its closing brace."""
    body = payload.removesuffix(b"\n}")
    return body + b',\n   "signatures": ' + json.dumps(signatures or [signature_of(payload)]).encode() + b"\n}"


PAYLOAD = json.dumps(schema1(NEWEST, OLDEST, name="ünïcode"), indent=3, ensure_ascii=False).encode()


def test_the_payload_is_the_document_as_it_was_before_it_was_signed() -> None:
    assert schema1_payload(signed(PAYLOAD)) == PAYLOAD
    assert schema1_payload(signed(PAYLOAD, signature_of(PAYLOAD), signature_of(PAYLOAD))) == PAYLOAD


def test_a_signature_of_something_else_is_refused() -> None:
    other = signature_of(PAYLOAD.replace(b"amd64", b"arm64"))
    cut = {**signature_of(PAYLOAD), "signature": base64url(b"x" * 64)}
    keyless = {**signature_of(PAYLOAD), "header": {"jwk": None, "alg": "ES256"}}
    for signatures in ([other], [signature_of(PAYLOAD), other], [cut], [keyless], [protected(len(PAYLOAD) - 2)]):
        with pytest.raises(InvalidManifest, match="is not valid"):
            schema1_payload(signed(PAYLOAD, *signatures))
    with pytest.raises(InvalidManifest, match="is not valid"):
        schema1_payload(signed(PAYLOAD).replace(b"amd64", b"arm64"))


def test_a_manifest_is_signed_once() -> None:
    manifest = parse_manifest(PAYLOAD)
    assert isinstance(manifest, ManifestSchema1)
    raw = signed_schema1(manifest, generate_private_key())
    payload = schema1_payload(raw)
    assert json.loads(payload) == json.loads(PAYLOAD)
    again = parse_manifest(raw)
    assert isinstance(again, ManifestSchema1)
    assert signed_schema1(again, generate_private_key()) == raw


def test_libtrust_is_loaded_only_for_schema_1(layout: Path, tmp_path: Path) -> None:
    (tmp_path / "signed").write_bytes(signed(PAYLOAD))
    code = f"""
import pathlib, sys, regscope as rs
from regscope.spec.schema1 import schema1_payload
snap = rs.scan_files("oci:{layout}", rs.scan("oci:{layout}", progress=False), progress=False)
print(len(snap.layers) > 0, "libtrust" in sys.modules)
schema1_payload(pathlib.Path("{tmp_path}/signed").read_bytes())
print("libtrust" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False", "True"]


def test_an_unsigned_manifest_is_its_own_payload() -> None:
    for raw in (PAYLOAD, encoded(schema1(OLDEST, signatures=[])), encoded(schema1(OLDEST, signatures=None))):
        assert schema1_payload(raw) == raw


def test_what_was_added_beside_the_signatures_is_not_in_the_payload() -> None:
    assert schema1_payload(signed(PAYLOAD)[:-2] + b', "fsLayers": []\n}') == PAYLOAD


@pytest.mark.parametrize(
    ("signatures", "complaint"),
    [
        ([protected(5), protected(6)], "for different payloads"),
        ([protected(5), protected(5, base64url(b"}"))], "for different payloads"),
        ([protected(10**9)], "for more bytes than it has"),
        ([protected(-1)], "for more bytes than it has"),
        ([protected("many")], "cannot be read"),
        ([protected(float("inf"))], "cannot be read"),
        ([protected(float("nan"))], "cannot be read"),
        ([protected(None)], "cannot be read"),
        ([protected(5, 5)], "cannot be read"),
        ([protected(5, "ü")], "cannot be read"),
        ([{"protected": "e"}], "cannot be read"),
        ([{"protected": base64url(b"[]")}], "cannot be read"),
        ([{"protected": base64url(b"{}")}], "cannot be read"),
        ([{"protected": None}], "cannot be read"),
        ([{}], "cannot be read"),
        (["text"], "cannot be read"),
        ([None], "cannot be read"),
    ],
)
def test_signatures_that_make_no_sense_are_refused(signatures: list[Any], complaint: str) -> None:
    with pytest.raises(InvalidManifest, match=complaint):
        schema1_payload(signed(PAYLOAD, *signatures))


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b"[" * 10_000])
def test_what_is_no_json_object_has_no_payload(raw: bytes) -> None:
    with pytest.raises(InvalidManifest):
        schema1_payload(raw)


@given(json_values, json_values, json_values)
def test_arbitrary_signatures_raise_nothing_but_invalid_manifest(value: Any, length: Any, tail: Any) -> None:
    for signatures in (value, [value], [{"protected": value}], [protected(length, tail)]):
        raw = encoded(schema1(OLDEST, signatures=signatures))
        try:
            payload = schema1_payload(raw)
        except InvalidManifest:
            continue
        assert isinstance(payload, bytes)
