"""`largest_files` and `file_types`: where the bytes within layers are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regscope.analysis.largest_files import file_types, largest_files
from tests.lab.drawn_file_snapshots import DrawnFiles, both_ways, layers_with_files
from tests.lab.drawn_snapshots import digest
from tests.lab.file_snapshots import FilesRegistry, file, hardlink, symlink, whiteout


@settings(max_examples=40, deadline=None)
@given(layers_with_files(), st.integers(0, 8))
def test_the_largest_files_are_the_first_of_all_sorted_in_memory_and_on_disk(drawn: DrawnFiles, n: int) -> None:
    files = [
        (-entry.size, layer, path)
        for layer in drawn.layers
        for path, (_, entry) in drawn.standing(layer).items()
        if entry.kind == "file"
    ]
    with both_ways(drawn.made.snapshot()) as ways:
        for way in ways:
            table = largest_files(way, n)
            found = list(zip(-table["size"], table["layer_digest"], table["path"], strict=True))
            assert found == sorted(files)[:n]


def test_a_file_comes_with_what_is_known_of_its_layer() -> None:
    made = FilesRegistry()
    made.layer("base", file("a", "x", size=100, magic="ELF"))
    made.layer("left over", file("b", "y", size=50))
    made.image("one", ["base=RUN make"], "r:1", "q:1")
    made.image("two", ["base=RUN make"], "r:2")
    table = largest_files(made.snapshot())
    assert table.drop(columns="sha256").iloc[0].tolist() == ["a", 100, "ELF", digest("base"), "RUN make", 2, 2]
    assert table[["images", "repositories"]].iloc[1].tolist() == [0, 0]
    assert table[["magic", "created_by"]].iloc[1].isna().all()


def test_files_are_counted_by_extension_and_by_magic() -> None:
    made = FilesRegistry()
    made.layer(
        "one", file("a.py", "x", size=10), file("b/c.PY", "x", size=10), file("bin/tool", "t", size=5, magic="ELF")
    )
    made.layer("two", file("d.py", "y", size=7), symlink("e.py", "d.py"), hardlink("f.py", "d.py"), whiteout("g.py"))
    table = file_types(made.snapshot())
    assert table.fillna("-").to_numpy().tolist() == [
        ["extension", "py", 3, 27, 17],
        ["extension", "-", 1, 5, 5],
        ["magic", "-", 3, 27, 17],
        ["magic", "ELF", 1, 5, 5],
    ]


@pytest.mark.parametrize(
    ("path", "extension"),
    [
        ("lib/libc.so.6", "so"),
        ("lib/libssl.so.1.1", "so"),
        ("a/archive.tar.gz", "gz"),
        ("README", None),
        ("home/.bashrc", None),
        (".profile", None),
        ("home/.config.json", "json"),
        ("dir.d/file", None),
        ("ends.", None),
        ("a.longer-than-any-extension-is", None),
        ("a.<b>", None),
        ("a.Ünï", None),
        ("a.\n", None),
    ],
)
def test_an_extension_is_a_short_plain_word_after_the_last_dot(path: str, extension: str | None) -> None:
    made = FilesRegistry()
    made.layer("one", file(path, "x"))
    found = file_types(made.snapshot())["type"].iloc[0]
    assert (found if isinstance(found, str) else None) == extension


def test_an_entry_that_is_replaced_in_the_same_tar_does_not_count() -> None:
    made = FilesRegistry()
    made.layer("one", file("a.py", "x", size=10), file("a.py", "y", size=1))
    assert file_types(made.snapshot())["bytes"].tolist() == [1, 1]
    assert largest_files(made.snapshot())["size"].tolist() == [1]


@settings(max_examples=30, deadline=None)
@given(layers_with_files())
def test_either_way_of_counting_counts_every_file(drawn: DrawnFiles) -> None:
    files = [e for layer in drawn.layers for _, e in drawn.standing(layer).values() if e.kind == "file"]
    with both_ways(drawn.made.snapshot()) as ways:
        for way in ways:
            for _, rows in file_types(way).groupby("by", observed=True):
                assert rows["files"].sum() == len(files)
                assert rows["bytes"].sum() == sum(entry.size for entry in files)
