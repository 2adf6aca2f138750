"""Distribution in the versions that are in use, holding what a test pushes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab.drawn_registries import Contents, Pushed
from tests.servers.registry import Registry, distribution_3

VERSIONS = ("2.8", "3")


@contextmanager
def filled(version: str, folder: Path, pushes: Sequence[tuple[str, str | None, Pushed]]) -> Iterator[Registry]:
    """A running registry of one of `VERSIONS` that holds these: repository, tag and image."""
    with Registry(folder, program=distribution_3() if version == "3" else None) as running:
        Contents(pushes=list(pushes)).push_to(running.url)
        yield running
