"""`rs.scan` in a process of its own, the tag lists and the tables included: `python -m … URL [CACHE-FOLDER]`."""

from __future__ import annotations

import json
import resource
import sys
import time

import regscope as rs
from regscope.stores.digest_cache import DigestCache


def main(url: str, folder: str = "") -> dict[str, float]:
    """Scan all; seconds, CPU seconds, images and the bytes of their configs."""
    store, scan = rs.open(url, cache=DigestCache(folder) if folder else False), rs.scan
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    snap = scan(store, progress=False)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    assert snap.problems.empty, snap.problems
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = int(snap.blobs.loc[snap.blobs["kind"] == "config", "size"].sum())
    return {"images": len(snap.tags), "bytes": size, "seconds": seconds, "cpu": cpu}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
