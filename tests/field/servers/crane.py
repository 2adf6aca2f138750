"""`crane registry serve`: go-containerregistry's own registry, in memory."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.field.servers.server import FieldServer, NotStarted, free_port


class Crane(FieldServer):
    """It deletes manifests, and leaves the tags on them."""

    name = "crane registry"

    def start(self) -> None:
        """Start it."""
        program = shutil.which("crane") or shutil.which("crane", path=Path(sys.executable).parent)
        if program is None:
            raise NotStarted("there is no crane: `.ci/prepare` builds it where there is Go")
        self.port = free_port()
        process = self.run([program, "registry", "serve", "--address", self.host], "crane.log")
        self.wait(process, f"{self.url}/v2/", "crane.log")
