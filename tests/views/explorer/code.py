"""The code that a widget shows, run."""

from __future__ import annotations

from typing import Any

import pandas as pd

import regscope as rs
from regscope.tables import Snapshot


def run(code: str, snap: Snapshot) -> Any:
    """What `code` gives in a cell after `import regscope as rs` and with `snap`."""
    return eval(code, {"rs": rs, "snap": snap})


def gives(code: str, snap: Snapshot, table: pd.DataFrame) -> bool:
    """Whether `code` gives just `table`, in its order."""
    pd.testing.assert_frame_equal(run(code, snap), table)
    return True
