"""zuul-registry: the registry of OpenStack's Zuul, which deletes nothing and whose tokens know two levels."""

from __future__ import annotations

import json

from tests.field.servers.server import FieldServer, built, finished, free_port


class Zuul(FieldServer):
    """zuul-registry over a folder; everybody reads, and who logs in writes."""

    name = "zuul-registry 1.3"
    username = "zuul"
    password = "secretsecret"
    deletes = False

    def start(self) -> None:
        """Start it."""
        self._program = built("zuul", "bin", "zuul-registry")
        self.port = free_port()
        self._config = self.folder / "registry.yaml"
        settings = {
            "address": "127.0.0.1",
            "port": self.port,
            "public-url": self.url,
            "secret": "secret",
            "users": [{"name": "zuul", "pass": "secretsecret", "access": "write"}],
            "storage": {"driver": "filesystem", "root": str(self.folder / "storage")},
        }
        self._config.write_text(json.dumps({"registry": settings}))  # JSON is YAML
        process = self.run([self._program, "-c", self._config, "serve"], "zuul.log")
        self.wait(process, f"{self.url}/v2/", "zuul.log")

    def collect(self) -> None:
        """Have it prune what no tag names."""
        finished([self._program, "-c", self._config, "prune"], self.folder / "prune.log")
