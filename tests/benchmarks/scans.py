"""Reading many images: cold, by CPU, over a slow link, and a second time."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import clients
from tests.benchmarks.servers import nginx, slow_link
from tests.lab.many_images import Image, images, push, write_files
from tests.servers.registry import Registry

PEERS = ("moby-distribution", "oras", "python-dxf")
_PACKAGES = ("moby-distribution==0.8.2", "oras==0.2.43", "python-dxf==12.1.1")
DELAY = 0.020

Run = dict[str, float]
Row = dict[str, object]


@dataclass
class Bench:
    """What all parts share: the images, where they are served, and the peers' Python."""

    folder: Path
    images: list[Image]
    registry: Registry
    static: str
    peers: Path
    rounds: int

    def ours(self, url: str, cache: Path | str = "") -> Run:
        """One scan by regscope."""
        return self._checked([sys.executable, "-m", "tests.benchmarks.ours", url, *([str(cache)] if cache else [])])

    def client(self, name: str, url: str, threads: int, number: int | None = None) -> Run:
        """One reading of `number` images, all by default, by another client."""
        listed = self.folder / "listed"
        listed.write_text("\n".join(dict.fromkeys(image[0] for image in self.images[:number])))
        python = sys.executable if name == "bare sockets" else str(self.peers)
        return self._checked([python, str(clients.__file__), name, url, str(threads), str(listed)], number)

    def _checked(self, command: list[str], number: int | None = None) -> Run:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        run: Run = json.loads(done.stdout.splitlines()[-1])
        some = self.images[:number]
        assert (run["images"], run["bytes"]) == (len(some), sum(len(image[3]) for image in some)), (command, run)
        return run

    def fresh(self) -> Path:
        """A folder for a cache that holds nothing."""
        return Path(tempfile.mkdtemp(dir=self.folder))


@contextlib.contextmanager
def peers(python: str | None) -> Iterator[Path]:
    """A Python that has the peers; where none is named they are installed."""
    if python:
        yield Path(python)
        return
    with tempfile.TemporaryDirectory() as name:
        yield _install(Path(name) / "peers")


@contextlib.contextmanager
def prepared(peers: Path, rounds: int, repositories: int = 200) -> Iterator[Bench]:
    """A filled registry and a static server."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        all_images = images(repositories)
        registry = stack.enter_context(Registry(folder / "registry", env={"GOGC": "800"}))
        push(registry, all_images)
        write_files(folder / "static" / "files", all_images)
        static = stack.enter_context(nginx(folder / "static"))
        yield Bench(folder, all_images, registry, static, peers, rounds)


def _install(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", *_PACKAGES], check=True)
    return python


def _rate(run: Run) -> float:
    return run["images"] / run["seconds"]


def cold(bench: Bench) -> list[Row]:
    """Images a second from a real registry; everybody at the best of several numbers of threads."""
    url = bench.registry.url
    settings = [("bare sockets", 16), *((peer, threads) for peer in PEERS for threads in (4, 8, 16, 32))]
    found: dict[str, list[float]] = {}
    bench.client("bare sockets", url, 16)  # nobody pays for the server's first look at its disk
    for _ in range(bench.rounds):  # in turns, so that a busy moment of the machine hits everybody
        found.setdefault("regscope", []).append(_rate(bench.ours(url)))
        found.setdefault("regscope, filling its cache", []).append(_rate(bench.ours(url, bench.fresh())))
        for name, threads in settings:
            found.setdefault(f"{name} ×{threads}", []).append(_rate(bench.client(name, url, threads)))
    rates = {name: statistics.median(values) for name, values in found.items()}
    rates["skopeo inspect, xargs -P 8"] = _skopeo(bench)
    best = max((rate, name) for name, rate in rates.items() if name.startswith(PEERS))
    ours, bare = rates["regscope"], rates["bare sockets ×16"]
    rows: list[Row] = [row("cold", name, f"{rate:.0f} images/s") for name, rate in rates.items()]
    rows.append(row("cold", f"regscope / best Python peer ({best[1]})", f"{ours / best[0]:.2f}", "≥ 1.8"))
    rows.append(row("cold", "regscope / bare sockets", f"{ours / bare:.2f}", "≥ 0.75"))
    return rows


def _skopeo(bench: Bench, number: int = 100) -> float:
    names = "".join(f"docker://{bench.registry.host}/{image[0]}:{image[1]}\n" for image in bench.images[:number])
    command = ["xargs", "-P", "8", "-n", "1", "skopeo", "inspect", "--tls-verify=false", "--no-tags"]
    started = time.monotonic()
    done = subprocess.run(command, input=names, capture_output=True, text=True, check=True)
    assert done.stdout.count('"Digest"') == min(number, len(bench.images))
    return min(number, len(bench.images)) / (time.monotonic() - started)


def cpu(bench: Bench) -> list[Row]:
    """CPU milliseconds an image, the same bytes served as files; the peers at their cheapest number of threads."""

    def milliseconds(run: Run) -> float:
        return 1000 * run["cpu"] / run["images"]

    found: dict[str, list[float]] = {}
    for _ in range(bench.rounds):
        found.setdefault("regscope, as it comes", []).append(milliseconds(bench.ours(bench.static)))
        for name in ("bare sockets", *PEERS):
            for threads in (1, 4):
                run = bench.client(name, bench.static, threads)
                found.setdefault(f"{name} ×{threads}", []).append(milliseconds(run))
    costs = {name: statistics.median(values) for name, values in found.items()}
    best = min((cost, name) for name, cost in costs.items() if name.startswith(PEERS))
    ratio = costs["regscope, as it comes"] / best[0]
    rows: list[Row] = [row("CPU", name, f"{cost:.2f} ms/image") for name, cost in costs.items()]
    return [*rows, row("CPU", f"regscope / best Python peer ({best[1]})", f"{ratio:.2f}", "≤ 0.5")]


def delay(bench: Bench) -> list[Row]:
    """Images a second over a link with 20 ms a round trip."""
    with slow_link(bench.registry.port, DELAY) as url:
        link = _rate(bench.client("bare sockets", url, 64))
        ours = statistics.median(_rate(bench.ours(url)) for _ in range(bench.rounds))
        rows: list[Row] = [
            row("20 ms", "bare sockets ×64: what the link carries", f"{link:.0f} images/s"),
            row("20 ms", "regscope", f"{ours:.0f} images/s"),
        ]
        for peer in PEERS:
            alone = _rate(bench.client(peer, url, 1, 100))
            together = statistics.median(_rate(bench.client(peer, url, 16)) for _ in range(bench.rounds))
            rows += [
                row("20 ms", f"{peer}, one after another", f"{alone:.1f} images/s"),
                row("20 ms", f"{peer} ×16", f"{together:.0f} images/s"),
                row("20 ms", f"regscope / {peer}, one after another", f"{ours / alone:.1f}", "≥ 20"),
                row("20 ms", f"regscope / {peer} ×16", f"{ours / together:.2f}", "≥ 2"),
            ]
    return rows


def second(bench: Bench) -> list[Row]:
    """The same scan again, with the cache that the first one filled."""
    ratios, rates = [], []
    for _ in range(bench.rounds):
        cache = bench.fresh()
        first = bench.ours(bench.registry.url, cache)
        before = len(bench.registry.requests())
        again = bench.ours(bench.registry.url, cache)
        asked = Counter(_kind(line) for line in bench.registry.requests()[before:])
        ratios.append(first["seconds"] / again["seconds"])
        rates.append((_rate(first), _rate(again)))
    others = {kind: count for kind, count in asked.items() if kind != "unchanged manifests"}
    return [
        row("second scan", "first", f"{statistics.median(rate for rate, _ in rates):.0f} images/s"),
        row("second scan", "second", f"{statistics.median(rate for _, rate in rates):.0f} images/s"),
        row(
            "second scan",
            "requests a tag",
            f"{asked['unchanged manifests'] / len(bench.images):.2f}, answered 304",
            "1",
        ),
        row(
            "second scan",
            "manifests and configs fetched",
            f"{others.get('GET manifests', 0) + others.get('GET blobs', 0)}",
            "0",
        ),
        row("second scan", "second / first", f"{statistics.median(ratios):.2f}", "≥ 4"),
    ]


def _kind(line: str) -> str:
    method, path, status = line.split()
    if status == "304":
        method = "unchanged"
    parts = path.partition("?")[0].split("/")
    return f"{method} {next((part for part in ('manifests', 'blobs', 'tags') if part in parts), 'other')}"


def row(part: str, what: str, value: str, wanted: str = "") -> Row:
    """One line of the table."""
    return {"part": part, "what": what, "measured": value, "wanted": wanted}


def machine() -> str:
    """Cores and processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores, {models[0] if models else 'unknown processor'}"
