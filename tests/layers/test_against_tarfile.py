"""The fast reader and Python's own, over tars of many writers."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab.tars import member, rows_of
from tests.layers import plain_reader

_NOT_COMPARED = {"magic", "secret"}  # which the plain reader leaves out


def assert_same(tar: bytes) -> None:
    expected = plain_reader.rows("sha256:x", tar)
    found = rows_of(tar, 2**20).to_pylist()
    compared = [tuple(value for name, value in row.items() if name not in _NOT_COMPARED) for row in found]
    assert compared == [(*row[1:13], *row[15:]) for row in expected]


def by_tar(folder: Path, *options: str) -> bytes:
    return subprocess.run(["tar", *options, "-cf", "-", "-C", str(folder), "."], check=True, capture_output=True).stdout


def by_python(folder: Path, form: int) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=form) as archive:
        archive.add(folder, arcname=".")
    return written.getvalue()


WRITERS: dict[str, Callable[[Path], bytes]] = {
    "GNU tar, gnu": lambda folder: by_tar(folder, "--format=gnu", "--sparse"),
    "GNU tar, pax": lambda folder: by_tar(folder, "--format=posix", "--xattrs", "--acls"),
    "GNU tar, ustar": lambda folder: by_tar(folder, "--format=ustar", "--exclude=*long*", "--exclude=./old"),
    "GNU tar, v7": lambda folder: by_tar(
        folder, "--format=v7", "--exclude=*long*", "--exclude=./old", "--exclude=./fifo"
    ),
    "GNU tar, owner by number": lambda folder: by_tar(folder, "--format=gnu", "--owner=:3000000", "--group=:4000000"),
    "Python, gnu": lambda folder: by_python(folder, tarfile.GNU_FORMAT),
    "Python, pax": lambda folder: by_python(folder, tarfile.PAX_FORMAT),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of this Python's own library, and files that are hard to write into a tar."""
    folder = tmp_path_factory.mktemp("files")
    for package in ("json", "email", "encodings"):
        shutil.copytree(Path(sys.modules["os"].__file__ or "").parent / package, folder / package, symlinks=True)
    long = folder / "long" / ("directory" * 20) / ("name" * 40)
    long.parent.mkdir(parents=True)
    long.write_bytes(b"at the end of a long path")
    (folder / "link").symlink_to("json/__init__.py")
    (folder / "long-link").symlink_to("x" * 200)
    os.link(folder / "json" / "decoder.py", folder / "hard")
    os.link(long, folder / "hard-to-long")
    os.mkfifo(folder / "fifo")
    (folder / "setuid").write_bytes(b"#!")
    (folder / "setuid").chmod(0o6755)
    (folder / "sticky").mkdir(mode=0o1777)
    (folder / "größe").write_bytes("größe".encode())
    with (folder / "sparse").open("wb") as file:
        file.seek(3_000_000)
        file.write(b"end")
    (folder / "old").write_bytes(b"")
    os.utime(folder / "old", ns=(0, -1_500_000_000))
    return folder


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_rows_are_those_of_tarfile(folder: Path, write: Callable[[Path], bytes]) -> None:
    tar = write(folder)
    assert len(rows_of(tar)) > 150
    assert_same(tar)


KINDS = [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
# Neither controls nor a NUL: what stands behind a NUL is no part of a name.
NAMES = st.text(st.characters(min_codepoint=33, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=150)
ENTRIES = st.builds(
    lambda name, kind, content, fields: (member(name, kind, **fields), content),
    NAMES,
    st.sampled_from(KINDS),
    st.binary(max_size=2000),
    st.fixed_dictionaries(
        {
            "mode": st.integers(0, 0o7777),
            "uid": st.integers(0, 2**40),
            "gid": st.integers(0, 2**21),
            "mtime": st.integers(0, 2**33) | st.integers(0, 2**36).map(lambda quarters: quarters / 4),
            "linkname": NAMES,
            "devmajor": st.integers(0, 2**20),
            "devminor": st.integers(0, 2**20),
        }
    ),
)


@settings(max_examples=150, deadline=None)
@given(entries=st.lists(ENTRIES, max_size=12), form=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_any_entries_are_read_as_tarfile_reads_them(entries: list[tuple[Any, bytes]], form: int) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=form, encoding="utf-8") as archive:
        for made, content in entries:
            if made.isreg():
                made.size = len(content)
            archive.addfile(made, io.BytesIO(content))
    assert_same(written.getvalue())
