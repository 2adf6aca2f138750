"""A pull-through cache: distribution 3 with `proxy.remoteurl`, which passes on what another registry has."""

from __future__ import annotations

from pathlib import Path

from tests.field.servers.server import FieldServer
from tests.servers.registry import Registry, distribution_3


class PullThrough(FieldServer):
    """Distribution 3 before another distribution 3, which is the one to fill."""

    name = "pull-through distribution 3"
    takes_pushes = False
    deletes = False
    moves_tags = False

    def start(self) -> None:
        """Start the registry behind it, then the cache."""
        self._behind = _Behind(self.folder / "behind")
        self._running.enter_context(self._behind)
        front = _Front(self.folder / "front", self._behind.url)
        self._running.enter_context(front)
        self.port = front.port

    @property
    def origin(self) -> FieldServer:
        """The registry behind it."""
        return self._behind


class _Behind(FieldServer):
    name = "distribution 3"

    def start(self) -> None:
        registry = self._running.enter_context(Registry(self.folder, program=distribution_3()))
        self.port = registry.port


class _Front(Registry):
    def __init__(self, folder: Path, remote: str) -> None:
        super().__init__(folder, program=distribution_3(), env={"REGISTRY_PROXY_REMOTEURL": remote})
