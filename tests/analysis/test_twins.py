"""`twins` against layers made by hand, and against plain sets."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regscope.analysis.twins import twins
from regscope.errors import InvalidInput
from tests.lab.drawn_file_snapshots import DrawnFiles, both_ways, layers_with_files
from tests.lab.drawn_snapshots import NOW, digest
from tests.lab.file_snapshots import Entry, FilesRegistry, directory, file, hardlink, opaque, symlink, whiteout

LAYER = [directory("etc"), file("etc/motd", "hello"), symlink("bin", "usr/bin"), whiteout("old")]
Group = tuple[str, ...]


def content_of(entries: list[Entry]) -> frozenset[Any]:
    last = {(entry.path, entry.whiteout): entry for entry in entries}
    return frozenset((at, entry.kind, entry.sha256, entry.link_target, entry.device) for at, entry in last.items())


def groups_of(table: pd.DataFrame) -> set[Group]:
    return {tuple(rows["layer_digest"]) for _, rows in table.groupby("group")}


def largest_first(drawn: DrawnFiles) -> list[str]:
    return sorted(drawn.layers, key=lambda layer: (-drawn.sizes[layer], layer))


@settings(max_examples=25, deadline=None)
@given(layers_with_files())
def test_layers_are_twins_if_plain_sets_say_so_in_memory_and_on_disk(drawn: DrawnFiles) -> None:
    expected: dict[frozenset[Any], list[str]] = defaultdict(list)
    for layer in largest_first(drawn):
        expected[content_of(drawn.layers[layer])].append(layer)
    groups = {tuple(layers) for layers in expected.values() if len(layers) > 1}
    with both_ways(drawn.made.snapshot()) as ways:
        for way in ways:
            table = twins(way)
            assert groups_of(table) == groups
            assert table["saved"].sum() == sum(drawn.sizes[layer] for group in groups for layer in group[1:])
            assert dict(zip(table["layer_digest"], table["reason"].fillna(""), strict=True)) == {
                layer: _reason(drawn, layer, group[0]) for group in groups for layer in group
            }


def _reason(drawn: DrawnFiles, layer: str, first: str) -> str:
    if layer == first:
        return ""
    mine, other = ({(e.path, e.whiteout): e for e in drawn.layers[each]} for each in (layer, first))
    found = []
    if any(mine[at].mtime != other[at].mtime for at in mine):
        found.append("mtimes")
    if any(mine[at].uid != other[at].uid for at in mine):
        found.append("owner")
    if any(mine[at].mode != other[at].mode for at in mine):
        found.append("mode")
    if _order(drawn.layers[layer]) != _order(drawn.layers[first]):
        found.append("order")
    return ", ".join(found) or "tar format"


def _order(entries: list[Entry]) -> list[tuple[str, str | None]]:
    keys = [(entry.path, entry.whiteout) for entry in entries]
    return [key for at, key in enumerate(keys) if key not in keys[at + 1 :]]


@settings(max_examples=25, deadline=None)
@given(layers_with_files(), st.sampled_from([0.2, 0.5, 0.75, 0.99]))
def test_near_twins_are_those_that_a_comparison_of_all_pairs_finds(drawn: DrawnFiles, threshold: float) -> None:
    files = {
        layer: {(path, entry.sha256): entry.size for path, entry in drawn.holding(layer)} for layer in drawn.layers
    }
    first_of: dict[frozenset[Any], str] = {}
    groups: dict[str, list[tuple[str, float]]] = {}
    place: dict[str, tuple[str, float]] = {}
    for layer in largest_first(drawn):
        first = first_of.setdefault(content_of(drawn.layers[layer]), layer)
        if first == layer:
            near = {other: _similarity(files[layer], files[other]) for other in groups}
            near = {other: share for other, share in near.items() if share >= threshold}
            place[layer] = max(near.items(), key=lambda pair: pair[1]) if near else (layer, 1.0)
        to, share = place[first]
        groups.setdefault(to, []).append((layer, share))
    expected = {tuple(group) for group in groups.values() if len(group) > 1}
    with both_ways(drawn.made.snapshot()) as ways:
        for way in ways:
            table = twins(way, threshold=threshold)
            found = {
                tuple(zip(rows["layer_digest"], rows["similarity"], strict=True)) for _, rows in table.groupby("group")
            }
            assert found == expected


def _similarity(one: dict[Any, int], other: dict[Any, int]) -> float:
    both = sum(size for at, size in one.items() if at in other)
    either = sum(one.values()) + sum(other.values()) - both
    return both / either if either else 0.0


def built_twice(**changed: Any) -> pd.DataFrame:
    """The twins of a layer and its rebuild, of which one file changed in these attributes."""
    made = FilesRegistry(first=10, again=8)
    made.layer("first", *LAYER)
    made.layer("again", LAYER[0], dataclasses.replace(LAYER[1], **changed), *LAYER[2:])
    made.image("one", ["first=RUN make"], "r:1")
    made.image("two", ["again=RUN make"], "r:2")
    made.image("three", ["again=RUN make", "else"], "r:3")
    return twins(made.snapshot())


def test_all_but_the_largest_of_a_group_would_be_saved() -> None:
    table = built_twice(mtime=NOW + timedelta(days=1))
    assert table["layer_digest"].tolist() == [digest("first"), digest("again")]
    assert table[["group", "size", "similarity", "saved", "images"]].to_numpy().tolist() == [
        [1, 10, 1, 0, 1],
        [1, 8, 1, 8, 2],
    ]
    assert table["created_by"].tolist() == ["RUN make", "RUN make"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"mtime": NOW + timedelta(microseconds=1)}, "mtimes"),
        ({"mtime": None}, "mtimes"),
        ({"uid": 1000}, "owner"),
        ({"gid": 1000}, "owner"),
        ({"mode": 0o600}, "mode"),
        ({"xattrs": '{"user.a":"YQ=="}'}, "xattrs"),
        ({"mtime": None, "uid": 1, "mode": 0}, "mtimes, owner, mode"),
        ({}, "tar format"),
    ],
)
def test_the_reason_is_what_differs_from_the_largest(changed: dict[str, Any], reason: str) -> None:
    table = built_twice(**changed)
    assert table["reason"].isna().tolist() == [True, False]
    assert table["reason"].iloc[1] == reason


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "etc/issue"},
        {"sha256": file("", "other").sha256},
        {"kind": "hardlink", "link_target": "a", "sha256": None, "size": 0},
        {"whiteout": "delete"},
    ],
)
def test_layers_of_other_paths_kinds_contents_or_marks_are_no_twins(changed: dict[str, Any]) -> None:
    assert built_twice(**changed).empty


def test_links_to_other_targets_and_other_devices_are_no_twins() -> None:
    made = FilesRegistry()
    for number, entry in enumerate(
        [symlink("a", "b"), symlink("a", "c"), hardlink("a", "b"), hardlink("a", "c"), whiteout("a"), opaque("a")]
    ):
        made.layer(f"layer {number}", entry)
    assert twins(made.snapshot()).empty


def test_the_order_of_a_tar_is_a_reason() -> None:
    made = FilesRegistry(one=2)
    made.layer("one", *LAYER)
    made.layer("two", *LAYER[::-1])
    assert twins(made.snapshot())["reason"].tolist()[1:] == ["order"]


def test_the_same_tar_compressed_in_another_way_has_no_other_reason() -> None:
    made = FilesRegistry(one=2)
    made.layer("one", *LAYER)
    made.layer("two", *LAYER, same_tar_as="one", compression="zstd")
    table = twins(made.snapshot())
    assert table["reason"].tolist()[1:] == ["compression"]
    assert table["diff_id"].nunique() == 1


def test_of_two_entries_of_one_path_the_last_counts() -> None:
    made = FilesRegistry(one=2)
    made.layer("one", file("a", "x"), file("b", "y"))
    made.layer("two", file("a", "old"), file("a", "x"), file("b", "y"))
    made.layer("three", file("a", "x"), file("a", "old"), file("b", "y"))
    assert twins(made.snapshot())["layer_digest"].tolist() == [digest("one"), digest("two")]


def test_layers_that_hold_nothing_are_twins() -> None:
    made = FilesRegistry(one=32, two=32)
    made.layer("one")
    made.layer("two")
    assert twins(made.snapshot())["saved"].tolist() == [0, 32]


def test_texts_that_run_together_are_no_twins() -> None:
    made = FilesRegistry()
    made.layer("one", symlink("a", "bc"), symlink("d", "e"))
    made.layer("two", symlink("ab", "c"), symlink("d", "e"))
    made.layer("three", symlink("a", "b"), symlink("cd", "e"))
    assert twins(made.snapshot()).empty


def test_the_group_that_would_save_most_comes_first() -> None:
    made = FilesRegistry(a=10, b=10, c=90, d=11)
    for name, content in zip("abcd", "xxyy", strict=True):
        made.layer(name, file("a", content))
    assert twins(made.snapshot())["size"].tolist() == [90, 11, 10, 10]


def test_nearly_the_same_is_measured_in_bytes_of_files() -> None:
    made = FilesRegistry(large=10, small=5)
    made.layer("large", file("a", "shared", size=900), file("b", "one", size=50), *LAYER)
    made.layer("small", file("a", "shared", size=900), file("b", "two", size=45))
    snap = made.snapshot()
    table = twins(snap, threshold=0.9)
    assert table["similarity"].tolist() == [1.0, 900 / (955 + 945 - 900)]
    assert table["reason"].tolist()[1:] == ["content"]
    assert table["saved"].tolist() == [0, 5]
    assert twins(snap, threshold=0.91).empty


def test_the_same_content_at_another_path_is_not_nearly_the_same() -> None:
    made = FilesRegistry()
    made.layer("one", file("a", "x", size=100))
    made.layer("two", file("b", "x", size=100))
    assert twins(made.snapshot(), threshold=0.1).empty


@pytest.mark.parametrize("threshold", [0, -1, 1.1, float("nan")])
def test_a_threshold_that_is_no_share_is_refused(threshold: float) -> None:
    with pytest.raises(InvalidInput, match="out of range"):
        twins(FilesRegistry().snapshot(), threshold=threshold)
