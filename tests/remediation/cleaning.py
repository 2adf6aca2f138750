"""A clean-up from the push to the collection of garbage, at a real registry, as one line of a test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import regscope as rs
from tests.lab.drawn_registries import Contents, Pushed, image, layer
from tests.servers.registry import Registry


def built(name: str, days: float | None = 90, architecture: str = "amd64", **labels: str) -> Pushed:
    return image([layer("base", 2000), layer(name, 300)], days, architecture, **labels)


def push(registry: Registry, *pushes: tuple[str, str | None, Pushed]) -> None:
    Contents(pushes=list(pushes)).push_to(registry.url)


def snapshot(registry: Registry) -> rs.Snapshot:
    """As the storage shows it: with all that has no tag."""
    return rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)


def by_api(registry: Registry) -> rs.Snapshot:
    """As any client sees it: nothing tells when a tag was pushed."""
    return rs.scan(rs.open(registry.url, cache=False), progress=False)


def clean(
    registry: Registry, policy: rs.Retention | list[rs.Retention], tmp_path: Path, snap: rs.Snapshot | None = None
) -> rs.Plan:
    """Plan, carry out, and collect the garbage; the freed bytes are those that were planned."""
    before = registry.blob_bytes()
    plan = rs.plan(snapshot(registry) if snap is None else snap, policy)
    done = plan.apply(rs.open(registry.url, cache=False), dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    registry.garbage_collect()
    if snap is None:
        assert before - registry.blob_bytes() == plan.freed_bytes + plan.orphaned_bytes
    return plan


def pulls(registry: Registry, name: str, folder: Path) -> bool:
    """Whether skopeo gets the whole of it, every platform."""
    command = ["skopeo", "copy", "--all", "--src-tls-verify=false", f"docker://{registry.host}/{name}", f"dir:{folder}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    shutil.rmtree(folder, ignore_errors=True)
    return done.returncode == 0
