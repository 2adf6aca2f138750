"""A notebook in a browser: run it, use it, and see what it must not do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import ConsoleMessage, Dialog, Error, Locator, Page, Request

PICTURES = Path(__file__).parents[3] / ".screenshots"

# Notebook 7.6 raises them on any notebook, an empty one too; the second where JupyterLab has left a workspace.
_NOT_OURS = {
    "Cannot read properties of undefined (reading 'schema')",
    "Command 'filebrowser:open-path' not registered.",
}

_RUN = """
async () => {
  const app = window.jupyterapp;
  await app.restored;
  const notebook = app.shell.currentWidget;
  await notebook.context.ready;
  await notebook.sessionContext.ready;
  await notebook.sessionContext.session.kernel.info;
  return app.commands.execute("notebook:run-all-cells");
}
"""


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """A notebook of code cells."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made.metadata["voila"] = {"template": "regscope"}
    nbformat.write(made, path)


def run_in_lab(page: Page, jupyter: str, name: str) -> None:
    """Open a notebook in JupyterLab, run all of it, and wait for the first widget."""
    page.goto(f"{jupyter}/lab/tree/{name}?reset")
    _run(page)


def run_in_notebook(page: Page, jupyter: str, name: str) -> None:
    """The same in Notebook 7."""
    page.goto(f"{jupyter}/notebooks/{name}")
    _run(page)


def run_in_voila(page: Page, jupyter: str, name: str, theme: str = "light") -> None:
    """The same in Voila, which runs what it opens."""
    page.goto(f"{jupyter}/voila/render/{name}?theme={theme}")
    page.locator(".regscope").first.wait_for()


def _run(page: Page) -> None:
    page.wait_for_function("() => window.jupyterapp && document.querySelector('.jp-Notebook .jp-CodeCell')")
    page.evaluate(_RUN)
    page.locator(".regscope").first.wait_for()


@contextmanager
def watched(page: Page, url: str) -> Iterator[None]:
    """At the end the page has asked nothing of another machine, opened no dialog, and complained of nothing."""
    page.goto("about:blank")  # what was open before says no more
    complaints: list[str] = []
    host = url.split("/")[2]

    def asked(request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")) and request.url.split("/")[2] != host:
            complaints.append(f"asked for {request.url}")

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"said {message.text}")

    def raised(error: Error) -> None:
        if error.message not in _NOT_OURS:
            complaints.append(f"raised {error}")

    def opened(dialog: Dialog) -> None:
        complaints.append(f"opened {dialog.message}")
        dialog.dismiss()

    listeners: dict[Any, Any] = {"request": asked, "console": said, "pageerror": raised, "dialog": opened}
    for event, listener in listeners.items():
        page.on(event, listener)
    yield
    page.wait_for_timeout(50)  # what came last is told a little later
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    assert not complaints, complaints


def settled(page: Page) -> None:
    """Wait until the kernel has answered everything that was done."""
    page.wait_for_function("() => !document.querySelector('.regscope[aria-busy]')")


def open_tab(page: Page, name: str) -> None:
    """Open a view of the explorer."""
    tab = page.get_by_role("tablist", name="Views").get_by_role("tab", name=name, exact=True)
    tab.click()
    page.wait_for_function("(tab) => tab.getAttribute('aria-selected') === 'true'", arg=tab.element_handle())
    settled(page)


def pane(page: Page, heading: str) -> Locator:
    """The pane with this heading."""
    return page.locator(".regscope", has=page.get_by_role("heading", name=heading, exact=True))


def column(found: Locator, number: int) -> list[str]:
    """What stands in a column of the pane's table."""
    return [cell.strip() for cell in found.locator(f"tbody td:nth-child({number})").all_inner_texts()]


def picture(page: Page, name: str) -> None:
    """Keep a screenshot."""
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")
