"""The cache on disk keeps bytes, gives back nothing else, and can be shared."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import pickle
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regscope.errors import RegscopeError
from regscope.spec.digest import Digest
from regscope.stores.digest_cache import DigestCache, default_folder

SMALL, LARGE = b"small content", b"large content " * 10_000  # the second goes into a file of its own
THREADS, EACH = 8, 40


@pytest.fixture
def cache(cache_folder: Path) -> Iterator[DigestCache]:
    cache = DigestCache(cache_folder)
    yield cache
    cache.close()


def put(cache: DigestCache, content: bytes) -> Digest:
    digest = Digest.of(content)
    cache.put(digest, content)
    return digest


def sql(cache: DigestCache, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(cache.folder / "cache.db")
    with connection:
        connection.execute(statement, values)
    connection.close()


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_content_is_given_back(cache: DigestCache) -> None:
    for content in (SMALL, LARGE, b""):
        assert cache.get(put(cache, content)) == content
    assert cache.get(Digest.of(b"never seen")) is None
    assert len(cache) == 3
    assert cache.size > len(LARGE)


def test_sha512_is_kept_as_well(cache: DigestCache) -> None:
    digest = Digest.of(SMALL, "sha512")
    cache.put(digest, SMALL)
    assert cache.get(digest) == SMALL


def test_a_hint_is_a_digest_or_nothing(cache: DigestCache) -> None:
    cache.note("http://a base:1", Digest.of(SMALL))
    assert cache.hint("http://a base:1") == Digest.of(SMALL)
    assert cache.hint("http://a base:2") is None
    cache._put("hint x", b"sha256:../..")
    cache._put("hint y", b"\xff")
    assert cache.hint("x") is cache.hint("y") is None


def test_only_its_owner_can_read_the_folder(cache_folder: Path) -> None:
    cache_folder.mkdir(mode=0o755)
    DigestCache(cache_folder).close()
    assert stat.S_IMODE(cache_folder.stat().st_mode) == 0o700
    cache_folder.chmod(0o755)
    DigestCache(cache_folder).close()  # one that is there already
    assert stat.S_IMODE(cache_folder.stat().st_mode) == 0o700


def test_a_folder_that_holds_other_things_is_not_closed_to_others(cache_folder: Path) -> None:
    cache_folder.mkdir()
    cache_folder.chmod(0o755)
    (cache_folder / "thesis.txt").write_text("")
    with pytest.raises(RegscopeError, match="it has other files") as caught:
        DigestCache(cache_folder)
    assert "REGSCOPE_CACHE_DIR" in caught.value.next_step
    assert stat.S_IMODE(cache_folder.stat().st_mode) == 0o755


def test_the_environment_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REGSCOPE_CACHE_DIR", str(tmp_path / "named"))
    cache = DigestCache()
    assert cache.folder == default_folder() == tmp_path / "named"
    assert cache.folder.is_dir()
    monkeypatch.delenv("REGSCOPE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == tmp_path / "xdg" / "regscope"


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "rubbish").mkdir()
    (tmp_path / "rubbish" / "cache.db").write_bytes(b"no database " * 1000)
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "rubbish", Path("/proc/nobody")):
        with pytest.raises(RegscopeError, match="cannot be used") as caught:
            DigestCache(folder)
        assert "REGSCOPE_CACHE_DIR" in caught.value.next_step


def test_a_cache_pickles(cache: DigestCache) -> None:
    digest = put(cache, LARGE)
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.get(digest) == LARGE
    assert (copy.folder, copy.limit) == (cache.folder, cache.limit)
    assert "1 entry" in repr(copy)
    copy.close()


# Nothing that somebody planted is used


def test_a_planted_pickle_does_not_run(cache: DigestCache, tmp_path: Path) -> None:
    digest, marker = put(cache, SMALL), tmp_path / "it-ran"
    sql(cache, "UPDATE Cache SET mode = 4, value = ?", pickle.dumps(Trap(marker)))
    assert cache.get(digest) is None
    assert not marker.exists()
    assert len(cache) == 0  # and it is gone


def test_a_planted_pickle_in_a_file_does_not_run(cache: DigestCache, tmp_path: Path) -> None:
    digest, marker = put(cache, LARGE), tmp_path / "it-ran"
    next(cache.folder.rglob("*.val")).write_bytes(pickle.dumps(Trap(marker)))
    sql(cache, "UPDATE Cache SET mode = 4")
    assert cache.get(digest) is None
    assert not marker.exists()


def test_a_planted_key_does_not_run_and_does_not_stop_the_pruning(cache: DigestCache, tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    for number in range(5):
        put(cache, b"%d" % number * 50_000)
    key = pickle.dumps(Trap(marker))
    sql(cache, "INSERT INTO Cache (key, raw, store_time, size, mode, value) VALUES (?, 0, 1, 1, 1, 'x')", key)
    assert cache.prune(100_000) > 0
    assert cache.size <= 100_000
    assert cache.prune(0) >= 0
    assert not marker.exists()
    assert put(cache, SMALL)


@pytest.mark.parametrize("filename", ["../victim", "../../victim", "{folder}/../victim", "x/../../victim", "link"])
def test_a_planted_file_name_leads_nowhere(cache: DigestCache, filename: str) -> None:
    content = b"not of the cache"
    victim = cache.folder.parent / "victim"
    victim.write_bytes(content)
    (cache.folder / "link").symlink_to(victim)
    digest = put(cache, content)
    sql(cache, "UPDATE Cache SET mode = 2, value = NULL, filename = ?", filename.format(folder=cache.folder))
    assert cache.get(digest) is None  # although it would match its digest
    assert victim.read_bytes() == content
    put(cache, content)
    sql(cache, "UPDATE Cache SET mode = 2, value = NULL, filename = ?", filename.format(folder=cache.folder))
    cache.clear()
    assert victim.read_bytes() == content


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("mode = ?, value = ?, filename = ?", (2, None, None)),
        ("mode = ?, value = ?, filename = ?", (2, None, 7)),
        ("mode = ?, value = ?, filename = ?", (2, None, "")),
        ("mode = ?, value = ?, filename = ?", (2, None, "gone")),
        ("mode = ?, value = ?, filename = ?", (3, None, "cache.db")),
        ("mode = ?, value = ?, filename = ?", (99, b"x", None)),
        ("mode = ?, value = ?, filename = ?", (None, b"x", None)),
        ("mode = ?, value = ?, filename = ?", ("x", b"x", None)),
        ("mode = ?, value = ?", (1, "text")),
        ("mode = ?, value = ?", (1, 7)),
        ("mode = ?, value = ?", (1, None)),
        ("mode = ?, filename = ?", (2, "a\0b")),
    ],
)
def test_a_row_of_nonsense_reads_as_absent(cache: DigestCache, columns: str, values: tuple[Any, ...]) -> None:
    digest = put(cache, SMALL)
    sql(cache, f"UPDATE Cache SET {columns}", *values)
    assert cache.get(digest) is None
    cache.put(digest, SMALL)
    assert cache.get(digest) == SMALL


def test_a_flipped_byte_reads_as_absent(cache: DigestCache) -> None:
    small, large = put(cache, SMALL), put(cache, LARGE)
    sql(cache, "UPDATE Cache SET value = ? WHERE key = ?", b"smalm content", str(small))
    file = next(cache.folder.rglob("*.val"))
    file.write_bytes(LARGE[:-1] + b"!")
    for digest, content in ((small, SMALL), (large, LARGE)):
        assert cache.get(digest) is None
        cache.put(digest, content)
        assert cache.get(digest) == content


def test_a_value_whose_file_is_gone_reads_as_absent(cache: DigestCache) -> None:
    digest = put(cache, LARGE)
    next(cache.folder.rglob("*.val")).unlink()
    assert cache.get(digest) is None
    assert cache.get(put(cache, LARGE)) == LARGE


def test_only_bytes_go_in(cache: DigestCache) -> None:
    for content in ("text", 7, None, bytearray(b"x"), [b"x"]):
        with pytest.raises(TypeError):
            cache.put(Digest.of(SMALL), content)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        cache.put(7, SMALL)  # type: ignore[arg-type]
    assert len(cache) == 0


def test_a_database_that_breaks_is_said(cache: DigestCache) -> None:
    digest = put(cache, SMALL)
    sql(cache, "DROP TABLE Cache")
    for use in (lambda: cache.get(digest), lambda: cache.put(digest, SMALL)):
        with pytest.raises(RegscopeError, match="cannot be used"):
            use()


# Size


def test_pruning_drops_the_oldest_first(cache: DigestCache) -> None:
    digests = [put(cache, b"%02d" % number * 20_000) for number in range(30)]
    assert cache.prune() == 0
    gone = cache.prune(500_000)
    assert 0 < gone < 30
    assert cache.size <= 500_000
    assert [cache.get(digest) is None for digest in digests] == [True] * gone + [False] * (30 - gone)
    assert cache.prune(500_000) == 0
    assert sum(file.stat().st_size for file in cache.folder.rglob("*.val")) <= 500_000


def test_writing_keeps_under_the_limit(cache_folder: Path) -> None:
    cache = DigestCache(cache_folder, limit=1_000_000)
    digests = [put(cache, b"%03d" % number * 15_000) for number in range(192)]
    assert cache.size <= 1_000_000
    assert cache.get(digests[-1])
    assert cache.get(digests[0]) is None
    cache.close()


def test_clearing_leaves_nothing(cache: DigestCache) -> None:
    for content in (SMALL, LARGE):
        put(cache, content)
    assert cache.clear() == 2
    assert len(cache) == 0
    assert list(cache.folder.rglob("*.val")) == []


# Many writers


def write_and_read(folder: Path, writer: int) -> int:
    """Some contents are everybody's, some are this writer's alone; returns how many came back wrong."""
    cache = DigestCache(folder)

    def work(thread: int) -> int:
        wrong = 0
        for number in range(EACH):
            owner = f"{writer} {thread}" if number % 2 else "everybody"
            content = f"{owner} {number} ".encode() * (5_000 if number % 10 == 0 else 10)
            wrong += cache.get(put(cache, content)) != content
        cache.close()
        return wrong

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(work, range(THREADS)))


def test_writers_in_many_threads_and_processes_lose_nothing(cache_folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(write_and_read, [cache_folder] * 2, range(2))) == [0, 0]
    cache = DigestCache(cache_folder)
    assert len(cache) == EACH // 2 + 2 * THREADS * EACH // 2
    for writer in range(2):
        for thread in range(THREADS):
            for number in range(1, EACH, 2):
                content = f"{writer} {thread} {number} ".encode() * 10
                assert cache.get(Digest.of(content)) == content
    cache.close()
