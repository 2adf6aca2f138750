"""Which image is built on which, and when a base is old."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from regscope.analysis.lineage import lineage
from regscope.tables import Snapshot
from tests.lab.drawn_snapshots import NOW, digest
from tests.lab.snapshots import Registry

OLD, NEW = NOW - timedelta(days=100), NOW - timedelta(days=1)


def bases(snap: Snapshot) -> dict[str, str]:
    """Each image's base, by name."""
    table = lineage(snap)
    return dict(zip(table["name"], table["base_name"], strict=True))


def newer(snap: Snapshot, name: str) -> Any:
    """The newer base of an image, None where there is none."""
    row = lineage(snap).set_index("name").loc[name]
    assert row["base_is_old"] == pd.notna(row["newer_base"])
    return row["newer_base"] if row["base_is_old"] else None


def on_base(tag: str, others: Sequence[tuple[str, datetime | None]], *, created: datetime | None = OLD) -> Registry:
    """`app:1` on `base:<tag>`, and other images of the repository `base` by tag."""
    made = Registry()
    made.image("the base", ["base"], f"base:{tag}", created=created)
    made.image("the app", ["base", "app"], "app:1", created=NOW)
    for other, when in others:
        made.image(f"other {other}", [f"layer of {other}"], f"base:{other}", created=when)
    return made


def test_the_longest_prefix_wins_in_a_chain_of_three() -> None:
    made = Registry()
    made.image("debian", ["os"], "debian:12")
    made.image("python", ["os", "python"], "python:3")
    made.image("app", ["os", "python", "app"], "app:1")
    assert bases(made.snapshot()) == {"app:1": "python:3", "python:3": "debian:12"}


def test_the_figures_are_those_of_the_layers_below_and_above() -> None:
    made = Registry(os=100, tool=10, app=1)
    made.image("base", ["os"], "base:1")
    made.image("app", ["os", "tool", "app"], "app:1")
    row = lineage(made.snapshot()).iloc[0]
    columns = ["digest", "base_digest", "shared_layers", "own_layers", "shared_size", "own_size"]
    assert row[columns].tolist() == [digest("app"), digest("base"), 1, 2, 100, 11]


def test_a_repeated_layer_takes_its_bytes_once() -> None:
    made = Registry(blank=32, os=100)
    made.image("base", ["os", "blank", "blank"], "base:1")
    made.image("app", ["os", "blank", "blank", "blank"], "app:1")
    row = lineage(made.snapshot()).iloc[0]
    assert row[["shared_layers", "own_layers", "shared_size", "own_size"]].tolist() == [3, 1, 132, 0]


def test_the_same_layers_in_another_order_are_no_base() -> None:
    made = Registry()
    made.image("base", ["b"], "base:1")
    made.image("app", ["a", "b"], "app:1")
    assert lineage(made.snapshot()).empty


def test_a_child_that_only_sets_its_config_is_built_on_the_image_with_fewer_steps() -> None:
    made = Registry()
    made.image("base", ["os"], "base:1")
    made.image("config only", ["os"], "app:1", more_steps=2)
    made.image("on top", ["os"], "top:1", more_steps=3)
    assert bases(made.snapshot()) == {"app:1": "base:1", "top:1": "app:1"}


def test_two_images_alike_are_not_each_other_s_base() -> None:
    made = Registry()
    made.image("one", ["os"], "a:1", created=OLD)
    made.image("two", ["os"], "b:1", created=NEW)
    assert lineage(made.snapshot()).empty


def test_of_bases_alike_the_oldest_counts_and_one_of_an_unknown_age_last() -> None:
    made = Registry()
    made.image("unknown", ["os"], "base:0", created=None)
    made.image("rebuilt", ["os"], "base:2", created=NEW)
    made.image("first", ["os"], "base:1", created=OLD)
    made.image("app", ["os", "app"], "app:1")
    assert bases(made.snapshot()) == {"app:1": "base:1"}


def test_of_bases_alike_the_one_for_the_same_platform_counts() -> None:
    made = Registry()
    made.image("base amd64", ["scripts"], "base:amd64", platform="linux/amd64", created=OLD)
    made.image("base arm64", ["scripts"], "base:arm64", platform="linux/arm64", created=NEW)
    made.image("app", ["scripts", "app"], "app:1", platform="linux/arm64/v8")
    assert bases(made.snapshot()) == {"app:1": "base:arm64"}


def test_images_without_all_of_their_diff_ids_are_left_out() -> None:
    made = Registry()
    made.image("schema 1", ["os"], "old:1", kind="schema1", chained=0)
    made.image("unreadable config", ["os"], "odd:1", chained=0)
    made.image("half known", ["os", "half"], "odd:2", chained=1)
    made.image("app", ["os", "app"], "app:1")
    assert lineage(made.snapshot()).empty


def test_artifacts_are_neither_images_nor_bases() -> None:
    made = Registry()
    made.image("sbom", ["os"], "base:sbom", kind="artifact")
    made.image("app", ["os", "app"], "app:1")
    assert lineage(made.snapshot()).empty


def test_a_digest_in_several_repositories_is_one_image_with_its_first_name() -> None:
    made = Registry()
    made.image("base", ["os"], "mirror:1", "base:1")
    made.image("app", ["os", "app"], "prod:1", "app:1")
    assert bases(made.snapshot()) == {"app:1": "base:1"}


def test_an_image_that_no_tag_leads_to_has_a_base_and_no_name() -> None:
    made = Registry()
    made.image("base", ["os"], "base:1")
    made.place("app", made.image("left over", ["os", "app"]), "untagged")
    row = lineage(made.snapshot()).iloc[0]
    assert row["digest"] == digest("left over")
    assert pd.isna(row["name"])


def test_a_child_of_an_index_is_named_by_the_index() -> None:
    made = Registry()
    child = made.image("base for arm64", ["os"], platform="linux/arm64")
    made.index("base", [child], "base:1")
    made.place("base", child)
    made.image("app", ["os", "app"], "app:1", platform="linux/arm64")
    assert bases(made.snapshot()) == {"app:1": "base:1"}


def test_a_base_is_old_if_a_comparable_one_is_newer() -> None:
    assert newer(on_base("3.11-slim", [("3.12-slim", NEW)]).snapshot(), "app:1") == "base:3.12-slim"


@pytest.mark.parametrize(
    ("tag", "other"),
    [("3.11-slim", "3.12"), ("3.11", "3.12-slim"), ("3.11", "latest"), ("1.0", "v1.1"), ("3-alpine3.18", "3-alpine")],
)
def test_tags_that_differ_in_more_than_the_version_are_not_compared(tag: str, other: str) -> None:
    assert newer(on_base(tag, [(other, NEW)]).snapshot(), "app:1") is None


@pytest.mark.parametrize(
    ("tag", "other"),
    [
        ("1", "2"),
        ("1.9", "1.10"),
        ("v1.2.3", "v1.2.4"),
        ("3-alpine3.18", "3-alpine3.19"),
        ("1-rc1", "1-rc2"),
        ("1", "1.1"),
    ],
)
def test_tags_that_differ_in_their_version_only_are_compared(tag: str, other: str) -> None:
    assert newer(on_base(tag, [(other, NEW)]).snapshot(), "app:1") == f"base:{other}"


def test_a_lower_version_that_was_rebuilt_later_is_not_newer() -> None:
    assert newer(on_base("3.12", [("3.11", NEW)]).snapshot(), "app:1") is None
    assert newer(on_base("3.10", [("3.9", NEW)]).snapshot(), "app:1") is None


def test_a_higher_version_that_was_built_earlier_is_not_newer() -> None:
    assert newer(on_base("3.11", [("3.12", OLD - timedelta(days=1))]).snapshot(), "app:1") is None


def test_the_newest_of_the_comparable_bases_is_named() -> None:
    made = on_base(
        "1.0", [("1.1", NEW), ("1.3", NEW - timedelta(days=2)), ("1.2", NEW + timedelta(hours=1)), ("0.9", NOW)]
    )
    assert newer(made.snapshot(), "app:1") == "base:1.2"


def test_a_version_of_many_digits_is_no_error() -> None:
    long = "9" * 5000
    assert newer(on_base("1", [(long, NEW)]).snapshot(), "app:1") == f"base:{long}"


@pytest.mark.parametrize("unknown", ["base", "other"])
def test_an_unknown_age_makes_nothing_old_or_newer(unknown: str) -> None:
    when = {"base": OLD, "other": NEW, unknown: None}
    assert newer(on_base("1", [("2", when["other"])], created=when["base"]).snapshot(), "app:1") is None


def test_a_newer_image_for_another_platform_is_not_a_newer_base() -> None:
    made = on_base("1", [])
    made.image("for arm64", ["arm"], "base:2", created=NEW, platform="linux/arm64")
    assert newer(made.snapshot(), "app:1") is None


def test_platforms_are_compared_through_indexes() -> None:
    made = Registry()
    for version, created in (("1", OLD), ("2", NEW)):
        children = []
        for architecture in ("amd64", "arm64"):
            name = f"{architecture} {version}"
            children.append(made.image(name, [f"os {name}"], platform=f"linux/{architecture}", created=created))
            made.place("base", children[-1])
        made.index(f"index {version}", children, f"base:{version}")
    made.image("app", ["os arm64 1", "app"], "app:1", platform="linux/arm64")
    assert newer(made.snapshot(), "app:1") == "base:2"


def test_a_newer_build_with_the_same_layers_is_no_newer_base() -> None:
    made = on_base("1", [])
    made.image("again", ["base"], "base:2", created=NEW)
    assert newer(made.snapshot(), "app:1") is None


def test_a_newer_image_in_another_repository_is_not_a_newer_base() -> None:
    made = on_base("1", [])
    made.image("elsewhere", ["other"], "mirror:2", created=NEW)
    assert newer(made.snapshot(), "app:1") is None


def test_a_base_in_two_repositories_is_old_if_either_has_a_newer_one() -> None:
    made = on_base("1", [])
    made.tag(digest("the base"), "mirror:1")
    made.image("elsewhere", ["other"], "mirror:2", created=NEW)
    assert newer(made.snapshot(), "app:1") == "mirror:2"


def test_a_base_whose_tag_moved_on_is_old() -> None:
    made = Registry()
    made.place("base", made.image("before", ["os 1=ADD file:1 in /"], created=OLD), "untagged")
    made.image("rebuilt", ["os 2=ADD file:1 in /"], "base:1", created=NEW)
    made.image("app", ["os 1=ADD file:1 in /", "app=COPY a b"], "app:1")
    row = lineage(made.snapshot()).iloc[0]
    assert pd.isna(row["base_name"])
    assert (row["base_is_old"], row["newer_base"]) == (True, "base:1")


def test_a_tag_that_moved_is_known_by_the_instructions_of_its_images() -> None:
    made = Registry()
    old = ["os 1=ADD rootfs", "python 1=RUN install 3.11.4"]
    made.place("python", made.image("before", old, created=OLD), "untagged")
    made.image("slim", ["os 2=ADD rootfs", "s=RUN install --slim 3.12.1"], "python:3.12-slim", created=NOW)
    made.image("full", ["os 2=ADD rootfs", "f=RUN install 3.12.1"], "python:3.12", created=NEW)
    made.image("app", [*old, "app=COPY a b"], "app:1")
    snap = made.snapshot()
    assert newer(snap, "app:1") == "python:3.12"
    made.image("rebuilt", ["os 2=ADD rootfs", "r=RUN install 3.11.4"], "python:3.11", created=NEW - timedelta(days=1))
    assert newer(made.snapshot(), "app:1") == "python:3.11"


@pytest.mark.parametrize("tags", [["base:1", "base:1-slim"], ["elsewhere:1"]])
def test_a_tag_that_may_be_another_one_s_did_not_move(tags: list[str]) -> None:
    made = Registry()
    made.place("base", made.image("before", ["os 1"], created=OLD), "untagged")
    for tag in tags:
        made.image(f"image {tag}", [f"layer of {tag}"], tag, created=NEW)
    made.image("app", ["os 1", "app"], "app:1")
    assert not lineage(made.snapshot())["base_is_old"].any()


def test_two_rebuilt_bases_are_told_apart() -> None:
    made = Registry()
    for version, created in (("1.0", OLD), ("1.1", NEW)):
        made.image(f"base {version}", [f"os {version}"], f"base:{version}", created=created)
        made.image(f"app {version}", [f"os {version}", "app"], f"app:{version}", created=created)
    snap = made.snapshot()
    assert bases(snap) == {"app:1.0": "base:1.0", "app:1.1": "base:1.1"}
    assert newer(snap, "app:1.0") == "base:1.1"
    assert newer(snap, "app:1.1") is None


def test_a_later_version_on_top_of_its_own_base_is_not_on_an_old_base() -> None:
    made = Registry()
    made.image("first", ["os"], "base:1.0", created=OLD)
    made.image("second", ["os", "patch"], "base:1.1", created=NEW - timedelta(days=1))
    made.image("third", ["other"], "base:1.2", created=NEW)
    assert bases(made.snapshot()) == {"base:1.1": "base:1.0"}
    assert newer(made.snapshot(), "base:1.1") is None


def test_another_flavour_in_the_base_s_repository_is_on_an_old_base() -> None:
    made = Registry()
    made.image("slim", ["os"], "python:3.11-slim", created=OLD)
    made.image("full", ["os", "all"], "python:3.11", created=OLD)
    made.image("newer slim", ["new os"], "python:3.12-slim", created=NEW)
    assert newer(made.snapshot(), "python:3.11") == "python:3.12-slim"


def test_many_builds_with_the_same_layers_are_compared_once() -> None:
    # Pair by pair these would be four million rows.
    made = Registry()
    for number in range(2000):
        made.image(f"base {number}", ["os"], created=OLD + timedelta(minutes=number))
    for number in range(2000):
        made.image(f"app {number}", ["os", "app"])
    table = lineage(made.snapshot())
    assert len(table) == 2000
    assert set(table["base_digest"]) == {digest("base 0")}
