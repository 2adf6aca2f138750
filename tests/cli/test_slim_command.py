"""`regscope slim` shows first, and pushes with --yes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import regscope as rs
from regscope.cli.exit_codes import NOT_FOUND, USAGE
from tests.cli.conftest import Run
from tests.lab import layered
from tests.remediation.test_slimming import own_registry, pushed, upgraded
from tests.servers.registry import Registry

__all__ = ["own_registry"]


def test_it_is_shown_and_with_yes_pushed(run: Run, own_registry: Registry, tmp_path: Path) -> None:
    pushed(own_registry, tmp_path / "layout", {"one": upgraded()})
    shown = run("slim", own_registry.url, "image:0", "--tag", "slim", "--scan")
    assert shown.code == 0, shown.err
    assert "nothing was pushed" in shown.err
    assert "are freed" in shown.out
    store = rs.open(own_registry.url, cache=False)
    assert store.tags("image") == ["0"]
    pushed_ = run("slim", own_registry.url, "image:0", "--tag", "slim", "--yes", "--json", "--recompress", "zstd")
    assert pushed_.code == 0, pushed_.err
    summary = json.loads(pushed_.out)
    assert summary["pushed"] is True
    assert summary["stored"] == summary["size_after"] == summary["size_before"] - summary["saved"]
    assert store.resolve("image", "slim") == summary["new_digest"]
    assert [layer["entries_dropped"] for layer in summary["layers"]] == [10, 2, 1]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["image:0"], USAGE, "--tag"),
        (["image:9", "--tag", "x"], NOT_FOUND, "image:9"),
        (["image:0", "--tag", "a b"], USAGE, "not allowed in a tag"),
        (["image:0", "--tag", "1"], USAGE, "would be replaced: image:1"),
        (["image:0", "--tag", "x", "--level", "3"], USAGE, "--recompress"),
        (["image:0", "--tag", "x", "--recompress", "zstd", "--level", "30"], USAGE, "no level 30"),
        (["image:0", "--tag", "x", "--platform", "linux"], USAGE, "not a platform"),
        (["image:0", "--tag", "x", "--platform", "linux/arm64"], USAGE, "is for linux/amd64"),
    ],
)
def test_wrong_arguments_are_told(run: Run, tmp_path: Path, arguments: list[str], code: int, word: str) -> None:
    layered.write(tmp_path / "layout", {"one": upgraded(), "two": upgraded()[:1]})
    done = run("slim", f"oci:{tmp_path / 'layout'}", *arguments)
    assert (done.code, "Traceback" in done.err) == (code, False)
    assert word in done.err
