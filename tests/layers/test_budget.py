"""What a layer asks for is counted and has a bound, whatever it is made of."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from regscope.errors import InvalidInput, TooLarge
from regscope.layers.budget import BOUNDS, Bound, Budget
from regscope.layers.compression import uncompressed
from tests.lab.hostile_layers import HOSTILE, zstd_zeros
from tests.lab.tars import END, entry, header, pax, rows_of

MOST_MEMORY = 500 * 2**20

# In a process of its own, whose memory is that of this layer alone.
READ = """
import re, sys
from regscope.errors import RegscopeError
from regscope.layers.budget import Budget
from regscope.layers.compression import uncompressed
from regscope.layers.entry_rows import entry_rows
from regscope.layers.tar_entries import TarReader
from regscope.layers.tar_source import TarSource, not_small
content = sys.stdin.buffer.read()
budget = Budget(len(content))
try:
    pieces = not_small(budget.unpacking(uncompressed([content], budget)))
    rows = sum(entry_rows(batch, 0).num_rows for batch in TarReader(TarSource(pieces), budget).batches())
    print(f"{rows:,} rows")
except RegscopeError as error:
    print(type(error).__name__, error.message)
print(budget)
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024)
"""


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_layer_takes_no_more_than_its_budget(make: Callable[[], bytes]) -> None:
    layer = make()
    done = subprocess.run([sys.executable, "-c", READ], input=layer, capture_output=True, check=True, timeout=250)
    outcome, used, memory = done.stdout.decode().splitlines()
    print(f"{len(layer):,} bytes: {outcome}; {used}; {int(memory) // 2**20} MiB")
    assert outcome.startswith(("TooLarge", "InvalidInput")) or outcome.endswith("rows")
    assert int(memory) < MOST_MEMORY


def test_a_larger_layer_may_ask_for_more_up_to_a_bound() -> None:
    bound = Bound("cups", 10, 0.5, 100)
    assert [bound.of(stored) for stored in (0, 20, 1000)] == [10, 20, 100]


def test_what_was_used_is_told() -> None:
    budget = Budget(100)
    rows_of(pax(("path", b"long")) + entry("a", b"x") + header("b") + END, budget=budget)
    assert budget.used["headers"] == 3
    assert budget.used["kept"] == len("long")
    assert "headers 3 of 250,025" in repr(budget)


@pytest.mark.parametrize(
    "part", [header("a"), header("x", flag=b"x"), header("x", flag=b"g"), header("v", flag=b"V")],
    ids=["entries", "extended headers", "global headers", "volume labels"],
)  # fmt: skip
def test_entries_and_headers_of_every_kind_count_alike(part: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BOUNDS, "headers", Bound("entries and headers", 20_000))
    rows_of(part * 20_000, 2**20, Budget(0))
    with pytest.raises(TooLarge, match="more than 20,000 entries and headers"):
        rows_of(part * 20_001, 2**20, Budget(0))


def test_extended_headers_count_as_they_apply() -> None:
    attribute = pax(("SCHILY.xattr.user.a", bytes(2**20 - 100)))
    with pytest.raises(TooLarge, match="names and attributes"):
        rows_of((attribute + header("a")) * 40, 2**20, Budget(0))


@pytest.mark.parametrize("empty", [gzip.compress(b""), zstandard.compress(b"")], ids=["members", "frames"])
def test_members_and_frames_of_nothing_count_as_headers(empty: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BOUNDS, "headers", Bound("entries and headers", 100))
    assert not list(uncompressed([empty * 100], Budget(0)))
    with pytest.raises(TooLarge, match="entries and headers"):
        list(uncompressed([empty * 101], Budget(0)))


def test_holes_are_counted_for_the_whole_layer_and_beyond_the_bound_a_file_has_no_sum() -> None:
    def sparse(name: str, size: int) -> bytes:
        records = (("GNU.sparse.size", b"%d" % size), ("GNU.sparse.numblocks", b"1"), ("GNU.sparse.map", b"0,4"))
        return pax(*records) + entry(name, b"data")

    tar = sparse("a", 6 * 2**20) + sparse("huge", 5 * 2**40) + sparse("b", 1000) + entry("after", b"x") + END
    budget = Budget(len(tar))
    rows = {row["path"]: row for row in rows_of(tar, budget=budget).to_pylist()}
    assert {path: row["size"] for path, row in rows.items()} == {
        "a": 6 * 2**20, "huge": 5 * 2**40, "b": 1000, "after": 1,
    }  # fmt: skip
    for path, size in (("a", 6 * 2**20), ("b", 1000)):
        assert rows[path]["sha256"] == hashlib.sha256(b"data".ljust(size, b"\0")).hexdigest()
    assert rows["huge"]["sha256"] is None
    assert budget.used["holes"] == 6 * 2**20 - 4  # what is looked into counts as lines


def zstd_of(content: bytes, window: int) -> bytes:
    packing = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=window)
    ).compressobj()
    return packing.compress(content) + packing.flush()


@pytest.mark.parametrize("window", [27, 28, 30, 31])
def test_a_frame_with_any_window_is_read_as_long_as_it_fills_little_of_it(window: int) -> None:
    tar = entry("a", b"x" * 3_000_000) + END
    layer = zstd_of(tar, window)
    assert zstandard.get_frame_parameters(layer).window_size == 2**window
    for size in (1, 1000, len(layer)):
        pieces = uncompressed([layer[at : at + size] for at in range(0, len(layer), size)])
        assert b"".join(pieces) == tar


def test_memory_for_a_zstd_window_is_bounded_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = zstd_of(bytes(4 * 2**20), 28)
    monkeypatch.setenv("REGSCOPE_ZSTD_WINDOW", str(2**21))
    with pytest.raises(TooLarge, match="268,435,456 bytes of memory") as refused:
        list(uncompressed([layer]))
    assert "REGSCOPE_ZSTD_WINDOW" in refused.value.next_step
    monkeypatch.setenv("REGSCOPE_ZSTD_WINDOW", str(2**28))
    assert sum(map(len, uncompressed([layer]))) == 4 * 2**20


def test_a_window_beyond_what_the_decoder_takes_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="too much memory"):
        list(uncompressed([zstd_zeros(2**20, window=0xB0)]))
    monkeypatch.setenv("REGSCOPE_ZSTD_WINDOW", str(2**32))
    with pytest.raises(InvalidInput, match="REGSCOPE_ZSTD_WINDOW"):
        list(uncompressed([zstd_zeros(2**20)]))


@pytest.mark.parametrize("size", [1, 5, 17, 18, 1000])
def test_zstd_frames_are_found_wherever_the_pieces_end(size: int) -> None:
    skipped = b"\x5a\x2a\x4d\x18\3\0\0\0abc"
    layer = zstandard.compress(b"") + skipped + zstandard.compress(b"one" * 1000) + skipped + zstandard.compress(b"2")
    assert b"".join(uncompressed([layer[at : at + size] for at in range(0, len(layer), size)])) == b"one" * 1000 + b"2"
    with pytest.raises(InvalidInput, match="ends too early"):
        list(uncompressed([layer[:-1]]))


def test_a_zstd_frame_of_many_zeros_comes_in_small_pieces(tmp_path: Path) -> None:
    assert max(map(len, uncompressed([zstd_zeros(2**28)]))) <= 2**21
