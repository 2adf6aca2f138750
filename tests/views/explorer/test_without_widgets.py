"""Without the widgets' libraries regscope works, and says what is missing."""

from __future__ import annotations

import subprocess
import sys


def test_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['anywidget'] = None; import regscope as rs; rs.sharing; rs.explore"
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True, check=False)
    assert "pip install 'regscope[notebook]'" in done.stderr
