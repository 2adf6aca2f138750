"""The bytes that were to come back are asked for by the API and in the files, before and after collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import InvalidInput, PermissionDeny, StoreError
from regscope.remediation.collected import collected
from tests.lab.drawn_registries import Contents, Pushed, image, index, layer
from tests.lab.layouts import write
from tests.servers.distributions import VERSIONS, filled
from tests.servers.faults import refuse
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry

BASE = layer("base", 5000)
KEPT = image([BASE], 1)
OLD = image([BASE, layer("old", 80)], 90)
SAME_LAYERS = image([BASE, layer("old", 80)], 91)
MULTI = index([image([layer(f"child {n}", 90)], 9, platform) for n, platform in enumerate(("amd64", "arm64"))])
PUSHES: list[tuple[str, str | None, Pushed]] = [
    ("app", "stable", KEPT),
    ("app", "old", OLD),
    ("app", "old-alias", OLD),
    ("app", "old-name-of-stable", KEPT),
    ("app", "old-multi", MULTI),
    ("web", "old", SAME_LAYERS),
]


@pytest.fixture(params=VERSIONS)
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    with filled(request.param, tmp_path / "registry", PUSHES) as running:
        yield running


def storage(registry: Registry) -> rs.ContentStore:
    return rs.open(f"storage:{registry.storage}")


def fresh(url: str) -> rs.ContentStore:
    return rs.open(url, cache=False)


def planned(registry: Registry, **rules: Any) -> rs.Plan:
    return rs.plan(rs.scan(storage(registry), progress=False), rs.Retention(tags="old*", **rules))


def applied(plan: rs.Plan, url: str, journal: Path, **options: Any) -> rs.Applied:
    return plan.apply(fresh(url), dry_run=False, journal=journal, progress=False, **options)


def test_what_was_predicted_is_what_was_freed_and_what_is_said_to_be_gone(registry: Registry, tmp_path: Path) -> None:
    plan, before = planned(registry), registry.blob_digests()
    done = applied(plan, registry.url, tmp_path / "journal")
    early = done.collected(fresh(registry.url))
    assert (early.predicted_bytes, early.gone_bytes) == (plan.freed_bytes, 0)
    assert set(early.table["state"]) == {"still there"}
    assert not early.ok
    assert "garbage-collect" in repr(early)
    registry.garbage_collect()
    freed = {digest: size for digest, size in before.items() if digest not in registry.blob_digests()}
    assert sum(freed.values()) == plan.freed_bytes
    for store in (fresh(registry.url), storage(registry)):
        found = done.collected(store)
        assert found.ok, repr(found)
        assert dict(zip(found.table["digest"], found.table["size"], strict=True)) == freed
        assert found.gone_bytes == found.predicted_bytes == plan.freed_bytes
        assert found.summary()["gone_blobs"] == len(freed)


def test_the_files_of_a_registry_show_the_manifests_that_its_api_hides(registry: Registry, tmp_path: Path) -> None:
    policy = rs.Retention(tags=["old", "old-alias"], exclude_repositories="web")
    plan = rs.plan(rs.scan(storage(registry), progress=False), policy)
    done = applied(plan, registry.url, tmp_path / "journal")
    # The layer is needed in `web` still: what goes is one manifest and its config.
    inside = done.collected(storage(registry)).still_there
    assert set(inside["digest"]) == set(plan.blobs["digest"])
    assert OLD.digest in set(inside["digest"])
    registry.garbage_collect()
    assert done.collected(storage(registry)).ok
    assert done.collected(fresh(registry.url)).ok


def test_a_blob_that_somebody_pushed_again_is_still_there(registry: Registry, tmp_path: Path) -> None:
    plan = planned(registry)
    done = applied(plan, registry.url, tmp_path / "journal")
    Contents(pushes=[("app", "again", OLD)]).push_to(registry.url)
    registry.garbage_collect()
    again = {rs.Digest.of(blob) for blob in (*OLD.blobs, OLD.raw)} & set(plan.blobs["digest"])
    for store in (fresh(registry.url), storage(registry)):
        found = done.collected(store)
        assert set(found.still_there["digest"]) == again
        assert found.predicted_bytes == plan.freed_bytes
        assert found.gone_bytes == plan.freed_bytes - int(found.still_there["size"].sum())
        assert all(digest in repr(found) for digest in again)


def test_a_bounded_run_is_asked_for_what_it_did_and_the_next_for_all(registry: Registry, tmp_path: Path) -> None:
    plan = planned(registry)
    first = next(number for number, frees in enumerate(plan.steps["frees"].cumsum()) if frees) + 1
    part = applied(plan, registry.url, tmp_path / "journal", max_deletes=first)
    assert 0 < part.collected(fresh(registry.url)).predicted_bytes == part.freed_bytes < plan.freed_bytes
    registry.garbage_collect()
    assert part.collected(storage(registry)).ok
    rest = applied(plan, registry.url, tmp_path / "journal")
    assert rest.collected(fresh(registry.url)).predicted_bytes == plan.freed_bytes
    registry.garbage_collect()
    assert rest.collected(storage(registry)).gone_bytes == plan.freed_bytes


def test_what_was_spared_after_all_is_not_waited_for(registry: Registry, tmp_path: Path) -> None:
    """`web:old` moved since it was planned: the layer that its manifest shares with `app:old` stays."""
    plan = planned(registry)
    Contents(pushes=[("web", "old", KEPT), ("web", "kept-after-all", SAME_LAYERS)]).push_to(registry.url)
    done = applied(plan, registry.url, tmp_path / "journal")
    assert "skipped" in done.counts()
    registry.garbage_collect()
    found = done.collected(storage(registry))
    assert found.ok
    assert rs.Digest.of(layer("old", 80)) not in set(found.table["digest"])
    assert OLD.digest in set(found.table["digest"])


def test_undone_it_is_all_there(registry: Registry, tmp_path: Path) -> None:
    done = applied(planned(registry), registry.url, tmp_path / "journal", backup=f"oci:{tmp_path / 'backup'}")
    registry.garbage_collect()
    assert done.undo(fresh(registry.url), dry_run=False, progress=False).ok
    assert done.collected(storage(registry)).gone_bytes == 0


def test_an_older_journal_says_that_it_does_not_know(registry: Registry, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    done = applied(planned(registry), registry.url, journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if not line.startswith(b'{"predicted"')))
    with pytest.raises(StoreError, match="does not list the freed blobs"):
        done.collected(fresh(registry.url))
    assert done.undo(fresh(registry.url), dry_run=False, progress=False).ok


def test_another_store_is_not_asked_and_a_refusal_is_no_answer(registry: Registry, tmp_path: Path) -> None:
    with FaultProxy(registry.url) as proxy:
        done = applied(planned(registry), proxy.url, tmp_path / "journal")
        with pytest.raises(InvalidInput, match="the journal is of"):
            done.collected(fresh(registry.url))
        proxy.rule(refuse("/blobs/", 403, "DENIED", "not for you"))
        with pytest.raises(PermissionDeny):
            collected(tmp_path / "journal", fresh(proxy.url))
    with pytest.raises(rs.RegscopeError, match="there are no freed blobs"):
        planned(registry).apply(fresh(registry.url), progress=False).collected(fresh(registry.url))


def test_a_layout_has_given_them_back_already(tmp_path: Path) -> None:
    folder = write(tmp_path / "layout", {f"{name}:{tag}": made for name, tag, made in PUSHES})
    store = rs.open(f"oci:{folder}")
    plan = rs.plan(rs.scan(store, progress=False), rs.Retention(tags="old*"))
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert "frees the bytes at once" in repr(done)
    found = done.collected(store)
    assert found.ok
    assert found.gone_bytes == plan.freed_bytes > 0


def test_each_row_of_a_plan_says_what_it_frees_and_they_add_up(registry: Registry) -> None:
    plan = planned(registry)
    frees = plan.goes.set_index(["repository", "tag"])["frees"]
    assert plan.goes["frees"].sum() == plan.table["frees"].sum() == plan.freed_bytes
    assert (plan.table.loc[plan.table["action"] != "delete", "frees"] == 0).all()
    assert frees["app", "old"] > 0 == frees["app", "old-alias"], "a manifest's bytes are counted at its first tag"
    weighs = plan.goes.set_index(["repository", "tag"])["size"]
    assert frees["app", "old"] < 5000 < weighs["app", "old"]
    assert frees["web", "old"] < 5000 < weighs["web", "old"]
    shared = plan.shared.set_index("digest")
    assert shared.loc[rs.Digest.of(BASE), ["size", "repository", "needed_by"]].tolist() == [5000, "app", KEPT.digest]
