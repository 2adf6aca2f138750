"""Backups hold what goes, and the rest only where that is asked for; undo says beforehand what it would lack."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

import regscope as rs
from regscope.errors import InvalidInput
from regscope.remediation.journal_reader import read_journal
from tests.lab.drawn_registries import Contents, Pushed, image, index, layer, state
from tests.servers.distributions import VERSIONS, filled
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry

BASE, OLD_LAYER = layer("base", 200_000), layer("old", 800)
KEPT = image([BASE], 1)
OLD = image([BASE, OLD_LAYER], 90)
ELSEWHERE = image([BASE, layer("web", 700)], 90)
MULTI = index([image([BASE, layer(f"child {n}", 90)], 9, arch) for n, arch in enumerate(("amd64", "arm64"))])
PUSHES: list[tuple[str, str | None, Pushed]] = [
    ("base", "stable", KEPT),
    ("app", "old", OLD),
    ("app", "old-multi", MULTI),
    ("web", "old", ELSEWHERE),
]


@pytest.fixture(params=VERSIONS)
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    with filled(request.param, tmp_path / "registry", PUSHES) as running:
        yield running


def fresh(url: str) -> rs.ContentStore:
    return rs.open(url, cache=False)


def scanned(registry: Registry) -> rs.Snapshot:
    return rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)


def applied(plan: rs.Plan, url: str, folder: Path, **options: Any) -> rs.Applied:
    options = {"backup": f"oci:{folder / 'backup'}", **options}
    return plan.apply(fresh(url), dry_run=False, journal=folder / "journal", progress=False, **options)


def blobs_in(folder: Path) -> dict[str, int]:
    files = (folder / "blobs").glob("*/*")
    return {f"{file.parent.name}:{file.name}": file.stat().st_size for file in files}


def test_a_backup_holds_what_goes_and_no_layer_that_stays(registry: Registry, tmp_path: Path) -> None:
    snap = scanned(registry)
    plan = rs.plan(snap, rs.Retention(tags="old*"))
    done = applied(plan, registry.url, tmp_path)
    assert done.ok
    held = blobs_in(tmp_path / "backup")
    assert held == dict(zip(plan.blobs["digest"], plan.blobs["size"], strict=True))
    assert done.backup is not None
    assert done.backup.left_bytes == len(BASE)
    assert done.backup.sent_bytes < plan.freed_bytes
    assert "200.0 kB of layers that stay were not copied" in repr(done)


def test_all_of_it_is_copied_where_that_is_asked_for(registry: Registry, tmp_path: Path) -> None:
    plan = rs.plan(scanned(registry), rs.Retention(tags="old*"))
    done = applied(plan, registry.url, tmp_path, backup_all=True)
    assert set(blobs_in(tmp_path / "backup")) == {*plan.blobs["digest"], rs.Digest.of(BASE)}
    assert done.backup is not None
    assert done.backup.left_bytes == 0
    with pytest.raises(InvalidInput, match="backup_all needs the location"):
        plan.apply(fresh(registry.url), backup_all=True)


def test_a_config_is_copied_though_it_stays(registry: Registry, tmp_path: Path) -> None:
    twin = Pushed(KEPT.raw + b" ", KEPT.media_type, KEPT.blobs)
    Contents(pushes=[("base", "old-twin", twin)]).push_to(registry.url)
    plan = rs.plan(scanned(registry), rs.Retention(tags="old-twin"))
    assert applied(plan, registry.url, tmp_path).ok
    assert set(blobs_in(tmp_path / "backup")) == {twin.digest, rs.Digest.of(KEPT.blobs[0])}


@pytest.mark.parametrize("backup_all", [False, True])
def test_after_collection_all_comes_back_byte_for_byte(registry: Registry, tmp_path: Path, backup_all: bool) -> None:
    """distribution 3 takes the base layer from the repositories in which nothing needs it, though `base` keeps it."""
    snap = scanned(registry)
    before = state(registry.url, snap)
    done = applied(rs.plan(snap, rs.Retention(tags="old*")), registry.url, tmp_path, backup_all=backup_all)
    registry.garbage_collect()
    assert done.undo(fresh(registry.url), dry_run=True, progress=False).ok
    undone = done.undo(fresh(registry.url), dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert undone.lacking.empty
    assert state(registry.url, snap) == before
    assert scanned(registry).fingerprint == snap.fingerprint
    store = fresh(registry.url)
    for repository, blob in (("app", BASE), ("app", OLD_LAYER), ("web", BASE)):
        assert store.read_blob(repository, rs.Digest.of(blob), 10**6) == blob


def test_a_registry_that_forgets_blobs_in_one_repository_gets_them_from_another(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry, FaultProxy(registry.url) as proxy:
        Contents(pushes=PUSHES).push_to(registry.url)
        snap = rs.scan(fresh(proxy.url), progress=False)
        forgotten: set[tuple[str, str]] = set()

        def forgets(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            _, _, repository, kind, name = [*request.path.split("?")[0].split("/", 4), "", ""][:5]
            if request.method in ("DELETE", "POST", "PUT") and repository in ("app", "web"):
                answer = forward()
                if request.method == "DELETE" and answer.status == 202:
                    forgotten.update((repository, rs.Digest.of(blob)) for blob in (BASE, OLD_LAYER))
                elif answer.status == 201:  # pushed, or mounted
                    forgotten.difference_update({place for place in forgotten if place[1] in unquote(request.path)})
                return answer
            is_read = request.method in ("GET", "HEAD") and kind == "blobs"
            return ProxyResponse(404) if is_read and (repository, name) in forgotten else None

        proxy.rule(forgets)
        plan = rs.plan(snap, rs.Retention(tags="old*"))
        done = applied(plan, proxy.url, tmp_path)
        assert done.ok, repr(done)
        assert rs.Digest.of(BASE) not in blobs_in(tmp_path / "backup")
        told = done.undo(fresh(proxy.url), dry_run=True, progress=False)
        assert told.ok, repr(told)
        assert set(told.table["blobs_from"].dropna()) == {
            "registry, another repository, backup", "registry, another repository",
        }  # fmt: skip
        undone = done.undo(fresh(proxy.url), dry_run=False, progress=False)
        assert undone.ok, repr(undone)
        mounts = [r.path for r in proxy.requests if r.method == "POST" and "from=base" in r.path]
        assert len(mounts) == 2, "in `app` and in `web` the layer is mounted from where it stayed"


def test_a_layer_whose_other_image_is_gone_since_it_was_planned_is_copied(registry: Registry, tmp_path: Path) -> None:
    snap = scanned(registry)
    plan = rs.plan(snap, rs.Retention(tags="old*"))
    Contents(deletions=[("base", KEPT.digest)]).push_to(registry.url)
    done = applied(plan, registry.url, tmp_path)
    assert rs.Digest.of(BASE) in blobs_in(tmp_path / "backup")
    registry.garbage_collect()
    assert rs.Digest.of(BASE) not in registry.blob_digests()
    assert done.undo(fresh(registry.url), dry_run=False, progress=False).ok


def test_what_undo_would_lack_is_said_beforehand(registry: Registry, tmp_path: Path) -> None:
    """The image that kept the layer goes, too, by another plan, and the registry collects."""
    done = applied(rs.plan(scanned(registry), rs.Retention(tags="old*")), registry.url, tmp_path)
    Contents(deletions=[("base", KEPT.digest)]).push_to(registry.url)
    registry.garbage_collect()
    since = len(registry.requests())
    told = done.undo(fresh(registry.url), dry_run=True, progress=False)
    assert all(line.startswith(("GET", "HEAD")) for line in registry.requests()[since:])
    assert not told.ok
    lacking = told.lacking.drop_duplicates("digest")[["digest", "size"]].to_numpy().tolist()
    assert lacking == [[rs.Digest.of(BASE), len(BASE)]]
    assert set(told.lacking["repository"]) == {"app", "web"}
    assert "1 blob, 200.0 kB: neither in the registry nor in a backup" in repr(told)
    assert {row["digest"] for row in told.summary()["lacking"]} == {rs.Digest.of(BASE)}
    Contents(pushes=[("base", "stable", KEPT)]).push_to(registry.url)
    assert done.undo(fresh(registry.url), dry_run=False, progress=False).ok, (
        "once the layer is there again, all comes back"
    )


def test_a_thin_backup_is_read_as_any_layout(registry: Registry, tmp_path: Path) -> None:
    plan = rs.plan(scanned(registry), rs.Retention(tags="old*"))
    applied(plan, registry.url, tmp_path)
    snap = rs.scan(rs.open(f"oci:{tmp_path / 'backup'}"), progress=False)
    assert set(plan.steps.loc[plan.steps["action"] == "delete", "digest"]) <= set(snap.manifests["digest"])
    assert snap.problems.empty


def test_a_backup_that_was_stopped_is_not_taken_for_whole(registry: Registry, tmp_path: Path) -> None:
    plan = rs.plan(scanned(registry), rs.Retention(tags="old*"))
    stop = threading.Event()
    stop.set()
    stopped = applied(plan, registry.url, tmp_path, stop=stop)
    assert stopped.counts() == {"left": len(plan.steps)}
    assert read_journal(tmp_path / "journal").backup is None
    assert applied(plan, registry.url, tmp_path).ok
    record = read_journal(tmp_path / "journal")
    assert record.backup == f"oci:{tmp_path / 'backup'}"
    assert {entry.digest for entry in record.entries} <= set(blobs_in(tmp_path / "backup"))
