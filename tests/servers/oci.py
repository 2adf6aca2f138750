"""A registry with all of the OCI distribution API: tag deletion, referrers, mounts, chunks. In memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

NAME = "oci-registry"
"""The program, built from the folder `oci_registry` where there is Go: see `.ci/prepare`."""


class OCIRegistry:
    """The process on a loopback port; use it as a context manager. Skips the test where the program was not built.

    Args:
        options: `-no-referrers`, `-no-digest`, `-no-links`, `-page=N`, `-immutable-tags`.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://{self.host}"

    def __enter__(self) -> Self:
        program = shutil.which(NAME) or shutil.which(NAME, path=Path(sys.executable).parent)
        if program is None:
            pytest.skip(f"needs {NAME}, which is built where there is Go")
        self._process = subprocess.Popen([program, *self._options], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=10)
