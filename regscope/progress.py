"""Whether progress is worth showing."""

from __future__ import annotations

import sys


def is_interactive() -> bool:
    """Whether somebody is watching: a terminal, or a notebook."""
    return "ipykernel" in sys.modules or sys.stderr.isatty()
