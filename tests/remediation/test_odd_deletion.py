"""Plans carried out and undone at registries that delete in manners of their own: what is said is what is so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.remediation.journal_reader import read_journal
from tests.lab.drawn_registries import Contents, Pushed, image, index, layer, state
from tests.servers import deleting, faults
from tests.servers.crane import CraneRegistry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry, distribution_3

CHILDREN = [image([layer("base", 2000), layer(name, 300)], 90, name) for name in ("amd64", "arm64")]
MULTI = index(CHILDREN)
OLD, NEW = image([layer("base", 2000), layer("old", 300)], 90), image([layer("base", 2000), layer("new", 300)], 1)
PUSHES: list[tuple[str, str | None, Pushed]] = [
    ("app", "1.0", MULTI),
    ("app", "1.0-again", MULTI),
    ("app", "0.9", OLD),
    ("app", "2.0", NEW),
]
POLICY = rs.Retention(older_than="30d")


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[FaultProxy]:
    """Before a registry that deletes tags by their names, and is filled."""
    with Registry(tmp_path / "registry", program=distribution_3()) as server, FaultProxy(server.url) as made:
        Contents(pushes=PUSHES).push_to(server.url)
        yield made


def planned(url: str) -> tuple[rs.Plan, rs.Snapshot]:
    snap = rs.scan(rs.open(url, cache=False), progress=False)
    return rs.plan(snap, POLICY), snap


def apply(plan: rs.Plan, url: str, journal: Path, backup: str | None = None) -> rs.Applied:
    store = rs.open(url, cache=False)
    return plan.apply(store, dry_run=False, journal=journal, backup=backup, progress=False, concurrency=2)


def assert_done_and_undone(url: str, tmp_path: Path, at_first: dict[tuple[str, str], str | None]) -> None:
    """All that was planned is gone and nothing else, and comes back."""
    plan, snap = planned(url)
    done = apply(plan, url, tmp_path / "journal")
    assert done.ok, repr(done)
    assert set(done.table["outcome"]) <= {"done", "gone already"}
    left = {key: digest for key, digest in state(url, snap).items() if digest}
    assert left == {("app", "2.0"): NEW.digest, ("app", NEW.digest): NEW.digest}
    undone = done.undo(rs.open(url, cache=False), dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert state(url, snap) == at_first


def before(url: str) -> dict[tuple[str, str], str | None]:
    return state(url, planned(url)[1])


MANNERS: dict[str, Callable[[FaultProxy], None]] = {
    "a manifest with a tag is refused, 400": lambda proxy: proxy.rule(
        deleting.refuses_tagged(proxy, 400, "GOOGLE_MANIFEST_DANGLING_TAG")
    ),
    "a manifest with a tag is refused, 403": lambda proxy: proxy.rule(deleting.refuses_tagged(proxy, 403, "DENIED")),
    "a child of an index is refused, 412": lambda proxy: proxy.rule(
        deleting.refuses_children(proxy, 412, "PRECONDITION")
    ),
    "a child of an index is refused, 405": lambda proxy: proxy.rule(deleting.refuses_children(proxy, 405, "DENIED")),
    "a manifest goes with its last tag": lambda proxy: proxy.rule(deleting.with_the_last_tag(proxy)),
    "tags are not deleted by name": lambda proxy: proxy.rule(deleting.knows_no_tag_deletion()),
    "deletion comes later": lambda proxy: proxy.rule(deleting.later(proxy, 0.4)),
}


@pytest.mark.parametrize("manner", MANNERS)
def test_what_is_planned_is_done_and_undone(proxy: FaultProxy, tmp_path: Path, manner: str) -> None:
    at_first = before(proxy.url)
    MANNERS[manner](proxy)
    assert_done_and_undone(proxy.url, tmp_path, at_first)


def test_so_it_is_where_tags_are_served_on_after_their_manifest(tmp_path: Path) -> None:
    with CraneRegistry() as server:
        Contents(pushes=PUSHES).push_to(server.url)
        assert_done_and_undone(server.url, tmp_path, before(server.url))


def test_nothing_below_an_index_is_touched_while_its_tag_is_served(tmp_path: Path) -> None:
    with CraneRegistry() as server, FaultProxy(server.url) as proxy:
        Contents(pushes=PUSHES).push_to(server.url)
        plan, _ = planned(server.url)
        proxy.rule(faults.refuse("/manifests/1.0", 403, "DENIED", "protected tag", methods=["DELETE"]))
        plan = rs.plan(rs.scan(rs.open(proxy.url, cache=False), progress=False), POLICY)
        done = apply(plan, proxy.url, tmp_path / "journal")
        assert not done.ok
        store = rs.open(server.url, cache=False)
        assert store.resolve("app", "1.0") == MULTI.digest
        for child in CHILDREN:
            assert store.manifest("app", child.digest).raw == child.raw


def test_untagging_a_child_leaves_the_index_whole_where_manifests_live_by_their_tags(tmp_path: Path) -> None:
    """Gitea: a child that was pushed by a tag goes with that tag, and the index stays broken."""
    with Registry(tmp_path / "registry", program=distribution_3()) as server, FaultProxy(server.url) as proxy:
        pushes = [("app", "1.0-amd64", CHILDREN[0]), ("app", "1.0-arm64", CHILDREN[1]), ("app", "1.0", MULTI)]
        Contents(pushes=list(pushes)).push_to(server.url)
        proxy.rule(deleting.with_the_last_tag(proxy, unless_put_by_digest=True))
        snap = rs.scan(rs.open(proxy.url, cache=False), progress=False)
        plan = rs.plan(snap, rs.Retention(tags=["1.0-*"]))
        assert set(plan.steps["action"]) == {"untag"}
        assert apply(plan, proxy.url, tmp_path / "journal").ok
        store = rs.open(proxy.url, cache=False)
        assert store.tags("app") == ["1.0"]
        for child in CHILDREN:
            assert store.manifest("app", child.digest).raw == child.raw


def forgets_blobs(proxy: FaultProxy, gone: set[str]) -> None:
    """The blobs of a manifest are gone with it, as at Gitea and Pulp."""
    below = {pushed.digest: {rs.Digest.of(blob) for blob in pushed.blobs} for pushed in (*CHILDREN, OLD, NEW)}
    shared = rs.Digest.of(layer("base", 2000))

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        reference = request.path.rpartition("/")[2]
        answer = forward() if request.method == "DELETE" else None
        if answer is not None and answer.status == 202:
            gone.update(below.get(rs.Digest(reference), set()) - {shared} if ":" in reference else set())
        if request.method in ("GET", "HEAD") and "/blobs/" in request.path and reference in gone:
            return deleting.refused(404, "BLOB_UNKNOWN")
        return answer

    proxy.rule(rule)


def test_the_first_manifest_whose_blobs_are_gone_with_it_ends_a_run_without_backup(
    proxy: FaultProxy, tmp_path: Path
) -> None:
    gone: set[str] = set()
    forgets_blobs(proxy, gone)
    plan, _ = planned(proxy.url)
    done = apply(plan, proxy.url, tmp_path / "journal")
    assert not done.ok
    assert "deletes blobs at once" in str(done.stopped_by)
    images = done.table["digest"].isin([OLD.digest, *(child.digest for child in CHILDREN)])
    assert (done.table.loc[images, "outcome"] == "done").sum() == 1
    assert len(gone) == 2, "one image's own config and layer"
    backup = f"oci:{tmp_path / 'backup'}"
    gone_on = apply(plan, proxy.url, tmp_path / "journal", backup)
    assert gone_on.ok, repr(gone_on)
    assert (gone_on.table["outcome"].isin(["done", "gone already"])).all()


def test_with_a_backup_it_goes_through_and_the_journal_knows_where_it_is(proxy: FaultProxy, tmp_path: Path) -> None:
    gone: set[str] = set()
    forgets_blobs(proxy, gone)
    plan, snap = planned(proxy.url)
    at_first = state(proxy.url, snap)
    done = apply(plan, proxy.url, tmp_path / "journal", f"oci:{tmp_path / 'backup'}")
    assert done.ok, repr(done)
    assert len(gone) == 6
    assert read_journal(tmp_path / "journal").backup == f"oci:{tmp_path / 'backup'}"
    proxy.clear()
    gone.clear()
    assert rs.undo(tmp_path / "journal", rs.open(proxy.url, cache=False), dry_run=False, progress=False).ok
    assert state(proxy.url, snap) == at_first


def test_undo_needs_no_backup_is_said_only_where_it_was_seen(proxy: FaultProxy, tmp_path: Path) -> None:
    plan, _ = planned(proxy.url)
    assert "needs no backup" not in repr(plan)
    done = apply(plan, proxy.url, tmp_path / "journal")
    assert "Until the bytes are freed undo needs no backup" in repr(done)


def test_what_was_brought_back_and_did_not_come_is_told(
    proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, _ = planned(proxy.url)
    done = apply(plan, proxy.url, tmp_path / "journal")
    monkeypatch.setattr("regscope.remediation.undoing._COMES_WITHIN", 0.5)
    accepts = ProxyResponse(201, [("Docker-Content-Digest", OLD.digest)])
    proxy.rule(
        lambda request: request.method == "PUT" and request.path.endswith(("/0.9", OLD.digest)),
        lambda request, forward: accepts,
    )
    undone = done.undo(rs.open(proxy.url, cache=False), dry_run=False, progress=False)
    assert not undone.ok
    told = undone.table[undone.table["outcome"] == "impossible"]
    assert told["digest"].unique().tolist() == [OLD.digest]
    assert told["reason"].str.contains("undo again later").all()
    proxy.clear()
    assert done.undo(rs.open(proxy.url, cache=False), dry_run=False, progress=False).ok


@pytest.mark.parametrize("program", ["docker-registry", "distribution-3"])
def test_an_annotation_of_a_stranger_opens_no_protected_tag(tmp_path: Path, program: str) -> None:
    """`regscope.stands-in` on an image that somebody pushed: it is an image like any other."""
    with Registry(tmp_path / "registry", program=None if program == "docker-registry" else distribution_3()) as server:
        raw = OLD.raw.replace(b'"schemaVersion": 2', b'"schemaVersion": 2, "annotations": {"regscope.stands-in": "ab"}')
        strange = Pushed(raw, OLD.media_type, OLD.blobs)
        Contents(pushes=[("app", "nightly", OLD), ("app", "v1", OLD), ("app", "stable", NEW)]).push_to(server.url)
        snap = rs.scan(rs.open(server.url, cache=False), progress=False)
        plan = rs.plan(snap, rs.Retention(tags=["nightly"], protect=["v1", "stable"]))
        assert plan.steps["action"].tolist() == ["untag"]
        moved = [("app", "nightly", strange), ("app", "stable", strange)]
        Contents(pushes=list(moved)).push_to(server.url)  # after planning
        done = apply(plan, server.url, tmp_path / "journal")
        assert done.table["outcome"].tolist() == ["skipped"]
        store = rs.open(server.url, cache=False)
        assert {tag: store.resolve("app", tag) for tag in store.tags("app")} == {
            "nightly": strange.digest, "stable": strange.digest, "v1": OLD.digest,
        }  # fmt: skip


def test_undo_leaves_a_newer_image_with_that_annotation_alone(proxy: FaultProxy, tmp_path: Path) -> None:
    plan, _ = planned(proxy.url)
    done = apply(plan, proxy.url, tmp_path / "journal")
    raw = NEW.raw.replace(b'"schemaVersion": 2', b'"schemaVersion": 2, "annotations": {"regscope.stands-in": "ab"}')
    strange = Pushed(raw, NEW.media_type, NEW.blobs)
    Contents(pushes=[("app", "0.9", strange)]).push_to(proxy.url)
    undone = done.undo(rs.open(proxy.url, cache=False), dry_run=False, progress=False)
    assert undone.table.loc[undone.table["tag"] == "0.9", "outcome"].tolist() == ["left alone"]
    assert rs.open(proxy.url, cache=False).resolve("app", "0.9") == strange.digest


def test_a_run_killed_with_its_stand_in_on_the_tag_goes_on_by_its_journal(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server, FaultProxy(server.url) as proxy:
        Contents(pushes=[("app", "nightly", OLD), ("app", "v1", OLD)]).push_to(server.url)
        snap = rs.scan(rs.open(proxy.url, cache=False), progress=False)
        plan = rs.plan(snap, rs.Retention(tags=["nightly"]))

        def dies(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            noted = (tmp_path / "journal").is_file() and b"stand_in" in (tmp_path / "journal").read_bytes()
            if request.method == "DELETE" and noted:
                raise ConnectionError  # as if this process were gone: neither deleted nor put back
            return None

        proxy.rule(dies)
        put_back = faults.refuse("/manifests/nightly", 503, "UNAVAILABLE", "gone", methods=["PUT"])
        stand_in_put: list[ProxyRequest] = []

        def first_put_only(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            if request.method == "PUT" and request.path.endswith("/nightly"):
                stand_in_put.append(request)
                return None if len(stand_in_put) == 1 else put_back(request, forward)
            return None

        proxy.rule(first_put_only)
        stopped = apply(plan, proxy.url, tmp_path / "journal")
        assert not stopped.ok
        store = rs.open(server.url, cache=False)
        stand_in = store.resolve("app", "nightly")
        assert read_journal(tmp_path / "journal").entries[0].stand_ins == (stand_in,)
        proxy.clear()
        done = apply(plan, proxy.url, tmp_path / "journal")
        assert done.ok, repr(done)
        assert done.table["outcome"].tolist() == ["done"]
        assert store.tags("app") == ["v1"]
        assert store.resolve("app", "v1") == OLD.digest
