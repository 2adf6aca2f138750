from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from regscope.errors import InvalidInput, TooLarge
from regscope.layers import tar_entries
from regscope.layers.tar_header import inside
from regscope.layers.tar_source import TarSource
from tests.lab.tars import END, entry, header, member, padded, paths_of, pax, rows_of


def one(tar: bytes) -> dict[str, object]:
    """The only row of a tar."""
    rows = rows_of(tar).to_pylist()
    assert len(rows) == 1
    return dict(rows[0])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("usr/bin/x", "usr/bin/x"), ("./usr/bin/x", "usr/bin/x"), ("/usr/bin/x", "usr/bin/x"), ("usr/bin/", "usr/bin"),
        ("./", ""), (".", ""), ("/", ""), ("", ""), ("..", ""), ("../../etc/passwd", "etc/passwd"),
        ("a/./b", "a/b"), ("a//b", "a/b"),
        ("a//", "a"), ("a///", "a"), ("//", ""), ("a/../b", "b"), ("a/..", ""), ("a/.", "a"), (".a", ".a"),
        ("..a", "..a"),
        ("...", "..."), ("a/.b", "a/.b"), ("a/..b", "a/..b"), (".//a", "a"), ("././a", "a"), ("a/b/../../../c", "c"),
    ],
)  # fmt: skip
def test_a_path_is_one_from_the_root_whatever_was_written(written: str, expected: str) -> None:
    assert inside(written) == expected


@pytest.mark.parametrize("piece", [1, 511, 512, 513, 100_000])
def test_rows_do_not_depend_on_how_the_bytes_arrive(piece: int) -> None:
    long = os.urandom(70_000)
    tar = pax(("path", b"p" * 300)) + entry("x", long) + entry("b", b"short") + header("c/", flag=b"5") + END
    rows = rows_of(tar, piece).to_pylist()
    assert [row["path"] for row in rows] == ["p" * 300, "b", "c"]
    assert [row["sha256"] for row in rows] == [sha256(long), sha256(b"short"), None]


def test_every_kind_of_entry_is_named() -> None:
    flags = {b"0": "file", b"1": "hardlink", b"2": "symlink", b"3": "character device", b"4": "block device"}
    flags |= {b"5": "directory", b"6": "fifo", b"7": "file", b"\0": "file"}
    tar = b"".join(header(f"f{number}", flag=flag) for number, flag in enumerate(flags)) + END
    assert rows_of(tar)["kind"].to_pylist() == list(flags.values())


def test_a_name_with_a_slash_at_its_end_is_a_directory_in_old_tars_alone() -> None:
    assert one(header("d/", flag=b"\0") + END)["kind"] == "directory"
    assert one(header("d/", flag=b"0") + END)["kind"] == "file"


def test_what_is_no_entry_of_a_file_system_has_no_row() -> None:
    label = header("label", flag=b"V") + header("m", 5, flag=b"M") + padded(b"12345")
    assert paths_of(label + entry("a") + END) == ["a"]


def test_a_link_has_no_content_whatever_size_it_states() -> None:
    links = header("l", 99, b"1", b"./a/../b") + header("s", 7, b"2", b"../t")
    rows = rows_of(links + entry("f", b"x") + END).to_pylist()
    assert [(row["path"], row["size"], row["link_target"]) for row in rows] == [
        ("l", 99, "b"), ("s", 7, "../t"), ("f", 1, None),
    ]  # fmt: skip


def test_the_prefix_counts_where_the_format_has_one() -> None:
    assert paths_of(header("b", prefix=b"a") + END) == ["a/b"]
    times = b"00000000001\x0000000000002\0"
    assert paths_of(header("b", prefix=times, magic=b"ustar  \0") + END) == ["b"]
    assert paths_of(header("b", prefix=b"a", magic=b"ustar  \0") + END) == ["a/b"]  # as Go wrote them until 1.8
    assert paths_of(header("b", prefix=b"a", magic=b"") + END) == ["b"]


def test_gnu_long_names_and_links() -> None:
    name, link = b"n" * 5000, b"k" * 300
    tar = header("././@LongLink", len(name) + 1, b"L") + padded(name + b"\0")
    tar += header("././@LongLink", len(link) + 1, b"K") + padded(link + b"\0") + header("short", flag=b"2") + END
    row = one(tar)
    assert (row["path"], row["link_target"]) == (name.decode(), link.decode())


def test_extended_headers_count_for_the_next_entry_alone_and_global_ones_for_none() -> None:
    tar = (
        pax(("uid", b"7"), ("path", b"all"), flag=b"g")
        + pax(("path", b"long"), ("uid", b"3000000"), ("mtime", b"1.5"))
        + entry("a")
    )
    rows = rows_of(tar + entry("b") + END).to_pylist()
    assert [(row["path"], row["uid"]) for row in rows] == [("long", 3_000_000), ("b", 0)]
    assert rows[0]["mtime"] == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)


def test_the_size_of_an_extended_header_counts() -> None:
    tar = pax(("size", b"3")) + header("a", 0) + padded(b"abc") + entry("b") + END
    assert [(row["path"], row["size"]) for row in rows_of(tar).to_pylist()] == [("a", 3), ("b", 0)]


def test_extended_attributes_are_kept_byte_for_byte() -> None:
    tar = pax(("SCHILY.xattr.user.b", b"\0\xff="), ("SCHILY.xattr.security.capability", b"cap")) + entry("a") + END
    assert json.loads(str(one(tar)["xattrs"])) == {"security.capability": "Y2Fw", "user.b": "AP89"}


def test_numbers_in_base_256_and_between_blanks() -> None:
    big = b"\x80" + (2**33 + 5).to_bytes(7, "big")
    row = one(header("a", uid=big, gid=b"   17 \0\0", mode=b"104755 \0", mtime=b"\xff" * 12) + END)
    assert (row["uid"], row["gid"], row["mode"]) == (2**33 + 5, 0o17, 0o4755)
    assert row["mtime"] == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_a_time_beyond_the_calendar_is_absent() -> None:
    assert one(header("a", mtime=b"\x80\0\0\0\x7f" + b"\xff" * 7) + END)["mtime"] is None


def test_a_name_that_is_no_utf8_is_shown_and_told_apart() -> None:
    assert paths_of(entry(b"caf\xe9") + entry(b"caf\xc3\xa9") + END) == ["caf\\xe9", "café"]


def test_devices_have_their_numbers() -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(member("null", tarfile.CHRTYPE, devmajor=1, devminor=3))
        tar.addfile(member("disk", tarfile.BLKTYPE, devmajor=259, devminor=70000))
    assert rows_of(archive.getvalue())["device"].to_pylist() == ["1:3", "259:70000"]


def test_whiteouts_name_what_they_hide() -> None:
    names = ["a/.wh.b", "a/.wh..wh..opq", ".wh.top", ".wh..wh.plnk", ".wh..wh..opq", "a/b.wh.c", ".wh.d/e"]
    rows = rows_of(b"".join(entry(name) for name in names) + END).to_pylist()
    assert [(row["path"], row["whiteout"]) for row in rows] == [
        ("a/b", "delete"), ("a", "opaque"), ("top", "delete"), (".wh..wh.plnk", "ignored"), ("", "opaque"),
        ("a/b.wh.c", None), (".wh.d/e", None),
    ]  # fmt: skip


def test_of_two_entries_of_one_path_both_are_there_in_their_order() -> None:
    rows = rows_of(entry("a", b"1") + entry("b") + entry("a", b"2") + END).to_pylist()
    assert [(row["position"], row["path"]) for row in rows] == [(0, "a"), (1, "b"), (2, "a")]


def test_what_follows_the_end_is_passed_over() -> None:
    assert paths_of(entry("a") + END + b"garbage" * 1000) == ["a"]


def test_a_tar_may_end_without_the_blocks_that_say_so() -> None:
    assert paths_of(entry("a", b"x")) == ["a"]
    assert paths_of(b"") == []
    assert paths_of(bytes(100)) == []


SPARSE = ["--format=gnu", *(f"--format=posix --sparse-version={version}" for version in ("0.0", "0.1", "1.0"))]


@pytest.mark.parametrize("how", SPARSE)
def test_a_sparse_file_has_the_size_and_the_sum_that_it_has_on_disk(tmp_path: Path, how: str) -> None:
    holes = tmp_path / "holes"
    with holes.open("wb") as file:
        for at in range(0, 40 * 2**20, 2**20):
            file.seek(at)
            file.write(os.urandom(4096))
        file.truncate(41 * 2**20)
    (tmp_path / "after").write_bytes(b"after")
    command = ["tar", *how.split(), "--sparse", "-cf", "-", "-C", str(tmp_path), "holes", "after"]
    tar = subprocess.run(command, check=True, capture_output=True).stdout
    assert len(tar) < 2**20
    rows = rows_of(tar).to_pylist()
    assert [(row["path"], row["size"], row["sha256"]) for row in rows] == [
        (name, (tmp_path / name).stat().st_size, sha256((tmp_path / name).read_bytes())) for name in ("holes", "after")
    ]


SPARSE_1 = (("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"))
DAMAGED = {
    "random bytes": os.urandom(4096),
    "text": b"this is no tar at all, but it is long enough to be one" * 40,
    "a wrong checksum": header("a", checksum=b"000001\0 ") + END,
    "a checksum that is none": header("a", checksum=b"zzzzzz\0 ") + END,
    "a size that is none": header("a", b"9999999999\0") + END,
    "a negative size": header("a", b"\xff" * 11 + b"\xf0") + END,
    "a negative size in an extended header": pax(("size", b"-5")) + header("a") + END,
    "a size that is more than there is": header("a", 10_000) + bytes(512),
    "a size beyond all counting": header("a", b"\x80" + b"\x7f" * 11) + END,
    "a link with a size beyond all counting": header("a", b"\x80" + b"\x7f" * 11, b"1") + END,
    "a header that is cut short": header("a")[:300],
    "an extended header that is cut short": pax(("path", b"x" * 2000))[:1024],
    "records without an equals sign": header("x", 8, b"x") + padded(b"8 abcde\n") + entry("a") + END,
    "records with a wrong length": header("x", 12, b"x") + padded(b"99 path=abc\n") + entry("a") + END,
    "a time that is none": pax(("mtime", b"yesterday")) + entry("a") + END,
    "an owner that is none": pax(("uid", b"root")) + entry("a") + END,
    "an owner beyond all counting": pax(("uid", b"9" * 20)) + entry("a") + END,
    "sparse parts that overlap": pax(("GNU.sparse.size", b"100"), ("GNU.sparse.map", b"10,20,5,20")) + entry("a") + END,
    "a sparse file without its map": pax(*SPARSE_1, ("GNU.sparse.realsize", b"9")) + entry("a") + END,
    "a sparse map that is text": (
        pax(*SPARSE_1, ("GNU.sparse.realsize", b"9")) + entry("a", b"two\nlines\n" * 100) + END
    ),
}  # fmt: skip


@pytest.mark.parametrize("tar", DAMAGED.values(), ids=DAMAGED.keys())
def test_what_is_no_tar_is_said_to_be_none(tar: bytes) -> None:
    with pytest.raises(InvalidInput, match="no tar"):
        rows_of(tar)


@pytest.mark.parametrize("flag", [b"L", b"K", b"x", b"g"])
def test_a_name_of_ten_gigabytes_is_refused_before_it_is_read(flag: bytes) -> None:
    with pytest.raises(TooLarge):
        rows_of(header("x", b"\x80" + (10**10).to_bytes(11, "big"), flag) + bytes(4096))


def outcome(tar: bytearray, at: int, value: int) -> str:
    damaged = tar.copy()
    damaged[at] = value
    try:
        rows_of(bytes(damaged), 4096)
    except (InvalidInput, TooLarge):
        return "an error"
    return "rows"


def test_any_damage_ends_in_rows_or_in_one_of_our_errors() -> None:
    tar = bytearray(pax(("path", b"long"), ("mtime", b"1")) + entry("a", b"x" * 600) + header("l", flag=b"2") + END)
    damage = ((at, (0, 0xFF, tar[at] ^ 0x41)[at % 3]) for at in range(len(tar)))
    outcomes = Counter(outcome(tar, at, value) for at, value in damage)
    assert outcomes["rows"] > 300
    assert outcomes["an error"] > 300


def test_a_large_file_takes_little_memory() -> None:
    content = os.urandom(2**20)

    def pieces() -> Iterator[bytes]:
        yield header("big", 300 * 2**20)
        for _ in range(300):
            yield content
        yield END

    tracemalloc.start()
    try:
        batches = tar_entries.TarReader(TarSource(pieces())).batches()
        assert sum(len(batch) for batch in batches) == 1
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()
