"""A drawn registry behind a provider's profile: planned by what the provider shows, carried out, collected, undone."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import regscope as rs
from regscope.stores.registry_store import RegistryStore
from tests.lab.busy_registries import Case, Policy
from tests.lab.drawn_registries import NOW, Contents, Pushed, state
from tests.remediation.test_to_the_byte import IN_MEMORY, rows, without_the_impossible
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.hosted import Profile, reached, upstream
from tests.servers.registry import Registry

Make = Callable[[Registry, CertificateAuthority], Profile]
PREFIX = "team"


def below_the_prefix(contents: Contents) -> Contents:
    """With every repository below `team`, and without deletions that no hosted registry allows: of children."""

    def named(repository: str) -> str:
        return repository if repository.startswith(f"{PREFIX}/") else f"{PREFIX}/{repository}"

    held = {child.digest for _, _, pushed in contents.pushes for child in _below(pushed)}
    return Contents(
        [(named(repository), tag, pushed) for repository, tag, pushed in contents.pushes],
        [(named(repository), digest) for repository, digest in contents.deletions if digest not in held],
        [(named(repository), blob) for repository, blob in contents.uploads],
    )


def _below(pushed: Pushed) -> list[Pushed]:
    return [found for child in pushed.children for found in (child, *_below(child))]


def carry_out(case: Case, make: Make, location: str) -> dict[str, int]:
    """Plan by what the provider shows, apply, collect the garbage behind it, and undo; the figures of it."""
    case = replace(case, contents=below_the_prefix(case.contents))
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as place, upstream(Path(place) / "registry") as registry:
        case.contents.push_to(registry.url)
        with reached(make(registry, CertificateAuthority(Path(place) / "authority"))) as profile:
            _age(profile)
            store = rs.open(location, verify=profile.ca, cache=False, **profile.login)
            assert isinstance(store, RegistryStore)
            with store.client:
                return _carried_out(case.policy, registry, store, Path(place))


def _carried_out(policy: Policy, registry: Registry, store: RegistryStore, folder: Path) -> dict[str, int]:
    snap = rs.scan(store, progress=False)
    inside = rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)
    assert rows(snap.placements) == rows(inside.placements)
    assert dict(_found(snap)) == dict(_found(inside))
    plan = rs.plan(snap, policy)
    assert not plan.at_most, snap.problems.to_string()
    before, blobs = state(registry.url, snap), registry.blob_digests()
    journal, backup = folder / "journal", f"oci:{folder}/backup"
    done = plan.apply(store, dry_run=False, journal=journal, backup=backup, progress=False)
    assert done.ok, repr(done)
    after = state(registry.url, snap)
    goes = set(zip(plan.steps["repository"], plan.steps["tag"].fillna(plan.steps["digest"]), strict=True))
    goes |= set(plan.tags.loc[plan.tags["goes"], ["repository", "tag"]].itertuples(index=False, name=None))
    assert {key for key in before if before[key] and not after.get(key)} == goes
    registry.garbage_collect()
    left = registry.blob_digests()
    freed = {digest: size for digest, size in blobs.items() if digest not in left}
    orphans = {*inside.orphans["digest"]}  # which no manifest needs: no provider shows them
    assert {*freed} - orphans == {*plan.blobs["digest"]}
    freed_bytes = sum(size for digest, size in freed.items() if digest not in orphans)
    assert freed_bytes == plan.freed_bytes
    undone = rs.undo(journal, store, backup=backup, dry_run=False, progress=False)
    assert state(registry.url, snap) == without_the_impossible(undone, before, snap)
    return {
        "registries": 1,
        "in which something goes": len(plan.steps) > 0,
        "steps": len(plan.steps),
        "untagged seen": int((snap.placements["found"] == "untagged").sum()),
        "bytes predicted": plan.freed_bytes,
        "bytes freed": freed_bytes,
    }


def _age(profile: Profile) -> None:
    """Let each manifest have been uploaded some days ago, the same for the same digest."""
    for repository in profile.upstream_files.repositories():
        for stored in profile.upstream_files.manifests(repository):
            days = hashlib.sha256(stored.digest.encode()).digest()[0] % 40
            profile.upstream_files.upload_at(repository, stored.digest, NOW - timedelta(days=days))


def _found(snap: rs.Snapshot) -> list[tuple[tuple[str, str], str]]:
    found = snap.placements[["repository", "digest", "found"]].itertuples(index=False, name=None)
    return [((repository, digest), how) for repository, digest, how in found]
