"""Registries without content, by what they are."""

from __future__ import annotations

from pathlib import Path

from tests.servers.oci import OCIRegistry
from tests.servers.registry import Registry, distribution_3

KINDS = ("docker-registry", "distribution 3", "oci-registry")


def empty_registry(kind: str, folder: Path) -> Registry | OCIRegistry:
    """A registry of one of `KINDS`, to be started; `docker-registry` is distribution 2.8."""
    if kind == "oci-registry":
        return OCIRegistry()
    return Registry(folder, program=distribution_3() if kind == "distribution 3" else None)
