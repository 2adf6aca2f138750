"""`base_drift`: what rebuilds of one layer brought."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

from regscope.analysis.base_drift import base_drift
from tests.lab.drawn_file_snapshots import both_ways
from tests.lab.drawn_snapshots import NOW, digest
from tests.lab.file_snapshots import Entry, FilesRegistry, directory, file, hardlink, symlink, whiteout

OLD = [directory("etc"), file("etc/version", "1"), file("etc/motd", "hello"), symlink("bin", "usr/bin")]
NEW = [directory("etc"), file("etc/version", "2.0"), file("etc/issue", "welcome"), symlink("bin", "usr/bin")]
LINE = "/bin/sh -c #(nop) ADD file:{} in / "


def rebuilt(*versions: list[Entry], parent: str | None = None) -> FilesRegistry:
    """Images r:0, r:1 … whose lowest layer, or the one on `parent`, one instruction made anew each day."""
    made = FilesRegistry(**{f"v{number}": 100 + number for number in range(len(versions))})
    for number, entries in enumerate(versions):
        made.layer(f"v{number}", *entries)
        layer = f"v{number}={LINE.format(str(number) * 64)}"
        below = [parent] if parent else []
        created = NOW + timedelta(days=number)
        made.image(f"image {number}", [*below, layer, f"app {number}"], f"r:{number}", created=created)
    return made


def changes(table: pd.DataFrame) -> list[list[int]]:
    return table[["added", "removed", "changed", "new_bytes"]].iloc[1:].to_numpy().tolist()


def test_each_version_is_held_against_the_one_before_in_memory_and_on_disk() -> None:
    with both_ways(rebuilt(OLD, NEW, NEW[:2]).snapshot()) as ways:
        for way in ways:
            table = base_drift(way)
            assert table["layer_digest"].tolist() == [digest("v0"), digest("v1"), digest("v2")]
            assert table["instruction"].unique().tolist() == ["ADD file:… in /"]
            assert table["parent"].isna().all()
            assert table[["group", "version", "versions", "size", "images"]].to_numpy().tolist() == [
                [1, 1, 3, 100, 1],
                [1, 2, 3, 101, 1],
                [1, 3, 3, 102, 1],
            ]
            assert table["created"].tolist() == [NOW + timedelta(days=day) for day in range(3)]
            assert table[["added", "removed", "changed", "new_bytes"]].iloc[0].isna().all()
            # etc/issue came, etc/motd went, etc/version is another: 7 and 3 bytes. Then two entries went.
            assert changes(table) == [[1, 1, 1, 10], [0, 2, 0, 0]]


def test_layers_of_the_same_content_are_one_version_the_oldest() -> None:
    table = base_drift(rebuilt(OLD, OLD[::-1], NEW).snapshot())
    assert table["layer_digest"].tolist() == [digest("v0"), digest("v2")]
    assert table["images"].tolist() == [2, 1]


def test_a_layer_whose_rebuilds_hold_the_same_did_not_drift() -> None:
    assert base_drift(rebuilt(OLD, OLD[::-1]).snapshot()).empty


def test_attributes_alone_are_no_drift_and_links_and_marks_are() -> None:
    one = [symlink("a", "b"), file("c", "x", uid=1), whiteout("old"), file("d", "y")]
    other = [symlink("a", "c"), file("c", "x", uid=2), hardlink("d", "c")]
    assert changes(base_drift(rebuilt(one, other).snapshot())) == [[0, 1, 2, 0]]


def test_the_last_entry_of_a_path_is_the_one_that_counts() -> None:
    assert changes(base_drift(rebuilt([file("a", "x")], [file("a", "x"), file("a", "yy")]).snapshot())) == [
        [0, 0, 1, 2]
    ]


def test_the_place_is_what_is_below() -> None:
    table = base_drift(rebuilt(OLD, NEW, parent="base").snapshot())
    assert table["parent"].notna().all()
    assert table["parent"].nunique() == 1
    made = FilesRegistry()
    made.layer("one", *OLD)
    made.layer("two", *NEW)
    made.image("image 1", ["base", "one=RUN make"], "r:1")
    made.image("image 2", ["other base", "two=RUN make"], "r:2")
    assert base_drift(made.snapshot()).empty


def test_a_first_layer_of_another_platform_or_by_another_instruction_is_another_place() -> None:
    made = FilesRegistry()
    for number, entries in enumerate([OLD, NEW, NEW[:1]]):
        made.layer(f"v{number}", *entries)
    made.image("amd", ["v0=RUN make"], "r:1")
    made.image("arm", ["v1=RUN make"], "r:2", platform="linux/arm64")
    made.image("other", ["v2=RUN cmake"], "r:3")
    assert base_drift(made.snapshot()).empty


def test_layers_that_were_not_read_or_have_no_instruction_are_left_out() -> None:
    made = FilesRegistry()
    made.layer("v0", *OLD)
    made.layer("v1", *NEW)
    made.image("one", ["v0=RUN make"], "r:1")
    made.image("two", ["unread=RUN make"], "r:2")
    made.image("three", ["v1"], "r:3")
    assert base_drift(made.snapshot()).empty


def test_the_place_that_takes_most_bytes_comes_first() -> None:
    made = FilesRegistry(a=1, b=1, c=50, d=60)
    for name, entries, line in zip("abcd", [OLD, NEW, OLD, NEW], ["RUN 1", "RUN 1", "RUN 2", "RUN 2"], strict=True):
        made.layer(name, *entries)
        made.image(f"image {name}", [f"{name}={line}"], f"r:{name}")
    table = base_drift(made.snapshot())
    assert table["instruction"].tolist() == ["RUN 2", "RUN 2", "RUN 1", "RUN 1"]
    assert table["group"].tolist() == [1, 1, 2, 2]
