"""`crane registry serve`: go-containerregistry's registry, which deletes a manifest and goes on serving its tags."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest


class CraneRegistry:
    """The process on a loopback port; use it as a context manager. Skips the test where crane was not built."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        program = shutil.which("crane") or shutil.which("crane", path=Path(sys.executable).parent)
        if program is None:
            pytest.skip("needs crane, which is built where there is Go")
        self._process = subprocess.Popen(
            [program, "registry", "serve", "--address", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"serving on port (\d+)", line):
                self.port = int(found[1])
                break
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=10)
