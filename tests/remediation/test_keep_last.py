"""`keep_last` counts images: a tag on a part of one stays and goes with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from tests.lab.drawn_registries import Contents, Pushed, artifact, image, index, layer
from tests.lab.snapshots import NOW, Registry, digest
from tests.remediation.test_planning import gone, reason
from tests.servers.registry import Registry as RealRegistry


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealRegistry]:
    with RealRegistry(tmp_path / "registry") as running:
        yield running


def release(registry: Registry, version: str, days: float, *, repository: str = "app", tag_parts: bool = True) -> str:
    """An index of two images, and a tag on each of them."""
    parts = []
    for architecture in ("amd64", "arm64"):
        name = f"{repository} {version} {architecture}"
        part = registry.image(name, [name], created=NOW - timedelta(days=days), platform=f"linux/{architecture}")
        registry.tag(part, *([f"{repository}:{version}-{architecture}"] if tag_parts else []))
        registry.place(repository, part)
        parts.append(part)
    return registry.index(f"{repository} {version}", parts, f"{repository}:{version}")


def releases(*ages: float) -> Registry:
    """`4.0`, `3.0` … of these ages in days, each with its parts."""
    registry = Registry()
    for at, days in enumerate(ages):
        release(registry, f"{len(ages) - at}.0", days)
    return registry


def with_parts(*versions: str) -> list[str]:
    return sorted(f"app:{version}{part}" for version in versions for part in ("", "-amd64", "-arm64"))


def rule(plan: rs.Plan, tag: str) -> str:
    row = plan.table[(plan.table["repository"] + ":" + plan.table["tag"]) == tag].iloc[0]
    return str(row["rule"])


@pytest.mark.parametrize("by", ["created", "version"])
def test_tags_of_single_platforms_are_not_counted_and_go_with_their_index(by: str) -> None:
    plan = rs.plan(releases(1, 2, 3, 4).snapshot(), rs.Retention(keep_last=3, keep_last_by=by))
    assert gone(plan) == with_parts("1.0")
    assert rule(plan, "app:1.0-amd64") == "it is part of 1.0, which goes"
    assert reason(plan, "app:2.0-amd64") == "it is part of 2.0, which stays"
    assert plan.spared.empty


def test_predicted_bytes_are_freed_and_the_images_that_are_kept_have_their_parts(real: RealRegistry) -> None:
    def part(version: int, architecture: str) -> Pushed:
        return image([layer("base", 900), layer(f"{version} {architecture}", 300)], 10 - version, architecture)

    pushes: list[tuple[str, str | None, Pushed]] = []
    for version in (1, 2, 3):
        amd, arm = part(version, "amd64"), part(version, "arm64")
        pushes += [("app", f"{version}-amd64", amd), ("app", f"{version}-arm64", arm)]
        pushes += [("app", f"{version}", index([amd, arm]))]
    Contents(pushes).push_to(real.url)
    plan = rs.plan(rs.scan(rs.open(f"storage:{real.storage}"), progress=False), rs.Retention(keep_last=2))
    before = real.blob_bytes()
    assert plan.apply(rs.open(real.url, cache=False), dry_run=False, progress=False).ok
    real.garbage_collect()
    assert before - real.blob_bytes() == plan.freed_bytes > 600
    left = rs.scan(rs.open(real.url, cache=False), progress=False)
    assert sorted(left.tags["tag"]) == ["2", "2-amd64", "2-arm64", "3", "3-amd64", "3-arm64"]
    assert not len(left.problems)


def test_no_other_rule_takes_a_part_from_an_index_that_stays() -> None:
    registry = releases(1, 2)
    old = registry.image("old part", ["p"], "app:5-amd64", created=NOW - timedelta(days=90), platform="linux/arm64")
    young = registry.image("young part", ["q"], "app:5-arm64", created=NOW - timedelta(days=9))
    registry.index("5", [old, young], "app:5")
    snap = registry.snapshot()
    assert gone(rs.plan(snap, rs.Retention(keep_last=1, older_than="30d"))) == []
    plan = rs.plan(snap, rs.Retention(keep_last=1, platforms="linux/arm64"))
    assert gone(plan) + gone(plan, "untag") == []
    assert gone(rs.plan(snap, rs.Retention(keep_last=2, older_than="5d"))) == ["app:5", "app:5-amd64", "app:5-arm64"]


def test_without_keep_last_each_tag_is_judged_by_itself() -> None:
    plan = rs.plan(releases(1).snapshot(), rs.Retention(platforms="linux/arm64"))
    assert gone(plan, "untag") == ["app:1.0-arm64"]


def test_a_part_of_a_part_goes_with_the_outermost_index() -> None:
    registry = releases(1, 2, 3)
    for version in ("1.0", "3.0"):
        registry.index(f"all of {version}", [digest(f"app {version}")], f"app:{version}-all")
    plan = rs.plan(registry.snapshot(), rs.Retention(keep_last=2))
    assert gone(plan) == sorted([*with_parts("1.0"), "app:1.0-all"])
    assert reason(plan, "app:3.0") == "it is part of 3.0-all, which stays"


def test_a_part_of_two_indexes_stays_as_long_as_one_of_them_does() -> None:
    registry = releases(1, 2)
    registry.index("1.1", [digest("app 1.0 amd64"), digest("app 2.0 arm64")], "app:1.1")
    plan = rs.plan(registry.snapshot(), rs.Retention(tags=["1.0*"], keep_last=0))
    assert gone(plan) == ["app:1.0", "app:1.0-arm64"]
    assert gone(plan, "untag") == ["app:1.0-amd64"]  # the policy is not about 1.1, whose child stays
    plan = rs.plan(registry.snapshot(), rs.Retention(keep_last=0, protect=["1.1"]))
    assert gone(plan) == ["app:1.0", "app:1.0-arm64", "app:2.0", "app:2.0-amd64"]
    assert reason(plan, "app:1.0-amd64") == "it is part of 1.1, which stays"


def test_a_part_stays_with_an_index_that_is_protected_or_has_another_tag() -> None:
    registry = releases(1, 2, 3)
    registry.tag(digest("app 2.0"), "app:stable")
    plan = rs.plan(registry.snapshot(), rs.Retention(keep_last=1, exclude_tags="stable", protect="1.0"))
    assert gone(plan) == []
    assert gone(plan, "untag") == ["app:2.0"]
    assert reason(plan, "app:1.0-amd64") == "it is part of 1.0, which stays"
    assert reason(plan, "app:2.0-amd64") == "it is part of 2.0, which stays"


def test_a_protected_part_stays_when_its_index_goes() -> None:
    plan = rs.plan(releases(1, 2).snapshot(), rs.Retention(keep_last=1, protect="1.0-amd64"))
    assert gone(plan) == ["app:1.0", "app:1.0-arm64"]
    assert reason(plan, "app:1.0-amd64") == "protect=1.0-amd64"
    assert rule(plan, "app:1.0-amd64") == "it is part of 1.0, which goes"


def test_a_part_that_the_policy_is_not_about_keeps_its_manifest() -> None:
    plan = rs.plan(releases(1, 2).snapshot(), rs.Retention(tags="/[0-9.]+/", keep_last=1))
    assert gone(plan) == ["app:1.0"]
    assert reason(plan, "app:1.0-amd64") == "excluded from this policy"


def test_parts_are_counted_where_the_policy_is_not_about_their_indexes() -> None:
    plan = rs.plan(releases(1, 2, 3).snapshot(), rs.Retention(tags="*-amd64", keep_last=1))
    assert gone(plan, "untag") == ["app:1.0-amd64", "app:2.0-amd64"]


def test_an_index_in_another_repository_makes_no_part() -> None:
    registry = releases(1)
    for number in (2, 3):
        registry.image(f"single {number}", [f"s{number}"], f"web:{number}", created=NOW - timedelta(days=number))
    registry.tag(digest("app 1.0 amd64"), "web:1")
    plan = rs.plan(registry.snapshot(), rs.Retention(repositories="web", keep_last=2))
    assert gone(plan) == ["web:3"]


def test_several_tags_on_an_index_and_on_a_part_are_one_image() -> None:
    registry = releases(1, 2, 3)
    for version in ("1.0", "3.0"):
        registry.tag(digest(f"app {version}"), f"app:also-{version}")
        registry.tag(digest(f"app {version} amd64"), f"app:also-{version}-amd64")
    plan = rs.plan(registry.snapshot(), rs.Retention(keep_last=2))
    assert gone(plan) == sorted([*with_parts("1.0"), "app:also-1.0", "app:also-1.0-amd64"])


def test_a_tagged_sbom_goes_with_its_image_and_an_image_with_a_subject_is_its_own(real: RealRegistry) -> None:
    old, new = image([layer("old", 50)], 9), image([layer("new", 50)], 2)
    sboms = [artifact("sbom", name, of) for name, of in ((b"old", old), (b"new", new))]
    pushes: list[Any] = [("app", "1", old), ("app", "2", new), ("app", "1-sbom", sboms[0]), ("app", "2-sbom", sboms[1])]
    Contents(pushes).push_to(real.url)
    snap = rs.scan(rs.open(real.url, cache=False), progress=False)
    assert gone(rs.plan(snap, rs.Retention(keep_last=1))) == ["app:1", "app:1-sbom"]
    registry = Registry()
    base = registry.image("base", ["b"], "app:base", created=NOW - timedelta(days=9))
    derived = registry.image("derived", ["b", "d"], "app:derived", created=NOW)
    registry.rows["referrers"].append((base, derived, None, "subject"))
    assert "app:derived" not in gone(rs.plan(registry.snapshot(), rs.Retention(keep_last=1)))
