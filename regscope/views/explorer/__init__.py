"""Widgets to look into a registry by hand. Each shows HTML that Python makes, and answers what is done to it."""

from regscope.errors import RegscopeError

try:  # they come with regscope, unless it was installed with --no-deps
    import anywidget as anywidget
    import ipywidgets as ipywidgets
except ImportError as error:
    raise RegscopeError(
        f"The widgets need packages that are not installed: {error}",
        next_step="Install them with `pip install anywidget ipywidgets`, and restart the notebook's kernel.",
    ) from error
