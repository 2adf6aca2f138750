"""`file_duplicates` and `dedup_ratios` against figures worked out by hand, and against plain sets and dicts."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import PurePosixPath

import pandas as pd
import pytest
from hypothesis import given, settings

from regscope.analysis.file_duplicates import dedup_ratios, file_duplicates
from regscope.analysis.history_cost import UNKNOWN
from tests.lab.drawn_file_snapshots import DrawnFiles, both_ways, layers_with_files
from tests.lab.file_snapshots import FilesRegistry, directory, file, hardlink, sha256, symlink, whiteout
from tests.lab.snapshots import empty


@settings(max_examples=60, deadline=None)
@given(layers_with_files())
def test_every_figure_is_what_plain_sets_say_in_memory_and_on_disk(drawn: DrawnFiles) -> None:
    copies: dict[str, list[tuple[str, str]]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for layer in sorted(drawn.layers):
        for path, entry in drawn.holding(layer):
            copies[entry.sha256 or ""].append((layer, path))
            sizes[entry.sha256 or ""] = entry.size
    snap = drawn.made.snapshot()
    tar_sizes = dict(zip(snap.unpacked["layer_digest"], snap.unpacked["tar_size"], strict=True))
    expected = {}
    for content, places in copies.items():
        if len(places) == 1:
            continue
        layers = {layer for layer, _ in places}
        images = {image for image, held in drawn.images.items() if held & layers}
        stored = [round(sizes[content] * (drawn.sizes[layer] / tar_sizes[layer])) for layer, _ in places]
        expected[content] = {
            "size": sizes[content],
            "copies": len(places),
            "layers": len(layers),
            "images": len(images),
            "repositories": len({repository for image in images for repository in drawn.repositories[image]}),
            "wasted": sizes[content] * (len(places) - 1),
            "wasted_stored": sum(stored) - min(stored),
            "path": places[0][1],
            "name": _commonest([PurePosixPath(path).name for _, path in places]),
            "instruction": _commonest([_instruction(drawn, layer) for layer, _ in places]),
        }
    with both_ways(snap) as ways:
        for way in ways:
            table = file_duplicates(way)
            assert table.set_index("sha256").to_dict("index") == expected
            assert list(table["wasted"]) == sorted(table["wasted"], reverse=True)


def _instruction(drawn: DrawnFiles, layer: str) -> str:
    is_used = any(layer in layers for layers in drawn.images.values())
    return drawn.instructions[layer] if is_used else UNKNOWN


def _commonest(values: list[str]) -> str:
    """The most frequent one; of those that tie, the first."""
    return Counter(values).most_common(1)[0][0]


@settings(max_examples=40, deadline=None)
@given(layers_with_files())
def test_the_ratio_of_files_is_all_bytes_by_those_of_distinct_contents(drawn: DrawnFiles) -> None:
    files = [entry for layer in drawn.layers for _, entry in drawn.holding(layer)]
    distinct = {entry.sha256: entry.size for entry in files}
    with both_ways(drawn.made.snapshot()) as ways:
        for way in ways:
            row = dedup_ratios(way).set_index("level").loc["files"]
            assert row["before"] == sum(entry.size for entry in files)
            assert row["after"] == sum(distinct.values())


def shop() -> FilesRegistry:
    """Three images on one base; the licence is in the base, and twice in one layer above."""
    made = FilesRegistry(base=100, app=50, tool=20)
    made.layer("base", directory("usr"), file("usr/licence", "MIT", size=1000), file("usr/empty"), tar_size=400)
    made.layer(
        "app", file("app/LICENSE", "MIT", size=1000), file("app/more/LICENSE", "MIT", size=1000), file("app/empty"),
        tar_size=100,
    )  # fmt: skip
    made.layer("tool", file("tool", "own", size=7))
    made.image("one", ["base=ADD rootfs /", "app=COPY . /app"], "shop:1")
    made.image("two", ["base=ADD rootfs /", "app=COPY . /app"], "shop:2", "mirror:2")
    made.image("three", ["base=ADD rootfs /", "tool=RUN make"], "tool:1")
    return made


def test_a_layer_counts_once_however_many_images_have_it() -> None:
    table = file_duplicates(shop().snapshot())
    assert len(table) == 1
    row = table.iloc[0]
    assert row["sha256"] == sha256("MIT")
    assert row[["size", "copies", "layers", "images", "repositories", "wasted"]].tolist() == [1000, 3, 2, 3, 3, 2000]


def test_copies_as_stored_are_by_the_ratio_of_their_layer_and_the_cheapest_is_kept() -> None:
    # 1000 × 100 / 400 in the base, 1000 × 50 / 100 twice in the app.
    assert file_duplicates(shop().snapshot())["wasted_stored"].tolist() == [1000]


def test_copies_as_stored_are_absent_where_a_layer_has_no_known_ratio() -> None:
    made = FilesRegistry()
    made.layer("a", file("a", "x"), tar_size=0)
    made.layer("b", file("a", "x"))
    assert file_duplicates(made.snapshot())["wasted_stored"].isna().tolist() == [True]


def test_the_name_and_the_instruction_are_those_of_most_copies() -> None:
    row = file_duplicates(shop().snapshot()).iloc[0]
    assert row[["name", "instruction"]].tolist() == ["LICENSE", "COPY . /app"]


def test_instructions_that_differ_from_build_to_build_are_one() -> None:
    made = FilesRegistry()
    for name in "ab":
        made.layer(name, file(name, "x"))
        made.image(f"image {name}", [f"{name}=/bin/sh -c #(nop) COPY file:{name * 64} in / "], f"r:{name}")
    assert file_duplicates(made.snapshot())["instruction"].tolist() == ["COPY file:… in /"]


def test_empty_files_are_no_duplicates() -> None:
    made = FilesRegistry()
    made.layer("a", file("a/__init__.py"), file("b/__init__.py"))
    assert file_duplicates(made.snapshot()).empty


def test_a_link_is_no_copy() -> None:
    made = FilesRegistry()
    made.layer("a", file("a", "x"), hardlink("b", "a"), symlink("c", "a"))
    assert file_duplicates(made.snapshot()).empty


def test_an_entry_that_a_later_one_of_the_same_tar_replaces_is_no_copy() -> None:
    made = FilesRegistry()
    made.layer("a", file("a", "x"), file("a", "x"), file("b", "x"), file("b", "y"), file("c", "x"), symlink("c", "a"))
    assert file_duplicates(made.snapshot()).empty


def test_a_mark_that_hides_a_path_replaces_no_entry_there() -> None:
    made = FilesRegistry()
    made.layer("a", file("a", "x"), whiteout("a"), file("b", "x"))
    assert file_duplicates(made.snapshot())["copies"].tolist() == [2]


def test_files_whose_layer_no_image_has_count_too() -> None:
    made = FilesRegistry()
    made.layer("a", file("a", "x"), file("b", "x"))
    row = file_duplicates(made.snapshot()).iloc[0]
    assert row[["images", "repositories", "instruction"]].tolist() == [0, 0, UNKNOWN]


def test_contents_whose_digests_begin_alike_are_different() -> None:
    made = FilesRegistry()
    alike = [file(name, name, size=5) for name in "ab"]
    made.layer("a", *alike)
    snap = made.snapshot()
    snap.files["sha256"] = pd.Series(["0" * 63 + "1", "0" * 63 + "2"], dtype="str")
    assert file_duplicates(snap).empty


def test_layers_and_files_are_two_ratios() -> None:
    table = dedup_ratios(shop().snapshot()).set_index("level")
    # Layers as stored: 3 × 100 + 2 × 50 + 20 in all images. Files: 3 × 1000 and 7.
    assert table.loc["layers", ["before", "after"]].tolist() == [420, 170]
    assert table.loc["files", ["before", "after"]].tolist() == [3007, 1007]
    assert table["ratio"].tolist() == pytest.approx([420 / 170, 3007 / 1007])


def test_a_layer_that_lives_elsewhere_takes_no_bytes() -> None:
    made = FilesRegistry(windows=1000, own=5)
    made.foreign.add("windows")
    made.image("one", ["windows", "own"], "r:1")
    assert dedup_ratios(made.snapshot())["before"].tolist() == [5, 0]


def test_without_bytes_there_is_no_ratio() -> None:
    assert dedup_ratios(empty())["ratio"].isna().all()
