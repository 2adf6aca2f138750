"""A file with more holes than are hashed has no sum: two of them are not taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.tables import Snapshot
from tests.lab import layered
from tests.lab.corners import entry, tar
from tests.lab.tars import END, header, padded, pax

SIZE = 2**31


def disk(data: bytes) -> bytes:
    """A layer with a sparse file of 2 GiB that begins with `data` (GNU.sparse 1.0)."""
    stored = padded(b"1\n0\n%d\n" % len(data)) + padded(data)
    records = [("major", b"1"), ("minor", b"0"), ("name", b"disk.img"), ("realsize", b"%d" % SIZE)]
    about = pax(*((f"GNU.sparse.{key}", value) for key, value in records))
    return about + header("GNUSparseFile.0/disk.img", len(stored)) + stored + END


IMAGES = {
    "one": [disk(b"one")],
    "two": [disk(b"two")],
    "one and more": [disk(b"one"), tar(entry("etc/motd"))],
}


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Snapshot]:
    folder = tmp_path_factory.mktemp("unhashed") / "layout"
    layered.write(folder, IMAGES)
    snap = layered.read(folder)
    disks = snap.files[snap.files["path"] == "disk.img"]
    assert disks["size"].tolist() == [SIZE, SIZE]
    assert disks["sha256"].isna().all()
    return folder, snap


def test_they_are_no_twins_and_are_not_merged(scanned: tuple[Path, Snapshot]) -> None:
    folder, snap = scanned
    assert rs.twins(snap).empty
    assert not rs.merge_twins(snap, f"oci:{folder}").rewritings


def test_their_difference_is_content(scanned: tuple[Path, Snapshot]) -> None:
    _, snap = scanned
    names = layered.named(IMAGES)
    found = rs.diff(snap, names["one"], names["two"]).files
    assert found[["path", "change", "differs"]].astype("str").to_numpy().tolist() == [
        ["disk.img", "content", "content"]
    ]


def test_a_layer_that_both_images_have_differs_in_nothing(scanned: tuple[Path, Snapshot]) -> None:
    _, snap = scanned
    names = layered.named(IMAGES)
    found = rs.diff(snap, names["one"], names["one and more"]).files
    assert "disk.img" not in set(found["path"])


def test_a_rebuild_that_changed_one_is_a_drift(scanned: tuple[Path, Snapshot]) -> None:
    _, snap = scanned
    found = rs.base_drift(snap)
    assert found["changed"].dropna().tolist() == [1]
    assert found["new_bytes"].dropna().tolist() == [SIZE]
