"""Killed at any moment: the same journal goes on, to the same end, and undo brings back the same beginning.

KILLED_ROUNDS in the environment is how often a run is killed; 12 times by default.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from tests.forked import forked
from tests.lab.drawn_registries import Contents, Pushed, artifact, dashed, fallback_list, image, index, layer
from tests.servers.registry import Registry

ROUNDS = int(os.environ.get("KILLED_ROUNDS", "12"))
_IN_MEMORY = Path("/dev/shm")


def contents() -> Contents:
    """Tags to be taken away alone, indexes, attachments of every manner, in two repositories."""
    pushes: list[tuple[str, str | None, Pushed]] = []
    for repository in ("team/app", "team/web"):
        kept = image([layer("base", 500)], 1)
        pushes += [(repository, "stable", kept), (repository, "old-alias", kept), (repository, "old-name", kept)]
        multi = index([image([layer(f"{n}", 90)], 9, platform) for n, platform in enumerate(("amd64", "arm64"))])
        sbom = artifact("sbom", b"what is in it", multi)
        pushes += [(repository, "old-multi", multi), (repository, None, sbom)]
        pushes += [(repository, dashed(multi.digest), fallback_list([sbom]))]
        for number in range(3):
            made = image([layer("base", 500), layer(f"old {number}", 70)], 90 + number)
            pushes.append((repository, f"old-{number}", made))
            pushes.append((repository, dashed(made.digest, ".sig"), artifact("sig", f"{number}".encode(), None)))
    return Contents(pushes=pushes)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, Path]]:
    """A registry, and a copy of its storage as it is at first."""
    folder = tmp_path_factory.mktemp("killed")
    memory = _IN_MEMORY / f"regscope-{os.getpid()}" if _IN_MEMORY.is_dir() else folder / "registry"
    with Registry(memory) as registry:
        contents().push_to(registry.url)
        shutil.copytree(registry.storage, folder / "first")
        yield registry, folder / "first"
    shutil.rmtree(memory, ignore_errors=True)


def seen(registry: Registry) -> rs.Snapshot:
    return rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)


def reset(registry: Registry, first: Path) -> None:
    shutil.rmtree(registry.storage)
    shutil.copytree(first, registry.storage)


def apply(plan: Path, url: str, journal: Path) -> None:
    rs.Plan.load(plan).apply(rs.open(url, cache=False), dry_run=False, journal=journal, progress=False)


def test_an_apply_that_was_killed_is_gone_on_with_to_the_same_end(
    filled: tuple[Registry, Path], tmp_path: Path
) -> None:
    registry, first = filled
    before = seen(registry)
    plan = rs.plan(before, rs.Retention(tags="old-*"))
    assert set(plan.steps["action"]) == {"untag", "delete"}
    saved = plan.save(tmp_path / "plan.json")
    apply(saved, registry.url, tmp_path / "whole")
    end, size = seen(registry).fingerprint, (tmp_path / "whole").stat().st_size
    assert end != before.fingerprint
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    generator = random.Random(seed)
    midway = 0
    for number in range(ROUNDS):
        reset(registry, first)
        journal = tmp_path / f"journal-{number}"
        process = forked(apply, saved, registry.url, journal)
        moment, pause = generator.randrange(size), generator.random() * 0.004
        while process.is_alive() and (journal.stat().st_size if journal.exists() else 0) < moment:
            time.sleep(0.0002)
        time.sleep(pause)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(30)
        midway += seen(registry).fingerprint not in (before.fingerprint, end)
        apply(saved, registry.url, journal)
        assert seen(registry).fingerprint == end, f"round {number}, seed {seed}"
        if number % 5 == 0:
            rs.undo(journal, rs.open(registry.url, cache=False), dry_run=False, progress=False)
            assert seen(registry).fingerprint == before.fingerprint, f"round {number}, seed {seed}"
    assert midway > ROUNDS // 4


def test_a_killed_apply_can_be_undone_from_where_it_was(filled: tuple[Registry, Path], tmp_path: Path) -> None:
    registry, first = filled
    reset(registry, first)
    before = seen(registry)
    plan = rs.plan(before, rs.Retention(tags="old-*"))
    store = rs.open(registry.url, cache=False)
    done = plan.apply(store, dry_run=False, max_deletes=5, journal=tmp_path / "journal", progress=False)
    assert done.counts()["done"] == 5
    with (tmp_path / "journal").open("ab") as file:
        file.write(b'{"repository": "team/app", "action": "del')  # a line that was being written
    assert rs.undo(tmp_path / "journal", store, dry_run=False, progress=False).ok
    assert seen(registry).fingerprint == before.fingerprint
