"""The explorer and the policy builder in Voila's dark theme, as `voila --theme=dark` gives it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.views.explorer import test_themes as explorer
from tests.views.explorer.browsing import run_in_voila, watched, write_notebook
from tests.views.remediator import test_themes as remediator


@pytest.mark.parametrize(
    ("cell", "look", "name"),
    [
        (explorer.OPEN, explorer.look_at_each_view, "voila-dark"),
        (remediator.OPEN, remediator.look_at_it, "remediate-voila-dark"),
    ],
    ids=["explorer", "policy builder"],
)
def test_everything_that_is_written_stands_out_from_its_ground(
    window: Page, jupyter_url: str, notebooks: Path, cell: str, look: Callable[[Page, str], None], name: str
) -> None:
    write_notebook(notebooks / f"{name}.ipynb", [cell])
    with watched(window, jupyter_url):
        run_in_voila(window, jupyter_url, f"{name}.ipynb", "dark")
        window.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
        look(window, name)
