"""What others push and delete between a plan and its run stays as they left it, on drawn registries.

With `DRAWN_CASES=100` in the environment so many are drawn for each version of distribution; by default fewer.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest

import regscope as rs
from regscope.spec.digest import Digest
from tests.lab.busy_registries import Case
from tests.lab.drawn_registries import (
    Contents,
    Pushed,
    artifact,
    dashed,
    fallback_list,
    image,
    layer,
    state,
)
from tests.remediation.pulling import puller
from tests.remediation.test_to_the_byte import IN_MEMORY, many, storage_of, whole, without_the_impossible
from tests.servers.registry import Registry, distribution_3

State = dict[tuple[str, str], str | None]


def there(found: State) -> set[tuple[str, str]]:
    return {key for key, digest in found.items() if digest}


def needed_by(pushes: list[Pushed], found: State) -> set[Digest]:
    """All that the manifests need which a registry has: nothing else outlives its garbage collection."""
    made: dict[str, Pushed] = {}
    ahead = list(pushes)
    while ahead:
        one = ahead.pop()
        made[one.digest] = one
        ahead += one.children
    left = (made[name] for _, name in there(found) if ":" in name)
    return {
        digest for one in left for digest in (one.digest, *map(Digest.of, one.blobs), *(c.digest for c in one.children))
    }


def assert_others_work_is_there(case: Case, planned: rs.Snapshot, before: State, after: State) -> None:
    """Tags that others have set anew, and subjects of what they have attached."""
    known = set(planned.tags[["repository", "tag", "digest"]].itertuples(index=False, name=None))
    for repository, tag, pushed in case.changes.pushes:
        name = tag or pushed.digest
        now = before.get((repository, name))
        if now is None or (repository, tag, now) in known:
            continue  # they have deleted it themselves, or it points to what it did: nobody can tell
        assert after.get((repository, name)) == now, f"{repository}:{name} was touched"
        if tag is not None and tag.startswith("sha256-"):
            subject = tag.partition(".")[0].replace("-", ":", 1)
            assert after.get((repository, subject)) == before.get((repository, subject)), f"{subject} lost"


def carry_out(case: Case, undo_at_once: bool, backup_all: bool, program: str | None) -> dict[str, int]:
    """Plan, let others change the registry, apply, collect and undo."""
    with (
        tempfile.TemporaryDirectory(dir=IN_MEMORY) as place,
        Registry(Path(place) / "registry", program=program) as registry,
    ):
        journal, backup = Path(place) / "journal", f"oci:{place}/backup"
        case.contents.push_to(registry.url)
        store = rs.open(registry.url, cache=False)
        planned = rs.scan(storage_of(registry), progress=False)
        made = rs.plan(planned, case.policy)
        case.changes.push_to(registry.url)
        changed = rs.scan(storage_of(registry), progress=False)
        before, blobs = state(registry.url, changed), registry.blob_digests()

        done = made.apply(store, dry_run=False, journal=journal, backup=backup, backup_all=backup_all, progress=False)
        assert done.ok, repr(done)
        after = state(registry.url, changed)
        assert_others_work_is_there(case, planned, before, after)
        goes = set(zip(made.steps["repository"], made.steps["tag"].fillna(made.steps["digest"]), strict=True))
        goes |= set(made.tags.loc[made.tags["goes"], ["repository", "tag"]].itertuples(index=False, name=None))
        assert there(before) - there(after) <= goes
        skipped = int((done.table["outcome"] == "skipped").sum())
        figures = {"registries": 1, "steps": len(made.steps), "skipped": skipped}

        if not undo_at_once:
            registry.garbage_collect()
            left = registry.blob_digests()
            pushes = [pushed for _, _, pushed in (*case.contents.pushes, *case.changes.pushes)]
            assert set(left) == needed_by(pushes, after)
            freed = sum(size for digest, size in blobs.items() if digest not in left)
            at_most = done.freed_bytes + int(changed.orphans["size"].sum())
            assert freed <= at_most
            found = done.collected(storage_of(registry))
            assert set(found.still_there["digest"]) == set(found.table["digest"]) & set(left)
            kept = [name for name in whole(changed) if after.get(name)]
            with puller(registry.url) as client:
                for repository, tag in kept:
                    client.pull(repository, tag)
            figures |= {"kept tags pulled": len(kept), "bytes at most": at_most, "bytes freed": freed}
        undone = rs.undo(journal, store, backup=backup, dry_run=False, progress=False)
        assert state(registry.url, changed) == without_the_impossible(undone, before, changed), repr(undone)
        return figures


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize(("version", "by_default"), [("2.8", 12), ("3", 6)])
def test_a_run_takes_nothing_that_others_have_pushed_since(version: str, by_default: int) -> None:
    program = distribution_3() if version == "3" else None
    figures: Counter[str] = Counter()

    @many(int(os.environ.get("DRAWN_CASES", by_default)), takes_old_caches=version != "3", changes=True)
    def each(case: Case, undo_at_once: bool, backup_all: bool) -> None:
        figures.update(carry_out(case, undo_at_once, backup_all, program))

    each()
    print(f"distribution {version}: {dict(figures)}")


@pytest.mark.parametrize("suffix", [".sig", ".att", ".sbom", ""])
@pytest.mark.parametrize("is_list", [False, True])
def test_what_was_attached_since_keeps_its_subject(tmp_path: Path, suffix: str, is_list: bool) -> None:
    """By the tag alone, as cosign attaches: the manifest need not say what it is about."""
    old, other = image([layer("old", 90)], 50), image([layer("other", 90)], 50)
    attached = fallback_list([]) if is_list else artifact("signature", b"signed", None)
    with Registry(tmp_path / "registry") as registry:
        Contents(pushes=[("app", "old", old), ("app", "old-1", other)]).push_to(registry.url)
        store = rs.open(registry.url, cache=False)
        plan = rs.plan(rs.scan(store, progress=False), rs.Retention(tags="old*"))
        Contents(pushes=[("app", dashed(old.digest, suffix), attached)]).push_to(registry.url)
        done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
        assert dict(zip(done.table["digest"], done.table["outcome"], strict=True)) == {
            old.digest: "skipped",
            other.digest: "done",
        }
        assert store.resolve("app", "old") == old.digest
