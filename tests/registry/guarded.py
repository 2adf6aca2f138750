"""A registry that a token service guards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.images import push
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService


@contextmanager
def guarded_by(service: TokenService, folder: Path, layout: Path, credentials: str) -> Iterator[Registry]:
    """A running one that holds `base` and `tool` of the layout, pushed by `credentials`, `user:password`."""
    with Registry(folder, token=service) as server:
        for name in ("base", "tool"):
            push(layout, server, credentials=credentials, only=name)
        yield server
