"""What a registry says is text in the policy builder, in a browser as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.views.explorer.browsing import pane, run_in_lab, run_in_voila, settled, watched, write_notebook

_SCRIPT = "<script>alert('script')</script>"
_IMAGE = "\"'><img src=x onerror=alert('image')>"
_BIDI = "abc\u202etxt.exe\u2066"

# A layout's names are what somebody wrote into its index: no registry would take them.
_OPEN = """
from pathlib import Path
import regscope as rs
from tests.lab.drawn_registries import image, layer
from tests.lab.layouts import write
names = {names!r}
made = {{f"{{name}}:{{name}}": image([layer(name, 90)], n + 1) for n, name in enumerate(names)}}
store = rs.open(f"oci:{{write(Path({folder!r}), made)}}", cache=False)
ui = rs.remediate(rs.scan(store, progress=False), store)
ui
"""


@pytest.fixture(params=[run_in_lab, run_in_voila])
def notebook(
    window: Page, jupyter_url: str, notebooks: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Page]:
    cell = _OPEN.format(names=[_SCRIPT, _IMAGE, _BIDI, "<b>" + "x" * 2000], folder=str(tmp_path / "hostile"))
    write_notebook(notebooks / "hostile-names.ipynb", [cell])
    with watched(window, jupyter_url):
        request.param(window, jupyter_url, "hostile-names.ipynb")
        yield window


def test_names_and_what_is_typed_are_shown_and_run_nothing(notebook: Page) -> None:
    notebook.get_by_label("Tags that may be deleted").fill("*")
    settled(notebook)
    goes = pane(notebook, "To be deleted")
    expect(goes.locator("tbody tr")).to_have_count(4)
    expect(goes).to_contain_text(_SCRIPT)
    expect(goes).to_contain_text(_IMAGE)
    notebook.get_by_label("Always keep").fill(f"{_IMAGE}-not-there")
    settled(notebook)
    expect(pane(notebook, "Plan")).to_contain_text("not in this snapshot")
    notebook.get_by_label("Only images older than").fill(_SCRIPT)
    settled(notebook)
    expect(pane(notebook, "Rules")).to_contain_text("is not a duration")
    notebook.get_by_label("Only images older than").fill("")
    settled(notebook)
    doing = pane(notebook, "Apply the plan")
    doing.get_by_label("First copy what will be deleted to").fill(_IMAGE)
    doing.get_by_role("button", name="Dry run").click()
    expect(doing.get_by_role("button", name="Apply")).to_be_disabled()
    assert notebook.locator(".regscope :is(img, script, iframe, b)").count() == 0
