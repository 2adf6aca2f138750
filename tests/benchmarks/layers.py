"""Looking into layers: one large layer, an image of many, and layers that were looked into before."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from isal.igzip_lib import DECOMP_GZIP, IgzipDecompressor

import regscope as rs
from regscope.spec.digest import Digest
from regscope.spec.media_types import OCI_LAYER_GZIP
from regscope.stores.layout_writer import Layer, LayoutWriter
from tests.benchmarks.scans import Row, row

_BYTES, _FILES = 400_000_000, 20_000
_MANY = 12  # layers
_ROUNDS = 3
_KNOWN_LAYERS, _KNOWN_ROWS = 500, 4_000
_PIECE = 2**20

Timed = Callable[[], float]


def layers(_: object = None) -> list[Row]:
    """Seconds, as uncompressed bytes a second, each contender in turn, the median of several rounds."""
    in_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None) as name:
        folder = Path(name)
        tars = list(_tars())
        total = sum(map(len, tars))
        one = _layout(folder / "one", [_joined(tars)])
        many = _layout(folder / "many", tars)
        rows = _one_layer(folder, one, total)
        rows += _many_layers(one, many, total)
    return rows + _known()


def _tars() -> Iterator[bytes]:
    """What this Python has installed, and itself, as tars of about the same size."""
    paths = sorted(_files())
    share = -(-len(paths) // _MANY)
    random.Random(1).shuffle(paths)
    for start in range(0, len(paths), share):
        written = io.BytesIO()
        with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for path in sorted(paths[start : start + share]):
                archive.add(path, recursive=False, filter=_whole_seconds)
        yield written.getvalue()


def _files() -> list[Path]:
    found, size = [], 0
    for place in (sysconfig.get_path("platlib"), sysconfig.get_path("stdlib"), "/usr/lib", "/usr/share"):
        for folder, _, names in os.walk(place):
            for path in (Path(folder, name) for name in names):
                if path.is_file() and not path.is_symlink() and path.stat().st_size < 20_000_000:
                    found.append(path)
                    size += path.stat().st_size
            if size > 1.1 * _BYTES and len(found) > 1.1 * _FILES:
                return found
    raise RuntimeError("this machine has too few files to measure with")


def _whole_seconds(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = int(member.mtime)
    return member


def _joined(tars: list[bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for tar in tars:
            with tarfile.open(fileobj=io.BytesIO(tar)) as part:
                for member in part:
                    archive.addfile(member, part.extractfile(member))
    return written.getvalue()


def _layout(folder: Path, tars: list[bytes]) -> Path:
    with LayoutWriter(folder) as writer:
        made = [
            Layer(writer.blob(gzip.compress(tar, 6, mtime=0), OCI_LAYER_GZIP), Digest.of(tar), "COPY") for tar in tars
        ]
        writer.tag("app:1", writer.image(made, created="2024-01-01T00:00:00Z"))
    return folder


def _blobs(layout: Path) -> list[Path]:
    """The layers' files."""
    return sorted((path for path in (layout / "blobs/sha256").iterdir() if path.stat().st_size > 100_000), key=str)


def _one_layer(folder: Path, layout: Path, total: int) -> list[Row]:
    (blob,) = _blobs(layout)
    archive = folder / "app.tar"
    contenders: dict[str, Timed] = {
        "isal alone, one core": lambda: _timed(lambda: _unpack(blob)),
        "regscope": lambda: _scan(layout),
        "tarfile and hashlib": lambda: _timed(lambda: _by_tarfile(blob)),
        "tar tzvf": lambda: _run("tar", "tzvf", str(blob)),
    }
    if shutil.which("pigz"):
        contenders["pigz -dc | tar tv"] = lambda: _run("sh", "-c", f"pigz -dc < {blob} | tar tv")
    if dive := shutil.which("dive"):
        rs.copy(f"oci:{layout}", "app:1", f"docker-archive:{archive}", progress=False)
        report = str(folder / "dive.json")
        contenders["dive"] = lambda: _run(dive, f"docker-archive://{archive}", "--json", report)
    rates = {name: total / 1e6 / seconds for name, seconds in _medians(contenders).items()}
    wanted = {"isal alone, one core": "≥ 0.75", "tarfile and hashlib": "≥ 3", "tar tzvf": "≥ 3", "dive": "> 1"}
    part = f"one layer of {total / 1e6:,.0f} MB"
    ours = rates["regscope"]
    return [
        *(row(part, name, f"{rate:.0f} MB/s") for name, rate in rates.items()),
        *(
            row(part, f"regscope / {name}", f"{ours / rate:.2f}", wanted.get(name, ""))
            for name, rate in rates.items()
            if name != "regscope"
        ),
    ]


def _many_layers(one: Path, many: Path, total: int) -> list[Row]:
    contenders: dict[str, Timed] = {
        "one layer": lambda: _scan(one),
        "one layer, on one core": lambda: _scan(one, cores=1),
        "many layers": lambda: _scan(many),
    }
    rates = {name: total / 1e6 / seconds for name, seconds in _medians(contenders).items()}
    part = f"an image of {_MANY} layers"
    ours = rates["many layers"]
    return [
        *(row(part, name, f"{rate:.0f} MB/s") for name, rate in rates.items()),
        row(part, "many layers / one layer", f"{ours / rates['one layer']:.2f}"),
        row(part, "many layers / one layer, on one core", f"{ours / rates['one layer, on one core']:.2f}", "≥ 1.6"),
    ]


def _known() -> list[Row]:
    """Layers whose files are in the cache already: how fast they come out, and that no layer is read."""
    generator = random.Random(3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with LayoutWriter(folder / "layout") as writer:
            made = [writer.layer(_small_files(generator), "COPY") for _ in range(_KNOWN_LAYERS)]
            writer.tag("app:1", writer.image(made, created="2024-01-01T00:00:00Z"))
        store = rs.open(f"oci:{folder / 'layout'}")
        cache = rs.DigestCache(folder / "cache")
        snap = rs.scan(store, progress=False)
        found = rs.scan_files(snap, store, cache=cache, progress=False)
        shutil.rmtree(folder / "layout" / "blobs")  # a layer that was read now would be a problem
        seconds = []
        for _ in range(_ROUNDS):
            started = time.monotonic()
            again = rs.scan_files(snap, store, cache=cache, progress=False)
            seconds.append(time.monotonic() - started)
            assert len(again.files) == len(found.files) == _KNOWN_LAYERS * _KNOWN_ROWS
            assert not len(again.problems)
            del again
    rate = len(found.files) / statistics.median(seconds) / 1e6
    part = f"{_KNOWN_LAYERS} layers looked into before"
    return [row(part, f"{len(found.files):,} rows", f"{rate:.2f} million rows/s", "≥ 2")]


def _small_files(generator: random.Random) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for number in range(_KNOWN_ROWS):
            content = generator.randbytes(24)
            member = tarfile.TarInfo(f"usr/lib/python3/dist-packages/{content.hex()[:8]}/module_{number}.py")
            member.size, member.mtime = len(content), 1_700_000_000 + number
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


_SCAN = """
import os, sys, time
if sys.argv[2] != "0":
    os.sched_setaffinity(0, set(list(os.sched_getaffinity(0))[: int(sys.argv[2])]))
import regscope as rs
store, cache, scan_files = rs.open("oci:" + sys.argv[1]), rs.DigestCache(sys.argv[3]), rs.scan_files
snap = rs.scan(store, progress=False)
started = time.monotonic()
found = scan_files(snap, store, cache=cache, progress=False)
print(time.monotonic() - started)
assert len(found.files) and not len(found.problems)
"""


def _scan(layout: Path, cores: int = 0) -> float:
    """Seconds of `scan_files` in a process of its own, with an empty cache, without the imports."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-c", _SCAN, str(layout), str(cores), cache]
        return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout)


def _unpack(blob: Path) -> None:
    unpacking = IgzipDecompressor(flag=DECOMP_GZIP)
    with blob.open("rb") as file:
        while packed := file.read(_PIECE):
            unpacking.decompress(packed, _PIECE)
            while not unpacking.needs_input and not unpacking.eof:
                unpacking.decompress(b"", _PIECE)


def _by_tarfile(blob: Path) -> None:
    """As one would write it: every file's name and sum."""
    with tarfile.open(blob, "r|gz") as archive:
        for member in archive:
            if (content := archive.extractfile(member)) is not None:
                hasher = hashlib.sha256()
                while piece := content.read(_PIECE):
                    hasher.update(piece)


def _run(*command: str) -> float:
    quiet = subprocess.DEVNULL
    return _timed(lambda: subprocess.run(command, check=True, stdout=quiet, stderr=quiet, timeout=300))


def _timed(do: Callable[[], object]) -> float:
    started = time.monotonic()
    do()
    return time.monotonic() - started


def _medians(contenders: dict[str, Timed]) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(_ROUNDS):
        for name, timed in contenders.items():
            found[name].append(timed())
    return {name: statistics.median(seconds) for name, seconds in found.items()}
