"""A drawn registry at a provider that lists no manifest without a tag: what it shows is right, a plan is at most."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import regscope as rs
from regscope.errors import PermissionDeny, Unsupported
from regscope.stores.registry_store import RegistryStore
from tests.hosted.carrying_out import Make, below_the_prefix
from tests.lab.busy_registries import Case, Policy
from tests.lab.drawn_registries import Contents, state
from tests.remediation.test_to_the_byte import IN_MEMORY, rows, without_the_impossible
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.hosted import Profile, reached, upstream
from tests.servers.registry import Registry


def _of_two_parts(contents: Contents) -> Contents:
    """With names of two parts, as some providers want them."""

    def named(repository: str) -> str:
        namespace, _, name = repository.partition("/")
        return f"{namespace}/{name.replace('/', '-')}"

    return Contents(
        [(named(repository), tag, pushed) for repository, tag, pushed in contents.pushes],
        [(named(repository), digest) for repository, digest in contents.deletions],
        [(named(repository), blob) for repository, blob in contents.uploads],
    )


def carry_out_unseen(case: Case, make: Make, location: str) -> dict[str, int]:
    """Plan by what the provider shows, apply, collect the garbage behind it, and undo; the figures of it."""
    case = replace(case, contents=_of_two_parts(below_the_prefix(case.contents)))
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as place, upstream(Path(place) / "registry") as registry:
        case.contents.push_to(registry.url)
        with reached(make(registry, CertificateAuthority(Path(place) / "authority"))) as profile:
            store = rs.open(location, verify=profile.ca, cache=False, **profile.login)
            assert isinstance(store, RegistryStore)
            with store.client:
                return _carried_out(case.policy, registry, profile, store, Path(place))


def _carried_out(
    policy: Policy, registry: Registry, profile: Profile, store: RegistryStore, folder: Path
) -> dict[str, int]:
    profile.time_passes()
    snap = rs.scan(store, progress=False)
    inside = rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)
    assert rows(snap.tags) == rows(inside.tags)
    assert rows(snap.placements) <= rows(inside.placements)
    unseen = rows(inside.placements) - rows(snap.placements)
    assert not unseen & set(inside.tags[["repository", "digest"]].itertuples(index=False, name=None))
    plan = rs.plan(snap, policy)
    assert plan.at_most
    before, blobs = state(registry.url, snap), registry.blob_digests()
    journal, backup = folder / "journal", f"oci:{folder}/backup"
    done = plan.apply(store, dry_run=False, journal=journal, backup=backup, progress=False)
    profile.time_passes()
    after = state(registry.url, snap)
    gone = {key for key in before if before[key] and not after.get(key)}
    goes = set(zip(plan.steps["repository"], plan.steps["tag"].fillna(plan.steps["digest"]), strict=True))
    goes |= set(plan.tags.loc[plan.tags["goes"], ["repository", "tag"]].itertuples(index=False, name=None))
    if done.ok:
        assert gone == goes
    else:  # what a manifest without a tag refers to, which the scan did not see
        assert isinstance(done.stopped_by, PermissionDeny | Unsupported), repr(done)
        assert gone < goes
        held = {
            (repository, child)
            for repository, digest in unseen
            for each in profile.upstream_files.manifests(repository)
            if each.digest == digest
            for child in each.children
        }
        assert held & (goes - gone)
    registry.garbage_collect()
    left = registry.blob_digests()
    freed = {digest: size for digest, size in blobs.items() if digest not in left}
    orphans = {*inside.orphans["digest"]}
    assert {*freed} - orphans <= {*plan.blobs["digest"]}
    freed_bytes = sum(size for digest, size in freed.items() if digest not in orphans)
    assert freed_bytes <= plan.freed_bytes
    undone = rs.undo(journal, store, backup=backup, dry_run=False, progress=False)
    assert state(registry.url, snap) == without_the_impossible(undone, before, snap)
    return {
        "registries": 1,
        "in which something goes": len(plan.steps) > 0,
        "steps": len(plan.steps),
        "stopped": not done.ok,
        "not seen": len(unseen),
        "bytes predicted at most": plan.freed_bytes,
        "bytes freed": freed_bytes,
        "exact": freed_bytes == plan.freed_bytes,
    }
