"""`regscope waste --ci` judges as `dive --ci` does."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from regscope.cli.exit_codes import NOT_FOUND, OTHER, USAGE
from regscope.cli.sizes import size_in_bytes
from regscope.errors import InvalidInput
from regscope.stores.layout_writer import LayoutWriter
from tests.analysis.test_dive_efficiency import NAMED, dive
from tests.cli.conftest import Run
from tests.lab import layered
from tests.lab.corners import entry, tar

IMAGES = {
    **NAMED,
    "barely wasteful": [tar(entry("a", content=bytes(10_000))), tar(entry("b", content=bytes(10_000)), entry("a"))],
    "one layer": [tar(entry("a", content=bytes(100)))],
}
LIMITS: list[dict[str, str]] = [
    {},
    {"lowestEfficiency": "0.5", "highestWastedBytes": "200", "highestUserWastedPercent": "1"},
    {"lowestEfficiency": "0.500001", "highestWastedBytes": "199B", "highestUserWastedPercent": "disabled"},
    {"lowestEfficiency": "off", "highestWastedBytes": "9.766 KiB", "highestUserWastedPercent": "false"},
    {"lowestEfficiency": "disabled", "highestWastedBytes": "10.001kb", "highestUserWastedPercent": "0"},
]
OPTIONS = {
    "lowestEfficiency": "--lowest-efficiency",
    "highestWastedBytes": "--highest-wasted-bytes",
    "highestUserWastedPercent": "--highest-user-wasted-percent",
}


def said(text: str) -> dict[str, str]:
    """The rules and what is said of each."""
    return {rule: result for result, rule in re.findall(r"(PASS|FAIL|SKIP)\s+(\w+)", text) if rule in OPTIONS}


@pytest.mark.parametrize("image", IMAGES)
def test_it_passes_and_fails_what_dive_passes_and_fails(run: Run, tmp_path: Path, image: str) -> None:
    program, archive = dive(), tmp_path / "image.tar"
    layered.save(archive, IMAGES[image])
    for limits in LIMITS:
        command = [
            program,
            f"docker-archive://{archive}",
            "--ci",
            *(f"--{rule}={limit}" for rule, limit in limits.items()),
        ]
        theirs = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
        options = [f"{OPTIONS[rule]}={limit}" for rule, limit in limits.items()]
        ours = run("waste", f"docker-archive:{archive}", "--ci", *options)
        assert said(ours.out) == said(theirs.stdout), (limits, theirs.stdout, ours)
        assert len(said(ours.out)) == 3
        assert (ours.code, ours.err) == (theirs.returncode, ""), (limits, theirs.stderr)


@pytest.fixture(scope="module")
def wasteful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate") / "layout"
    with LayoutWriter(folder) as writer:
        once = writer.layer(tar(entry("a", content=bytes(100))), "RUN once")
        again = writer.layer(tar(entry("a", content=bytes(range(100)))), "RUN again")
        writer.tag("app:good", writer.image([once], created="2024-01-01T00:00:00Z"))
        writer.tag("app:bad", writer.image([once, again], created="2024-01-01T00:00:00Z"))
    return folder


def test_a_line_for_each_rule_says_what_was_measured_and_what_is_allowed(run: Run, wasteful: Path) -> None:
    done = run("waste", f"oci:{wasteful}", "app:bad", "--ci", "--highest-wasted-bytes", "20MB")
    assert done.code == OTHER
    assert done.out.splitlines() == [
        "app:bad",
        "  FAIL  lowestEfficiency          0.5, at least 0.9",
        "  PASS  highestWastedBytes        200 bytes, at most 20,000,000 bytes",
        "  FAIL  highestUserWastedPercent  2, at most 0.1",
        "Result: FAIL [pass:1 fail:2]",
    ]
    assert run("waste", f"oci:{wasteful}", "app:good", "--ci").code == 0


def test_one_bad_image_of_many_fails_them_all(run: Run, wasteful: Path) -> None:
    done = run("waste", f"oci:{wasteful}", "--ci", "--json")
    found: dict[str, Any] = json.loads(done.out)
    assert done.code == OTHER
    assert found["result"] == "FAIL"
    by_image = {(rule["name"], rule["rule"]): rule for rule in found["rules"]}
    assert by_image["app:good", "lowestEfficiency"]["result"] == "PASS"
    assert by_image["app:bad", "lowestEfficiency"]["value"] == 0.5
    skipped = by_image["app:bad", "highestWastedBytes"]
    assert (skipped["result"], skipped["value"], skipped["limit"]) == ("SKIP", 200, None)
    assert by_image["app:good", "highestUserWastedPercent"]["value"] is None  # there is no layer of a user's own


def test_nothing_to_judge_is_no_pass(run: Run, tmp_path: Path) -> None:
    LayoutWriter(tmp_path / "empty").close()
    done = run("waste", f"oci:{tmp_path / 'empty'}", "--ci")
    assert (done.code, done.out) == (NOT_FOUND, "")
    assert "no image to check" in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ci", "--lowest-efficiency", "1.1"], "not in the range from 0 to 1"),
        (["--ci", "--lowest-efficiency", "nan"], "not in the range from 0 to 1"),
        (["--ci", "--highest-user-wasted-percent", "10%"], "neither a number from 0 to 1 nor"),
        (["--ci", "--highest-wasted-bytes", "much"], "'much' is not a size"),
        (["--ci", "--highest-wasted-bytes", "-1"], "is not a size"),
        (["--highest-wasted-bytes", "20MB"], "needs --ci"),
    ],
)
def test_limits_out_of_range_are_wrong_arguments(run: Run, wasteful: Path, options: list[str], words: str) -> None:
    done = run("waste", f"oci:{wasteful}", "app:good", *options)
    assert (done.code, done.out) == (USAGE, "")
    assert words in done.err
    assert "Traceback" not in done.err


def test_sizes_are_read_as_people_write_them() -> None:
    assert size_in_bytes("20MB") == size_in_bytes("20 mb") == size_in_bytes("20m") == 20_000_000
    assert size_in_bytes("1.5GiB") == 1_610_612_736
    assert size_in_bytes("1,005 B") == size_in_bytes("1005") == 1005
    assert size_in_bytes(".5k") == 500
    for text in ("", "MB", "-1", "1 parsec", "1e9", "0x10", "1 iB", "nan", "inf"):
        with pytest.raises(InvalidInput, match="not a size"):
            size_in_bytes(text)
