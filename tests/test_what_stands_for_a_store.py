"""Everything that takes a store takes its location as well, and says what it wants when it gets something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import InvalidInput
from regscope.remediation.collected import collected
from tests.lab.images import push
from tests.servers.registry import Registry


def test_a_location_stands_for_a_store(layout: Path, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry:
        push(layout, registry)
        snap = rs.scan(registry.url, progress=False)
        assert len(rs.scan_files(snap, registry.url, images="base", progress=False).unpacked)
        plan = rs.plan(snap, rs.Retention(tags="1.1"))
        done = plan.apply(registry.url, dry_run=False, journal=tmp_path / "journal", progress=False)
        assert done.ok
        assert "1.1" not in rs.open(registry.url, cache=False).tags("app")
        assert done.collected(registry.url)
        done.undo(registry.url, progress=False)
        assert "1.1" in rs.open(registry.url, cache=False).tags("app")


CALLS: dict[str, Callable[[Any, rs.Snapshot, Path], object]] = {
    "scan": lambda place, snap, folder: rs.scan(place),
    "scan_files": lambda place, snap, folder: rs.scan_files(snap, place),
    "copy from": lambda place, snap, folder: rs.copy(place, "app:1.0", f"oci:{folder / 'x'}"),
    "copy to": lambda place, snap, folder: rs.copy(f"oci:{folder / 'layout'}", "app:1.0", place),
    "attach": lambda place, snap, folder: rs.attach(place, "app:1.0", folder / "file", "a/b"),
    "make_index": lambda place, snap, folder: rs.make_index(place, ["app:1.0"], f"oci:{folder / 'x'}", "a:1"),
    "Image.read": lambda place, snap, folder: rs.Image.read(place, "app:1.0"),
    "slim": lambda place, snap, folder: rs.slim(place, "app:1.0", new_tag="x"),
    "apply": lambda place, snap, folder: rs.plan(snap, rs.Retention(tags="1.1")).apply(place),
    "undo": lambda place, snap, folder: rs.undo(folder / "journal", place),
    "collected": lambda place, snap, folder: collected(folder / "journal", place),
    "explore": lambda place, snap, folder: rs.explore(snap, place),
    "remediate": lambda place, snap, folder: rs.remediate(snap, place),
    "file_browser": lambda place, snap, folder: rs.file_browser(snap, "app:1.0", place),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "place", [Path("layout"), rs.DockerRegistryV2Client, b"localhost"], ids=["path", "class", "bytes"]
)
def test_anything_else_is_refused_in_words(own_layout: Path, tmp_path: Path, name: str, place: object) -> None:
    own_layout.rename(tmp_path / "layout")
    (tmp_path / "file").write_bytes(b"x")
    snap = rs.scan(f"oci:{tmp_path / 'layout'}", progress=False)
    with pytest.raises(InvalidInput, match="a store is wanted here") as caught:
        CALLS[name](place, snap, tmp_path)
    assert "registry.example.com" in caught.value.next_step
