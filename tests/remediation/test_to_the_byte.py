"""Plans over drawn registries, carried out on a real one: freed to the byte, nothing broken, undone to the digest.

With `DRAWN_CASES=100` in the environment each of these tests draws so many registries; by default fewer.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import regscope as rs
from tests.lab.busy_registries import Case, cases, kinds_of
from tests.lab.drawn_registries import state
from tests.remediation.pulling import puller
from tests.servers.registry import Registry, distribution_3

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def storage_of(registry: Registry) -> rs.ContentStore:
    return rs.open(f"storage:{registry.storage}")


def assert_skopeo_pulls(registry: Registry, tags: list[tuple[str, str]], folder: Path) -> None:
    """Every tag, with all platforms; skopeo verifies each digest."""
    if not tags:
        return
    listed: dict[str, list[str]] = {}
    for repository, tag in tags:
        listed.setdefault(repository, []).append(tag)
    lines = [f"{registry.host}:", "  tls-verify: false", "  images:"]
    for repository, names in listed.items():
        lines += [f"    {repository}:", *(f"      - {name}" for name in names)]
    source, target = folder / "wanted.yml", folder / "pulled"
    source.write_text("\n".join(lines) + "\n")
    target.mkdir()
    command = ["skopeo", "sync", "--all", "--src", "yaml", "--dest", "dir", "--scoped", str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def for_skopeo(snap: rs.Snapshot, tags: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without what skopeo pulls not: an index that has layers (a build cache), and an index of indexes."""
    indexes = set(snap.manifests.loc[snap.manifests["kind"] == "index", "digest"])
    nested = set(snap.platforms.loc[snap.platforms["digest"].isin(indexes), "index_digest"])
    refused = nested | (indexes & set(snap.layers["digest"]))
    digests = dict(zip(zip(snap.tags["repository"], snap.tags["tag"], strict=True), snap.tags["digest"], strict=True))
    return [name for name in tags if digests[name] not in refused]


def broken(snap: rs.Snapshot) -> set[tuple[str, str]]:
    """Repository and digest of the indexes that lack a child, or a child of one."""
    placed = set(snap.placements[["repository", "digest"]].itertuples(index=False, name=None))
    children = snap.platforms.groupby("index_digest", observed=True)["digest"].apply(list).to_dict()

    def is_whole(repository: str, digest: str) -> bool:
        below = children.get(digest, [])
        return (repository, digest) in placed and all(is_whole(repository, child) for child in below)

    return {place for place in placed if not is_whole(*place)}


def whole(snap: rs.Snapshot) -> list[tuple[str, str]]:
    """The tags all of whose children are there: some were broken before anything was planned."""
    lacking, tags = broken(snap), snap.tags.itertuples()
    return [(row.repository, row.tag) for row in tags if (row.repository, row.digest) not in lacking]


def without_the_impossible(
    undone: rs.Undone, before: dict[tuple[str, str], str | None], snap: rs.Snapshot
) -> dict[tuple[str, str], str | None]:
    """What is to be there: no registry takes back an index that lacked a child already before, and `undo` says so."""
    lost = undone.table[undone.table["outcome"] == "impossible"]
    assert set(zip(lost["repository"], lost["digest"], strict=True)) <= broken(snap)
    assert lost["reason"].str.contains("its child").all()
    gone = set(zip(lost["repository"], lost["tag"].fillna(lost["digest"]), strict=True))
    tags = {key for key in gone if ":" not in key[1]}
    return {key: None if key in gone else digest for key, digest in before.items() if key not in tags}


def rows(table: pd.DataFrame) -> set[tuple[str, ...]]:
    """The rows of a table of names and digests; when a tag was pushed is another time after it came back."""
    return set(table.filter(["repository", "tag", "digest"]).itertuples(index=False, name=None))


def assert_all_is_collected(done: rs.Applied, registry: Registry, freed_bytes: int) -> None:
    """What was to come back is gone, as the registry says it and as its files do."""
    for store in (rs.open(registry.url, cache=False), storage_of(registry)):
        found = done.collected(store)
        assert found.predicted_bytes == freed_bytes
        assert set(found.table["state"]) <= ({"gone", "not seen"} if store.location == registry.url else {"gone"})
        assert found.ok or set(found.still_there["digest"]) <= set(done.table["digest"]), repr(found)


def assert_all_can_be_pulled(registry: Registry, snap: rs.Snapshot, tags: list[tuple[str, str]], folder: Path) -> None:
    """Every manifest and blob of these tags, by ourselves and by skopeo."""
    with puller(registry.url) as client:
        for repository, tag in tags:
            client.pull(repository, tag)
    assert_skopeo_pulls(registry, for_skopeo(snap, tags), folder)


def carry_out(case: Case, undo_at_once: bool, backup_all: bool, program: str | None) -> dict[str, int]:
    """Plan over a drawn registry, apply it with a journal and a backup, collect the garbage, and undo it.

    Returns the figures: bytes that were to come back and that came, kept tags that were pulled, undone runs.
    """
    with (
        tempfile.TemporaryDirectory(dir=IN_MEMORY) as place,
        Registry(Path(place) / "registry", program=program) as registry,
    ):
        folder = Path(place)
        case.contents.push_to(registry.url)
        store = rs.open(registry.url, cache=False)
        snap = rs.scan(storage_of(registry), progress=False)
        made = rs.plan(snap, case.policy)
        assert not made.at_most
        assert made.table["frees"].sum() == made.freed_bytes
        before, blobs = state(registry.url, snap), registry.blob_digests()
        journal, backup = folder / "journal", f"oci:{folder}/backup"

        done = made.apply(store, dry_run=False, journal=journal, backup=backup, backup_all=backup_all, progress=False)
        assert done.ok, repr(done)
        after = state(registry.url, snap)
        goes = set(zip(made.steps["repository"], made.steps["tag"].fillna(made.steps["digest"]), strict=True))
        goes |= set(made.tags.loc[made.tags["goes"], ["repository", "tag"]].itertuples(index=False, name=None))
        assert {key for key, digest in before.items() if digest} - {
            key for key, digest in after.items() if digest
        } == goes
        figures = {"registries": 1, "in which something goes": len(made.steps) > 0, "steps": len(made.steps)}
        figures["with a full backup"] = backup_all

        if undo_at_once:
            undone = rs.undo(journal, store, dry_run=False, progress=False)
            assert state(registry.url, snap) == without_the_impossible(undone, before, snap)
            return figures | {"undone before collection": 1}
        registry.garbage_collect()
        left = registry.blob_digests()
        freed = {digest: size for digest, size in blobs.items() if digest not in left}
        assert set(freed) == {*made.blobs["digest"], *snap.orphans["digest"]}
        assert sum(freed.values()) == made.freed_bytes + made.orphaned_bytes
        assert_all_is_collected(done, registry, made.freed_bytes)
        kept = [name for name in whole(snap) if after.get(name)]
        assert_all_can_be_pulled(registry, snap, kept, folder)
        undone = rs.undo(journal, store, backup=backup, dry_run=False, progress=False)
        expected = without_the_impossible(undone, before, snap)
        assert state(registry.url, snap) == expected, repr(undone)
        if expected == before:
            again = rs.scan(storage_of(registry), progress=False)
            assert rows(again.tags) == rows(snap.tags)
            assert rows(again.placements) == rows(snap.placements)
        predicted = made.freed_bytes + made.orphaned_bytes
        bytes_ = {"bytes predicted": predicted, "bytes freed": sum(freed.values())}
        return figures | {"undone after collection": 1, "kept tags pulled": len(kept), **bytes_}


def many(number: int, takes_old_caches: bool = True, changes: bool = False) -> Any:
    """Drawn registries and policies, the same each time. No shrinking: each try is a registry, and takes a second."""

    def decorate(test: Any) -> Any:
        chosen = settings(
            max_examples=number,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        drawn = given(cases(takes_old_caches, changes), st.booleans(), st.booleans())
        return chosen(drawn(test))

    return decorate


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize(("version", "by_default"), [("2.8", 24), ("3", 12)])
def test_a_plan_frees_what_it_says_breaks_nothing_and_is_undone(version: str, by_default: int) -> None:
    program = distribution_3() if version == "3" else None
    figures: Counter[str] = Counter()

    @many(int(os.environ.get("DRAWN_CASES", by_default)), takes_old_caches=version != "3")
    def each(case: Case, undo_at_once: bool, backup_all: bool) -> None:
        figures.update(carry_out(case, undo_at_once, backup_all, program))

    each()
    print(f"distribution {version}: {dict(figures)}")


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_the_cases_are_worth_it() -> None:
    """Drawn registries have what deletion goes wrong with; else the test above would show nothing."""
    seen: Counter[str] = Counter()

    @many(300)  # rare ones come in clusters
    def look(case: Case, undo_at_once: bool, backup_all: bool) -> None:
        seen.update(kinds_of(case))

    look()
    assert all(count >= 5 for count in seen.values()), seen
