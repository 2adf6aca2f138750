"""What is noted of open uploads goes after a week, and nothing else that is in the folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.open_uploads import OpenUploads
from regscope.spec.digest import Digest

LONG_AGO = 86400 * 365


def test_old_notes_go_and_files_of_somebody_else_stay(client: DockerRegistryV2Client, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    for name in ("thesis.txt", "0" * 64):
        (folder / name).write_text("precious")
        os.utime(folder / name, (LONG_AGO, LONG_AGO))
    with OpenUploads(folder).of(client, "app", Digest.of(b"content")):
        assert (folder / "thesis.txt").read_text() == "precious"
        assert not (folder / ("0" * 64)).exists()


def test_a_link_in_the_place_of_a_note_is_not_followed(client: DockerRegistryV2Client, tmp_path: Path) -> None:
    uploads, digest = OpenUploads(tmp_path / "uploads"), Digest.of(b"content")
    with pytest.raises(KeyboardInterrupt), uploads.of(client, "app", digest):
        raise KeyboardInterrupt
    (note,) = (tmp_path / "uploads").iterdir()
    note.unlink()
    (tmp_path / "thesis.txt").write_text("precious")
    note.symlink_to(tmp_path / "thesis.txt")
    with pytest.raises(OSError, match="symbolic link"), uploads.of(client, "app", digest):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "precious"
