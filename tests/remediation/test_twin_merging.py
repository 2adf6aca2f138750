"""Images whose layers are twins get one blob of them, where a container would see no more than other times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import InvalidInput
from regscope.images.image import Image
from regscope.stores.removal import open_removal
from tests.lab import layered
from tests.lab.corners import FOLDER, entry, tar
from tests.remediation.test_slimming import noise, own_registry, pushed
from tests.remediation.unpacking import unpacked
from tests.servers.registry import Registry

__all__ = ["own_registry"]


def packages(mtime: int, **fields: Any) -> bytes:
    """The same files, built at another time."""
    files = [entry(f"lib/{number}", content=noise(30_000, number), mtime=mtime, **fields) for number in range(8)]
    return tar(entry("lib", FOLDER, mode=0o755, mtime=mtime), *files)


IMAGES = {
    "one": [packages(1), tar(entry("one"))],
    "two": [packages(2), tar(entry("two"))],
    "three": [packages(2), tar(entry("three"))],
    "owned": [packages(1, uid=5), tar(entry("owned"))],
    "other": [tar(entry("other"))],
}


def test_they_share_a_blob_and_as_many_bytes_come_back_as_was_predicted(own_registry: Registry, tmp_path: Path) -> None:
    pushed(own_registry, tmp_path / "layout", IMAGES)
    store = rs.open(own_registry.url, cache=False)
    snap = rs.scan_files(rs.scan(store, progress=False), store, progress=False)
    found = rs.merge_twins(snap, store)
    assert found.table["name"].tolist() == ["image:0"]  # most images have that of the other two
    assert found.table["to"].tolist() == ["image:0-merged"]
    before = own_registry.blob_bytes()
    assert not found.apply()[0].actual_bytes
    assert own_registry.blob_bytes() == before
    done = found.apply(dry_run=False)
    assert [each.name for each in done] == ["image:0-merged"]
    assert own_registry.blob_bytes() - before == found.registry.added_bytes
    assert 0 < found.registry.added_bytes < 2000
    merged, other = (Image.read(store, f"image:{tag}").layers[0] for tag in ("0-merged", "1"))
    assert (merged.descriptor, merged.diff_id) == (other.descriptor, other.diff_id)
    open_removal(store).delete_manifest("image", store.resolve("image", "0"))
    before = own_registry.blob_bytes()
    own_registry.stop()
    own_registry.garbage_collect()
    assert before - own_registry.blob_bytes() == found.registry.freed_bytes > 240_000


def test_only_times_differ_afterwards(tmp_path: Path) -> None:
    layered.write(tmp_path / "layout", IMAGES)
    rs.merge_twins(layered.read(tmp_path / "layout"), f"oci:{tmp_path / 'layout'}").apply(dry_run=False)
    before, after = (unpacked(f"{tmp_path / 'layout'}:image:{tag}", tmp_path / tag) for tag in ("0", "0-merged"))
    assert before.keys() == after.keys()
    for path, each in before.items():
        assert {**each, "mtime": None} == {**after[path], "mtime": None}
    assert before["lib/0"]["mtime"] != after["lib/0"]["mtime"]


def test_what_may_differ_is_chosen(tmp_path: Path) -> None:
    layered.write(tmp_path, IMAGES)
    snap = layered.read(tmp_path)
    assert rs.merge_twins(snap, f"oci:{tmp_path}", may_differ=()).rewritings == []
    found = rs.merge_twins(snap, f"oci:{tmp_path}", may_differ=("mtimes", "owner"))
    assert found.table["name"].tolist() == ["image:0", "image:3"]
    assert rs.merge_twins(snap, f"oci:{tmp_path}", "image:1").rewritings == []
    with pytest.raises(InvalidInput, match="may_differ: unknown content"):
        rs.merge_twins(snap, f"oci:{tmp_path}", may_differ=["content"])
    with pytest.raises(InvalidInput, match="would give all images one name"):
        rs.merge_twins(snap, f"oci:{tmp_path}", to="merged")


def test_the_tags_themselves_are_moved_only_when_that_is_wanted(tmp_path: Path) -> None:
    layered.write(tmp_path, IMAGES)
    store = rs.open(f"oci:{tmp_path}")
    found = rs.merge_twins(layered.read(tmp_path), store, to="{tag}")
    known = store.resolve("image", "0")
    with pytest.raises(InvalidInput, match="would be replaced: image:0"):
        found.apply(dry_run=False)
    assert store.resolve("image", "0") == known
    found.apply(dry_run=False, overwrite=True)
    assert store.resolve("image", "0") == found.rewritings[0].digest != known


def test_where_there_are_no_twins_there_is_nothing_to_do(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": IMAGES["one"], "owned": IMAGES["owned"]})
    found = rs.merge_twins(layered.read(tmp_path), f"oci:{tmp_path}")
    assert (found.rewritings, found.registry.freed_bytes) == ([], 0)
    assert "images" in repr(found)
    assert "<table>" in found._repr_html_()


def test_a_tag_that_has_moved_since_the_scan_is_left_alone(tmp_path: Path) -> None:
    layered.write(tmp_path, IMAGES)
    snap = layered.read(tmp_path)
    source = f"oci:{tmp_path}"
    Image.read(source, "image:0").mutate(user="me").write(source, "image:0", overwrite=True)
    found = rs.merge_twins(snap, source)
    assert found.rewritings == []
    assert "image:0 is not changed" in repr(found)


def test_those_of_an_index_are_merged_in_a_new_index(tmp_path: Path) -> None:
    layered.write(tmp_path, IMAGES)
    source = f"oci:{tmp_path}"
    rs.make_index(source, ["image:0"], source, "image:all")
    found = rs.merge_twins(layered.read(tmp_path), source, "image:all")
    found.apply(dry_run=False)
    assert (
        Image.read(source, "image:all-merged").digest
        == rs.merge_twins(layered.read(tmp_path), source, "image:0").rewritings[0].digest
    )
