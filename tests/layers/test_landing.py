"""Where entries land when symlinks are on their way, and the rules that need a word of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import InvalidInput
from regscope.layers.landing import Landing, Step, landings
from tests.lab import layered
from tests.lab.corners import FOLDER, LINK, SYMLINK, entry, tar


def paths(*layers: bytes) -> list[str]:
    """Of the final files."""
    return list(rs.final_files(layered.tables({"image:1": layers}), "image:1")["path"])


WAYS = {
    "its own layer's": ([tar(entry("a", SYMLINK, linkname="b"), entry("a/x"))], ["a", "b", "b/x"]),
    "a lower layer's": ([tar(entry("a", SYMLINK, linkname="b")), tar(entry("a/x"))], ["a", "b", "b/x"]),
    "an absolute one": ([tar(entry("d/a", SYMLINK, linkname="/b"), entry("d/a/x"))], ["b", "b/x", "d", "d/a"]),
    "one that leads up": ([tar(entry("d/a", SYMLINK, linkname="../../b/"), entry("d/a/x"))], ["b", "b/x", "d", "d/a"]),
    "one through another": (
        [tar(entry("a", SYMLINK, linkname="b"), entry("b", SYMLINK, linkname="c"), entry("a/x"))],
        ["a", "b", "c", "c/x"],
    ),
    "one that is gone by then": (
        [tar(entry("a", SYMLINK, linkname="b")), tar(entry(".wh.a", content=b""), entry("a/x"))],
        ["a", "a/x"],
    ),
    "one in whose place a directory is": (
        [tar(entry("a", SYMLINK, linkname="b")), tar(entry("a", FOLDER), entry("a/x"))],
        ["a", "a/x"],
    ),
    "to a whiteout": (
        [tar(entry("b/x"), entry("b/y"), entry("a", SYMLINK, linkname="b")), tar(entry("a/.wh.x", content=b""))],
        ["a", "b", "b/y"],
    ),
    "to an opaque mark": (
        [tar(entry("b/x"), entry("a", SYMLINK, linkname="b")), tar(entry("a/.wh..wh..opq", content=b""))],
        ["a", "b"],
    ),
    "to a hardlink's target": (
        [tar(entry("b/x"), entry("a", SYMLINK, linkname="b")), tar(entry("c", LINK, linkname="a/x"))],
        ["a", "b", "b/x", "c"],
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_symlink_on_the_way_is_followed(way: str) -> None:
    layers, expected = WAYS[way]
    assert paths(*layers) == expected


def test_symlinks_that_lead_in_a_circle_are_given_up() -> None:
    steps = [Step(0, "a", is_symlink=True, link="b"), Step(0, "b", is_symlink=True, link="a"), Step(0, "a/x")]
    assert list(landings(steps))[2] == Landing("a/x", None, ())


def test_an_opaque_mark_removes_what_its_own_layer_made_a_directory_for_without_an_entry() -> None:
    mark = entry("d/.wh..wh..opq", content=b"")
    assert paths(tar(entry("d/e/f"), entry("d/g"), mark)) == ["d", "d/g"]
    assert paths(tar(entry("d/e", FOLDER), entry("d/e/f"), mark)) == ["d", "d/e", "d/e/f"]


@pytest.mark.parametrize("name", [".wh.", "d/.wh.", "d/.wh..", "d/.wh..."])
def test_a_whiteout_without_a_name_hides_nothing_and_its_image_is_not_made_anew(name: str, tmp_path: Path) -> None:
    layers = [tar(entry("d/a"), entry("b")), tar(entry(name, content=b""))]
    layered.write(tmp_path, {"one": layers})
    assert list(rs.final_files(layered.read(tmp_path), "image:0")["path"]) == ["b", "d", "d/a"]
    with pytest.raises(InvalidInput, match="without a name"):
        rs.Image.read(f"oci:{tmp_path}", "image:0").flatten()
    with pytest.raises(InvalidInput, match="without a name"):
        rs.slim(f"oci:{tmp_path}", "image:0", "slim")


def test_an_entry_for_the_root_that_is_no_directory_means_nothing() -> None:
    assert paths(tar(entry("a")), tar(entry("..", content=b"x"))) == ["a"]


def test_what_is_deleted_through_a_symlink_does_not_come_back(tmp_path: Path) -> None:
    base = tar(entry("usr/bin", FOLDER), entry("bin", SYMLINK, linkname="usr/bin"), entry("bin/sh"), entry("bin/key"))
    layered.write(tmp_path, {"one": [base, tar(entry("usr/bin/.wh.key", content=b""))]})
    found = rs.slim(f"oci:{tmp_path}", "image:0", "slim")
    found.apply(dry_run=False)
    files = rs.final_files(layered.read(tmp_path), "image:slim")
    assert list(files["path"]) == ["bin", "usr", "usr/bin", "usr/bin/sh"]
    assert found.layers["entries_dropped"].tolist() == [1, 1]
