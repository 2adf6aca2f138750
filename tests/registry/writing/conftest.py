"""Empty registries to write to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from regscope.registry.client import DockerRegistryV2Client
from tests.servers.empty import empty_registry
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry


@pytest.fixture(params=["docker-registry", "oci-registry"])
def writable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry | OCIRegistry]:
    """An empty registry of each kind."""
    with empty_registry(request.param, tmp_path / "registry") as server:
        yield server


@pytest.fixture
def client(writable: Registry | OCIRegistry) -> Iterator[DockerRegistryV2Client]:
    """A client of it."""
    with DockerRegistryV2Client(writable.url) as made:
        yield made


@pytest.fixture
def faulty(writable: Registry | OCIRegistry) -> Iterator[FaultProxy]:
    """A proxy before it."""
    with FaultProxy(writable.url) as server:
        yield server
