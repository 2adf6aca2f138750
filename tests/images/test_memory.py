"""A blob of 800 MB is pushed, pulled and copied in little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Passing
from regscope.spec.media_types import OCI_LAYER
from regscope.stores.layout_writer import Layer, LayoutWriter
from tests.servers.registry import Registry

SIZE = 800_000_000
MOST = 150_000_000  # bytes

# Of this process alone: getrusage also counts what the process had that it was made from.
COPY = """
import re, sys, regscope
regscope.copy(sys.argv[1], "large:1", sys.argv[2])
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024)
"""


def write(folder: Path) -> None:
    """A layout whose image has one layer of 800 MB: a hole in a file, but for its beginning."""
    blobs = folder / "blobs" / "sha256"
    with LayoutWriter(folder) as writer:
        with (folder / "large").open("wb") as file:
            file.write(b"large")
            file.truncate(SIZE)
        passing = Passing()
        with (folder / "large").open("rb") as file:
            while piece := file.read(2**20):
                passing.take(piece)
        (folder / "large").rename(blobs / passing.digest.encoded)
        layer = Descriptor(mediaType=OCI_LAYER, digest=passing.digest, size=SIZE)
        writer.tag("large:1", writer.image([Layer(layer, passing.digest, "COPY")], created="2024-01-01T00:00:00Z"))


def memory_of_copy(source: str, target: str) -> int:
    """The most memory (bytes) that a process had which copied the image."""
    command = [sys.executable, "-c", COPY, source, target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True)
    return int(done.stdout)


def test_a_large_blob_passes_through_little_memory(tmp_path: Path) -> None:
    write(tmp_path / "layout")
    with Registry(tmp_path / "first") as first:
        pushed = memory_of_copy(f"oci:{tmp_path / 'layout'}", first.url)
        with Registry(tmp_path / "second") as second:
            copied = memory_of_copy(first.url, second.url)
            assert sum(second.blob_digests().values()) > SIZE
        for file in (tmp_path / "second").rglob("data"):
            file.unlink()
        pulled = memory_of_copy(first.url, f"oci:{tmp_path / 'pulled'}")
    print({"pushed": pushed, "copied": copied, "pulled": pulled})
    assert max(pushed, copied, pulled) < MOST
