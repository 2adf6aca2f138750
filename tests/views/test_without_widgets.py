"""Without the widgets' packages each widget says what to install, and everything else works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ["anywidget", "ipywidgets", "traitlets", "IPython", "comm", "psygnal"]
WIDGETS = "Explorer explore remediate image_picker file_browser layer_bars registry_treemap"

SAYS_WHAT_TO_INSTALL = f"""
import regscope as rs
for name in {WIDGETS.split()}:
    try:
        getattr(rs, name)
    except rs.RegscopeError as error:
        assert "pip install anywidget ipywidgets" in error.next_step, name
    else:
        raise AssertionError(f"{{name}} was had")
"""
ALL_THE_REST = f"""
import runpy
from pathlib import Path
import regscope as rs
for name in set(rs.__all__) - set({WIDGETS.split()}):
    getattr(rs, name)
store = rs.open(f"oci:{{rs.build_demo('demo')}}", cache=False)
snap = rs.scan_files(rs.scan(store, progress=False), store, progress=False)
rs.report(snap).save("report.html")
plan = rs.plan(snap, rs.Retention(keep_last=1))
assert len(plan.goes) and snap._repr_html_() and plan._repr_html_() and Path("report.html").stat().st_size
plan.apply(store, progress=False)
sys.argv = ["regscope", "sharing", "oci:demo"]
runpy.run_module("regscope", run_name="__main__")
"""


def run(code: str, without: list[str], folder: Path) -> None:
    """The code in a process where these packages cannot be imported."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({without!r}))\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + code], cwd=folder, timeout=120, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", [*([name] for name in PACKAGES), PACKAGES], ids=",".join)
def test_each_widget_says_what_to_install(missing: list[str], tmp_path: Path) -> None:
    run(SAYS_WHAT_TO_INSTALL, missing, tmp_path)


def test_everything_else_works(tmp_path: Path) -> None:
    run(ALL_THE_REST, PACKAGES, tmp_path)
