"""A registry in Docker Hub's place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from regscope import DockerRegistryV2Client, default_client, set_default_client
from tests.lab.images import push
from tests.servers.registry import Registry


@pytest.fixture
def hub(tmp_path: Path, layout: Path) -> Iterator[Registry]:
    """A registry in Docker Hub's place: the client of those who name none."""
    before = default_client.__class__, default_client.__dict__
    with Registry(tmp_path / "hub") as server:
        push(layout, server, only="legacy:1")  # a Docker image
        push(layout, server, only="app:1.0")  # an OCI one
        set_default_client(DockerRegistryV2Client(server.url))
        yield server
    default_client.close()
    default_client.__class__, default_client.__dict__ = before
