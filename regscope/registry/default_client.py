"""The client that is used where none is given: an anonymous client of Docker Hub, which connects on first use."""

from __future__ import annotations

from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.endpoint import OFFICIAL_ENDPOINT

default_client = DockerRegistryV2Client.from_api_endpoint(OFFICIAL_ENDPOINT)


def set_default_client(client: DockerRegistryV2Client) -> None:
    """Make `default_client` work as `client`, also where it was imported already; both share their connections."""
    default_client.__class__ = client.__class__
    default_client.__dict__ = client.__dict__
