"""Snapshots to explore."""

from __future__ import annotations

import pytest

from regscope.tables import Snapshot
from tests.views import registries


@pytest.fixture(scope="session")
def small() -> Snapshot:
    return registries.small()


@pytest.fixture(scope="session")
def large() -> Snapshot:
    return registries.large(300)


@pytest.fixture(scope="session")
def inside() -> Snapshot:
    return registries.inside()
