"""A registry whose tags, once set, neither move nor go: cuelabs' ociregistry with immutable tags."""

from __future__ import annotations

from tests.field.servers.server import FieldServer
from tests.servers.oci import OCIRegistry


class ImmutableTags(FieldServer):
    """The registry in `tests/servers/oci_registry`, with `-immutable-tags`."""

    name = "immutable tags"
    deletes = False
    moves_tags = False

    def start(self) -> None:
        """Start it."""
        self.port = self._running.enter_context(OCIRegistry("-immutable-tags")).port
