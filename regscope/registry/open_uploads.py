"""Unfinished uploads, noted on disk so that a later run continues them even if this one is killed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.uploads import Upload
from regscope.spec.digest import Digest
from regscope.spec.json_forms import one_line

_NAME = re.compile(r"[0-9a-f]{64}")
_FORGOTTEN_AFTER = 7 * 86400  # seconds; registries purge unfinished uploads within that time


class OpenUploads:
    """The addresses of open uploads, in a folder that only its owner can read: an address may contain a secret."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def of(
        self, client: DockerRegistryV2Client, repository: str, digest: Digest, timeout: AskTimeout = "default"
    ) -> Iterator[NotedUpload]:
        """The noted upload of one blob; the note is kept where this run does not finish the upload."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(self._folder)
        key = hashlib.sha256(f"{client.api_base_url} {repository} {digest}".encode()).hexdigest()
        path = self._folder / key
        with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+") as file:  # noqa: PTH123
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # another process is sending the same blob, with an upload of its own
                yield NotedUpload(None, None)
                return
            yield NotedUpload(file, _noted(file, client, timeout))
            path.unlink(missing_ok=True)


class NotedUpload:
    """Attributes:
    upload: the one that an earlier run left open; None where there is none.
    """

    def __init__(self, file: IO[str] | None, upload: Upload | None) -> None:
        self._file = file
        self.upload = upload

    def note(self, upload: Upload) -> None:
        """Remember an upload that was opened."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(one_line({"location": upload.location, "chunk_minimum": upload.chunk_minimum}))
            self._file.flush()


def _noted(file: IO[str], client: DockerRegistryV2Client, timeout: AskTimeout) -> Upload | None:
    try:
        noted = json.load(file)
        return Upload(client, noted["location"], chunk_minimum=noted["chunk_minimum"], timeout=timeout)
    except (ValueError, LookupError, TypeError):  # empty, or cut off
        return None


def _sweep(folder: Path) -> None:
    for path in filter(_is_ours, folder.iterdir()):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - _FORGOTTEN_AFTER:
                path.unlink()


def _is_ours(path: Path) -> bool:
    """Whether a file is a note of this class, by its name; the folder may hold other files."""
    return _NAME.fullmatch(path.name) is not None
