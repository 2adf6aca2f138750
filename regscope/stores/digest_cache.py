"""The cache on disk: content by digest, and nothing that can run.

`diskcache` pickles what is not a string or bytes, and would unpickle what somebody planted in its folder. This one
stores strings and bytes only, refuses to read anything else, keeps to its folder, and verifies each value against
the digest that is its key. Several processes may share it.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import diskcache
import platformdirs
from diskcache.core import MODE_BINARY, MODE_RAW

from regscope import text
from regscope.errors import InvalidDigest, RegscopeError
from regscope.spec.digest import Digest

DEFAULT_LIMIT = 2 * 2**30
_PRUNE_TO = 0.9
_WRITES_BETWEEN_CHECKS = 64
_READ_ATTEMPTS = 5
_DATABASE = "cache.db"
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
        fetched = super().fetch(mode, filename, value, read)
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
            )
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(str(error)) from None
        self._writes = 0

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

    def hint(self, name: str) -> str | None:
        """What was noted under `name`: a digest that a tag had; it may be stale, or wrong, and is only a hint."""
        noted = self._get(f"hint {name}")
        try:
            return None if noted is None else Digest(noted.decode("ascii"))
        except (InvalidDigest, UnicodeDecodeError):
            return None

    def note(self, name: str, digest: str) -> None:
        """Note a digest under `name`."""
        self._put(f"hint {name}", digest.encode("ascii"))

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
        found: bytes | None = None
        try:
            for _ in range(_READ_ATTEMPTS):
                found = self._cache.get(key)
                if found is not None or key not in self._cache:
                    break  # else another writer put the same content into a new file meanwhile, or the file is gone
        except _Foreign:
            self._cache.delete(key)
            return None
        except (sqlite3.Error, diskcache.Timeout) as error:
            raise self._unusable(str(error)) from None
        return found

    def _put(self, key: str, value: bytes) -> None:
        try:
            self._cache.set(key, value)
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise self._unusable(str(error) or "it is locked") from None
        self._writes += 1
        if self._writes % _WRITES_BETWEEN_CHECKS == 0:
            self.prune()


def default_folder() -> Path:
    """`$REGSCOPE_CACHE_DIR`, else the user's cache folder."""
    named = os.environ.get("REGSCOPE_CACHE_DIR")
    return Path(named) if named else platformdirs.user_cache_path("regscope")
