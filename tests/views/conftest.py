"""A browser for the pages, and what they must not do in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request

from regscope.tables import Snapshot
from regscope.views.report import Report, report
from tests.lab import row_snapshots


@pytest.fixture(scope="session")
def small() -> Snapshot:
    return row_snapshots.small()


@pytest.fixture(scope="session")
def large() -> Snapshot:
    return row_snapshots.large()


@pytest.fixture(scope="session")
def inside() -> Snapshot:
    return row_snapshots.inside()


@pytest.fixture(scope="session")
def inside_report(inside: Snapshot) -> Report:
    return report(inside)


@pytest.fixture(scope="session")
def small_report(small: Snapshot) -> Report:
    return report(small)


@pytest.fixture(scope="session")
def large_report(large: Snapshot) -> Report:
    return report(large)


@pytest.fixture(scope="session")
def tab(browser: Browser) -> Page:
    return browser.new_page()


@pytest.fixture
def show(tab: Page, tmp_path: Path) -> Iterator[Callable[[str], Page]]:
    """Opens a page from a file; at the end, it has asked for nothing else and complained of nothing."""
    path = tmp_path / "page.html"
    complaints: list[str] = []

    def asked(request: Request) -> None:
        if request.url not in (path.as_uri(), "about:srcdoc"):
            complaints.append(f"asked for {request.url}")

    def said(message: ConsoleMessage) -> None:
        complaints.append(f"said {message.text}")

    def raised(error: Error) -> None:
        complaints.append(f"raised {error}")

    def opened(dialog: Dialog) -> None:
        complaints.append(f"opened {dialog.message}")
        dialog.dismiss()

    def shown(html: str) -> Page:
        path.write_text(html, encoding="utf-8")
        tab.set_viewport_size({"width": 1280, "height": 900})
        tab.emulate_media(media="screen", color_scheme="light")
        tab.goto(path.as_uri())
        return tab

    listeners = {"request": asked, "console": said, "pageerror": raised, "dialog": opened}
    for event, listener in listeners.items():
        tab.on(event, listener)  # type: ignore[call-overload]
    yield shown
    tab.wait_for_timeout(20)  # what came last is told a little later
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)
    assert complaints == []
