"""Layers come in pieces of any length, some of them empty: nothing of them is lost on the way."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

import regscope as rs
from regscope.errors import DigestMismatch, InvalidInput
from regscope.layers.compression import diff_id_of, uncompressed
from regscope.spec.digest import Digest
from regscope.spec.media_types import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from regscope.stores.layout_writer import Layer, LayoutWriter
from tests.lab.corners import entry, tar

# The first file ends where a zstd block does, and the next block takes more than one sip to arrive.
TAR = tar(
    entry("etc/text", content=b"hello world " * 10880),
    entry("usr/bin/important", content=random.Random(1).randbytes(400_000)),
    entry("etc/passwd", content=b"root:x:0:0::/:/bin/sh\n"),
)
HALF = len(TAR) // 2
STORED: dict[str, tuple[bytes, str]] = {
    "none": (TAR, OCI_LAYER),
    "gzip": (gzip.compress(TAR), OCI_LAYER_GZIP),
    "gzip members": (gzip.compress(TAR[:HALF]) + gzip.compress(b"") + gzip.compress(TAR[HALF:]), OCI_LAYER_GZIP),
    "zstd": (zstandard.compress(TAR), OCI_LAYER_ZSTD),
    "zstd frames": (
        zstandard.compress(TAR[:HALF]) + b"\x50\x2a\x4d\x18\4\0\0\0skip" + zstandard.compress(TAR[HALF:]),
        OCI_LAYER_ZSTD,
    ),
}


def with_empty_ones(content: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(content), size):
        yield b""
        yield content[at : at + size]
    yield b""


@pytest.mark.parametrize("size", [3, 4096, 2**20])
@pytest.mark.parametrize("kind", STORED)
def test_no_piece_is_empty_and_nothing_is_lost(kind: str, size: int) -> None:
    pieces = list(uncompressed(with_empty_ones(STORED[kind][0], size)))
    assert all(pieces)
    assert b"".join(pieces) == TAR
    assert diff_id_of(with_empty_ones(STORED[kind][0], size)) == Digest.of(TAR)


def write(folder: Path, stored: bytes, media_type: str, diff_id: Digest) -> str:
    with LayoutWriter(folder) as writer:
        layers = [
            Layer(writer.blob(stored, media_type), diff_id, "COPY everything"),
            writer.layer(tar(entry("etc/.wh.passwd", content=b"")), "RUN rm"),
        ]
        writer.tag("app:1", writer.image(layers, created="2024-01-01T00:00:00Z"))
    return f"oci:{folder}"


def flatten(location: str) -> None:
    rs.Image.read(location, "app:1").flatten().write(location, "app:new")


def slim(location: str) -> None:
    rs.slim(location, "app:1", "new").apply(dry_run=False)


def recompress(location: str) -> None:
    rs.recompress(location, "app:1", "new", compression="gzip").apply(dry_run=False)


CHANGES = [flatten, slim, recompress]


def contents(location: str, name: str) -> dict[str, str]:
    store = rs.open(location, cache=False)
    snap = rs.scan_files(rs.scan(store, progress=False), store, progress=False)
    assert not len(snap.problems)
    found = rs.final_files(snap, name)
    return dict(zip(found["path"], found["sha256"].fillna("").astype(str), strict=True))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", STORED)
def test_a_changed_image_has_every_file(kind: str, change: Callable[[str], None], tmp_path: Path) -> None:
    location = write(tmp_path, *STORED[kind], Digest.of(TAR))
    change(location)
    assert contents(location, "app:new") == contents(location, "app:1")
    assert "usr/bin/important" in contents(location, "app:new")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("end", ["within a file", "after a file", "before the tar's end"])
def test_less_than_the_diff_id_names_is_an_error(end: str, change: Callable[[str], None], tmp_path: Path) -> None:
    ends = {
        "within a file": HALF,
        "after a file": TAR.index(b"usr/bin/important"),
        "before the tar's end": TAR.rindex(b"root:x") + 512,
    }
    cut = ends[end]
    location = write(tmp_path, zstandard.compress(TAR[:cut]), OCI_LAYER_ZSTD, Digest.of(TAR))
    with pytest.raises((DigestMismatch, InvalidInput)):
        change(location)
