"""Snapshots to report on, built row by row."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from regscope.tables import Snapshot
from tests.lab.file_snapshots import Entry, directory, file, hardlink, symlink, whiteout

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Layer(NamedTuple):
    """A layer: its digest, its size and the build line that made it."""

    digest: str
    size: int | None
    created_by: str


class RegistryRows:
    """Rows of a registry's tables: add images to it, then ask for the snapshot."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self.blobs: dict[str, tuple[Any, ...]] = {}
        self.manifests: set[str] = set()
        self.placed: set[tuple[str, str]] = set()

    def image(
        self,
        repository: str,
        tags: Sequence[str],
        layers: Sequence[Layer],
        *,
        created: datetime | None = NOW,
        labels: Sequence[tuple[str, str]] = (),
        architecture: str = "amd64",
    ) -> str:
        """Add an image under all of `tags`; its digest."""
        inside = "".join(layer.digest for layer in layers)
        config, digest = sha("config", inside, created, architecture), sha("manifest", inside, created, architecture)
        for tag in tags:
            self.rows["tags"].append((repository, tag, digest, None, None, None))
        if (repository, digest) not in self.placed:
            self.placed.add((repository, digest))
            self.rows["placements"].append((repository, digest, "tag" if tags else "untagged", None, False, None))
        if digest in self.manifests:
            return digest
        self.manifests.add(digest)
        sizes = {layer.digest: layer.size for layer in layers}
        image_size = None if None in sizes.values() else 2000 + sum(size or 0 for size in sizes.values())
        self.rows["manifests"].append(
            (
                digest,
                MANIFEST,
                "image",
                900,
                config,
                None,
                None,
                "linux",
                architecture,
                None,
                created,
                len(layers),
                image_size,
            )
        )
        self.blobs[digest] = (digest, "manifest", 900, MANIFEST, False)
        self.blobs[config] = (config, "config", 2000, CONFIG, False)
        chain = ""
        for position, layer in enumerate(layers):
            chain = sha("chain", chain, layer.digest)
            self.rows["layers"].append(
                (digest, position, layer.digest, sha("diff", layer.digest), chain, LAYER, layer.size, layer.created_by)
            )
            self.rows["history"].append(
                (digest, position, created, layer.created_by, None, False, layer.digest, layer.size)
            )
            self.blobs.setdefault(layer.digest, (layer.digest, "layer", layer.size, LAYER, False))
        self.rows["labels"] += [(digest, "config", key, value) for key, value in labels]
        return digest

    def contents(self, layer: Layer, *entries: Entry, same_tar_as: Layer | None = None) -> None:
        """Say what a layer holds: its files were read."""
        diff_id, size = sha("diff", (same_tar_as or layer).digest), layer.size or 0
        self.rows["unpacked"].append((layer.digest, diff_id, "gzip", size, 3 * size, len(entries)))
        self.rows["files"] += [(layer.digest, at, *astuple(entry)) for at, entry in enumerate(entries)]

    def problem(self, repository: str, reference: str, what: str, error: str) -> None:
        """Add something that could not be read."""
        self.rows["problems"].append((repository, reference, what, error))

    def snapshot(self, location: str = "registry.example.com", **about: Any) -> Snapshot:
        """The tables of all that was added."""
        about = {"sees_untagged": False, "taken_at": NOW, **about}
        return Snapshot.from_rows({**self.rows, "blobs": self.blobs.values()}, location=location, **about)


def sha(*parts: object) -> str:
    """A digest that is the same for the same parts."""
    return "sha256:" + hashlib.sha256("\x00".join(map(str, parts)).encode()).hexdigest()


def layer(name: str, size: int | None, created_by: str = "RUN make") -> Layer:
    """A layer that is the same for the same name."""
    return Layer(sha("layer", name), size, created_by)


def empty() -> Snapshot:
    """A registry with nothing in it."""
    return RegistryRows().snapshot()


def small() -> Snapshot:
    """Two repositories that share a base, a stale tag, a rebuilt base, a tag of an unknown age and two problems."""
    rows = RegistryRows()
    base, rebuilt = (
        layer("debian 12.0", 50_000_000, "ADD rootfs.tar /"),
        layer("debian 12.1", 51_000_000, "ADD rootfs.tar /"),
    )
    old = NOW - timedelta(days=400)
    rows.image("debian", ["12.0"], [base], created=old)
    rows.image("debian", ["12.1", "latest"], [rebuilt])
    rows.image("team/api", ["1.0"], [base, layer("api 1.0", 7_000_000, "COPY api /bin")], created=old)
    rows.image("team/api", ["1.0-again"], [base, layer("api 1.0", 7_000_000, "COPY api /bin")], created=old)
    rows.image("team/api", ["2.0"], [base, layer("api 2.0", 8_000_000, "COPY api /bin")])
    rows.image(
        "team/web", ["1"], [rebuilt, layer("web", 900, "COPY web /srv"), layer("assets", 30_000_000, "RUN npm ci")]
    )
    rows.image(
        "team/web", ["undated"], [layer("unknown", None, "RUN magic"), layer("tiny", 32, "RUN true")], created=None
    )
    rows.problem("team/broken", "latest", "manifest", "404: manifest unknown")
    rows.problem("team/api", "3.0", "config", "the digest does not match")
    return rows.snapshot()


def inside() -> Snapshot:
    """Two services on a base, with files: wasted ones, equal ones, twins, a rebuild, a deleted secret, a setuid bit."""
    rows = RegistryRows()
    base = layer("base", 900_000, "ADD rootfs.tar /")
    rows.contents(
        base,
        directory(""),
        file("usr/lib/libc.so", "libc", size=1_000_000, magic="elf"),
        file("usr/lib/old.so", "old", size=300_000, magic="elf"),
        file("usr/bin/su", "su", size=50_000, mode=0o4755),
        file("etc/passwd", "root:x:0:0", size=40),
    )
    app, fix = layer("app", 600_000, "COPY app /app"), layer("fix", 300_000, "RUN make")
    rows.contents(
        app,
        file("app/run", "one", size=700_000),
        hardlink("app/again", "app/run"),
        symlink("app/lib.so", "../usr/lib/libc.so"),
        file("app/key.pem", "key", size=1_700, secret="private key"),
        file("app/libc.so", "libc", size=1_000_000, magic="elf"),
        whiteout("usr/lib/old.so"),
    )
    rows.contents(fix, whiteout("app/again"), whiteout("app/key.pem"), file("app/run", "two", size=800_000))
    rows.image("team/api", ["1.0"], [base, app, fix])
    nightly = [layer(f"nightly {n}", 70_000 + n, "RUN pip install") for n in range(3)]
    for n, (one, content) in enumerate(zip(nightly, ["same", "same", "other"], strict=True)):
        rows.contents(one, file("opt/tool.py", content, size=90_000, mtime=NOW - timedelta(days=n)))
        rows.image("team/nightly", [str(n)], [base, one], created=NOW - timedelta(days=n))
    return rows.snapshot()


BASES = ["debian", "alpine", "ubuntu", "python", "node", "golang", "eclipse-temurin", "nginx"]
TEAMS = ["platform", "payments", "search", "mobile-backend", "data", "internal-tools"]
SERVICES = ["api", "worker", "frontend", "scheduler", "gateway", "importer", "ml-training"]
LINES = [
    "RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends curl ca-certificates gnupg # buildkit",
    "RUN /bin/sh -c pip install --no-cache-dir -r requirements.txt # buildkit",
    "COPY . /app # buildkit",
    "RUN /bin/sh -c npm ci && npm run build # buildkit",
    "/bin/sh -c #(nop) COPY file:8d1a9e0b2c3f4a5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5 in /etc/app/ ",
    "RUN |2 VERSION=1.4.2 TARGETARCH=amd64 /bin/sh -c make -j8 install # buildkit",
    "COPY --from=build /out/bin /usr/local/bin # buildkit",
    "RUN /bin/sh -c python -m compileall /app && useradd --system app # buildkit",
]


def large(images: int = 1000, layers_each: int = 6) -> Snapshot:
    """Services of six teams on eight bases: `images` images of `layers_each` layers, built over two years."""
    rows, chance = RegistryRows(), random.Random(7)
    bases = []
    for name in BASES:
        for version in range(4):
            first = layer(
                f"{name} {version}", chance.randrange(3_000_000, 90_000_000), "ADD file:0a1b rootfs.tar.xz / # buildkit"
            )
            second = layer(f"{name} {version} tools", chance.randrange(200_000, 20_000_000), LINES[0])
            created = NOW - timedelta(days=700 - 170 * version)
            rows.image(f"library/{name}", [f"1.{version}", f"1.{version}-slim"], [first, second], created=created)
            bases.append((first, second))
    made = [f"{team}/{service}" for team in TEAMS for service in SERVICES]
    popular = {name: 1 / (rank + 1) for rank, name in enumerate(chance.sample(made, len(made)))}
    for number in range(images - len(bases)):
        repository = chance.choices(made, [popular[name] for name in made])[0]
        age = chance.randrange(0, 700)
        base = bases[hash_of(repository) % len(BASES) * 4 + max(0, 3 - age // 170)]
        dependencies = [
            layer(f"{repository} {line} {age // 90}", int(chance.lognormvariate(15.5, 1.6)), line)
            for line in chance.sample(LINES, 2)
        ]
        own = [
            layer(f"{repository} {number} {n}", int(chance.lognormvariate(12.5, 2.2)) + 32, chance.choice(LINES))
            for n in range(layers_each - 4)
        ]
        built = NOW - timedelta(days=age, minutes=chance.randrange(1440))
        rows.image(repository, [f"{chance.randrange(1, 4)}.{number}"], [*base, *dependencies, *own], created=built)
    rows.problem("search/api", "0.9", "manifest", "404 Not Found: manifest unknown (MANIFEST_UNKNOWN)")
    rows.problem(
        "data/importer", "sha256:0a1b2c", "config", "ReadTimeout: the registry did not answer within 60 seconds"
    )
    return rows.snapshot()


def hash_of(name: str) -> int:
    """A number that is the same in every process."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
