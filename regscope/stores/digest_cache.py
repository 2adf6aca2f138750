"""The cache on disk: content by digest, without pickles.

`diskcache` pickles values that are neither strings nor bytes, and would unpickle one that an attacker wrote to its
folder. This cache stores only strings and bytes, refuses to read anything else, reads no file outside its folder, and
verifies each value against the digest that is its key. Several processes may share it.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from pathlib import Path
from typing import Any

import diskcache
import platformdirs
from diskcache.core import MODE_BINARY, MODE_RAW

from regscope import text
from regscope.errors import InvalidDigest, RegscopeError
from regscope.settings import cache_folder
from regscope.spec.digest import Digest

DEFAULT_LIMIT = 2 * 2**30
_PRUNE_TO = 0.9
_WRITES_BETWEEN_CHECKS = 64
_READ_ATTEMPTS = 5
_DATABASE = "cache.db"
_SUM = 32  # bytes of a sha256
_FOREIGN_KEY = "\0"
_LOCK_TIMEOUT = 60  # seconds; with the default, writes of contending threads are lost without an error


class _BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """Strings as keys, bytes as values; pickles are neither written nor read."""

    def put(self, key: Any) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise TypeError(f"a cache key must be a str, not {type(key).__name__}")
        return str(key), True

    def get(self, key: Any, raw: bool) -> str:
        # Called for each key in turn; an error would hide the following keys.
        return key if raw and type(key) is str else _FOREIGN_KEY

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> tuple[int, int, str | None, Any]:
        if type(value) is not bytes or read:
            raise TypeError(f"a cache value must be bytes, not {type(value).__name__}")
        stored: tuple[int, int, str | None, Any] = super().store(value, read, key)
        return stored

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> bytes:
        if mode not in (MODE_RAW, MODE_BINARY) or read:
            raise _Foreign("a value")
        if (filename is None and mode != MODE_RAW) or (filename is not None and not self._is_ours(filename)):
            raise _Foreign("a file name")
        try:
            fetched = super().fetch(mode, filename, value, read)
        except OSError:
            raise _Vanished("a value's file is gone") from None
        if type(fetched) is not bytes:
            raise _Foreign("a value")
        return fetched

    def remove(self, file_path: str) -> None:
        if self._is_ours(file_path):
            super().remove(file_path)

    def _is_ours(self, filename: object) -> bool:
        if not isinstance(filename, str) or "\0" in filename:
            return False
        folder = Path(self._directory).resolve()
        return (folder / filename).resolve().is_relative_to(folder)


class _Vanished(RegscopeError):
    """The value's file was deleted, or replaced by another writer with the same content."""


class _Foreign(RegscopeError):
    """The cache's folder has an entry that this cache did not write."""


class DigestCache:
    """Content by digest, in a folder that only its owner can read.

    Args:
        folder: `$REGSCOPE_CACHE_DIR`, else the user's cache folder, by default.
        limit: bytes on disk; above it the oldest entries are deleted.
    """

    def __init__(self, folder: Path | str | None = None, *, limit: int = DEFAULT_LIMIT) -> None:
        self.folder = Path(folder) if folder is not None else default_folder()
        self.limit = limit
        self._open()

    def _open(self) -> None:
        try:
            self._make_folder()
            self._cache = diskcache.Cache(
                str(self.folder),
                timeout=_LOCK_TIMEOUT,
                disk=_BytesDisk,
                eviction_policy="none",
                size_limit=2**62,
                statistics=0,
                cull_limit=0,  # otherwise each write looks for expired entries, and no entry expires
            )
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(str(error)) from None
        self._writes = 0
        self._waiting: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_mode & 0o077:
            if any(self.folder.iterdir()) and not (self.folder / _DATABASE).is_file():
                raise self._unusable("it has other files, and its permissions would be changed")
            self.folder.chmod(0o700)

    def _unusable(self, why: str) -> RegscopeError:
        return RegscopeError(
            f"the cache in {self.folder} cannot be used: {why}",
            next_step="Name another folder in REGSCOPE_CACHE_DIR, or use no cache (cache=False, --no-cache).",
        )

    def get(self, digest: str) -> bytes | None:
        """The content with this digest; None where it is not cached, or does not have its digest."""
        content = self._get(digest)
        if content is not None and not Digest(digest).matches(content):
            self._cache.delete(digest)
            return None
        return content

    def put(self, digest: str, content: bytes) -> None:
        """Store `content`, which the caller has verified."""
        self._put(digest, content)

    def hint(self, name: str) -> Digest | None:
        """The digest noted under `name`, such as that of a tag; it may be stale or wrong, and is only a hint."""
        noted = self._get(f"hint {name}")
        try:
            return None if noted is None else Digest(noted.decode("ascii"))
        except (InvalidDigest, UnicodeDecodeError):
            return None

    def note(self, name: str, digest: str) -> None:
        """Note a digest under `name`."""
        self._put(f"hint {name}", digest.encode("ascii"))

    def recall(self, name: str) -> bytes | None:
        """The value stored under `name` by `keep`; None where there is none, or it is damaged."""
        kept = self._get(f"made {name}")
        if kept is None or hashlib.sha256(kept[_SUM:]).digest() != kept[:_SUM]:
            return None
        return kept[_SUM:]

    def keep(self, name: str, made: bytes) -> None:
        """Store under `name` a value that was computed from the content of a digest, so that it is computed once."""
        self._put(f"made {name}", hashlib.sha256(made).digest() + made)

    def prune(self, limit: int | None = None) -> int:
        """Delete the oldest entries until the cache is within `limit` bytes; returns the number of deleted entries."""
        limit = self.limit if limit is None else limit
        gone = 0
        if self.size <= limit:
            return gone
        keys = list(self._cache)
        if _FOREIGN_KEY in keys:  # another program wrote here; such rows cannot be deleted one by one
            return self.clear()
        for key in keys:
            if self.size <= limit * _PRUNE_TO:
                break
            gone += bool(self._cache.delete(key))
        return gone

    def clear(self) -> int:
        """Delete all entries; returns the number of deleted entries."""
        return int(self._cache.clear())

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return int(self._cache.volume())

    def __len__(self) -> int:
        return len(self._cache)

    def close(self) -> None:
        """Close this thread's connection."""
        self._cache.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "limit": self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __repr__(self) -> str:
        return f"DigestCache({str(self.folder)!r}, {text.count(len(self), 'entry', 'entries')}, {text.size(self.size)})"

    def _get(self, key: str) -> bytes | None:
        if (waiting := self._waiting.get(key)) is not None:
            return waiting
        for _ in range(_READ_ATTEMPTS):
            try:
                found: bytes | None = self._cache.get(key)
                return found
            except _Vanished:
                continue
            except _Foreign:
                self._cache.delete(key)
                return None
            except (sqlite3.Error, diskcache.Timeout) as error:
                raise self._unusable(str(error)) from None
        return None

    def _put(self, key: str, value: bytes) -> None:
        """Write `value`, in one transaction with the values that other threads are waiting to write.

        A transaction takes longer than the writes in it, and there is only one writer at a time.
        """
        with self._lock:
            self._waiting[key] = value
        while self._waiting and self._writing.acquire(blocking=False):
            try:
                self._write_waiting()
            finally:
                self._writing.release()

    def _write_waiting(self) -> None:
        with self._lock:
            batch = self._waiting.copy()
        try:
            with self._cache.transact():
                for key, value in batch.items():
                    self._cache.set(key, value)
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise self._unusable(str(error) or "it is locked") from None
        finally:
            with self._lock:
                for key, value in batch.items():
                    if self._waiting[key] is value:
                        del self._waiting[key]
        self._writes += len(batch)
        if self._writes >= _WRITES_BETWEEN_CHECKS:
            self._writes = 0
            self.prune()


def default_folder() -> Path:
    """`$REGSCOPE_CACHE_DIR`, else the user's cache folder."""
    return cache_folder() or platformdirs.user_cache_path("regscope")
