"""regscope turns a container registry into DataFrames, and what the DataFrames show into safe action.

    import regscope as rs

    store = rs.open("registry.example.com")
    snap = rs.scan(store)
    rs.sharing(snap)

`__init__.pyi` lists the public names. Each is loaded when it is first used, so that `import regscope` costs little.
"""

from __future__ import annotations

import logging

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

logging.getLogger(__name__).addHandler(logging.NullHandler())
