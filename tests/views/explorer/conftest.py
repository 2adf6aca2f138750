"""Snapshots to explore."""

from __future__ import annotations

import pytest

from regscope.tables import Snapshot
from tests.lab import row_snapshots


@pytest.fixture(scope="session")
def small() -> Snapshot:
    return row_snapshots.small()


@pytest.fixture(scope="session")
def large() -> Snapshot:
    return row_snapshots.large(300)


@pytest.fixture(scope="session")
def inside() -> Snapshot:
    return row_snapshots.inside()
