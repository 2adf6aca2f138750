"""How a registry grows, from hand-made figures and from plain sets."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pandas as pd
from hypothesis import given, settings

from regscope.analysis.growth import growth
from tests.lab.drawn_snapshots import NOW, Drawn, digest, registries
from tests.lab.snapshots import CONFIG_SIZE, MANIFEST_SIZE, Registry, empty

OWN = MANIFEST_SIZE + CONFIG_SIZE
FIGURES = ["tags", "manifests", "stored", "added", "removed"]


def blobs_by_owner(drawn: Drawn) -> dict[str | None, dict[str, int]]:
    """Blobs of the registry (None) and of each repository."""
    found: dict[str | None, dict[str, int]] = {None: {}}
    for repository, manifest in drawn.placed():
        for owner in (None, repository):
            found.setdefault(owner, {}).update(drawn.contents(manifest))
    return found


@settings(max_examples=25, deadline=None)
@given(registries(), registries())
def test_added_and_removed_are_what_plain_sets_say(before: Drawn, after: Drawn) -> None:
    after.sizes = after.sizes | before.sizes  # a digest has one size
    first = before.snapshot()
    second = dataclasses.replace(after.snapshot(), taken_at=NOW + timedelta(days=1))
    table = growth([second, first])
    table = table[table["taken_at"] == second.taken_at]
    old, new = blobs_by_owner(before), blobs_by_owner(after)
    expected = {}
    for owner in old.keys() | new.keys():
        was, now = old.get(owner, {}), new.get(owner, {})
        expected[owner] = (
            sum(1 for repository, _ in after.tags if owner in (None, repository)),
            len({m for r, m in after.placed() if owner in (None, r)}),
            sum(now.values()),
            sum(size for blob, size in now.items() if blob not in was),
            sum(size for blob, size in was.items() if blob not in now),
        )
    owners = [None if pd.isna(name) else name for name in table["repository"]]
    assert dict(zip(owners, map(tuple, table[FIGURES].to_numpy().tolist()), strict=True)) == expected
    assert len(owners) == len(expected)


def test_a_registry_that_grows_and_shrinks() -> None:
    days = [Registry(NOW + timedelta(days=day), base=100, app=10, web=20) for day in range(3)]
    days[0].image("app 1", ["base", "app"], "app:1")
    days[1].image("app 1", ["base", "app"], "app:1", "app:latest")
    days[1].image("web 1", ["base", "web"], "web:1")
    days[2].image("web 1", ["base", "web"], "web:1")
    table = growth([day.snapshot() for day in days])
    assert table["repository"].astype(object).where(table["repository"].notna(), "").tolist() == [
        *("", "app"),
        *("", "app", "web"),
        *("", "app", "web"),
    ]
    assert (table["level"] == table["repository"].isna().map({True: "registry", False: "repository"})).all()
    assert table["added"].isna().tolist() == table["removed"].isna().tolist() == [True] * 2 + [False] * 6
    assert table[FIGURES].fillna(-1).to_numpy().tolist() == [
        [1, 1, OWN + 110, -1, -1],
        [1, 1, OWN + 110, -1, -1],
        [3, 2, 2 * OWN + 130, OWN + 20, 0],
        [2, 1, OWN + 110, 0, 0],
        [1, 1, OWN + 120, OWN + 120, 0],
        [1, 1, OWN + 120, 0, OWN + 10],
        [0, 0, 0, 0, OWN + 110],
        [1, 1, OWN + 120, 0, 0],
    ]


def test_the_order_of_the_snapshots_does_not_matter() -> None:
    first, second = Registry(), Registry(NOW + timedelta(days=1))
    second.image("image", ["layer"], "r:1")
    snaps = [first.snapshot(), second.snapshot()]
    pd.testing.assert_frame_equal(growth(snaps), growth(snaps[::-1]))


def test_times_are_in_utc_whatever_zone_the_snapshot_is_in() -> None:
    elsewhere = pd.Timestamp("2026-01-01T05:00:00+05:00").to_pydatetime()
    table = growth([dataclasses.replace(empty(), taken_at=elsewhere)])
    assert table["taken_at"].tolist() == [pd.Timestamp(NOW)]


def test_what_lives_elsewhere_and_what_is_of_unknown_size_takes_no_room() -> None:
    made = Registry(windows=1000, unknown=None)
    made.foreign.add("windows")
    made.image("image", ["windows", "unknown"], "r:1")
    assert growth([made.snapshot()])["stored"].tolist() == [OWN, OWN]


def test_a_repository_with_nothing_readable_still_has_its_tags() -> None:
    made = Registry()
    made.rows["tags"].append(("lost", "1", digest("lost"), None, None, None))
    table = growth([made.snapshot()])
    assert table[["tags", "manifests", "stored"]].to_numpy().tolist() == [[1, 0, 0], [1, 0, 0]]


def test_no_snapshots_give_no_rows_and_the_same_columns() -> None:
    assert growth([]).empty
    assert growth([]).dtypes.to_dict() == growth([empty()]).dtypes.to_dict()
