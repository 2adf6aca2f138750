"""Bytes that nobody can see: how many, why, and by whom."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from regscope.analysis.final_tree import final_files
from regscope.analysis.waste import waste, wasted_files
from regscope.errors import InvalidInput
from regscope.file_rows import FilesOnDisk, FilesWriter
from tests.lab import layered
from tests.lab.corners import FOLDER, LINK, SYMLINK, entry, tar
from tests.layers.folder_model import DELETE, FILE, OPAQUE, Entry, Folder, Layer, Lost, layers, tar_of


@settings(max_examples=20, deadline=None)
@given(st.lists(layers, min_size=1, max_size=3))
@example([[[Entry("a", FILE, b"22"), Entry("b", LINK, b"a")], [Entry("a", DELETE)], [Entry("b", FILE, b"22")]]])
@example([[[Entry("a/b", FILE, b"1")], [Entry("a", FILE, b"1"), Entry("a", OPAQUE)], [Entry("a/a", FILE, b"1")]]])
def test_what_the_tables_say_is_what_is_left_of_layers_written_into_a_folder(stacks: list[list[Layer]]) -> None:
    images = {f"image:{number}": [tar_of(layer) for layer in stack] for number, stack in enumerate(stacks)}
    snap = layered.tables(images)
    table = waste(snap)
    written: dict[str, tuple[Folder, dict[str, bytes | None]]] = {}
    for name, stack in zip(images, stacks, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            model = Folder(Path(folder))
            model.apply(stack)
            written[name] = model, model.everything()
        visible = sum({file.file: len(model.brought[file.file][1].content) for file in model.names.values()}.values())
        brought = sum(len(each.content) for layer in stack for each in layer if each.kind == FILE)
        found = table[table["name"] == name]
        assert found["bytes"].sum() == brought - visible
        assert causes(found) == causes(pd.DataFrame(model.lost(), columns=[*Lost._fields]))
    model, on_disk = written["image:0"]
    files, lost = final_files(snap, "image:0"), wasted_files(snap, "image:0")
    columns = ["path", "bytes", "cause", "brought_layer", "caused_layer"]
    assert Counter(Lost(*row) for row in lost[columns].astype(object).itertuples(index=False)) == Counter(model.lost())
    # A hardlink to what is not there cannot be written.
    there = files[files["kind"] != "hardlink"]
    contents = {path: None if content is None else hashlib.sha256(content).hexdigest() for path, content in
                on_disk.items()}  # fmt: skip
    assert (
        dict(zip(there["path"], there["sha256"].astype(object).where(there["sha256"].notna(), None), strict=True))
        == contents
    )
    kinds = there.set_index("path")["kind"].astype("str")
    assert {path for path, kind in kinds.items() if kind == "directory"} == model.folders


def of(*stack: Sequence[bytes] | bytes) -> pd.DataFrame:
    """The waste of one image of these layers."""
    return waste(layered.tables({"image:1": list(stack)}))  # type: ignore[arg-type]


def causes(table: pd.DataFrame) -> dict[str, int]:
    return {str(cause): int(size) for cause, size in table.groupby("cause", observed=True)["bytes"].sum().items()}


BASE = tar(entry("d", FOLDER), entry("d/a", content=b"a" * 100), entry("d/b", content=b"b" * 10))


def test_each_cause_by_the_lines_that_brought_and_hid_the_bytes() -> None:
    table = of(
        BASE,
        tar(entry("d/a", content=b"a" * 100, mode=0o755)),
        tar(entry("d/a", content=b"other")),
        tar(entry("d/.wh.a", content=b""), entry("moved", content=b"b" * 10), entry("d/.wh.b", content=b"")),
    )
    rows = table[["cause", "brought_by", "caused_by", "files", "bytes"]].astype(object).itertuples(index=False)
    assert [tuple(row) for row in rows] == [
        ("attributes only", "RUN step 0", "RUN step 1", 1, 100),
        ("overwritten", "RUN step 1", "RUN step 2", 1, 100),
        ("same content elsewhere", "RUN step 0", "RUN step 3", 1, 10),
        ("deleted", "RUN step 2", "RUN step 3", 1, 5),
    ]
    assert (table["brought_layer"].tolist(), table["caused_layer"].tolist()) == ([0, 1, 0, 2], [1, 2, 3, 3])
    assert table["name"].unique().tolist() == ["image:1"]


def test_a_hardlink_keeps_bytes_that_were_deleted_at_their_first_path() -> None:
    linked = tar(entry("a", content=b"a" * 100), entry("b", LINK, linkname="a"))
    assert of(linked, tar(entry(".wh.a", content=b""))).empty
    gone = of(linked, tar(entry(".wh.a", content=b"")), tar(entry(".wh.b", content=b"")))
    assert (gone["bytes"].tolist(), gone["caused_layer"].tolist()) == ([100], [2])


def test_what_a_link_of_a_higher_layer_holds_is_not_wasted() -> None:
    assert of(BASE, tar(entry("kept", LINK, linkname="d/a")), tar(entry("d/.wh.a", content=b""))).empty


def test_a_directory_that_gives_way_takes_what_is_in_it_along() -> None:
    for other in (entry("d", content=b"d"), entry("d", SYMLINK, linkname="x"), entry(".wh.d", content=b"")):
        assert causes(of(BASE, tar(other))) == {"deleted": 110}
    assert causes(of(BASE, tar(entry("d/.wh..wh..opq", content=b""), entry("d/a", content=b"new")))) == {
        "overwritten": 100,
        "deleted": 10,
    }


def test_a_whiteout_hides_what_its_own_layer_brought_before_it_and_nothing_after() -> None:
    mark, new = entry("d/.wh.a", content=b""), entry("d/a", content=b"new")
    assert causes(of(tar(new, mark))) == {"deleted": 3}
    assert causes(of(BASE, tar(mark, new))) == {"overwritten": 100}


def test_of_entries_for_one_path_in_one_layer_the_last_is_kept() -> None:
    table = of(tar(entry("a", content=b"1" * 7), entry("a", content=b"2" * 3)))
    assert (table["bytes"].tolist(), table["caused_layer"].tolist()) == ([7], [0])


def test_content_that_comes_back_to_its_own_path_was_not_moved() -> None:
    first, second = tar(entry("a", content=b"1" * 7)), tar(entry("a", content=b"2" * 3))
    assert causes(of(first, second, first)) == {"overwritten": 10}


def test_compressed_bytes_follow_the_ratio_of_the_layer_that_brought_them() -> None:
    table = of(BASE, tar(entry(".wh.d", content=b"")))
    assert (table["bytes"].tolist(), table["compressed"].tolist()) == ([110], [55])


def test_images_on_one_base_are_told_apart() -> None:
    cleaned = tar(entry("d/.wh.a", content=b""))
    images = {"a:1": [BASE], "a:2": [BASE, cleaned], "b:1": [BASE, cleaned, tar(entry("d/b", content=b"x"))]}
    table = waste(layered.tables(images))
    assert table.groupby("name")["bytes"].sum().to_dict() == {"a:2": 100, "b:1": 110}
    for name in images:
        one = waste(layered.tables(images), name)
        pd.testing.assert_frame_equal(one, table[table["name"] == name].reset_index(drop=True))
        assert one["bytes"].sum() == wasted_files(layered.tables(images), name)["bytes"].sum()


def test_the_files_of_an_image_come_largest_first() -> None:
    files = wasted_files(layered.tables({"a:1": [BASE, tar(entry(".wh.d", content=b""))]}), "a:1")
    assert files["path"].tolist() == ["d/a", "d/b"]
    assert files["sha256"].str.len().tolist() == [64, 64]
    assert (files["caused_by"] == "RUN step 1").all()


def test_files_on_disk_give_the_same(tmp_path: Path) -> None:
    images = {
        f"a:{n}": [BASE, tar(entry(f"{n}", content=bytes(n))), tar(entry("d/.wh.a", content=b""))] for n in (1, 2)
    }
    snap = layered.tables(images)
    assert isinstance(snap.files, pd.DataFrame)
    writer = FilesWriter(tmp_path / "files")
    for _, rows in snap.files.groupby("layer_digest", observed=True, sort=False):
        writer.add(pa.Table.from_pandas(rows, preserve_index=False))
    writer.close()
    on_disk = dataclasses.replace(snap, files=FilesOnDisk(tmp_path / "files"))
    pd.testing.assert_frame_equal(waste(on_disk), waste(snap))
    pd.testing.assert_frame_equal(waste(on_disk, compat="dive"), waste(snap, compat="dive"))
    pd.testing.assert_frame_equal(final_files(on_disk, "a:1"), final_files(snap, "a:1"))


def test_an_image_that_was_not_read_is_an_error_that_says_what_to_do() -> None:
    snap = layered.tables({"a:1": [BASE], "b:1": [BASE, tar(entry("d/a", content=b"new"))]})
    part = dataclasses.replace(snap, unpacked=snap.unpacked.iloc[:1])
    assert waste(part).empty
    for ask in (final_files, wasted_files, waste):
        with pytest.raises(InvalidInput, match="1 were not read") as caught:
            ask(part, "b:1")
        assert "scan_files" in caught.value.next_step
    unread = dataclasses.replace(snap, unpacked=snap.unpacked.iloc[:0])
    with pytest.raises(InvalidInput, match="no layer of this snapshot was read"):
        waste(unread)


def test_many_bytes_are_added_exactly() -> None:
    huge = 2**62
    snap = layered.tables({"a:1": [BASE, tar(entry(".wh.d", content=b""))]})
    assert isinstance(snap.files, pd.DataFrame)
    snap.files.loc[snap.files["path"] == "d/a", "size"] = huge
    assert waste(snap)["bytes"].sum() == huge + 10
    assert waste(snap)["bytes"].dtype == np.int64
