"""A browser for the tests, and Jupyter to open in it: one of each for all of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.views.explorer.jupyter import jupyter

PATIENCE = 90_000  # ms: a machine may have much else to do
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Chromium without what it does of its own accord on the network; the system's, where there is one."""
    quiet = ["background-networking", "component-update", "gpu", "quic", "sync"]
    args = ["--no-sandbox", "--no-first-run", *(f"--disable-{feature}" for feature in quiet)]
    installed = shutil.which("chromium")
    return {**browser_type_launch_args, "args": args, **({"executable_path": installed} if installed else {})}


@pytest.fixture(scope="session")
def base_url() -> None:
    """Pages are opened by their whole address. (pytest 9.1 and later deprecate how pytest-playwright gives its own.)"""


@pytest.fixture(scope="session")
def notebooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder whose notebooks Jupyter shows."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="session")
def jupyter_url(notebooks: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab, Notebook 7 and Voila, once for all tests."""
    with jupyter(notebooks, tmp_path_factory.mktemp("jupyter")) as url:
        yield url


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[Page]:
    """A window for the tests of a module, one after the other."""
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    page.set_default_timeout(PATIENCE)
    yield page
    page.close()
