"""The same images in every store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.images import skopeo


@pytest.fixture(scope="session")
def archive(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A docker-archive, written by skopeo, of one image with two names."""
    file = tmp_path_factory.mktemp("archive") / "app.tar"
    names = ["--additional-tag", "localhost:5000/team/app:stable"]
    skopeo("copy", "-q", *names, f"oci:{layout}:app:1.0", f"docker-archive:{file}:app:1.0")
    return file
