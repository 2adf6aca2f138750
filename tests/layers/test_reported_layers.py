"""Layers that were reported to squashers, scanners and unpackers: here they are what containerd makes of them."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard

import regscope as rs
from regscope.analysis.final_tree import final_files
from regscope.spec.digest import Digest
from regscope.spec.media_types import OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from regscope.stores.layout_writer import Layer, LayoutWriter
from regscope.tables import Snapshot
from tests.lab import layered
from tests.lab.corners import FOLDER, LINK, SYMLINK, entry, tar
from tests.lab.tars import END, header, padded, pax
from tests.layers.containerd import applied, comparable

NOTHING = {"content": b""}
REPORTED: dict[str, tuple[list[bytes], dict[str, str]]] = {
    "goldmann/docker-squash#94: hardlinks were gone": (
        [tar(entry("git"), entry("git-add", LINK, linkname="git"), entry("git-rm", LINK, linkname="git")),
         tar(entry("hello"))],
        {"git": "git", "git-add": "git", "git-rm": "git", "hello": "hello"},
    ),
    "goldmann/docker-squash#116: a whiteout kept a symlink from coming back": (
        [tar(entry("a"), entry("s", SYMLINK, linkname="a")), tar(entry(".wh.s", **NOTHING)),
         tar(entry("s", SYMLINK, linkname="a"))],
        {"a": "a", "s": "-> a"},
    ),
    "goldmann/docker-squash#119: a hardlink and its target in several layers": (
        [tar(entry("a", content=b"1"), entry("b", LINK, linkname="a"))] * 2
        + [tar(entry("a", content=b"2"), entry("b", LINK, linkname="a"))],
        {"a": "2", "b": "2"},
    ),
    "goldmann/docker-squash#124: the base's files came back in the place of symlinks": (
        [tar(entry("A", content=b"?"), entry("B", content=b"?"), entry("C", content=b"?")),
         tar(entry("A", content=b"Worked"), entry("B", SYMLINK, linkname="A"), entry("C", SYMLINK, linkname="A"))],
        {"A": "Worked", "B": "-> A", "C": "-> A"},
    ),
    "appc/docker2aci#98: a hardlink led to a name that was deleted above": (
        [tar(entry("LINK-A", content=b"x"), entry("LINK-Z", LINK, linkname="LINK-A")),
         tar(entry(".wh.LINK-A", **NOTHING))],
        {"LINK-Z": "x"},
    ),
    "google/go-containerregistry#2323: a hardlink got the content of a layer above": (
        [tar(entry("t1", content=b"123")), tar(entry("t2", LINK, linkname="t1"), entry("t3", LINK, linkname="t1")),
         tar(entry("t1", content=b"456"))],
        {"t1": "456", "t2": "123", "t3": "123"},
    ),
    "anchore/stereoscope#694: an opaque mark deleted what a symlink below led to": (
        [tar(entry("target", FOLDER), entry("target/keep.txt"), entry("link", SYMLINK, linkname="/target")),
         tar(entry("link", FOLDER), entry("link/.wh..wh..opq", **NOTHING), entry("link/new.txt"))],
        {"target/keep.txt": "target/keep.txt", "link/new.txt": "link/new.txt"},
    ),
    "kaniko#2050, containerd#4659: whiteouts of what never was, in a directory that never was": (
        [tar(entry("a")), tar(entry(".wh.none", **NOTHING), entry("no/such/.wh.file", **NOTHING), entry("b"))],
        {"a": "a", "b": "b"},
    ),
    "kaniko#704, #1236: deleted files came back from a cache of layers": (
        [tar(entry("some/dir", FOLDER), entry("some/dir/first.txt")), tar(entry("some/dir/.wh.first.txt", **NOTHING)),
         tar(entry("some/dir/.wh.first.txt", **NOTHING), entry("some", FOLDER), entry("some/dir", FOLDER))],
        {},
    ),
    "kaniko#1636: `chmod -R` went over whiteouts": (
        [tar(entry("srv/01_hello"), entry("srv/keep")),
         tar(entry("srv/.wh.01_hello", mode=0o755, content=b"not empty"))],
        {"srv/keep": "srv/keep"},
    ),
    "kaniko#1039: opaque marks everywhere, and one whiteout of a directory with them": (
        [tar(entry("run/secrets/s"), entry("root/buildinfo/b"), entry("dev/d")),
         tar(entry("root/buildinfo/.wh..wh..opq", **NOTHING), entry("run/secrets/.wh..wh..opq", **NOTHING),
             entry(".wh.dev", **NOTHING), entry("run/secrets/new"))],
        {"run/secrets/new": "run/secrets/new"},
    ),
    "opencontainers/image-spec#1215: an opaque mark after what its own layer brings": (
        [tar(entry("a/b/c/bar")),
         tar(entry("a", FOLDER), entry("a/b", FOLDER), entry("a/b/c", FOLDER), entry("a/b/c/foo"),
             entry("a/.wh..wh..opq", **NOTHING))],
        {"a/b/c/foo": "a/b/c/foo"},
    ),
    "adamhathcock/sharpcompress#919: the size stands in the extended header alone": (
        [pax(("size", b"5")) + header("late", 0) + padded(b"hello") + header("after", 2) + padded(b"ok") + END],
        {"late": "hello", "after": "ok"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Snapshot]:
    folder = tmp_path_factory.mktemp("reported") / "layout"
    layered.write(folder, {name: layers for name, (layers, _) in REPORTED.items()})
    return folder, layered.read(folder)


def said(snap: Snapshot, name: str) -> dict[str, str]:
    """Files by path with the sha256 of their content, and symlinks with where they lead."""
    files = final_files(snap, name)
    shown = files[files["kind"].isin(["file", "symlink"])].astype(object)
    return {row.path: row.sha256 if row.kind == "file" else f"-> {row.link_target}" for row in shown.itertuples()}


def hashed(expected: dict[str, str]) -> dict[str, str]:
    return {
        path: text if text.startswith("-> ") else hashlib.sha256(text.encode()).hexdigest()
        for path, text in expected.items()
    }


@pytest.mark.parametrize("report", REPORTED)
def test_what_a_container_sees_is_what_was_meant(report: str, reported: tuple[Path, Snapshot]) -> None:
    _, snap = reported
    assert said(snap, layered.named(REPORTED)[report]) == hashed(REPORTED[report][1])


@pytest.mark.parametrize("report", REPORTED)
def test_flattened_and_slimmed_containerd_unpacks_the_same(
    report: str, reported: tuple[Path, Snapshot], tmp_path: Path
) -> None:
    folder, _ = reported
    name = layered.named(REPORTED)[report]
    tree = applied(folder, name, tmp_path / "tree")
    assert tree is not None
    rs.Image.read(f"oci:{folder}", name).flatten().write(f"oci:{tmp_path / 'flat'}", "image:flat")
    rs.slim(f"oci:{folder}", name, "slim").apply(f"oci:{tmp_path / 'slim'}", dry_run=False)
    for layout, tag in (("flat", "image:flat"), ("slim", "image:slim")):
        changed = applied(tmp_path / layout, tag, tmp_path / "tree")
        assert changed is not None
        assert comparable(changed) == comparable(tree), layout


ONE = tar(entry("etc/passwd", content=b"root"), entry("usr/lib/large", content=bytes(300_000)))
_SKIPPED = b"\x5e\x2a\x4d\x18\x28\0\0\0" + bytes(40)
_CUT = [0, 100, 5000, len(ONE)]
FRAMES = [zstandard.compress(ONE[begin:end]) for begin, end in pairwise(_CUT)]
MEMBERS = [gzip.compress(ONE[begin : begin + 512]) for begin in range(0, len(ONE), 512)]
STORED = {
    "composefs/composefs-rs#381, bootc#2408: zstd:chunked": b"".join(FRAMES) + _SKIPPED,
    "DataDog/zstd#129: a skippable frame at the end": zstandard.compress(ONE) + _SKIPPED,
    "facebook/zstd#904: a skippable frame at the beginning": _SKIPPED + zstandard.compress(ONE),
    "LibtraceTeam/wandio#19: several frames": _SKIPPED.join(FRAMES),
    "stargz: a gzip member for each file": b"".join(MEMBERS),
}  # fmt: skip


@pytest.mark.parametrize("report", STORED)
def test_all_frames_and_members_are_read(report: str, tmp_path: Path) -> None:
    media_type = OCI_LAYER_GZIP if "gzip" in report else OCI_LAYER_ZSTD
    with LayoutWriter(tmp_path / "layout") as writer:
        made = Layer(writer.blob(STORED[report], media_type), Digest.of(ONE), "step")
        writer.tag("image:1", writer.image([made], created=layered.CREATED))
    snap = layered.read(tmp_path / "layout")
    assert set(said(snap, "image:1")) == {"etc/passwd", "usr/lib/large"}
    rs.Image.read(f"oci:{tmp_path / 'layout'}", "image:1").flatten().write(f"oci:{tmp_path / 'flat'}", "image:flat")
    assert said(layered.read(tmp_path / "flat"), "image:flat") == said(snap, "image:1")


SPARSE = ["--format=gnu", *(f"--format=posix --sparse-version={version}" for version in ("0.0", "0.1", "1.0"))]


@pytest.mark.skipif(shutil.which("tar") is None, reason="needs GNU tar")
@pytest.mark.parametrize("written", SPARSE)
def test_sparse_files_of_gnu_tar_are_what_they_were(written: str, tmp_path: Path) -> None:
    """libarchive#2125, #1653, ratarmount#23, tar-rs#243, squashfs-tools#401: wrong sizes, and collapsed holes."""
    folder = tmp_path / "files"
    folder.mkdir()
    contents = {
        "all-hole": bytes(1_000_000),
        "data-at-the-end": bytes(1_048_576) + b"1MB through\n",
        "hole-at-the-end": b"ab" + bytes(4094 + 900_000),
        "islands": b"".join(bytes(65536) + b"island %d" % number for number in range(30)),
    }
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content)
        subprocess.run(["fallocate", "-d", str(path)], check=True)
    done = subprocess.run(
        ["tar", "-S", *written.split(), "-C", str(folder), "-cf", "-", *contents], capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) < 500_000, "tar stored the holes: the test shows nothing"
    layered.write(tmp_path / "layout", {"sparse": [done.stdout]})
    expected = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    assert said(layered.read(tmp_path / "layout"), "image:0") == expected


def test_a_sparse_file_whose_stored_size_is_wrong_costs_its_layer(tmp_path: Path) -> None:
    """aquaproj/aqua#5001: `size` was the size of the file and not of what is stored; Go refuses it as well."""
    stored = padded(b"1\n0\n5\n") + padded(b"hello")
    records = [(f"GNU.sparse.{key}", value) for key, value in (("major", b"1"), ("minor", b"0"), ("realsize", b"9000"))]
    wrong = pax(*records, ("size", b"9000")) + header("disk", len(stored)) + stored + header("x", 0) + END
    layered.write(tmp_path / "layout", {"wrong": [wrong], "right": [tar(entry("a"))]})
    store = rs.open(f"oci:{tmp_path / 'layout'}")
    snap = rs.scan_files(rs.scan(store, progress=False), store, progress=False)
    assert snap.problems["what"].tolist() == ["files"]
    assert set(said(snap, "image:1")) == {"a"}
