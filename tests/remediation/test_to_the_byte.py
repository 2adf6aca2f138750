"""Plans over drawn registries, carried out on a real one: freed to the byte, nothing broken, undone to the digest."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import regscope as rs
from tests.remediation.drawn_registry import INDEX, Contents, contents, policies, state
from tests.servers.registry import Registry, distribution_3

CASES = 100
_IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


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


def whole(snap: rs.Snapshot) -> list[tuple[str, str]]:
    """The tags all of whose children are there: some were broken before anything was planned.

    skopeo pulls no build cache: an index that has layers.
    """
    caches = set(snap.manifests.loc[snap.manifests["kind"] == "index", "digest"]) & set(snap.layers["digest"])
    placed = set(snap.placements[["repository", "digest"]].itertuples(index=False, name=None))
    children = snap.platforms.groupby("index_digest", observed=True)["digest"].apply(list).to_dict()

    def is_whole(repository: str, digest: str) -> bool:
        below = children.get(digest, [])
        return (repository, digest) in placed and all(is_whole(repository, child) for child in below)

    tags = (row for row in snap.tags.itertuples() if row.digest not in caches)
    return [(row.repository, row.tag) for row in tags if is_whole(row.repository, row.digest)]


def without_the_impossible(
    undone: rs.Undone, before: dict[tuple[str, str], str | None], snap: rs.Snapshot
) -> dict[tuple[str, str], str | None]:
    """What is to be there: no registry takes back an index that lacked a child already before, and `undo` says so."""
    lost = undone.table[undone.table["outcome"] == "impossible"]
    placed = set(snap.placements[["repository", "digest"]].itertuples(index=False, name=None))
    lacking = {
        (repository, row.index_digest)
        for row in snap.platforms.itertuples()
        for repository in {repository for repository, digest in placed if digest == row.index_digest}
        if (repository, row.digest) not in placed
    }
    assert set(zip(lost["repository"], lost["digest"], strict=True)) <= lacking
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


def carry_out(
    drawn: Contents,
    policy: rs.Retention | list[rs.Retention],
    undo_at_once: bool,
    backup_all: bool,
    program: str | None = None,
) -> None:
    """Plan over a drawn registry, apply it with a journal and a backup, collect the garbage, and undo it."""
    with (
        tempfile.TemporaryDirectory(dir=_IN_MEMORY) as place,
        Registry(Path(place) / "registry", program=program) as registry,
    ):
        folder = Path(place)
        drawn.push_to(registry.url)
        store = rs.open(registry.url, cache=False)
        snap = rs.scan(storage_of(registry), progress=False)
        made = rs.plan(snap, policy)
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

        if undo_at_once:
            undone = rs.undo(journal, store, progress=False)
            assert state(registry.url, snap) == without_the_impossible(undone, before, snap)
            return
        registry.garbage_collect()
        left = registry.blob_digests()
        freed = {digest: size for digest, size in blobs.items() if digest not in left}
        assert set(freed) == {*made.blobs["digest"], *snap.orphans["digest"]}
        assert sum(freed.values()) == made.freed_bytes + made.orphaned_bytes
        assert_all_is_collected(done, registry, made.freed_bytes)
        assert_skopeo_pulls(registry, [name for name in whole(snap) if after.get(name)], folder)
        undone = rs.undo(journal, store, backup=backup, progress=False)
        expected = without_the_impossible(undone, before, snap)
        assert state(registry.url, snap) == expected, repr(undone)
        if expected == before:
            again = rs.scan(storage_of(registry), progress=False)
            assert rows(again.tags) == rows(snap.tags)
            assert rows(again.placements) == rows(snap.placements)


def many(cases: int, build_caches: bool = True) -> Any:
    """Drawn registries and policies, the same each time. No shrinking: each try is a registry, and takes a second."""

    def decorate(test: Any) -> Any:
        chosen = settings(
            max_examples=cases,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        drawn = given(contents(build_caches), policies(), st.booleans(), st.booleans())
        return pytest.mark.filterwarnings("ignore:Generating overly large repr")(chosen(drawn(test)))

    return decorate


@many(CASES)
def test_a_plan_frees_what_it_says_breaks_nothing_and_is_undone(
    drawn: Contents, policy: rs.Retention | list[rs.Retention], undo_at_once: bool, backup_all: bool
) -> None:
    carry_out(drawn, policy, undo_at_once, backup_all)


@many(15, build_caches=False)
def test_so_it_is_with_the_registry_that_came_after(
    drawn: Contents, policy: rs.Retention | list[rs.Retention], undo_at_once: bool, backup_all: bool
) -> None:
    carry_out(drawn, policy, undo_at_once, backup_all, distribution_3())


def test_the_cases_are_worth_it() -> None:
    """Drawn registries have what deletion goes wrong with; else the test above would show nothing."""
    seen = {"index": 0, "shared child": 0, "deleted before": 0, "attached": 0, "moved tag": 0, "cache": 0}

    @many(5 * CASES)  # rare ones come in clusters
    def look(drawn: Contents, policy: rs.Retention | list[rs.Retention], undo_at_once: bool, backup_all: bool) -> None:
        indexes = [pushed for _, _, pushed in drawn.pushes if pushed.children]
        children = [child.digest for pushed in {i.digest: i for i in indexes}.values() for child in pushed.children]
        tags = [(repository, tag) for repository, tag, _ in drawn.pushes if tag]
        seen["index"] += bool(indexes)
        seen["shared child"] += len(set(children)) < len(children)
        seen["deleted before"] += bool(drawn.deletions)
        seen["attached"] += any(tag and tag.startswith("sha256-") for _, tag in tags)
        seen["cache"] += any(pushed.blobs and pushed.media_type == INDEX for _, _, pushed in drawn.pushes)
        seen["moved tag"] += len(set(tags)) < len(tags)

    look()
    assert all(count >= 5 for count in seen.values()), seen
