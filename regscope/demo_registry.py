"""A registry for trying things out: in memory, on loopback, and gone when it is closed."""

from __future__ import annotations

import tempfile
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from regscope.demo import build_demo
from regscope.demo_content import Kept, needed_by
from regscope.demo_handler import DemoHandler
from regscope.images.copying import copy


class DemoRegistry:
    """A registry with the OCI distribution API, for examples and for trying out what deletes things.

    It listens on loopback, accepts every request without a login, and loses its content when it is closed:

        with rs.DemoRegistry(sample=True) as registry:
            snap = rs.scan(rs.open(registry.url))

    Args:
        sample: start with the images of `build_demo`; else it is empty.

    Attributes:
        url: its address.
    """

    def __init__(self, *, sample: bool = False) -> None:
        kept = Kept()

        class Handler(DemoHandler):
            registry = kept

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._kept = kept
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="demo-registry", daemon=True).start()
        if sample:
            try:
                self._fill()
            except BaseException:
                self.close()
                raise

    def _fill(self) -> None:
        """Copy the sample into the registry, with referrers and untagged manifests."""
        with tempfile.TemporaryDirectory() as folder:
            layout = f"oci:{build_demo(Path(folder) / 'sample')}"
            copy(layout, "*:*", self.url, referrers=True, progress=False)
            copy(layout, "sample@*", self.url, "team/api", progress=False)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all stored content."""
        with self._kept.alone:
            return sum(map(len, self._kept.blobs.values()))

    def collect_garbage(self) -> int:
        """Delete the blobs that no manifest needs; returns the freed bytes."""
        before = self.stored_bytes
        with self._kept.alone:
            blobs = self._kept.blobs
            needed = {needed for _, digest in self._kept.manifests for needed in needed_by(digest, blobs[digest])}
            for digest in set(blobs) - needed:
                del blobs[digest]
        return before - self.stored_bytes

    def close(self) -> None:
        """Stop the registry."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DemoRegistry({self.url!r})"
