"""`sharing` against plain sets, and against `what_if`."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from hypothesis import given, settings

from regscope.analysis.sharing import sharing, tag_weights
from regscope.analysis.what_if import what_if
from regscope.tables import Snapshot
from tests.lab.drawn_snapshots import NOW, Drawn, digest, registries


def by_level(table: pd.DataFrame, level: str) -> pd.DataFrame:
    return table[table["level"] == level]


@settings(max_examples=100, deadline=None)
@given(registries())
def test_every_level_counts_what_plain_sets_count(drawn: Drawn) -> None:
    table = sharing(drawn.snapshot())
    entities = {
        "tag": [drawn.held({(tag[0], manifest)}) for tag, manifest in drawn.tags.items()]
        + [drawn.held({node}) for node in drawn.standing()],
        "repository": [{n for n in drawn.placed() if n[0] == r} for r in {r for r, _ in drawn.placed()}],
    }
    for level, groups in entities.items():
        blobs = [{b: s for _, m in group for b, s in drawn.contents(m).items()} for group in groups]
        expected = []
        for number, mine in enumerate(blobs):
            others = {b for other, theirs in enumerate(blobs) if other != number for b in theirs}
            exclusive = sum(size for blob, size in mine.items() if blob not in others)
            total = sum(s for m in {m for _, m in groups[number]} for s in drawn.contents(m).values())
            expected.append((total, sum(mine.values()), sum(mine.values()) - exclusive, exclusive))
        found = by_level(table, level)[["total", "unique", "shared", "exclusive"]]
        assert sorted(map(tuple, found.to_numpy().tolist())) == sorted(expected)


@settings(max_examples=40, deadline=None)
@given(registries())
def test_the_exclusive_bytes_of_a_tag_are_what_deleting_it_alone_frees(drawn: Drawn) -> None:
    snap = drawn.snapshot()
    tags = by_level(sharing(snap), "tag").dropna(subset="tag")
    for row in tags.itertuples():
        assert what_if(snap, delete=f"{row.repository}:{row.tag}").freed_bytes == row.exclusive


@settings(max_examples=40, deadline=None)
@given(registries())
def test_the_exclusive_bytes_of_a_repository_are_what_deleting_it_frees(drawn: Drawn) -> None:
    snap = drawn.snapshot()
    for row in by_level(sharing(snap), "repository").itertuples():
        assert what_if(snap, delete=row.repository).freed_bytes == row.exclusive


@settings(max_examples=40, deadline=None)
@given(registries())
def test_the_registry_weighs_what_its_blobs_weigh(drawn: Drawn) -> None:
    snap = drawn.snapshot()
    whole = by_level(sharing(snap), "registry").iloc[0]
    assert whole["unique"] == whole["exclusive"] == snap.blobs["size"].sum()
    assert whole["shared"] == 0


def test_the_dedup_ratio_is_referenced_over_stored_layer_bytes() -> None:
    drawn = Drawn(
        sizes={"base": 900, "top": 100},
        layers={"one": ["base"], "two": ["base", "top"], "twice": ["base", "base"]},
        tags={("r", "1"): "one", ("r", "2"): "two", ("r", "3"): "twice"},
    )
    whole = by_level(sharing(drawn.snapshot()), "registry").iloc[0]
    assert whole["dedup_ratio"] == pytest.approx((900 + 1000 + 900) / 1000)


def test_an_empty_snapshot_gives_the_same_columns_and_dtypes() -> None:
    empty = sharing(Snapshot.from_rows({}, location="nothing", taken_at=NOW, sees_untagged=True))
    full = sharing(Drawn(sizes={"l": 1}, layers={"m": ["l"]}, tags={("r", "t"): "m"}).snapshot())
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert by_level(empty, "registry")["unique"].item() == 0
    assert by_level(empty, "tag").empty


def fallback_tagged() -> Snapshot:
    """An image with an SBOM under the referrers fallback tag `sha256-…`."""
    image, sbom, index = digest("image"), digest("sbom"), digest("fallback index")
    manifests = [
        (image, "m", "image", 10, None, None, None, "linux", "amd64", None, NOW, 0, 0),
        (sbom, "m", "artifact", 20, None, "sbom", image, None, None, None, None, 0, 0),
        (index, "m", "index", 40, None, None, None, None, None, None, None, None, None),
    ]
    rows = {
        "manifests": manifests,
        "blobs": [(row[0], "manifest", row[3], "m", False) for row in manifests],
        "tags": [("r", "1", image, None, None, None), ("r", image.replace(":", "-"), index, image, None, None)],
        "platforms": [(index, sbom, None, None, None, False)],
        "placements": [
            ("r", image, "tag", None, False, None),
            ("r", index, "tag", None, False, None),
            ("r", sbom, "index child", None, False, None),
        ],
        "referrers": [(image, sbom, "sbom", "fallback tag")],
    }
    return Snapshot.from_rows(rows, location="fallback", taken_at=NOW, sees_untagged=True)


def test_a_fallback_tag_goes_with_its_subject_and_counts_as_a_part_of_it() -> None:
    tags = by_level(sharing(fallback_tagged()), "tag")
    assert tags["tag"].tolist() == ["1"]
    assert tags["exclusive"].item() == 10 + 20 + 40
    assert what_if(fallback_tagged(), delete="r:1").freed_bytes == 70


def test_a_fallback_tag_cannot_be_deleted_while_its_subject_stays() -> None:
    answer = what_if(fallback_tagged(), delete="r:sha256-*")
    assert answer.freed_bytes == 0
    assert answer.kept["reason"].item() == f"it is attached to {digest('image')}, which stays"


def test_a_fallback_tag_whose_subject_is_gone_stands_by_itself() -> None:
    whole = fallback_tagged()
    without = {name: getattr(whole, name).iloc[1:].reset_index(drop=True) for name in ("placements", "tags")}
    snap = dataclasses.replace(whole, **without)
    assert what_if(snap, delete="r:sha256-*").freed_bytes == 60


def test_tag_weights_list_every_tag_and_leave_attachments_without_a_weight() -> None:
    weights = tag_weights(fallback_tagged()).set_index("tag")
    assert len(weights) == 2
    assert weights.loc["1", "exclusive"] == 70
    assert pd.isna(weights.loc[digest("image").replace(":", "-"), "exclusive"])
