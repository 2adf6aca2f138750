from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regscope.errors import InvalidConfig, InvalidDigest
from regscope.spec.digest import Digest
from regscope.spec.image_config import (
    ContainerConfig,
    History,
    ImageJSON,
    RootFS,
    chain_ids,
    parse_image_config,
    parse_time,
)
from tests.lab.documents import DIGEST, OTHER_DIGEST, encoded, json_values

# The example of the OCI image spec (config.md), shortened.
EXAMPLE: dict[str, Any] = {
    "created": "2015-10-31T22:22:56.015925234Z",
    "author": "Alyssa P. Hacker <alyspdev@example.com>",
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "User": "alice",
        "ExposedPorts": {"8080/tcp": {}},
        "Env": ["PATH=/usr/bin:/bin", "FOO=oci_is_a"],
        "Entrypoint": ["/bin/my-app-binary"],
        "Cmd": ["--foreground"],
        "Volumes": {"/var/log/my-app-logs": {}},
        "WorkingDir": "/home/alice",
        "Labels": {"com.example.project.git.url": "https://example.com/project.git"},
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 30_000_000_000, "Retries": 3},
    },
    "rootfs": {"diff_ids": [DIGEST, OTHER_DIGEST], "type": "layers"},
    "history": [
        {"created": "2015-10-31T22:22:54.690851953Z", "created_by": "/bin/sh -c #(nop) ADD file:a3bc1e842b in /"},
        {"created": "2015-10-31T22:22:55.613815829Z", "created_by": "CMD [\"sh\"]", "empty_layer": True},
        {"created": "2015-10-31T22:22:56.329850019Z", "created_by": "apk add", "comment": "buildkit", "author": "A"},
    ],
}  # fmt: skip


def refusal(raw: bytes) -> str:
    with pytest.raises(InvalidConfig) as caught:
        parse_image_config(raw)
    return caught.value.message


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-02-29T12:30:00Z", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        ("2024-02-29T12:30:00.123456789Z", datetime(2024, 2, 29, 12, 30, 0, 123456, tzinfo=UTC)),
        ("2024-02-29T12:30:00.9999999Z", datetime(2024, 2, 29, 12, 30, 0, 999999, tzinfo=UTC)),
        ("2024-02-29T12:30:00+05:30", datetime(2024, 2, 29, 7, 0, tzinfo=UTC)),
        ("2024-01-01T00:00:00.5-08:00", datetime(2024, 1, 1, 8, 0, 0, 500000, tzinfo=UTC)),
        ("2024-02-29T12:30:00", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1969-12-31T23:59:59Z", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("9999-12-31T23:59:59+01:00", datetime(9999, 12, 31, 22, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_in_utc_to_the_microsecond(text: str, moment: datetime) -> None:
    found = parse_time(text)
    assert found == moment
    assert found is not None
    assert found.tzinfo is UTC or found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "0001-01-01T00:00:00Z",  # Go's zero time
        "0001-01-01T00:00:00+01:00",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",  # in UTC it is the year 10000
        "10000-01-01T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-01-01T25:00:00Z",
        "2024-01-01T00:00:00+99:00",
        "2024-01-01 00:00:00 +0000 UTC",
        "yesterday",
        "\ud800",
        "9" * 10_000,
        0,
        1700000000,
        1e300,
        float("nan"),
        True,
        [],
        {"seconds": 1},
    ],
)
def test_what_is_no_time_is_absent(value: Any) -> None:
    assert parse_time(value) is None


@given(st.datetimes(min_value=datetime(2, 1, 2), timezones=st.just(timezone(timedelta(hours=5, minutes=30)))))
def test_a_time_with_an_offset_means_the_same_moment_in_utc(moment: datetime) -> None:
    assert parse_time(moment.isoformat()) == moment
    assert parse_time(moment) == moment


@given(st.text(max_size=40) | st.text("0123456789-+:.TZ ", max_size=40))
def test_any_text_is_a_time_or_absent(text: str) -> None:
    moment = parse_time(text)
    assert moment is None or moment.year > 1


# --- the config -------------------------------------------------------------------------------------------------------


def test_the_example_of_the_specification_is_read_whole() -> None:
    config = parse_image_config(encoded(EXAMPLE))
    assert config.created == datetime(2015, 10, 31, 22, 22, 56, 15925, tzinfo=UTC)
    assert (config.os, config.architecture, config.variant) == ("linux", "amd64", None)
    assert config.author == EXAMPLE["author"]
    run = config.config
    assert (run.User, run.WorkingDir, run.StopSignal) == ("alice", "/home/alice", "SIGTERM")
    assert (run.Env, run.Entrypoint, run.Cmd) == (
        ["PATH=/usr/bin:/bin", "FOO=oci_is_a"],
        ["/bin/my-app-binary"],
        ["--foreground"],
    )
    assert (run.ExposedPorts, run.Volumes) == ({"8080/tcp": {}}, {"/var/log/my-app-logs": {}})
    assert run.Labels == {"com.example.project.git.url": "https://example.com/project.git"}
    assert run.Healthcheck is not None
    assert (run.Healthcheck.Test, run.Healthcheck.Interval) == (["CMD", "true"], 30_000_000_000)
    assert config.rootfs.diff_ids == [DIGEST, OTHER_DIGEST]


def test_the_history_is_read_in_order_with_its_empty_layers() -> None:
    history = parse_image_config(encoded(EXAMPLE)).history
    assert [step.empty_layer for step in history] == [False, True, False]
    assert [step.created_by for step in history] == [step["created_by"] for step in EXAMPLE["history"]]
    assert (history[2].comment, history[2].author) == ("buildkit", "A")
    assert history[0].created == datetime(2015, 10, 31, 22, 22, 54, 690851, tzinfo=UTC)


def test_the_very_bytes_are_kept_and_unknown_fields_survive() -> None:
    raw = encoded(
        {**EXAMPLE, "x-top": 1, "config": {"x-run": [None]}, "history": [{"x-step": {}}], "rootfs": {"x-fs": ""}}
    )
    config = parse_image_config(raw)
    assert config.raw is raw
    assert config.digest == Digest.of(raw)
    dumped = config.model_dump()
    assert dumped["x-top"] == 1
    assert dumped["config"]["x-run"] == [None]
    assert dumped["history"][0]["x-step"] == {}
    assert dumped["rootfs"]["x-fs"] == ""


def test_an_empty_config_and_nulls_read_as_nothing_said() -> None:
    for raw in (b"{}", b'{"config": null, "history": null, "rootfs": {"diff_ids": null}, "created": null}'):
        config = parse_image_config(raw)
        assert (config.os, config.architecture, config.history, config.rootfs.diff_ids) == ("", "", [], [])
        assert config.config == ContainerConfig()
    run = parse_image_config(b'{"config": {"Labels": null, "Env": null, "Cmd": null, "Volumes": null}}').config
    assert (run.Labels, run.Env, run.Cmd, run.Volumes) == ({}, None, None, None)


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "not JSON"),
        (b"\x1f\x8b\x08\x00", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (rb'{"author": "\ud800"}', "not JSON"),
        (b'{"config":' * 100_000, "not JSON"),
        (b'{"x": ' + b"1" * 100_000 + b"}", "not JSON"),
        (b"[]", "must be a JSON object, not a list"),
    ],
)
def test_what_is_no_config_is_refused_with_the_reason(raw: bytes, complaint: str) -> None:
    assert complaint in refusal(raw)


@pytest.mark.parametrize(
    ("odd", "fault"),
    [
        (
            {"rootfs": {"type": "layers", "diff_ids": [DIGEST, "sha256:x"]}},
            "rootfs.diff_ids.1: 'sha256:x' is not a digest",
        ),
        ({"rootfs": "layers"}, "rootfs: "),
        ({"config": {"Env": [1, "A=b"]}}, "config.Env.0: "),
        ({"config": {"Cmd": "sh"}}, "config.Cmd: "),
        ({"config": {"User": 1000}}, "config.User: "),
        ({"config": {"Labels": {"a": 1}}}, "config.Labels.a: "),
        ({"config": {"ExposedPorts": ["80/tcp"]}}, "config.ExposedPorts: "),
        ({"config": {"Healthcheck": {"Interval": "30s"}}}, "config.Healthcheck.Interval: "),
        ({"config": []}, "config: "),
        ({"history": [{}, {"created_by": ["a", "b"]}]}, "history.1.created_by: "),
        ({"history": [{}, 5]}, "history.1: "),
        ({"history": "none"}, "history: "),
        ({"os": 5}, "os: "),
        ({"author": {}}, "author: "),
    ],
)
def test_an_odd_value_costs_itself_and_is_said(odd: dict[str, Any], fault: str) -> None:
    raw = encoded({**EXAMPLE, **odd})
    config = parse_image_config(raw)
    assert config.raw == raw
    assert len(config.faults) == 1
    assert config.faults[0].startswith(fault)
    assert config.architecture == "amd64"
    assert config.created is not None


@pytest.mark.parametrize(
    "nulls",
    [
        {"os": None, "architecture": None, "variant": None, "author": None, "created": None},
        {"rootfs": None},
        {"rootfs": {"type": None, "diff_ids": None}},
        {"rootfs": {"type": "layers", "diff_ids": [None]}},
        {"history": None},
        {"history": [None]},
        {"history": [{"created": None, "created_by": None, "comment": None, "author": None, "empty_layer": None}]},
        {"config": None},
        {"config": {"Labels": None, "Env": None, "Healthcheck": None, "Cmd": None, "User": None, "Volumes": None}},
        {"config": {"Labels": {"a": None}, "Env": [None, "A=1"], "Healthcheck": {"Test": None, "Retries": None}}},
    ],
)
def test_every_null_is_absent_by_itself_and_no_fault(nulls: dict[str, Any]) -> None:
    raw = encoded(nulls)
    config = parse_image_config(raw)
    assert config.raw == raw
    assert config.faults == ()
    assert (config.os, config.architecture) == ("", "")


def test_beside_a_null_all_else_is_read_and_a_step_keeps_its_place() -> None:
    config = parse_image_config(
        encoded({**EXAMPLE, "os": None, "config": {"Labels": {"a": None, "b": "c"}, "Env": [None, "A=1"]}})
    )
    assert (config.os, config.architecture) == ("", "amd64")
    assert (config.config.Labels, config.config.Env) == ({"b": "c"}, ["A=1"])
    steps = parse_image_config(encoded({"history": [{"created_by": "a"}, None, {"created_by": "c"}]})).history
    assert [(step.created_by, step.empty_layer) for step in steps] == [("a", False), (None, False), ("c", False)]


def test_a_garbled_time_does_not_cost_the_whole_config() -> None:
    config = parse_image_config(encoded({**EXAMPLE, "created": "last tuesday", "history": [{"created": "x"}]}))
    assert config.created is None
    assert config.history[0].created is None
    assert config.os == "linux"


@pytest.mark.parametrize(
    ("created", "unreadable"),
    [
        ("yesterday", True),
        (0, True),
        ([], True),
        ("9999-12-31T23:59:59-01:00", True),
        (None, False),
        ("", False),
        ("0001-01-01T00:00:00Z", False),
        ("2024-01-01T00:00:00Z", False),
    ],
)
def test_an_unreadable_time_is_told_from_an_absent_one(created: Any, unreadable: bool) -> None:
    assert parse_image_config(encoded({"created": created})).names_unreadable_time is unreadable


def test_a_config_without_a_time_names_no_unreadable_one() -> None:
    assert not parse_image_config(b"{}").names_unreadable_time
    assert not ImageJSON(os="linux").names_unreadable_time


FIELDS = ["created", "author", "architecture", "os", "variant", "config", "rootfs", "history", "raw", "model_copy"]


@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_arbitrary_json_raises_nothing_but_invalid_config(fields: dict[str, Any]) -> None:
    raw = json.dumps(EXAMPLE | fields).encode()
    try:
        config = parse_image_config(raw)
    except InvalidConfig:
        return
    assert config.raw == raw
    assert config.names_unreadable_time in (True, False)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_raise_nothing_but_invalid_config(raw: bytes) -> None:
    try:
        config = parse_image_config(raw)
    except InvalidConfig:
        return
    assert config.raw == raw


def test_a_changed_copy_forgets_the_bytes_and_keeps_all_else() -> None:
    original = parse_image_config(encoded({**EXAMPLE, "x-top": {"a": None}}))
    labels = {"new": "label", "urls": ""}
    changed = original.model_copy(update={"config": original.config.model_copy(update={"Labels": labels})})
    written = json.loads(changed.raw)
    assert changed.digest != original.digest
    assert written["config"] == EXAMPLE["config"] | {"Labels": labels}
    assert written["rootfs"] == EXAMPLE["rootfs"]
    assert parse_image_config(changed.raw).history == original.history


def test_a_config_built_by_hand_is_always_written_alike() -> None:
    def build() -> ImageJSON:
        return ImageJSON(
            os="linux",
            architecture="arm64",
            created=datetime(2024, 1, 1, tzinfo=UTC),
            rootfs=RootFS(diff_ids=(Digest(DIGEST),)),
            history=(History(created_by="COPY / /"),),
        )

    assert build().raw == build().raw
    assert parse_image_config(build().raw) == build()
    assert json.loads(build().raw)["created"] == "2024-01-01T00:00:00Z"


# --- chain ids --------------------------------------------------------------------------------------------------------


def formula(diff_ids: Sequence[str]) -> str:
    """ChainID(L0|...|Ln) = Digest(ChainID(L0|...|Ln-1) + " " + DiffID(Ln)), as config.md has it."""
    if len(diff_ids) == 1:
        return diff_ids[0]
    return "sha256:" + hashlib.sha256(f"{formula(diff_ids[:-1])} {diff_ids[-1]}".encode()).hexdigest()


@given(st.lists(st.binary(max_size=3).map(Digest.of), max_size=8))
def test_chain_ids_follow_the_formula_of_the_specification(diff_ids: list[Digest]) -> None:
    assert chain_ids(diff_ids) == [formula(diff_ids[: n + 1]) for n in range(len(diff_ids))]


def test_a_chain_id_depends_on_everything_under_it() -> None:
    one, other = Digest(DIGEST), Digest(OTHER_DIGEST)
    assert chain_ids([]) == []
    assert chain_ids([one]) == [one]
    assert chain_ids([one, other])[1] != chain_ids([other, other])[1]
    assert chain_ids([one, other])[1] == "sha256:" + hashlib.sha256(f"{one} {other}".encode()).hexdigest()


def test_a_chain_cannot_begin_with_what_is_no_digest() -> None:
    with pytest.raises(InvalidDigest):
        chain_ids(["layer"])
