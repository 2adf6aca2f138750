"""The rule `not_pulled_for`: only what nobody used for long matches, and what is not known never does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta

import pandas as pd

import regscope as rs
from tests.lab.snapshots import NOW, Registry
from tests.remediation.test_planning import gone, reason

OLD = NOW - timedelta(days=400)
RULE = rs.Retention(not_pulled_for="90d")


def ago(days: float | None) -> datetime | None:
    return None if days is None else NOW - timedelta(days=days)


def times(table: pd.DataFrame, key: str, days: Mapping[str, float]) -> pd.Series[pd.Timestamp]:
    when = [ago(days.get(name)) for name in table[key]]
    return pd.to_datetime(pd.Series(when, dtype=object), utc=True).astype("datetime64[us, UTC]")


def with_times(
    snap: rs.Snapshot,
    *,
    pulled: Mapping[str, float] = {},
    pushed: Mapping[str, float] = {},
    manifests_pulled: Mapping[str, float] = {},
    sees_pulls: bool = True,
) -> rs.Snapshot:
    """With the times, in days ago, at which these tags were pulled or pushed, and these manifests pulled."""
    tags = snap.tags.assign(pulled=times(snap.tags, "tag", pulled), pushed=times(snap.tags, "tag", pushed))
    placements = snap.placements.assign(pulled=times(snap.placements, "digest", manifests_pulled))
    return dataclasses.replace(snap, tags=tags, placements=placements, sees_pulls=sees_pulls)


def images(*tags: str) -> Registry:
    made = Registry()
    for tag in tags:
        made.image(tag, [f"layer {tag}"], f"app:{tag}", created=OLD)
    return made


def test_the_later_of_pull_and_push_counts() -> None:
    snap = images("used", "idle", "new", "never", "unknown").snapshot()
    snap = with_times(
        snap,
        pulled={"used": 89, "idle": 91, "new": 200},
        pushed={"used": 300, "idle": 300, "new": 89, "never": 91},
    )
    plan = rs.plan(snap, RULE)
    assert gone(plan) == ["app:idle", "app:never"]
    assert reason(plan, "app:used") == "not_pulled_for=90d: not pulled or pushed for 89 days"
    assert reason(plan, "app:new") == "not_pulled_for=90d: not pulled or pushed for 89 days"
    assert reason(plan, "app:unknown") == "not_pulled_for=90d: it is not known when it was pulled"
    assert {*plan.goes["rule"]} == {"not_pulled_for=90d: not pulled or pushed for 91 days"}


def test_a_pull_of_one_image_of_an_index_counts_for_the_index() -> None:
    made = Registry()
    children = [made.image(name, [name], created=OLD) for name in ("amd", "arm")]
    for child in children:
        made.place("app", child)
    made.index("both", children, "app:both", created=OLD)
    snap = made.snapshot()
    pushed = {"both": 300.0}
    assert gone(rs.plan(with_times(snap, pushed=pushed), RULE)) == ["app:both"]
    assert gone(rs.plan(with_times(snap, pushed=pushed, manifests_pulled={children[1]: 100}), RULE)) == ["app:both"]
    assert gone(rs.plan(with_times(snap, pushed=pushed, manifests_pulled={children[1]: 10}), RULE)) == []


def test_nothing_matches_where_the_registry_does_not_state_pulls() -> None:
    snap = with_times(images("a", "b").snapshot(), pushed={"a": 300, "b": 300}, sees_pulls=False)
    plan = rs.plan(snap, RULE)
    assert not len(plan.goes)
    assert any("not known when 2 tags were pulled last" in note for note in plan.notes())


def test_it_is_one_rule_among_others_and_survives_a_file(tmp_path: object) -> None:
    snap = with_times(images("pr-1", "v1").snapshot(), pulled={"pr-1": 100, "v1": 100})
    policy = rs.Retention(tags="pr-*", not_pulled_for="90d", keep_last=0)
    plan = rs.plan(snap, policy)
    assert gone(plan) == ["app:pr-1"]
    saved = plan.save(f"{tmp_path}/plan.json")
    assert rs.Plan.load(saved).policy == policy


def test_what_it_says_survives_a_saved_snapshot(tmp_path: object) -> None:
    snap = with_times(images("idle", "used").snapshot(), pulled={"idle": 100, "used": 1})
    snap.save(f"{tmp_path}/snap")
    loaded = rs.Snapshot.load(f"{tmp_path}/snap")
    assert loaded.sees_pulls
    assert gone(rs.plan(loaded, RULE)) == ["app:idle"]
