"""The cache on disk: content by digest, and nothing that can run.

`diskcache` pickles what is not a string or bytes, and would unpickle what somebody planted in its folder. This one
stores strings and bytes only, refuses to read anything else, keeps to its folder, and verifies each value against
the digest that is its key. Several processes may share it.
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
_LOCK_TIMEOUT = 60  # seconds: with the default, writes are lost silently when threads contend


class _BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """Strings as keys, bytes as values; no pickle, either way."""

    def put(self, key: Any) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise TypeError(f"a cache key must be a str, not {type(key).__name__}")
        return str(key), True

    def get(self, key: Any, raw: bool) -> str:
        # Called for all keys in turn, where an error would hide the keys that follow.
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
    """Another writer put the same content into a new file meanwhile, or the file is gone."""


class _Foreign(RegscopeError):
    """Something in the cache's folder that this cache did not write."""


class DigestCache:
    """Content by digest, in a folder that only its owner can read.

    Args:
        folder: `$REGSCOPE_CACHE_DIR`, else the user's cache folder, by default.
        limit: bytes on disk; above it the oldest entries go.
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
                cull_limit=0,  # or every write looks for what has expired, and nothing here does
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
                raise self._unusable("it holds other things, and would be closed to everybody else")
            self.folder.chmod(0o700)

    def _unusable(self, why: str) -> RegscopeError:
        return RegscopeError(
            f"the cache in {self.folder} cannot be used: {why}",
            next_step="Name another folder in REGSCOPE_CACHE_DIR, or do without (cache=False, --no-cache).",
        )

    def get(self, digest: str) -> bytes | None:
        """The content with this digest; None where it is not there, or is not what its digest says."""
        content = self._get(digest)
        if content is not None and not Digest(digest).matches(content):
            self._cache.delete(digest)
            return None
        return content

    def put(self, digest: str, content: bytes) -> None:
        """Keep `content`, which the caller has verified."""
        self._put(digest, content)

    def hint(self, name: str) -> Digest | None:
        """What was noted under `name`: a digest that a tag had; it may be stale, or wrong, and is only a hint."""
        noted = self._get(f"hint {name}")
        try:
            return None if noted is None else Digest(noted.decode("ascii"))
        except (InvalidDigest, UnicodeDecodeError):
            return None

    def note(self, name: str, digest: str) -> None:
        """Note a digest under `name`."""
        self._put(f"hint {name}", digest.encode("ascii"))

    def recall(self, name: str) -> bytes | None:
        """What was made of content, and kept under `name`; None where it is not there, or is damaged."""
        kept = self._get(f"made {name}")
        if kept is None or hashlib.sha256(kept[_SUM:]).digest() != kept[:_SUM]:
            return None
        return kept[_SUM:]

    def keep(self, name: str, made: bytes) -> None:
        """Keep under `name` what was made of content that a digest names, so that it need not be made again."""
        self._put(f"made {name}", hashlib.sha256(made).digest() + made)

    def prune(self, limit: int | None = None) -> int:
        """Delete the oldest entries until the cache is within `limit` bytes; returns how many went."""
        limit = self.limit if limit is None else limit
        gone = 0
        if self.size <= limit:
            return gone
        keys = list(self._cache)
        if _FOREIGN_KEY in keys:  # somebody else wrote here, and such rows cannot go one by one
            return self.clear()
        for key in keys:
            if self.size <= limit * _PRUNE_TO:
                break
            gone += bool(self._cache.delete(key))
        return gone

    def clear(self) -> int:
        """Delete everything; returns how many entries went."""
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
        """Write `value`, and with it in one transaction what other threads want written meanwhile.

        A transaction costs more than what is written in it, and there is but one writer at a time.
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
