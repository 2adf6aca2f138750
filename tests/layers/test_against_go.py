"""Our reader and Go's archive/tar, which containerd unpacks layers with: every entry alike, or refused by both."""

from __future__ import annotations

import base64
import bz2
import json
import os
import shutil
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from regscope.errors import RegscopeError
from regscope.layers.tar_entries import placed
from regscope.layers.tar_header import inside
from tests.lab.odd_tars import drawn_tar
from tests.lab.tars import END, entry, header, pax, rows_of

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")

_KINDS = {"\0": "file", "0": "file", "7": "file", "S": "file", "1": "hardlink", "2": "symlink",
          "3": "character device", "4": "block device", "5": "directory", "6": "fifo"}  # fmt: skip
_COMPARED = ["path", "kind", "size", "mode", "uid", "gid", "mtime", "link_target", "device", "xattrs", "sha256"]


@pytest.fixture(scope="module")
def go_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program beside this test, built."""
    program = tmp_path_factory.mktemp("go") / "gotar"
    alone = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    source = Path(__file__).parent / "go_tar"
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=source, env=os.environ | alone, check=True)
    return program


def by_go(program: Path, tars: list[Path]) -> list[dict[str, Any]]:
    said = subprocess.run([str(program), *map(str, tars)], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in said.splitlines()]


def expected(found: dict[str, Any]) -> list[tuple[Any, ...]] | None:
    """The rows that Go's entries come to; None where it refuses the tar."""
    if found["Error"]:
        return None
    return [_row(one) for one in found["Entries"] if chr(one["Type"]) in _KINDS]


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    kind = _KINDS[chr(one["Type"])]
    name, link = (_text(base64.b64decode(one[field] or "")) for field in ("Name", "Link"))
    xattrs = json.dumps(one["Xattrs"], sort_keys=True, separators=(",", ":")) if one["Xattrs"] else None
    return (
        placed(inside(name))[0],
        kind,
        one["Size"] if kind == "file" else max(one["Size"], 0),
        one["Mode"] & 0o7777,
        one["UID"],
        one["GID"],
        one["Seconds"] * 10**6 + one["Nanoseconds"] // 1000,
        {"hardlink": inside(link), "symlink": link}.get(kind),
        f"{one['Major']}:{one['Minor']}" if kind.endswith("device") else None,
        xattrs,
        one["SHA256"] or None,
    )


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def ours(tar: bytes) -> list[tuple[Any, ...]] | None:
    try:
        table = rows_of(tar, 2**16)
    except RegscopeError:
        return None
    times = table.column_names.index("mtime")
    table = table.set_column(times, "mtime", table["mtime"].cast(pa.int64()))
    return [tuple(row[column] for column in _COMPARED) for row in table.to_pylist()]


_YEARS = (-62135596800 * 10**6, 253402300799 * 10**6)


def calendar(rows: list[tuple[Any, ...]] | None) -> list[tuple[Any, ...]] | None:
    """Rows without the times that no calendar of Python's has: the table leaves them out."""
    if rows is None:
        return None
    time = _COMPARED.index("mtime")
    return [(*row[:time], row[time] if _is_in(row[time]) else None, *row[time + 1 :]) for row in rows]


def _is_in(time: int | None) -> bool:
    return time is not None and _YEARS[0] <= time <= _YEARS[1]


@pytest.mark.parametrize("seed", range(4))
def test_drawn_tars_are_read_as_go_reads_them(go_tar: Path, tmp_path: Path, seed: int) -> None:
    draw = Random(seed)
    tars = [drawn_tar(draw) for _ in range(1000)]
    paths = [tmp_path / f"{number}.tar" for number in range(len(tars))]
    for path, tar in zip(paths, tars, strict=True):
        path.write_bytes(tar)
    read = 0
    for path, tar, found in zip(paths, tars, by_go(go_tar, paths), strict=True):
        rows = calendar(expected(found))
        read += rows is not None
        assert ours(tar) == rows, f"{path}: {found['Error']}"
    assert 200 < read < 900  # of both there are many


DIFFERENT = {
    # Nothing can be hidden in it, and cut layers are seen by their digests: more tars can be read.
    "zeros that are no whole block at the end": (entry("a") + bytes(700), [["a"], None]),
    # A file system has neither, and what is neither is never applied: they are passed over.
    "a global header": (pax(("comment", b"x"), flag=b"g") + entry("a") + END, [["a"], ["PaxHeaders/x", "a"]]),
    "a volume label": (header("label", flag=b"V") + entry("a") + END, [["a"], ["label", "a"]]),
}  # fmt: skip


@pytest.mark.parametrize(("tar", "paths"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_where_we_stay_different(go_tar: Path, tmp_path: Path, tar: bytes, paths: list[list[str] | None]) -> None:
    (tmp_path / "tar").write_bytes(tar)
    (found,) = by_go(go_tar, [tmp_path / "tar"])
    names = None if found["Error"] else [base64.b64decode(one["Name"]).decode() for one in found["Entries"]]
    rows = ours(tar)
    assert [rows and [row[0] for row in rows], names] == paths


def test_the_size_of_what_has_no_content_is_none_where_go_says_less_than_none(go_tar: Path, tmp_path: Path) -> None:
    tar = header("d", b"\xff" * 12, b"5") + END
    (tmp_path / "tar").write_bytes(tar)
    assert by_go(go_tar, [tmp_path / "tar"])[0]["Entries"][0]["Size"] == -1
    assert [row[2] for row in ours(tar) or []] == [0]


def go_testdata() -> list[Path]:
    """The tars that Go's own tests read, where Go's source is at hand."""
    root = shutil.which("go") and subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True).stdout.strip()
    return sorted(Path(root or "/nowhere", "src/archive/tar/testdata").glob("*.tar*"))


def test_the_tars_of_gos_own_tests_are_read_as_go_reads_them(go_tar: Path, tmp_path: Path) -> None:
    if not (files := go_testdata()):
        pytest.skip("Go's source is not at hand")
    for file in files:
        content = file.read_bytes()
        if file.suffix == ".base64":
            content = base64.b64decode(content)
        elif file.suffix == ".bz2":
            content = bz2.decompress(content)
        path = tmp_path / file.name
        path.write_bytes(content)
        if len(content) < 2**22:
            rows = ours(content)
            if rows is not None:  # those of many gigabytes, nearly all of them holes, are not hashed by either
                rows = [(*row[:-1], None if row[2] > 2**30 else row[-1]) for row in rows]
            assert rows == calendar(expected(by_go(go_tar, [path])[0])), file.name
