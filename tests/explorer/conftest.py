"""Snapshots to explore, and notebooks in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from regscope.tables import Snapshot
from tests.explorer.jupyter import lab
from tests.views import registries
from tests.views.conftest import base_url, browser_type_launch_args

__all__ = ["base_url", "browser_type_launch_args"]


@pytest.fixture(scope="session")
def small() -> Snapshot:
    return registries.small()


@pytest.fixture(scope="session")
def large() -> Snapshot:
    return registries.large(300)


@pytest.fixture(scope="session")
def inside() -> Snapshot:
    return registries.inside()


@pytest.fixture(scope="session")
def lab_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder whose notebooks JupyterLab shows."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="session")
def lab_url(lab_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab, once for all tests."""
    with lab(lab_root, tmp_path_factory.mktemp("lab")) as url:
        yield url


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[Page]:
    """A window for the tests of a module, one after the other."""
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    page.set_default_timeout(20_000)
    yield page
    page.close()
