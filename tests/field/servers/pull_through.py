"""A pull-through cache: distribution 3 with `proxy.remoteurl`, which passes on what another registry has."""

from __future__ import annotations

from tests.field.servers.distribution import Distribution
from tests.field.servers.server import FieldServer
from tests.servers.registry import Registry, distribution_3


class PullThrough(FieldServer):
    """Distribution 3 before another distribution 3, which is the one to fill."""

    name = "pull-through"
    takes_pushes = False
    deletes = False

    def start(self) -> None:
        """Start the registry behind it, then the cache."""
        self._behind = self._running.enter_context(Distribution(self.folder / "behind"))
        settings = {"REGISTRY_PROXY_REMOTEURL": self._behind.url}
        front = Registry(self.folder / "front", program=distribution_3(), env=settings)
        self.port = self._running.enter_context(front).port

    @property
    def origin(self) -> FieldServer:
        """The registry behind it."""
        return self._behind
