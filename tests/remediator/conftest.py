"""Notebooks in a browser, as for the explorer."""

from __future__ import annotations

from tests.explorer.conftest import base_url, browser_type_launch_args, lab_root, lab_url, window

__all__ = ["base_url", "browser_type_launch_args", "lab_root", "lab_url", "window"]
