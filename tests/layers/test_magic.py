"""What files are by their first bytes: real ones, written by the programs and libraries that define their formats."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import py_compile
import shutil
import sqlite3
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from regscope.layers.magic import HEAD, magic_of


def head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def test_compressed_files_and_archives_are_told_by_what_wrote_them(tmp_path: Path) -> None:
    tar, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a file"))
    with zipfile.ZipFile(zipped, "w") as wheel:
        wheel.writestr("a", "b")
    written = {
        "gzip": gzip.compress(b"a"),
        "bzip2": bz2.compress(b"a"),
        "xz": lzma.compress(b"a"),
        "zstd": zstandard.compress(b"a"),
        "tar": tar.getvalue(),
        "zip": zipped.getvalue(),
    }
    assert {name: magic_of(content[:HEAD]) for name, content in written.items()} == {name: name for name in written}


def test_what_libraries_write_is_told(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "a.db")
    database.execute("CREATE TABLE a (b)")
    database.close()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "a.py").write_text("a = 1\n")
    py_compile.compile(str(tmp_path / "a.py"), str(tmp_path / "a.pyc"))
    assert magic_of(head(tmp_path / "a.db")) == "sqlite"
    assert magic_of(head(tmp_path / "a.parquet")) == "parquet"
    assert magic_of(head(tmp_path / "a.npy")) == "numpy array"
    assert magic_of(head(tmp_path / "a.pyc")) == "python bytecode"
    assert magic_of(head(tmp_path / "a.py")) == "text"


def test_programs_of_this_machine_are_told() -> None:
    assert magic_of(head(Path(sys.executable).resolve())) == "elf"
    script = shutil.which("ldd")
    if script is not None:
        assert magic_of(head(Path(script))) == "script"


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "jpeg"),
        (b"GIF89a\1\0", "gif"),
        (b"%PDF-1.7\n%\xe2\xe3", "pdf"),
        (b"\xca\xfe\xba\xbe\0\0\0\x41", "java class"),
        (b"\xca\xfe\xba\xbe\0\0\0\2\1\0\0\7", "mach-o"),
        (b"\xcf\xfa\xed\xfe\7\0\0\1", "mach-o"),
        (b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0", "pe"),
        (b"\0asm\1\0\0\0", "wasm"),
        (b"!<arch>\ndebian-binary", "ar archive"),
        (b"\xde\x12\x04\x95\0\0\0\0", "gettext catalog"),
        (b"\0\1\0\0\0\x13\1\0", "font"),
        (b"wOF2\0\1\0\0", "font"),
        (b"PACK\0\0\0\2\0\0\0\1", "git pack"),
        (b"\xa7\r\r\n\0\0\0\0", "python bytecode"),
        (b"\x03\xf3\r\n\xa0\x10\x20\x30c\0\0\0\0", "python bytecode"),
        (b"#!/bin/sh\n", "script"),
        (b"<!DOCTYPE html>\n<html>", "html"),
        (b'\n  <HTML lang="en">', "html"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>', "xml"),
        (b'{\n  "name": "left-pad"', "json"),
        (b'[{"a": 1}]', "json"),
        (b"{}\n", "json"),
    ],
)
def test_formats_are_told_by_their_specified_marks(start: bytes, name: str) -> None:
    assert magic_of(start) == name


@pytest.mark.parametrize(
    "start",
    [
        b"MZ is how a text may begin\n",
        b"PACKAGES\n",
        b"SQLite format 4 is a text\n",
        b"[section]\nkey = 1\n",
        b"[[array.of.tables]]\n",
        b"{{ a template }}\n",
        b"<not really markup>\n",
        b"BZhang\n",
        "häßlich\n".encode(),
        b"\x1b[1mbold\x1b[0m\n",
    ],
)
def test_a_text_is_a_text_however_it_begins(start: bytes) -> None:
    assert magic_of(start) == "text"


def test_a_character_that_is_cut_at_the_end_of_the_head_is_no_damage_and_one_at_the_end_of_the_file_is() -> None:
    long = ("a" * (HEAD - 1) + "é").encode()
    assert magic_of(long[:HEAD]) == "text"
    assert magic_of("é".encode()[:1]) is None


@pytest.mark.parametrize("start", [b"", b"\0", bytes(HEAD), b"latin \xe9t\xe9\n", b"bell and a nul \0", b"\xff\xfea\0"])
def test_what_bytes_do_not_say_is_unknown(start: bytes) -> None:
    assert magic_of(start) is None


@given(st.binary(max_size=HEAD))
def test_any_bytes_have_an_answer(start: bytes) -> None:
    assert magic_of(start) is None or magic_of(start)


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "Zs")), min_size=1, max_size=50))
def test_any_words_are_text(words: str) -> None:
    assert magic_of(f"the words {words}".encode()) == "text"
