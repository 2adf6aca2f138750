"""Whether progress is shown."""

from __future__ import annotations

import sys


def is_interactive() -> bool:
    """Whether the output is interactive: a terminal, or a notebook."""
    return "ipykernel" in sys.modules or sys.stderr.isatty()
