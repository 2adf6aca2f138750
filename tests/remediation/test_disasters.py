"""What cleanup tools did to other people's registries: here none of it happens, on a real registry."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from tests.lab.drawn_registries import (
    Pushed,
    artifact,
    dashed,
    fallback_list,
    index,
    state,
    with_attestation,
)
from tests.remediation.cleaning import built, by_api, clean, pulls, push, snapshot
from tests.servers.faults import refuse
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        yield running


def test_children_and_attestations_of_a_tagged_index_are_not_untagged(registry: Registry, tmp_path: Path) -> None:
    multi = index([built("amd"), built("arm", architecture="arm64")])
    attested = with_attestation(built("attested"))
    loose = built("loose")
    push(registry, ("app", "1", multi), ("app", "attested", attested), ("app", None, loose))
    plan = clean(registry, rs.Retention(untagged=True, orphans=True), tmp_path)
    assert plan.steps["digest"].tolist() == [loose.digest]
    assert pulls(registry, "app:1", tmp_path / "pulled")
    assert pulls(registry, "app:attested", tmp_path / "pulled")
    assert not pulls(registry, f"app@{loose.digest}", tmp_path / "pulled")


def test_a_child_shared_by_two_indexes_stays_with_the_other(registry: Registry, tmp_path: Path) -> None:
    shared, mine, yours = built("shared"), built("mine", architecture="arm64"), built("yours", architecture="arm64")
    push(registry, ("app", "old", index([shared, mine])), ("app", "new", index([shared, yours])))
    plan = clean(registry, rs.Retention(tags="old"), tmp_path)
    assert set(plan.steps["digest"]) == {index([shared, mine]).digest, mine.digest}
    assert pulls(registry, "app:new", tmp_path / "pulled")


def test_other_tags_on_the_same_digest_are_not_lost(registry: Registry, tmp_path: Path) -> None:
    shared = built("shared")
    push(registry, ("app", "nightly", shared), ("app", "v1.0", shared), ("app", "pr-7", built("other")))
    plan = clean(registry, rs.Retention(tags=["nightly", "pr-*"]), tmp_path)
    found = dict(zip(plan.table["tag"], plan.table["action"], strict=True))
    assert found == {"nightly": "untag", "v1.0": "keep", "pr-7": "delete"}
    assert pulls(registry, "app:v1.0", tmp_path / "pulled")
    assert not pulls(registry, "app:nightly", tmp_path / "pulled")


def test_keep_rules_win_for_a_shared_digest_too(registry: Registry, tmp_path: Path) -> None:
    shared = built("shared")
    push(registry, ("app", "release", shared), ("app", "old", shared))
    plan = clean(registry, rs.Retention(tags="*", protect=[shared.digest]), tmp_path)
    assert plan.steps.empty
    assert plan.freed_bytes == 0


@pytest.mark.parametrize("manner", ["cosign tag", "fallback tag", "subject alone"])
def test_what_is_attached_to_an_image_stays_and_goes_with_it(registry: Registry, tmp_path: Path, manner: str) -> None:
    """Recursively: an SBOM's own signature too."""
    stays, goes = built("stays", 1), built("goes")
    pushes: list[tuple[str, str | None, Pushed]] = [("app", "new", stays), ("app", "old", goes)]
    for subject in (stays, goes):
        content = f"about {subject.digest}".encode()
        if manner == "cosign tag":
            pushes.append(("app", dashed(subject.digest, ".sig"), artifact("sig", content, None)))
            continue
        sbom = artifact("sbom", content, subject)
        signature = artifact("sig", b"of " + content, sbom)
        pushes += [("app", None, sbom), ("app", None, signature)]
        if manner == "fallback tag":
            pushes += [
                ("app", dashed(each.digest), fallback_list([by])) for each, by in ((subject, sbom), (sbom, signature))
            ]
    push(registry, *pushes)
    snap = snapshot(registry)
    before = state(registry.url, snap)
    clean(registry, rs.Retention(keep_last=1, untagged=True, orphans=True), tmp_path)
    after = state(registry.url, snap)
    related = json.dumps(sorted(key for (_, key), digest in after.items() if digest is None))
    assert goes.digest in related
    assert stays.digest not in related
    assert dashed(stays.digest) not in related
    of_goes = {"cosign tag": 4, "subject alone": 4, "fallback tag": 8}[manner]  # manifests and tags
    assert sum(before[key] is not None for key in before) - sum(after[key] is not None for key in after) == of_goes


def test_signatures_are_no_tags_to_keep_or_to_count(registry: Registry, tmp_path: Path) -> None:
    pushes: list[tuple[str, str | None, Pushed]] = []
    for days in (1, 2, 3):
        made = built(f"build {days}", days)
        pushes += [
            ("app", f"build-{days}", made),
            ("app", dashed(made.digest, ".sig"), artifact("sig", f"{days}".encode(), None)),
        ]
    push(registry, *pushes)
    plan = clean(registry, rs.Retention(keep_last=2), tmp_path)
    gone = plan.goes["tag"].dropna().tolist()
    assert sorted(gone) == ["build-3", dashed(built("build 3", 3).digest, ".sig")]


def test_images_without_timestamps_are_not_taken_for_ancient(registry: Registry, tmp_path: Path) -> None:
    push(
        registry,
        ("app", "reproducible", built("a", 20_400)),  # 1970
        ("app", "silent", built("b", None)),
        ("app", "old", built("c", 40)),
    )
    plan = clean(registry, rs.Retention(older_than="30d", untagged="1d"), tmp_path, by_api(registry))
    assert plan.goes["tag"].tolist() == ["old"]


def test_a_failed_manifest_read_is_not_no_children(registry: Registry, proxy: FaultProxy, tmp_path: Path) -> None:
    """An index that can't be read may hold what looks untagged."""
    child = built("child")
    push(registry, ("app", "multi", index([child])), ("app", "plain", child), ("app", "old", built("old")))
    proxy.rule(refuse("app/manifests/multi", 403, "DENIED", "not for you"))
    snap = rs.scan(rs.open(proxy.url, cache=False), progress=False)
    assert len(snap.problems)
    plan = rs.plan(snap, rs.Retention(tags=["plain", "old"]))
    assert plan.steps.empty
    assert set(plan.spared["reason"].str.contains("multi")) == {True}


def test_a_tag_moved_between_plan_and_apply_is_left_alone(registry: Registry, tmp_path: Path) -> None:
    old, other, new = built("old"), built("other"), built("new", 0)
    push(registry, ("app", "moves", old), ("app", "stays", other))
    snap = snapshot(registry)
    push(registry, ("app", "moves", new), ("app", "rescued", other))
    plan = clean(registry, rs.Retention(tags=["moves", "stays"]), tmp_path, snap)
    assert len(plan.steps) == 2
    assert pulls(registry, "app:moves", tmp_path / "pulled")
    assert pulls(registry, "app:rescued", tmp_path / "pulled")


def test_an_index_pushed_between_plan_and_apply_keeps_its_children(registry: Registry, tmp_path: Path) -> None:
    child = built("child")
    push(registry, ("app", "old", child))
    snap = snapshot(registry)
    push(registry, ("app", "fresh", index([child])))
    clean(registry, rs.Retention(tags="old"), tmp_path, snap)
    assert pulls(registry, "app:fresh", tmp_path / "pulled")


def test_untagged_manifests_go_without_the_garbage_collection_that_breaks_indexes(
    registry: Registry, tmp_path: Path
) -> None:
    """docker-registry's own `garbage-collect --delete-untagged` takes the children of tagged indexes."""
    multi, loose = index([built("amd"), built("arm", architecture="arm64")]), built("loose")
    push(registry, ("app", "1", multi), ("app", None, loose))
    with Registry(tmp_path / "theirs") as theirs:
        shutil.copytree(registry.storage, theirs.storage, dirs_exist_ok=True)
        theirs.garbage_collect(delete_untagged=True)
        theirs_pulls = pulls(theirs, "app:1", tmp_path / "pulled")
    plan = clean(registry, rs.Retention(untagged=True), tmp_path)
    assert plan.steps["digest"].tolist() == [loose.digest]
    assert pulls(registry, "app:1", tmp_path / "pulled")
    assert not theirs_pulls, "this registry does not break it any more: the test shows nothing"


def test_what_a_cluster_runs_stays_though_only_its_platform_is_named(registry: Registry, tmp_path: Path) -> None:
    child = built("amd")
    push(registry, ("app", "old", index([child, built("arm", architecture="arm64")])), ("app", "older", built("x")))
    pods = {"items": [{"spec": {}, "status": {"containerStatuses": [{"imageID": f"host/app@{child.digest}"}]}}]}
    (tmp_path / "pods.json").write_text(json.dumps(pods))
    plan = clean(registry, rs.Retention(tags="*", in_use=tmp_path / "pods.json"), tmp_path)
    assert plan.goes["tag"].tolist() == ["older"]
    assert pulls(registry, "app:old", tmp_path / "pulled")


def test_a_purge_is_bounded_and_gone_on_with(registry: Registry, tmp_path: Path) -> None:
    push(registry, *(("app", f"t{number}", built(f"build {number}", 50 + number)) for number in range(7)))
    plan = rs.plan(snapshot(registry), rs.Retention(tags="*"))
    store, journal = rs.open(registry.url, cache=False), tmp_path / "journal"
    left = []
    for _ in range(4):
        done = plan.apply(store, dry_run=False, max_deletes=2, journal=journal, progress=False)
        left.append(int((done.table["outcome"] == "left").sum()))
    assert left == [5, 3, 1, 0]
    registry.garbage_collect()
    assert registry.blob_bytes() == 0


def test_retagging_counts_as_activity(registry: Registry, tmp_path: Path) -> None:
    """The storage knows when a tag was pushed: an image of long ago that was tagged today is not old."""
    push(registry, ("app", "promoted", built("a", 400)))
    plan = rs.plan(snapshot(registry), rs.Retention(older_than="30d"))
    assert plan.steps.empty
    assert len(rs.plan(by_api(registry), rs.Retention(older_than="30d")).steps) == 1
