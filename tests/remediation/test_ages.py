"""What tells how old an image is where `created` does not: a placeholder never makes it look old."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import regscope as rs
from regscope.schema import FIRST_SEEN, table_of
from tests.lab.drawn_registries import Contents, Pushed, layer
from tests.lab.drawn_registries import image as pushed_image
from tests.lab.drawn_registries import index as pushed_index
from tests.lab.snapshots import NOW, Registry, digest
from tests.remediation.test_planning import gone, reason
from tests.servers.registry import Registry as RealRegistry

CREATED = "org.opencontainers.image.created"
PLACEHOLDERS = [None, "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z", "1980-01-01T00:00:01Z"]


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealRegistry]:
    with RealRegistry(tmp_path / "registry") as running:
        yield running


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def undated(registry: Registry, name: str, **said: float | str) -> str:
    """An image of `app` as buildpacks date it, with a label or annotation of so many days ago."""
    found = registry.image(name, [f"layer {name}"], f"app:{name}", created=datetime(1980, 1, 1, 0, 0, 1, tzinfo=UTC))
    for source, when in said.items():
        value = when if isinstance(when, str) else days_ago(when).isoformat()
        registry.rows["labels"].append((found, {"label": "config"}.get(source, source), CREATED, value))
    return found


def seen(snap: rs.Snapshot, **days: float) -> rs.Snapshot:
    """With the age at which earlier snapshots saw these images."""
    rows = [(digest(name), days_ago(ago)) for name, ago in days.items()]
    return dataclasses.replace(snap, first_seen=table_of(FIRST_SEEN, rows))


def pushed(snap: rs.Snapshot, **days: float) -> rs.Snapshot:
    """With the time at which these tags were pushed."""
    when = [days_ago(days[tag]) if tag in days else None for tag in snap.tags["tag"]]
    times = pd.to_datetime(pd.Series(when, dtype=object), utc=True).astype("datetime64[us, UTC]")
    return dataclasses.replace(snap, tags=snap.tags.assign(pushed=times))


def judged(plan: rs.Plan) -> dict[str, tuple[str, int | None]]:
    """By what each tag was judged, and how many days old it was taken to be."""
    table = plan.table[plan.table["tag"].notna()]
    days = [None if pd.isna(at) else (pd.Timestamp(NOW) - at).days for at in table["age_from"]]
    return dict(zip(table["tag"], zip(table["age_by"].astype("str"), days, strict=True), strict=True))


def test_a_label_or_annotation_counts_where_created_is_a_placeholder() -> None:
    registry = Registry()
    undated(registry, "label", label=50)
    undated(registry, "annotation", annotation=60)
    undated(registry, "both", label=70, annotation=5)  # the later: the label may be the base's
    undated(registry, "hostile", label="yesterday", annotation="\x1b[31m9999999")
    undated(registry, "placeholder", label="1970-01-01T00:00:00Z", annotation="0001-01-01T00:00:00Z")
    registry.image("true", ["t"], "app:true", created=days_ago(3))
    registry.rows["labels"].append((digest("true"), "config", CREATED, days_ago(90).isoformat()))
    plan = rs.plan(registry.snapshot(), rs.Retention(older_than="30d"))
    assert gone(plan) == ["app:annotation", "app:label"]
    assert judged(plan) == {
        "label": ("label", 50),
        "annotation": ("annotation", 60),
        "both": ("annotation", 5),
        "hostile": ("unknown", None),
        "placeholder": ("unknown", None),
        "true": ("created", 3),
    }
    assert reason(plan, "app:placeholder") == "older_than=30d: its age is unknown"


def test_a_label_that_is_the_bases_does_not_tell_when_an_image_was_built() -> None:
    registry = Registry()
    said = days_ago(400).isoformat()
    registry.image("base", ["b"], "base:1", created=days_ago(400))
    registry.image("derived", ["b", "d"], "app:derived", created=None)
    registry.image("twin", ["other"], "app:twin", created=None)
    for name in ("base", "derived", "twin"):
        registry.rows["labels"].append((digest(name), "config", CREATED, said))
    plan = rs.plan(registry.snapshot(), rs.Retention(repositories="app", older_than="30d"))
    assert judged(plan)["derived"] == ("unknown", None)
    assert judged(plan)["twin"] == ("label", 400)
    assert gone(plan) == ["app:twin"]


def test_an_index_is_judged_by_its_images_then_by_its_annotation_then_by_when_it_was_seen() -> None:
    registry = Registry()
    dated, old = undated(registry, "dated", label=8), registry.image("old", ["o"], "app:old", created=days_ago(90))
    blank = undated(registry, "blank")
    registry.index("by images", [dated, old], "app:images", created=days_ago(70))
    registry.index("by annotation", [blank, old], "app:annotated", created=days_ago(60))
    registry.index("wrongly annotated", [blank, dated], "app:wrong", created=days_ago(60))
    registry.index("seen", [blank, old], "app:seen")
    registry.index("never", [blank, old], "app:never")
    snap = registry.snapshot()
    found = judged(rs.plan(seen(snap, seen=40), rs.Retention(older_than="30d")))
    assert found["images"] == ("label", 8)
    assert found["annotated"] == ("annotation", 60)
    assert found["wrong"] == ("label", 8)  # an index is not older than an image in it
    assert found["seen"] == ("first seen", 40)
    assert found["never"] == ("unknown", None)
    assert judged(rs.plan(seen(snap, blank=20), rs.Retention(older_than="30d")))["never"] == ("first seen", 20)


def test_what_an_earlier_snapshot_had_is_at_least_that_old() -> None:
    registry = Registry()
    for name in ("a", "b", "c"):
        undated(registry, name)
    undated(registry, "d", label=2)
    plan = rs.plan(seen(registry.snapshot(), a=40, b=10, d=90), rs.Retention(older_than="30d"))
    assert gone(plan) == ["app:a"]
    assert plan.goes["rule"].tolist() == ["older_than=30d: at least 40 days old"]
    assert reason(plan, "app:b") == "older_than=30d: at least 10 days old"
    assert judged(plan) == {
        "a": ("first seen", 40), "b": ("first seen", 10), "c": ("unknown", None), "d": ("label", 2),
    }  # fmt: skip


def test_keep_last_orders_by_first_seen_and_lets_it_put_nothing_known_behind() -> None:
    registry = Registry()
    for name in ("a", "b", "c", "d", "new"):
        undated(registry, name)
    snap = seen(registry.snapshot(), a=1, b=2, c=3, d=3)
    assert gone(rs.plan(snap, rs.Retention(keep_last=2))) == ["app:c", "app:d"]
    assert gone(rs.plan(snap, rs.Retention(keep_last=3))) == []  # both may be the third, and `new` is the newest
    for days in (5, 6):
        registry.image(f"true {days}", [f"t{days}"], f"app:true-{days}", created=days_ago(days))
    snap = seen(registry.snapshot(), a=1, b=2, c=9)
    assert gone(rs.plan(snap, rs.Retention(keep_last=1))) == ["app:b", "app:c", "app:true-6"]
    assert gone(rs.plan(snap, rs.Retention(keep_last=4))) == ["app:c"]


def test_pushed_counts_where_the_store_knows_it() -> None:
    registry = Registry()
    for name in ("a", "b", "c"):
        undated(registry, name)
    registry.image("true", ["t"], "app:true", created=days_ago(90))
    snap = pushed(seen(registry.snapshot(), a=1, b=5), a=50, b=2, true=3)
    plan = rs.plan(snap, rs.Retention(older_than="30d"))
    assert gone(plan) == ["app:a"]
    assert judged(plan) == {
        "a": ("pushed", 50), "b": ("pushed", 2), "c": ("unknown", None), "true": ("pushed", 3),
    }  # fmt: skip
    by_created = rs.plan(snap, rs.Retention(keep_last=1))
    assert gone(by_created) == ["app:a"]
    assert judged(by_created)["true"] == ("created", 90)
    assert judged(rs.plan(snap, rs.Retention(keep_last=1, keep_last_by="pushed")))["true"] == ("pushed", 3)


def test_manifests_without_a_tag_are_judged_in_the_same_way() -> None:
    registry = Registry()
    for name, days in (("old", 50.0), ("young", 2.0)):
        undated(registry, name, annotation=days)
    undated(registry, "seen")
    undated(registry, "blank")
    registry.rows["tags"].clear()
    registry.rows["placements"] = [
        (repository, each, "untagged", None, False, None) for repository, each, *_ in registry.rows["placements"]
    ]
    plan = rs.plan(seen(registry.snapshot(), seen=9), rs.Retention(untagged="7d"))
    assert set(plan.goes["digest"]) == {digest("old"), digest("seen")}
    found = dict(zip(plan.table["digest"], plan.table["age_by"].astype("str"), strict=True))
    assert found[digest("seen")] == "first seen"
    assert found[digest("blank")] == "unknown"


def test_a_tag_that_could_not_be_read_has_no_age() -> None:
    registry = Registry()
    registry.rows["tags"].append(("app", "broken", digest("never read"), None, None, None))
    assert judged(rs.plan(registry.snapshot(), rs.Retention(older_than="1d"))) == {"broken": ("unknown", None)}
    registry.image("old", ["o"], "app:old", created=days_ago(90))
    plan = rs.plan(registry.snapshot(), rs.Retention(older_than="1d"))
    assert judged(plan)["broken"] == ("unknown", None)
    row = plan.table[plan.table["tag"] == "broken"].iloc[0]
    assert row[["kind", "created", "size"]].isna().all()


def dated(name: str, created: str | None, annotations: dict[str, str] | None = None, **labels: str) -> Pushed:
    """An image whose config says this about when it was built."""
    made = pushed_image([layer(name, 200)], None)
    config = json.loads(made.blobs[0]) | {"config": {"Labels": labels}} | ({"created": created} if created else {})
    raw_config = json.dumps(config).encode()
    manifest = json.loads(made.raw)
    manifest["config"] |= {"digest": rs.Digest.of(raw_config), "size": len(raw_config)}
    manifest |= {"annotations": annotations} if annotations else {}
    return Pushed(json.dumps(manifest).encode(), made.media_type, (raw_config, *made.blobs[1:]))


@pytest.mark.parametrize("created", PLACEHOLDERS)
def test_a_placeholder_in_a_real_registry_is_never_old(real: RealRegistry, created: str | None) -> None:
    then = "2024-05-01T00:00:00Z"
    annotated = dated("annotated", created, {CREATED: then})
    index = json.loads(pushed_index([dated("child", created)]).raw) | {"annotations": {CREATED: then}}
    indexed = Pushed(json.dumps(index).encode(), pushed_index([]).media_type, children=(dated("child", created),))
    Contents(
        [("app", "blank", dated("blank", created)), ("app", "labelled", dated("labelled", created, **{CREATED: then})),
         ("app", "annotated", annotated), ("app", "indexed", indexed)]
    ).push_to(real.url)  # fmt: skip
    snap = rs.scan(rs.open(real.url, cache=False), progress=False)
    plan = rs.plan(snap, rs.Retention(older_than="30d"))
    assert gone(plan) == ["app:annotated", "app:indexed", "app:labelled"]
    found = plan.table[plan.table["tag"].notna()].set_index("tag")["age_by"].astype("str").to_dict()
    assert found == {"blank": "unknown", "labelled": "label", "annotated": "annotation", "indexed": "annotation"}
    assert plan.table["age_from"].dropna().eq(pd.Timestamp(then)).all()


def test_scans_remember_through_saved_snapshots_when_a_digest_was_seen_first(
    real: RealRegistry, tmp_path: Path
) -> None:
    Contents([("app", "1", dated("one", PLACEHOLDERS[-1]))]).push_to(real.url)
    store = rs.open(real.url, cache=False)
    first = dataclasses.replace(rs.scan(store, progress=False), taken_at=datetime.now(UTC) - timedelta(days=40))
    Contents([("app", "2", dated("two", PLACEHOLDERS[-1]))]).push_to(real.url)
    second = rs.scan(store, known=rs.Snapshot.load(first.save(tmp_path / "first")), progress=False)
    second = dataclasses.replace(second, taken_at=datetime.now(UTC) - timedelta(days=5))
    Contents([("web", "same", dated("one", PLACEHOLDERS[-1])), ("web", "3", dated("three", None))]).push_to(real.url)
    third = rs.scan(store, known=rs.Snapshot.load(second.save(tmp_path / "second")), progress=False)
    ages = {row.digest: (third.taken_at - row.at).days for row in third.first_seen.itertuples()}
    assert ages == {dated("one", PLACEHOLDERS[-1]).digest: 40, dated("two", PLACEHOLDERS[-1]).digest: 5}
    pd.testing.assert_frame_equal(rs.Snapshot.load(third.save(tmp_path / "third")).first_seen, third.first_seen)
    plan = rs.plan(third, rs.Retention(older_than="30d"))
    assert gone(plan) == ["app:1", "web:same"]
    again = rs.Plan.load(plan.save(tmp_path / "plan.json"))
    pd.testing.assert_frame_equal(again.table, plan.table)
    assert again.notes() == plan.notes()
    rs.scan(store, progress=False).save(tmp_path / "third")
    assert not (tmp_path / "third" / "first_seen.parquet").exists()


def test_the_plan_says_where_the_storage_would_tell_another_time(real: RealRegistry) -> None:
    Contents([("app", "old", dated("old", "2024-05-01T00:00:00Z")), ("app", "blank", dated("blank", None))]).push_to(
        real.url
    )
    by_api = rs.scan(rs.open(real.url, cache=False), progress=False)
    by_files = rs.scan(rs.open(f"storage:{real.storage}"), progress=False)

    def notes(snap: rs.Snapshot, **rules: Any) -> str:
        return " ".join(note for note in rs.plan(snap, rs.Retention(**rules)).notes() if "storage:" in note)

    files = "On the registry's own files (storage:)"
    later = "by when they were pushed, if that was later; here: 1 created, 1 unknown."
    assert notes(by_api, older_than="30d") == f"{files} older_than would judge 2 tags {later}"
    assert notes(by_api, keep_last=1) == (
        f"{files} keep_last would judge 1 tag by when they were pushed; here: 1 unknown."
    )
    assert "keep_last_by=pushed would judge 2 tags" in notes(by_api, keep_last=1, keep_last_by="pushed")
    assert notes(by_api, tags="old") == notes(by_api, keep_last=1, keep_last_by="version") == ""
    assert notes(by_files, older_than="30d") == ""
    assert gone(rs.plan(by_api, rs.Retention(older_than="30d"))) == ["app:old"]
    assert gone(rs.plan(by_files, rs.Retention(older_than="30d"))) == []
