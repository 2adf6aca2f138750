"""The client of those who name none: an anonymous one of Docker Hub, which connects when it is first used."""

from __future__ import annotations

from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.endpoint import OFFICIAL_ENDPOINT

default_client = DockerRegistryV2Client.from_api_endpoint(OFFICIAL_ENDPOINT)


def set_default_client(client: DockerRegistryV2Client) -> None:
    """From now on `default_client`, by whatever name it was imported, is like `client`, and shares its connections."""
    default_client.__class__ = client.__class__
    default_client.__dict__ = client.__dict__
