"""Killed in the middle, at random moments: the next run goes on from there, and the end is exact."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.spec.digest import Digest
from regscope.spec.manifest import OCIManifestSchema1
from regscope.spec.media_types import OCI_LAYER
from regscope.stores.layout_writer import Layer, LayoutWriter
from regscope.stores.open_store import open as open_store
from tests.forked import forked
from tests.servers.registry import Registry, distribution_3
from tests.servers.relay import Relay

ROUNDS = int(os.environ.get("KILLED_ROUNDS", "8"))
LAYERS = (20_000_000, 9_000_000, 3_000_000)
CHUNK = 2**20
AGAIN = len(LAYERS) * CHUNK  # the last piece of each layer that was on its way
TALK = 100_000  # bytes of headers, manifests and the config
RATE = 150e6  # bytes a second: slow enough to be killed anywhere


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout with an image of 32 MB."""
    folder = tmp_path_factory.mktemp("large") / "layout"
    generator = random.Random(1)
    with LayoutWriter(folder) as writer:
        layers = [
            Layer(writer.blob(content, OCI_LAYER), Digest.of(content), "COPY")
            for content in map(generator.randbytes, LAYERS)
        ]
        writer.tag("large:1", writer.image(layers, created="2024-01-01T00:00:00Z"))
    return folder


def copy(source: str, target: str) -> None:
    rs.copy(source, "large:1", target, progress=False)


def killed(source: str, target: str, relay: Relay, after: int) -> None:
    """Copy in a process that is killed once so many bytes have passed; it may be done before."""
    process = forked(copy, source, target)
    while process.is_alive() and relay.sent + relay.received < after:
        time.sleep(0.0005)
    process.kill()
    process.join()
    time.sleep(0.1)  # until the registry has heard of it


def content_of(location: str) -> dict[str, int]:
    """Digest and size of all that the image has, read and verified."""
    store = open_store(location, cache=False)
    manifest = store.manifest("large", "1").parse()
    assert isinstance(manifest, OCIManifestSchema1)
    blobs = (manifest.config, *manifest.layers)
    return {manifest.digest: 0} | {blob.digest: sum(map(len, store.blob("large", blob.digest))) for blob in blobs}


def in_registry(registry: Registry, *, unfinished: bool) -> int:
    """Bytes that a registry has of the image's blobs, and of those that are on their way."""
    uploads = (registry.storage / "docker").glob("**/_uploads/*/data") if unfinished else ()
    return sum(size for size in registry.blob_digests().values()) + sum(file.stat().st_size for file in uploads)


def at_rest(registry: Registry) -> Registry:
    """The registry, once it has come to an end with what the killed process had sent."""
    before: dict[Path, int] = {}
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        now: dict[Path, int] = {}
        for path in registry.storage.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # what was uploaded is moved to its place
                now[path] = path.stat().st_size
        if now == before:
            break
        before = now
        time.sleep(0.3)
    return registry


def moments() -> Iterator[int]:
    """Bytes after which to kill, anew in each run."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    generator = random.Random(seed)
    for _ in range(ROUNDS):
        yield generator.randrange(sum(LAYERS))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, large: Path) -> Iterator[Registry]:
    """A registry with the image."""
    with Registry(tmp_path_factory.mktemp("source")) as server:
        rs.copy(f"oci:{large}", "large:1", server.url)
        yield server


def test_a_pull_goes_on_within_a_blob(source: Registry, large: Path, tmp_path: Path) -> None:
    for number, moment in enumerate(moments()):
        folder = tmp_path / str(number)
        with Relay(source.port, rate=RATE) as relay:
            killed(relay.url, f"oci:{folder}", relay, moment)
            had = sum(file.stat().st_size for file in folder.glob("**/sha256*/*") if file.is_file())
            had += sum(file.stat().st_size for file in folder.glob(".unfinished/sha256-*"))
            before = relay.received
            copy(relay.url, f"oci:{folder}")
            assert relay.received - before <= sum(LAYERS) - min(had, sum(LAYERS)) + AGAIN + TALK
        assert content_of(f"oci:{folder}") == content_of(f"oci:{large}")


def test_a_push_goes_on_within_a_blob(large: Path, tmp_path: Path) -> None:
    program = distribution_3()
    for number, moment in enumerate(moments()):
        with Registry(tmp_path / str(number), program=program) as registry, Relay(registry.port, rate=RATE) as relay:
            killed(f"oci:{large}", relay.url, relay, moment)
            had, before = in_registry(at_rest(registry), unfinished=True), relay.sent
            copy(f"oci:{large}", relay.url)
            assert relay.sent - before <= sum(LAYERS) - min(had, sum(LAYERS)) + AGAIN + TALK
            assert content_of(registry.url) == content_of(f"oci:{large}")


def test_a_copy_goes_on_within_a_blob(source: Registry, large: Path, tmp_path: Path) -> None:
    program = distribution_3()
    for number, moment in enumerate(moments()):
        with (
            Registry(tmp_path / str(number), program=program) as registry,
            Relay(registry.port, rate=RATE) as relay,
            Relay(source.port) as reading,
        ):
            killed(reading.url, relay.url, relay, moment)
            had, before, read_before = in_registry(at_rest(registry), unfinished=True), relay.sent, reading.received
            copy(reading.url, relay.url)
            missing = sum(LAYERS) - min(had, sum(LAYERS))
            assert relay.sent - before <= missing + AGAIN + TALK
            assert reading.received - read_before <= missing + AGAIN + TALK
            assert content_of(registry.url) == content_of(f"oci:{large}")


def test_a_push_to_a_registry_that_forgets_broken_uploads_goes_on_with_the_next_blob(
    large: Path, tmp_path: Path
) -> None:
    for number, moment in enumerate(moments()):
        with Registry(tmp_path / str(number)) as registry, Relay(registry.port, rate=RATE) as relay:
            killed(f"oci:{large}", relay.url, relay, moment)
            had, before = in_registry(at_rest(registry), unfinished=False), relay.sent
            copy(f"oci:{large}", relay.url)
            assert relay.sent - before <= sum(LAYERS) - min(had, sum(LAYERS)) + AGAIN + TALK
            assert content_of(registry.url) == content_of(f"oci:{large}")
