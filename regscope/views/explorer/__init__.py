"""Widgets for exploring a snapshot in a notebook. Python renders their HTML, and handles clicks and input."""

from regscope.errors import RegscopeError

try:  # they are dependencies of regscope, absent after an install with --no-deps
    import anywidget as anywidget
    import ipywidgets as ipywidgets
except ImportError as error:
    raise RegscopeError(
        f"The widgets need packages that are not installed: {error}",
        next_step="Install them with `pip install anywidget ipywidgets`, and restart the notebook's kernel.",
    ) from error
