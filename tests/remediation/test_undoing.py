"""Undoing: what cannot come back is told first, all else comes back byte for byte, and nothing more is touched."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import ConnectionFailed, DigestMismatch, InvalidInput, NotAStore, PermissionDeny, RegscopeError
from tests.lab.drawn_registries import Contents, Pushed, artifact, dashed, fallback_list, image, index, layer
from tests.servers.faults import refuse
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry

WRITES = ("PUT", "POST", "PATCH", "DELETE")
KEPT = image([layer("base", 500)], 1)
OLD = image([layer("base", 500), layer("old", 80)], 90)
CHILDREN = [image([layer(f"child {n}", 90)], 9, platform) for n, platform in enumerate(("amd64", "arm64"))]
MULTI = index(CHILDREN)
OF_KEPT = index([KEPT])
PUSHES: list[tuple[str, str | None, Pushed]] = [
    ("app", "stable", KEPT),
    ("app", "old-alias", KEPT),
    ("app", "old", OLD),
    ("app", "old-multi", MULTI),
    ("app", "old-index", OF_KEPT),
]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        Contents(pushes=PUSHES).push_to(running.url)
        yield running


def seen(registry: Registry) -> rs.Snapshot:
    return rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)


def fresh(url: str) -> rs.ContentStore:
    return rs.open(url, cache=False)


def cleaned(registry: Registry, journal: Path, url: str = "", **options: Any) -> rs.Applied:
    plan = rs.plan(seen(registry), rs.Retention(tags="old*"))
    return plan.apply(fresh(url or registry.url), dry_run=False, journal=journal, progress=False, **options)


def undone(journal: Path, url: str, *, dry_run: bool = False, backup: str | None = None) -> rs.Undone:
    return rs.undo(journal, fresh(url), dry_run=dry_run, backup=backup, progress=False)


def outcomes(result: rs.Undone) -> dict[str, str]:
    names = result.table["tag"].fillna(result.table["digest"])
    return dict(zip(names, result.table["outcome"].astype("str"), strict=True))


def writes(registry: Registry, since: int) -> list[str]:
    return [line for line in registry.requests()[since:] if line.startswith(WRITES)]


def test_without_a_backup_what_was_collected_is_impossible_and_all_else_comes_back(
    registry: Registry, tmp_path: Path
) -> None:
    assert cleaned(registry, tmp_path / "journal").ok
    registry.garbage_collect()
    told, since = undone(tmp_path / "journal", registry.url, dry_run=True), len(registry.requests())
    result = undone(tmp_path / "journal", registry.url)
    asked = [line.split()[0] for line in registry.requests()[since:]]
    lost = {"old", OLD.digest, "old-multi", MULTI.digest, *(child.digest for child in CHILDREN)}
    assert {name for name, outcome in outcomes(result).items() if outcome == "impossible"} == lost
    assert {name for name, outcome in outcomes(result).items() if outcome == "restored"} == {
        "old-alias", "old-index", OF_KEPT.digest,
    }  # fmt: skip
    assert not result.ok
    # What was told before is what came.
    assert outcomes(told) == {name: o.replace("restored", "would be restored") for name, o in outcomes(result).items()}
    reasons = dict(zip(result.table["digest"], result.table["reason"], strict=True))
    assert "its blob sha256:" in reasons[OLD.digest]
    assert reasons[MULTI.digest] == f"its child {CHILDREN[0].digest} is gone"
    store = fresh(registry.url)
    assert store.tags("app") == ["old-alias", "old-index", "stable"]
    assert store.manifest("app", "old-index").raw == OF_KEPT.raw
    first = next(number for number, method in enumerate(asked) if method in WRITES)
    assert set(asked[:first]) <= {"GET", "HEAD"}
    last = max(number for number, method in enumerate(asked) if method in WRITES)
    assert {"GET", "HEAD"}.isdisjoint(asked[first:last]), "all was looked at before anything was written"
    assert asked[last + 1 :] == ["HEAD"] * 3, "what was brought back was looked at"


def test_a_registry_refuses_a_tag_of_an_index_that_lacks_a_child_and_that_is_told_before(
    registry: Registry, tmp_path: Path
) -> None:
    lacking: list[tuple[str, str | None, Pushed]] = [("app", "multi", MULTI), ("app", "old-name", MULTI)]
    Contents(pushes=lacking, deletions=[("app", CHILDREN[0].digest)]).push_to(registry.url)
    plan = rs.plan(seen(registry), rs.Retention(tags=["old-name", "old-alias"]))
    assert set(plan.steps["action"]) == {"untag"}
    assert plan.apply(fresh(registry.url), dry_run=False, journal=tmp_path / "journal", progress=False).ok
    told = undone(tmp_path / "journal", registry.url, dry_run=True)
    result = undone(tmp_path / "journal", registry.url)
    assert outcomes(told) == {"old-name": "impossible", "old-alias": "would be restored"}
    assert outcomes(result) == {"old-name": "impossible", "old-alias": "restored"}
    assert f"its child {CHILDREN[0].digest} was gone before the run" in set(result.table["reason"])


def test_undone_twice_the_second_time_writes_nothing(registry: Registry, tmp_path: Path) -> None:
    before = seen(registry)
    cleaned(registry, tmp_path / "journal")
    assert undone(tmp_path / "journal", registry.url).ok
    assert seen(registry).fingerprint == before.fingerprint
    since = len(registry.requests())
    again = undone(tmp_path / "journal", registry.url)
    assert again.ok
    assert set(outcomes(again).values()) == {"there already"}
    assert writes(registry, since) == []


def test_dry_it_writes_nothing(registry: Registry, tmp_path: Path) -> None:
    cleaned(registry, tmp_path / "journal")
    since, after = len(registry.requests()), seen(registry).fingerprint
    told = undone(tmp_path / "journal", registry.url, dry_run=True)
    assert told.ok
    assert set(outcomes(told).values()) == {"would be restored"}
    assert writes(registry, since) == []
    assert seen(registry).fingerprint == after


def test_tags_that_were_set_anew_are_left_alone_and_their_old_manifests_come_back_without(
    registry: Registry, tmp_path: Path
) -> None:
    cleaned(registry, tmp_path / "journal")
    new = image([layer("new", 40)], 0)
    Contents(pushes=[("app", "old-alias", new), ("app", "old", new)]).push_to(registry.url)
    result = undone(tmp_path / "journal", registry.url)
    found = outcomes(result)
    assert (found["old-alias"], found["old"], found[OLD.digest]) == ("left alone", "left alone", "restored")
    assert found["old-multi"] == "restored"
    store = fresh(registry.url)
    assert store.resolve("app", "old-alias") == store.resolve("app", "old") == new.digest
    assert store.manifest("app", OLD.digest).raw == OLD.raw
    shown = repr(result) + result._repr_html_()
    assert f"it points to {new.digest} now" in repr(result)
    assert "left alone" in shown
    assert json.loads(json.dumps(result.summary()))["ok"] is False


@pytest.mark.parametrize("go_on", [False, True])
def test_a_stand_in_that_was_left_under_a_tag_goes(registry: Registry, tmp_path: Path, go_on: bool) -> None:
    """The registry dies between the stand-in's push and its deletion, and is not there for the original either."""
    before, plan = seen(registry), rs.plan(seen(registry), rs.Retention(tags="old*"))
    with FaultProxy(registry.url) as proxy:
        asked = itertools.count()

        def dying(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            is_deletion = request.method == "DELETE" and "manifests/sha256:" in request.path
            if is_deletion and any(r.method == "PUT" and "/manifests/" in r.path for r in proxy.requests):
                next(asked)
                registry.stop()
                raise ConnectionResetError
            return None

        proxy.rule(dying)
        store = fresh(proxy.url)
        done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", concurrency=1, progress=False)
        assert isinstance(done.stopped_by, ConnectionFailed | rs.RequestError)
        assert next(asked) > 0
        proxy.clear()
        registry.start()
        assert b"regscope.stands-in" in store.manifest("app", "old-alias").raw
        if go_on:
            assert plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False).ok
            assert store.tags("app") == ["stable"]
            assert set(seen(registry).placements["digest"]) == {KEPT.digest}
        assert rs.undo(tmp_path / "journal", store, dry_run=False, progress=False).ok
    assert seen(registry).fingerprint == before.fingerprint


def test_a_schema_1_image_comes_back(registry: Registry, tmp_path: Path) -> None:
    client = rs.DockerRegistryV2Client(registry.url)
    blob = rs.Blob("ancient", fileobj=io.BytesIO(b"layer"), client=client).upload()
    document = {
        "schemaVersion": 1, "name": "ancient", "tag": "old", "architecture": "amd64",
        "fsLayers": [{"blobSum": blob.digest}], "history": [{"v1Compatibility": json.dumps({"id": "a" * 64})}],
    }  # fmt: skip
    digest = rs.ManifestRef("ancient", "old", client).put(rs.ManifestSchema1.model_validate(document)).digest
    store = fresh(registry.url)
    payload = rs.ManifestRef("ancient", "old", client).get(rs.ManifestSchema1.content_type())
    cleaned(registry, tmp_path / "journal")
    with pytest.raises(rs.ResourceNotFound):
        store.resolve("ancient", "old")
    assert undone(tmp_path / "journal", registry.url).ok
    assert store.resolve("ancient", "old") == digest
    again = rs.ManifestRef("ancient", "old", client).get(rs.ManifestSchema1.content_type())
    assert isinstance(again, rs.ManifestSchema1)
    assert isinstance(payload, rs.ManifestSchema1)
    assert (again.fsLayers, again.history) == (payload.fsLayers, payload.history)


def test_referrers_come_back_and_no_list_of_them_is_made_or_changed(registry: Registry, tmp_path: Path) -> None:
    listed, unlisted = artifact("sbom", b"listed", OLD), artifact("sbom", b"unlisted", MULTI)
    notes = fallback_list([listed])
    other = json.loads(notes.raw) | {"annotations": {"by": "another tool"}}
    by_another_tool = Pushed(json.dumps(other, indent=7).encode(), notes.media_type, children=(listed,))
    Contents(
        pushes=[("app", None, listed), ("app", None, unlisted), ("app", dashed(OLD.digest), by_another_tool)]
    ).push_to(registry.url)
    before = seen(registry)
    cleaned(registry, tmp_path / "journal")
    assert not {listed.digest, unlisted.digest, by_another_tool.digest} & set(seen(registry).placements["digest"])
    assert undone(tmp_path / "journal", registry.url).ok
    store = fresh(registry.url)
    assert store.manifest("app", dashed(OLD.digest)).raw == by_another_tool.raw
    assert dashed(MULTI.digest) not in store.tags("app")
    assert seen(registry).fingerprint == before.fingerprint


def test_a_registry_that_lists_referrers_itself_lists_them_again(tmp_path: Path) -> None:
    with OCIRegistry() as registry:
        sbom = artifact("application/spdx+json", b"sbom", OLD)
        Contents(pushes=[*PUSHES, ("app", None, sbom)]).push_to(registry.url)
        store = fresh(registry.url)
        before = rs.scan(store, progress=False)
        listed = store.referrers("app", OLD.digest)
        assert [entry.digest for entry in listed or ()] == [sbom.digest]
        plan = rs.plan(before, rs.Retention(tags="old*"))
        assert plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False).ok
        for made in (OLD, MULTI, sbom):
            with pytest.raises(rs.ResourceNotFound):
                store.manifest("app", made.digest)
        assert rs.undo(tmp_path / "journal", store, dry_run=False, progress=False).ok
        assert store.referrers("app", OLD.digest) == listed
        assert rs.scan(store, progress=False).fingerprint == before.fingerprint


@pytest.mark.parametrize("what", ["/blobs/", "/manifests/sha256:", "/manifests/old"])
def test_what_cannot_be_looked_at_is_an_error_and_not_gone(registry: Registry, tmp_path: Path, what: str) -> None:
    cleaned(registry, tmp_path / "journal")
    registry.garbage_collect()
    with FaultProxy(registry.url) as proxy:
        journal = tmp_path / "journal"
        journal.write_text(journal.read_text().replace(registry.url, proxy.url))
        proxy.rule(refuse(what, 403, "DENIED", "not for you"))
        since = len(registry.requests())
        with pytest.raises(PermissionDeny):
            undone(journal, proxy.url)
    assert writes(registry, since) == []


def test_a_backup_that_is_none_is_refused_before_anything_is_written(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    cleaned(registry, tmp_path / "journal")
    since = len(registry.requests())
    for place, error in (
        (f"oci:{tmp_path / 'absent'}", NotAStore),
        (f"oci:{tmp_path / 'empty'}", NotAStore),
        (registry.url, InvalidInput),
        (f"docker-archive:{tmp_path / 'x.tar'}", InvalidInput),
    ):
        with pytest.raises(error):
            undone(tmp_path / "journal", registry.url, backup=place)
    assert writes(registry, since) == []


def test_a_damaged_backup_gives_no_other_bytes(registry: Registry, tmp_path: Path) -> None:
    before, backup = seen(registry), tmp_path / "backup"
    cleaned(registry, tmp_path / "journal", backup=f"oci:{backup}")
    registry.garbage_collect()
    damaged = backup / "blobs" / "sha256" / OLD.digest.replace("sha256:", "")
    blob = damaged.with_name(json.loads(OLD.raw)["layers"][1]["digest"].removeprefix("sha256:"))
    content = blob.read_bytes()
    blob.write_bytes(b"x" * len(content))
    with pytest.raises(DigestMismatch):
        undone(tmp_path / "journal", registry.url, backup=f"oci:{backup}")
    blob.write_bytes(content)
    assert undone(tmp_path / "journal", registry.url, backup=f"oci:{backup}").ok
    assert seen(registry).fingerprint == before.fingerprint


def test_a_backup_that_lacks_a_blob_cannot_bring_back_that_alone(registry: Registry, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    cleaned(registry, tmp_path / "journal", backup=f"oci:{backup}")
    registry.garbage_collect()
    lost = json.loads(OLD.raw)["layers"][1]["digest"]
    (backup / "blobs" / "sha256" / lost.removeprefix("sha256:")).unlink()
    result = undone(tmp_path / "journal", registry.url, backup=f"oci:{backup}")
    assert {name for name, outcome in outcomes(result).items() if outcome == "impossible"} == {"old", OLD.digest}
    assert f"its blob {lost} is gone and not in the backup" in repr(result)
    assert fresh(registry.url).tags("app") == ["old-alias", "old-index", "old-multi", "stable"]


def test_a_cache_is_not_believed(registry: Registry, tmp_path: Path) -> None:
    cached = rs.open(registry.url)
    before = rs.scan(cached, progress=False)
    cleaned(registry, tmp_path / "journal")
    assert rs.undo(tmp_path / "journal", cached, dry_run=False, progress=False).ok
    assert rs.scan(fresh(registry.url), progress=False).fingerprint == before.fingerprint


def test_a_registry_that_dies_while_it_is_undone_is_undone_the_next_time(registry: Registry, tmp_path: Path) -> None:
    before = seen(registry)
    with FaultProxy(registry.url) as proxy:
        cleaned(registry, tmp_path / "journal", proxy.url)
        pushes = itertools.count()

        def dying(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            if request.method == "PUT" and next(pushes) >= 2:
                raise ConnectionResetError
            return None

        proxy.rule(dying)
        with pytest.raises(RegscopeError):
            undone(tmp_path / "journal", proxy.url)
        proxy.clear()
        assert undone(tmp_path / "journal", proxy.url).ok
    assert seen(registry).fingerprint == before.fingerprint
