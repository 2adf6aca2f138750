"""Moving bytes: one large blob, many small ones, and a repository within its registry."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import regscope as rs
from regscope.spec.digest import Digest
from regscope.spec.media_types import OCI_LAYER
from regscope.stores.layout_writer import Layer, LayoutWriter
from tests.benchmarks import transfer_client
from tests.benchmarks.scans import DELAY, PEERS, Row
from tests.benchmarks.scans import row as _row
from tests.benchmarks.servers import slow_link
from tests.servers.registry import Registry

LARGE = 250_000_000
SMALL, SMALL_BYTES = 500, 10_000
_PYTHON = ("regscope", "bare loop", *PEERS)
_COPY = """
import json, sys, time
from regscope import copy
started = time.monotonic()
copy(*sys.argv[1:], progress=False)
print(json.dumps({"seconds": time.monotonic() - started}))
"""

Timed = Callable[[], float]
"""Does it once; seconds."""


class Transfers:
    """The images, and where they go."""

    def __init__(self, folder: Path, peers: Path, rounds: int) -> None:
        self.folder, self.peers, self.rounds = folder, peers, rounds
        self.crane = shutil.which("crane")
        generator = random.Random(1)
        self.blob = folder / "large"
        self.blob.write_bytes(generator.randbytes(LARGE))
        self.digest = Digest.of(self.blob.read_bytes())
        self._layout(folder / "large-layout", [self.blob.read_bytes()])
        self._layout(folder / "small-layout", [generator.randbytes(SMALL_BYTES) for _ in range(SMALL)])
        self._numbers = itertools.count()
        self._outputs: list[Path] = []

    def _layout(self, folder: Path, contents: list[bytes]) -> None:
        with LayoutWriter(folder) as writer:
            layers = [Layer(writer.blob(content, OCI_LAYER), Digest.of(content), "COPY") for content in contents]
            writer.tag("app:1", writer.image(layers, created="2024-01-01T00:00:00Z"))

    def fresh(self) -> Path:
        """A path where nothing is, and nothing will be once it was measured."""
        self._outputs.append(self.folder / f"out-{next(self._numbers)}")
        return self._outputs[-1]

    @contextlib.contextmanager
    def registry(self, *layouts: str) -> Iterator[Registry]:
        """A registry that holds these."""
        folder = self.folder / f"registry-{next(self._numbers)}"
        with Registry(folder, env={"GOGC": "800"}) as server:
            for name in layouts:
                rs.copy(f"oci:{self.folder / name}", "app:1", server.url, progress=False)
            yield server
        shutil.rmtree(folder)

    def client(self, name: str, direction: str, host: str, file: Path) -> float:
        """Seconds of a Python client, without its imports."""
        python = str(self.peers) if name in PEERS else sys.executable
        script = str(transfer_client.__file__)
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())} if name not in PEERS else None
        done = subprocess.run(
            [python, script, name, direction, host, "app", self.digest, str(file)],
            capture_output=True, text=True, timeout=300, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return float(json.loads(done.stdout.splitlines()[-1])["seconds"])

    def copy(self, source: str, images: str, target: str, *to: str) -> float:
        """Seconds of `rs.copy`, without the imports."""
        command = [sys.executable, "-c", _COPY, source, images, target, *to]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return float(json.loads(done.stdout.splitlines()[-1])["seconds"])

    def run(self, *command: str, output: Path | None = None) -> float:
        """Seconds of another program."""
        started = time.monotonic()
        with output.open("wb") if output else contextlib.nullcontext(subprocess.DEVNULL) as out:
            done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return time.monotonic() - started

    def skopeo(self, source: str, target: str) -> float:
        """Seconds of `skopeo copy`."""
        how = ["--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests"]
        return self.run("skopeo", "--insecure-policy", "copy", "-q", *how, source, target)

    def to_empty(self, link: str, timed: Callable[[str], float]) -> float:
        """Seconds of what is done to the host of an empty registry."""
        with self.registry() as server, slow_link(server.port, DELAY) as slow:
            return timed(server.host if link == "loopback" else slow.removeprefix("http://"))

    def others_pushing(self, layout: Path, link: str) -> dict[str, Timed]:
        """skopeo and crane, pushing the image in a layout."""
        name = f"oci:{layout}:app:1"
        found: dict[str, Timed] = {
            "skopeo": lambda: self.to_empty(link, lambda host: self.skopeo(name, f"docker://{host}/app:1"))
        }
        if crane := self.crane:
            how = (crane, "push", "--insecure", str(layout))
            found["crane"] = lambda: self.to_empty(link, lambda host: self.run(*how, f"{host}/app:1"))
        return found

    def medians(self, contenders: dict[str, Timed]) -> dict[str, float]:
        """Seconds of each, in turns."""
        found: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(self.rounds):
            for name, timed in contenders.items():
                found[name].append(timed())
                for path in self._outputs:
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
                self._outputs.clear()
        return {name: statistics.median(seconds) for name, seconds in found.items()}


def pull(bench: Transfers) -> list[Row]:
    """One large blob to a file, verified where the client does that."""

    def contenders(host: str) -> dict[str, Timed]:
        found: dict[str, Timed] = {
            name: partial(lambda name: bench.client(name, "pull", host, bench.fresh()), name) for name in _PYTHON
        }
        found["skopeo"] = lambda: bench.skopeo(f"docker://{host}/app:1", f"dir:{bench.fresh()}")
        if crane := bench.crane:
            blob = f"{host}/app@{bench.digest}"
            found["crane"] = lambda: bench.run(crane, "blob", "--insecure", blob, output=bench.fresh())
        return found

    rows: list[Row] = []
    wanted = {"skopeo": "≥ 3", "crane": "≥ 3", "bare loop": "≥ 0.95"} | dict.fromkeys(PEERS, "≥ 2.5")
    with bench.registry("large-layout") as server, slow_link(server.port, DELAY) as slow:
        rows += _faster("pull, loopback", bench.medians(contenders(server.host)), wanted)
        rows += _faster("pull, 20 ms", bench.medians(contenders(slow.removeprefix("http://"))), {})
    return rows


def push(bench: Transfers) -> list[Row]:
    """One large blob from a file, to an empty registry each time."""
    layout = bench.folder / "large-layout"

    def contenders(link: str) -> dict[str, Timed]:
        found: dict[str, Timed] = {
            name: partial(
                lambda name: bench.to_empty(link, lambda host: bench.client(name, "push", host, bench.blob)), name
            )
            for name in _PYTHON
        }
        return {**found, **bench.others_pushing(layout, link)}

    wanted = dict.fromkeys([*PEERS, "skopeo"], "≥ 1.2")
    return [
        *_faster("push, loopback", bench.medians(contenders("loopback")), wanted),
        *_faster("push, 20 ms", bench.medians(contenders("20 ms")), {}),
    ]


def between(bench: Transfers) -> list[Row]:
    """An image of one large layer, and one of 500 small ones, from a registry to an empty one."""
    rows: list[Row] = []
    for layout, what in (("large-layout", "250 MB"), ("small-layout", "500 blobs")):
        with bench.registry(layout) as server, slow_link(server.port, DELAY) as slow:
            for link, source in (("loopback", server.url), ("20 ms", slow)):
                seconds = bench.medians(_copying(bench, link, source))
                rows += _shorter(f"{what} from registry to registry, {link}", seconds, {})
    return rows


def _copying(bench: Transfers, link: str, source: str) -> dict[str, Timed]:
    name = f"{source.removeprefix('http://')}/app:1"

    def ours(host: str) -> float:
        return bench.copy(source, "app:1", f"http://{host}")

    def skopeo(host: str) -> float:
        return bench.skopeo(f"docker://{name}", f"docker://{host}/app:1")

    def crane(host: str) -> float:
        return bench.run(str(bench.crane), "cp", "--insecure", name, f"{host}/app:1")

    found: dict[str, Timed] = {
        "regscope": partial(bench.to_empty, link, ours),
        "skopeo": partial(bench.to_empty, link, skopeo),
    }
    if bench.crane:
        found["crane"] = partial(bench.to_empty, link, crane)
    return found


def many(bench: Transfers) -> list[Row]:
    """An image of 500 small layers: to a layout, and to an empty registry."""
    layout = bench.folder / "small-layout"

    def pulling(url: str) -> dict[str, Timed]:
        host = url.removeprefix("http://")
        found: dict[str, Timed] = {
            "regscope": lambda: bench.copy(url, "app:1", f"oci:{bench.fresh()}"),
            "skopeo": lambda: bench.skopeo(f"docker://{host}/app:1", f"oci:{bench.fresh()}:app"),
        }
        if crane := bench.crane:
            how = ("pull", "--insecure", "--format=oci", f"{host}/app:1")
            found["crane"] = lambda: bench.run(crane, *how, str(bench.fresh()))
        return found

    def pushing(link: str) -> dict[str, Timed]:
        ours: Timed = lambda: bench.to_empty(  # noqa: E731
            link, lambda host: bench.copy(f"oci:{layout}", "app:1", f"http://{host}")
        )
        return {"regscope": ours, **bench.others_pushing(layout, link)}

    rows: list[Row] = []
    wanted = {"skopeo": "≤ 0.5", "crane": "≤ 1.0"}
    with bench.registry("small-layout") as server, slow_link(server.port, DELAY) as slow:
        rows += _shorter("500 blobs pulled, loopback", bench.medians(pulling(server.url)), {})
        rows += _shorter("500 blobs pulled, 20 ms", bench.medians(pulling(slow)), wanted)
    rows += _shorter("500 blobs pushed, loopback", bench.medians(pushing("loopback")), {})
    rows += _shorter("500 blobs pushed, 20 ms", bench.medians(pushing("20 ms")), wanted)
    return rows


def within(bench: Transfers) -> list[Row]:
    """A repository of 12 images that share layers, copied within its registry: what travels, and how long it takes."""
    layout = bench.folder / "twelve"
    generator = random.Random(2)
    with LayoutWriter(layout) as writer:

        def layer(size: int) -> Layer:
            content = generator.randbytes(size)
            return Layer(writer.blob(content, OCI_LAYER), Digest.of(content), "COPY")

        base = [layer(5_000_000) for _ in range(3)]
        for number in range(12):
            writer.tag(f"app:{number}", writer.image([*base, layer(500_000)], created="2024-01-01T00:00:00Z"))
    with bench.registry() as server:
        rs.copy(f"oci:{layout}", "app:*", server.url, progress=False)
        before = len(server.requests())
        seconds = {"regscope": bench.copy(server.url, "app:*", server.url, "by-regscope")}
        asked = Counter(_kind(line) for line in server.requests()[before:])
        source, target = f"docker://{server.host}/app", f"docker://{server.host}/by-skopeo"
        seconds["skopeo"] = sum(bench.skopeo(f"{source}:{number}", f"{target}:{number}") for number in range(12))
        if bench.crane:
            names = (f"{server.host}/app", f"{server.host}/by-crane")
            seconds["crane"] = bench.run(bench.crane, "cp", "--insecure", "--all-tags", *names)
    part = "12 images within a registry"
    travelled = asked["PATCH blobs"] + asked["PUT blobs"] + asked["GET layers"]
    counted = ", ".join(f"{number} {kind}" for kind, number in sorted(asked.items()))
    return [
        _row(part, "blobs that travelled", str(travelled), "0"),
        _row(part, "requests", counted),
        *_shorter(part, seconds, {}),
    ]


def _kind(line: str) -> str:
    method, path, _ = line.split()
    parts = path.partition("?")[0].split("/")
    return f"{method} {next((part for part in ('manifests', 'blobs', 'tags') if part in parts), 'other')}"


def _faster(part: str, seconds: dict[str, float], wanted: dict[str, str]) -> list[Row]:
    rates = {name: LARGE / 1e6 / took for name, took in seconds.items()}
    rows = [_row(part, name, f"{rate:.0f} MB/s") for name, rate in rates.items()]
    ours = rates.pop("regscope")
    return rows + [
        _row(part, f"regscope / {name}", f"{ours / rate:.2f}", wanted.get(name, "")) for name, rate in rates.items()
    ]


def _shorter(part: str, seconds: dict[str, float], wanted: dict[str, str]) -> list[Row]:
    rows = [_row(part, name, f"{took:.2f} s") for name, took in seconds.items()]
    ours = seconds.pop("regscope")
    return rows + [
        _row(part, f"regscope / {name}, seconds", f"{ours / took:.2f}", wanted.get(name, ""))
        for name, took in seconds.items()
    ]


@contextlib.contextmanager
def prepared(peers: Path, rounds: int) -> Iterator[Transfers]:
    """The images in a folder, in memory where there is such a one: a disk's moods are larger than what is measured."""
    in_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None) as name:
        touched = Path(name) / "touched"  # on a virtual machine, memory that nobody has used yet is slow
        with touched.open("wb") as file:
            for _ in range(16 * LARGE // 2**20):
                file.write(bytes(2**20))
        touched.unlink()
        yield Transfers(Path(name), peers, rounds)
