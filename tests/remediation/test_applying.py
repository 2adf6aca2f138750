"""Carrying out a plan on registries that refuse, hold back, fail and die; its bounds; its journal."""

from __future__ import annotations

import itertools
import json
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import (
    ConnectionFailed,
    InvalidInput,
    NotAStore,
    PermissionDeny,
    RegscopeError,
    StoreError,
    Unsupported,
)
from regscope.remediation.journal_reader import read_journal
from regscope.remediation.journal_writer import JournalWriter
from regscope.spec.digest import Digest
from tests.lab.drawn_registries import Contents, Pushed, artifact, image, index, layer, state
from tests.lab.images import push as push_layout
from tests.lab.layouts import write
from tests.servers.faults import refuse
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry, distribution_3
from tests.servers.tokens import TokenService


def images() -> list[tuple[str, str | None, Pushed]]:
    """Eight tags of `app`: six to go, of which one is an alias of what stays, and one an index."""
    kept = image([layer("base", 500)], 1)
    multi = index([image([layer(f"{n}", 90)], 9, platform) for n, platform in enumerate(("amd64", "arm64"))])
    singles = [("app", f"old-{n}", image([layer("base", 500), layer(f"old {n}", 80)], 90 + n)) for n in range(4)]
    return [("app", "stable", kept), ("app", "old-alias", kept), ("app", "old-multi", multi), *singles]


POLICY = {"tags": "old-*"}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        Contents(pushes=images()).push_to(running.url)
        yield running


def seen(registry: Registry) -> rs.Snapshot:
    return rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)


def planned(registry: Registry) -> rs.Plan:
    return rs.plan(seen(registry), rs.Retention(**POLICY))


def applied(plan: rs.Plan, url: str, **options: Any) -> rs.Applied:
    return plan.apply(rs.open(url, cache=False), dry_run=False, progress=False, **options)


def outcomes(done: rs.Applied) -> dict[str, int]:
    return done.counts()


def test_a_dry_run_changes_nothing_and_leaves_no_journal(registry: Registry, cache_folder: Path) -> None:
    plan, before = planned(registry), seen(registry).fingerprint
    done = plan.apply(rs.open(registry.url, cache=False), progress=False)
    assert outcomes(done) == {"would be done": len(plan.steps)}
    assert done.freed_bytes == plan.freed_bytes
    assert done.journal is None
    assert seen(registry).fingerprint == before
    assert not list(cache_folder.parent.glob("*-journals/*"))
    with pytest.raises(RegscopeError, match="nothing to undo"):
        done.undo(rs.open(registry.url), dry_run=False)


def test_a_registry_with_deletes_disabled_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry", delete=False) as registry:
        Contents(pushes=images()).push_to(registry.url)
        plan, before = planned(registry), seen(registry).fingerprint
        with pytest.raises(Unsupported, match="unsupported"):
            applied(plan, registry.url, journal=tmp_path / "journal", backup=f"oci:{tmp_path / 'backup'}")
        with pytest.raises(Unsupported, match="unsupported"):
            plan.apply(rs.open(registry.url, cache=False), progress=False)  # a dry run finds it out as well
        assert seen(registry).fingerprint == before
        assert not (tmp_path / "journal").exists()
        assert not (tmp_path / "backup").exists()


def test_a_registry_that_forbids_deletion_by_scope_is_told_and_nothing_is_changed(layout: Path, tmp_path: Path) -> None:
    grants = {"ann": {"*": {"pull", "push"}, "registry:catalog": {"*"}}}
    with (
        TokenService(tmp_path / "tokens", users={"ann": "secret"}, grants=grants) as tokens,
        Registry(tmp_path / "registry", token=tokens) as registry,
    ):
        push_layout(layout, registry, credentials="ann:secret", only="base:")
        plan, before = rs.plan(seen(registry), rs.Retention(tags="*")), seen(registry).fingerprint
        store = rs.open(registry.url, username="ann", password="secret", cache=False)
        with pytest.raises(PermissionDeny):
            plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
        assert seen(registry).fingerprint == before
        assert not (tmp_path / "journal").exists()


def test_a_registry_that_answers_429_to_every_third_request_is_waited_for(
    registry: Registry, proxy: FaultProxy, tmp_path: Path
) -> None:
    plan = planned(registry)
    count = itertools.count(1)

    def every_third(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        return ProxyResponse(429, [("Retry-After", "0")]) if next(count) % 3 == 0 else None

    proxy.rule(every_third)
    done = applied(plan, proxy.url, journal=tmp_path / "journal", concurrency=2)
    assert outcomes(done) == {"done": len(plan.steps)}
    assert rs.plan(seen(registry), rs.Retention(**POLICY)).steps.empty


@pytest.mark.parametrize("dies_after", [0, 1, 3])
def test_a_registry_that_dies_half_way_leaves_nothing_that_the_journal_does_not_know(
    registry: Registry, proxy: FaultProxy, tmp_path: Path, dies_after: int
) -> None:
    before, plan = seen(registry), planned(registry)
    deletions = itertools.count()

    def dying(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method == "DELETE" and next(deletions) > dies_after:  # the first one only asks whether it deletes
            forward()  # it was done, and nobody hears of it
            registry.stop()
        return None

    proxy.rule(dying)
    done = applied(plan, proxy.url, journal=tmp_path / "journal", concurrency=1)
    assert not done.ok
    assert done.stopped_by is not None
    assert outcomes(done)["failed"] == 1
    assert outcomes(done)["left"] >= 1
    assert "stopped by" in repr(done)
    known = {(entry.repository, entry.digest) for entry in read_journal(tmp_path / "journal").entries}
    proxy.clear()
    registry.start()
    gone = {(row.repository, row.digest) for row in before.placements.itertuples()} - {
        (row.repository, row.digest) for row in seen(registry).placements.itertuples()
    }
    assert gone <= known
    again = applied(plan, proxy.url, journal=tmp_path / "journal")
    assert again.ok
    assert set(outcomes(again)) <= {"done", "gone already"}
    rs.undo(tmp_path / "journal", rs.open(proxy.url, cache=False), dry_run=False, progress=False)
    assert seen(registry).fingerprint == before.fingerprint


@pytest.mark.parametrize("what", ["manifests/stable", "tags/list"])
def test_what_cannot_be_looked_at_again_is_a_surprise_and_not_nothing(
    registry: Registry, proxy: FaultProxy, tmp_path: Path, what: str
) -> None:
    plan, before = planned(registry), seen(registry).fingerprint
    proxy.rule(refuse(what, 403, "DENIED", "not for you"))
    done = applied(plan, proxy.url, journal=tmp_path / "journal")
    assert isinstance(done.stopped_by, PermissionDeny)
    assert outcomes(done) == {"left": len(plan.steps)}
    assert seen(registry).fingerprint == before


def test_a_tag_that_moves_after_all_was_looked_at_is_left_alone_with_what_hangs_on_it(
    registry: Registry, proxy: FaultProxy, tmp_path: Path
) -> None:
    plan = planned(registry)
    moved = image([layer("moved", 5)], 0)
    asked = itertools.count()

    def meanwhile(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method == "HEAD" and request.path.endswith("manifests/old-multi") and next(asked) == 1:
            Contents(pushes=[("app", "old-multi", moved)]).push_to(registry.url)
        return None

    proxy.rule(meanwhile)
    done = applied(plan, proxy.url, journal=tmp_path / "journal")
    skipped = done.table[done.table["outcome"] == "skipped"]
    assert len(skipped) == 3  # the index and its children
    assert skipped["reason"].str.contains("old-multi was moved during the run").all()
    now = seen(registry)
    assert set(skipped["digest"]) <= set(now.placements["digest"])


def test_bounds_end_a_run_and_the_next_one_goes_on(registry: Registry, tmp_path: Path) -> None:
    plan, journal = planned(registry), tmp_path / "journal"
    first = applied(plan, registry.url, max_deletes=3, journal=journal)
    assert outcomes(first) == {"done": 3, "left": len(plan.steps) - 3}
    by_bytes = applied(plan, registry.url, max_bytes=0, journal=journal)
    assert outcomes(by_bytes)["done"] == 3 + int((plan.steps["frees"].iloc[3:].cumsum() == 0).sum())
    rest = applied(plan, registry.url, journal=journal, rate=1000)
    assert outcomes(rest) == {"done": len(plan.steps)}
    assert rest.freed_bytes == plan.freed_bytes


def test_a_backup_that_was_cut_off_deletes_nothing_and_is_gone_on_with(
    registry: Registry, proxy: FaultProxy, tmp_path: Path
) -> None:
    plan, before = planned(registry), seen(registry).fingerprint
    proxy.rule(lambda request, forward: ProxyResponse(500) if "/blobs/" in request.path else None)
    with pytest.raises(RegscopeError):
        applied(plan, proxy.url, journal=tmp_path / "journal", backup=f"oci:{tmp_path / 'backup'}")
    assert seen(registry).fingerprint == before
    proxy.clear()
    done = applied(plan, proxy.url, journal=tmp_path / "journal", backup=f"oci:{tmp_path / 'backup'}")
    assert done.ok
    saved = rs.scan(rs.open(f"oci:{tmp_path / 'backup'}"), progress=False)
    deleted = plan.steps.loc[plan.steps["action"] == "delete", "digest"]
    assert set(deleted) <= set(saved.manifests["digest"])


def test_what_was_collected_is_told_before_anything_is_brought_back_and_comes_from_the_backup(
    registry: Registry, tmp_path: Path
) -> None:
    plan, before = planned(registry), seen(registry)
    at_first = state(registry.url, before)
    backup = f"oci:{tmp_path / 'backup'}"
    done = applied(plan, registry.url, journal=tmp_path / "journal", backup=backup)
    registry.garbage_collect()
    store, empty = rs.open(registry.url, cache=False), state(registry.url, before)
    (tmp_path / "backup").rename(tmp_path / "elsewhere")
    told = rs.undo(tmp_path / "journal", store, dry_run=True, progress=False)
    (tmp_path / "elsewhere").rename(tmp_path / "backup")
    assert not told.ok
    assert "is gone" in repr(told)
    assert state(registry.url, before) == empty
    # An alias of what stays needs nothing that was collected.
    assert told.table.loc[told.table["tag"] == "old-alias", "outcome"].tolist() == ["would be restored"]
    assert json.dumps(told.summary())
    assert done.undo(store, backup=backup, dry_run=False, progress=False).ok
    assert state(registry.url, before) == at_first
    again = done.undo(store, backup=backup, dry_run=False, progress=False)
    assert set(again.table["outcome"]) == {"there already"}


def test_a_tag_that_points_elsewhere_by_now_is_not_overwritten_by_undo(registry: Registry, tmp_path: Path) -> None:
    done = applied(planned(registry), registry.url, journal=tmp_path / "journal")
    fresh = image([layer("fresh", 50)], 0)
    Contents(pushes=[("app", "old-1", fresh)]).push_to(registry.url)
    undone = done.undo(rs.open(registry.url, cache=False), dry_run=False, progress=False)
    assert undone.table.loc[undone.table["tag"] == "old-1", "outcome"].tolist() == ["left alone"]
    assert not undone.ok
    tags = seen(registry).tags
    assert tags.loc[tags["tag"] == "old-1", "digest"].tolist() == [fresh.digest]


def test_referrers_and_their_list_come_back_byte_for_byte(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry:
        subject = image([layer("subject", 50)], 9)
        Contents(pushes=[("app", "old", subject)]).push_to(registry.url)
        client = rs.DockerRegistryV2Client(registry.url)
        for kind in ("sbom", "signature"):  # by our own client, which keeps the list under the fallback tag
            made = artifact(kind, kind.encode(), subject)
            for blob in made.blobs:
                Contents(uploads=[("app", blob)]).push_to(registry.url)
            rs.ManifestRef("app", made.digest, client).put(made.raw, made.media_type)
        before = seen(registry)
        done = applied(
            rs.plan(before, rs.Retention(tags="old", untagged=True)), registry.url, journal=tmp_path / "journal"
        )
        assert seen(registry).placements.empty
        assert done.undo(rs.open(registry.url, cache=False), dry_run=False, progress=False).ok
        assert seen(registry).fingerprint == before.fingerprint


def test_a_layout_is_cleaned_up_at_once_and_brought_back_from_a_backup(tmp_path: Path) -> None:
    folder = write(tmp_path / "layout", {f"{name}:{tag}": made for name, tag, made in images()})
    store = rs.open(f"oci:{folder}")
    before = rs.scan(store, progress=False)
    plan = rs.plan(before, rs.Retention(**POLICY))
    size = sum(file.stat().st_size for file in (folder / "blobs").glob("*/*"))
    backup = f"oci:{tmp_path / 'backup'}"
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", backup=backup, progress=False)
    assert done.ok
    assert size - sum(file.stat().st_size for file in (folder / "blobs").glob("*/*")) == plan.freed_bytes
    assert done.undo(store, backup=backup, dry_run=False, progress=False).ok
    after = rs.scan(store, progress=False)
    names = ["repository", "tag", "digest"]
    assert after.tags[names].astype("str").equals(before.tags[names].astype("str"))


def test_another_store_and_one_that_is_read_only_are_refused(registry: Registry, tmp_path: Path) -> None:
    by_api = rs.plan(rs.scan(rs.open(registry.url, cache=False), progress=False), rs.Retention(**POLICY))
    with pytest.raises(InvalidInput, match="the plan is for"):
        by_api.apply(rs.open(f"storage:{registry.storage}"))
    with pytest.raises(InvalidInput, match="read only"):
        planned(registry).apply(rs.open(f"storage:{registry.storage}"))
    applied(by_api, registry.url, journal=tmp_path / "journal")
    with Registry(tmp_path / "other") as other, pytest.raises(InvalidInput, match="the journal is of"):
        rs.undo(tmp_path / "journal", rs.open(other.url), dry_run=False)


def test_a_journal_is_its_owners_is_one_plans_and_is_written_by_one_at_a_time(
    registry: Registry, tmp_path: Path
) -> None:
    plan, journal = planned(registry), tmp_path / "journals" / "journal"
    with JournalWriter(journal, registry.url, plan.identity), pytest.raises(StoreError, match="another process"):
        applied(plan, registry.url, journal=journal)
    other = rs.plan(seen(registry), rs.Retention(tags="old-1"))
    with pytest.raises(StoreError, match="another plan"):
        applied(other, registry.url, journal=journal)
    store = rs.open(registry.url, username="ann", password="a-secret-word", cache=False)
    done = plan.apply(store, dry_run=False, journal=journal, progress=False)
    assert done.journal == journal
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert b"a-secret-word" not in journal.read_bytes()
    found = read_journal(journal)
    assert found.table["done"].all()
    assert len(found.entries) == len(plan.steps)
    assert "steps done" in repr(found)


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda lines: [], NotAStore),
        (lambda lines: [b"{}\n"], NotAStore),
        (lambda lines: [b"[1]\n"], NotAStore),
        (lambda lines: [b'{"regscope_journal": 99}\n'], StoreError),
        (lambda lines: [lines[0], b"nonsense\n"], StoreError),
        (lambda lines: [lines[0], b'{"done": "never begun"}\n'], StoreError),
        (lambda lines: [line.replace(b'"raw":"', b'"raw":"AAAA') for line in lines], RegscopeError),
        (lambda lines: [lines[0], b'{"repository": 7}\n'], StoreError),
    ],
)
def test_a_damaged_journal_ends_in_words(
    registry: Registry, tmp_path: Path, damage: Any, error: type[Exception]
) -> None:
    journal = tmp_path / "journal"
    applied(planned(registry), registry.url, journal=journal, max_deletes=2)
    journal.write_bytes(b"".join(damage(journal.read_bytes().splitlines(keepends=True))))
    with pytest.raises(error):
        rs.undo(journal, rs.open(registry.url, cache=False), dry_run=False)


def test_hostile_names_are_text_in_results(tmp_path: Path) -> None:
    names = {
        "app:<img src=x onerror=alert(1)>": image([layer("a", 5)], 9),
        "app:\x1b[31mred": image([layer("b", 5)], 9),
    }
    store = rs.open(f"oci:{write(tmp_path / 'layout', names)}")
    done = rs.plan(rs.scan(store, progress=False), rs.Retention(tags="*")).apply(
        store, dry_run=False, journal=tmp_path / "journal", progress=False
    )
    told = rs.undo(tmp_path / "journal", store, dry_run=True, progress=False)
    for shown in (done, told, read_journal(tmp_path / "journal")):
        assert "<img" not in shown._repr_html_()
        assert "\x1b" not in shown._repr_html_() + repr(shown)


def test_distribution_3_with_deletes_disabled_is_told_likewise(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry", delete=False, program=distribution_3()) as registry:
        Contents(pushes=images()).push_to(registry.url)
        plan, before = planned(registry), seen(registry).fingerprint
        with pytest.raises(Unsupported, match="unsupported"):
            applied(plan, registry.url, journal=tmp_path / "journal")
        assert seen(registry).fingerprint == before
        assert not (tmp_path / "journal").exists()


@pytest.mark.parametrize("is_done", [True, False])
def test_connections_that_break_at_every_deletion_end_the_run_and_the_journal_knows_it(
    registry: Registry, proxy: FaultProxy, tmp_path: Path, is_done: bool
) -> None:
    before, plan = seen(registry), planned(registry)
    broken = itertools.count()

    def cut(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method == "DELETE" and "sha256:" in request.path and next(broken) > 3:
            if is_done:
                forward()
            raise ConnectionResetError
        return None

    proxy.rule(cut)
    done = applied(plan, proxy.url, journal=tmp_path / "journal")
    assert isinstance(done.stopped_by, ConnectionFailed)
    assert 1 <= outcomes(done)["failed"] <= 4
    known = {entry.digest for entry in read_journal(tmp_path / "journal").entries}
    gone = set(before.placements["digest"]) - set(seen(registry).placements["digest"])
    assert gone <= known
    assert (not gone) or is_done or len(gone) < len(known)
    proxy.clear()
    assert applied(plan, proxy.url, journal=tmp_path / "journal").ok
    assert seen(registry).tags["tag"].tolist() == ["stable"]
    assert rs.undo(tmp_path / "journal", rs.open(proxy.url, cache=False), dry_run=False, progress=False).ok
    assert seen(registry).fingerprint == before.fingerprint


def test_an_answer_that_was_lost_is_asked_for_again(registry: Registry, proxy: FaultProxy, tmp_path: Path) -> None:
    plan, seen_by_proxy = planned(registry), set()

    def lost(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method == "DELETE" and "sha256:" in request.path and request.path not in seen_by_proxy:
            seen_by_proxy.add(request.path)
            if forward().status == 202:
                raise ConnectionResetError
        return None

    proxy.rule(lost)
    done = applied(plan, proxy.url, journal=tmp_path / "journal")
    assert done.ok
    assert set(outcomes(done)) <= {"done", "gone already"}
    assert seen(registry).tags["tag"].tolist() == ["stable"]
    assert read_journal(tmp_path / "journal").table["done"].all()


def test_a_manifest_that_cannot_be_read_again_is_no_manifest_without_children(
    registry: Registry, proxy: FaultProxy, tmp_path: Path
) -> None:
    plan, before = planned(registry), seen(registry)
    (multi,) = before.tags.loc[before.tags["tag"] == "old-multi", "digest"]
    proxy.rule(refuse(multi, 403, "DENIED", "not for you", methods=("GET",)))
    done = applied(plan, proxy.url, journal=tmp_path / "journal")
    assert isinstance(done.stopped_by, PermissionDeny)
    assert outcomes(done) == {"left": len(plan.steps)}
    assert seen(registry).fingerprint == before.fingerprint


def test_a_tag_that_moves_right_before_it_is_removed_is_left_alone(
    registry: Registry, proxy: FaultProxy, tmp_path: Path
) -> None:
    plan, moved = planned(registry), image([layer("moved", 5)], 0)
    asked = itertools.count()

    def meanwhile(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method == "HEAD" and request.path.endswith("manifests/old-alias") and next(asked) == 1:
            Contents(pushes=[("app", "old-alias", moved)]).push_to(registry.url)
        return None

    proxy.rule(meanwhile)
    done = applied(plan, proxy.url, journal=tmp_path / "journal")
    (reason,) = done.table.loc[done.table["tag"] == "old-alias", "reason"]
    assert reason == f"the tag was moved to {moved.digest} during the run"
    assert done.at_most
    store = rs.open(registry.url, cache=False)
    assert store.resolve("app", "old-alias") == moved.digest
    assert store.tags("app") == ["old-alias", "stable"]


def test_neither_a_cache_nor_a_mirror_is_believed(registry: Registry, tmp_path: Path) -> None:
    with Registry(tmp_path / "mirror") as mirror:
        Contents(pushes=images()).push_to(mirror.url)
        store = rs.open(registry.url, mirrors=[mirror.url])  # the cache has all of it after this, too
        plan = rs.plan(rs.scan(store, progress=False), rs.Retention(**POLICY))
        first = plan.steps.loc[plan.steps["action"] == "delete", "digest"].iloc[0]
        Contents(deletions=[("app", Digest(first))]).push_to(registry.url)
        Contents(pushes=[("app", "old-alias", image([layer("moved", 5)], 0))]).push_to(registry.url)
        done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
        assert done.table.loc[done.table["digest"] == first, "outcome"].tolist() == ["gone already"]
        assert done.table.loc[done.table["tag"] == "old-alias", "outcome"].tolist() == ["skipped"]
        assert seen(registry).tags["tag"].tolist() == ["old-alias", "stable"]
        assert len(seen(mirror).tags) == len(images())


def test_what_cannot_be_meant_is_refused_before_anything_is_asked(registry: Registry, tmp_path: Path) -> None:
    plan, since = planned(registry), len(registry.requests())
    options: list[dict[str, Any]] = [
        {"rate": 0},
        {"rate": -1},
        {"rate": float("nan")},
        {"backup": registry.url},
        {"backup": f"docker-archive:{tmp_path / 'backup.tar'}"},
    ]
    for option in options:
        with pytest.raises(InvalidInput):
            applied(plan, registry.url, journal=tmp_path / "journal", **option)
    folder = write(tmp_path / "layout", {f"{name}:{tag}": made for name, tag, made in images()})
    with pytest.raises(InvalidInput, match="the plan is for"):
        applied(plan, f"oci:{folder}", journal=tmp_path / "journal")
    assert len(registry.requests()) == since
    assert not (tmp_path / "journal").exists()


def test_a_rate_is_not_exceeded(registry: Registry, tmp_path: Path) -> None:
    plan, begun = planned(registry), time.monotonic()
    assert outcomes(applied(plan, registry.url, journal=tmp_path / "journal", rate=20)) == {"done": len(plan.steps)}
    assert time.monotonic() - begun >= (len(plan.steps) - 1) / 20


def test_a_run_is_stopped_from_elsewhere_and_gone_on_with(registry: Registry, tmp_path: Path) -> None:
    plan, stop, backup = planned(registry), threading.Event(), tmp_path / "backup"
    stop.set()
    none = applied(plan, registry.url, journal=tmp_path / "journal", backup=f"oci:{backup}", stop=stop)
    assert outcomes(none) == {"left": len(plan.steps)}
    assert set(none.table["reason"]) == {"the run was stopped before"}
    stop.clear()

    def after_two(settled: int, total: int) -> None:
        if settled == 2:
            stop.set()

    some = applied(plan, registry.url, journal=tmp_path / "journal", concurrency=1, watch=after_two, stop=stop)
    assert some.ok
    assert outcomes(some) == {"done": 2, "left": len(plan.steps) - 2}
    assert "with the same journal to continue" in repr(some)
    assert applied(plan, registry.url, journal=tmp_path / "journal").ok
    assert seen(registry).tags["tag"].tolist() == ["stable"]


def test_a_result_is_told_to_people_and_to_programs(registry: Registry, tmp_path: Path) -> None:
    done = applied(planned(registry), registry.url, journal=tmp_path / "journal", max_deletes=3)
    told = json.loads(json.dumps(done.summary()))
    assert (told["ok"], told["dry_run"], told["stopped_by"]) == (True, False, None)
    assert told["counts"] == {"done": 3, "left": len(done.table) - 3}
    assert told["freed_bytes"] == sum(step["frees"] for step in told["steps"] if step["outcome"] == "done")
    assert Path(told["journal"]) == tmp_path / "journal"
    assert "with the same journal to continue" in repr(done)
    assert "beyond the bounds of this run" in done._repr_html_()
