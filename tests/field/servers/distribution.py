"""Distribution 3, the registry that the others are compared with: a test that fails here says nothing of them."""

from __future__ import annotations

from tests.field.servers.server import FieldServer
from tests.servers.registry import Registry, distribution_3


class Distribution(FieldServer):
    """Distribution 3 over a folder."""

    name = "distribution 3.0"

    def start(self) -> None:
        """Start it."""
        self._registry = self._running.enter_context(Registry(self.folder, program=distribution_3()))
        self.port = self._registry.port

    def collect(self) -> None:
        """Collect what no manifest names."""
        self._registry.garbage_collect()
