"""What a policy means for a snapshot: each rule, how they compose, and what is kept whatever they say."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import regscope as rs
from regscope.errors import InvalidInput, NotAStore, StoreError
from regscope.tables import Snapshot
from tests.lab.drawn_snapshots import Drawn, registries
from tests.lab.drawn_snapshots import digest as drawn_digest
from tests.lab.snapshots import NOW, Registry, digest


def days_ago(days: float) -> object:
    return NOW - timedelta(days=days)


def aged(**tags: float | None) -> Registry:
    """One image for each tag of `app`, built so many days ago; None is an unknown age."""
    registry = Registry()
    for tag, days in tags.items():
        created = None if days is None else days_ago(days)
        registry.image(f"image {tag}", [f"layer {tag}"], f"app:{tag}", created=created)  # type: ignore[arg-type]
    return registry


def gone(plan: rs.Plan, action: str = "delete") -> list[str]:
    """The tags with this action, as they are written."""
    rows = plan.table[(plan.table["action"] == action) & plan.table["tag"].notna()]
    return sorted(rows["repository"] + ":" + rows["tag"])


def reason(plan: rs.Plan, tag: str) -> str:
    row = plan.table[(plan.table["repository"] + ":" + plan.table["tag"]) == tag].iloc[0]
    return str(row["reason"])


def test_the_newest_are_kept_and_the_others_go() -> None:
    plan = rs.plan(aged(a=1, b=2, c=3, d=4).snapshot(), rs.Retention(keep_last=2))
    assert gone(plan) == ["app:c", "app:d"]
    assert reason(plan, "app:b") == "keep_last=2: number 2 of its repository by age"


def test_each_repository_keeps_its_own() -> None:
    registry = aged(a=1, b=2)
    registry.image("other", ["x"], "other:old", created=days_ago(900))  # type: ignore[arg-type]
    assert gone(rs.plan(registry.snapshot(), rs.Retention(keep_last=1))) == ["app:b"]


def test_tags_on_one_manifest_are_one_image() -> None:
    registry = aged(a=1, b=2, c=3)
    registry.tag(digest("image a"), "app:again", "app:latest")
    assert gone(rs.plan(registry.snapshot(), rs.Retention(keep_last=2))) == ["app:c"]


def test_images_as_old_as_the_last_that_is_kept_are_kept() -> None:
    assert gone(rs.plan(aged(a=1, b=2, c=2, d=2, e=3).snapshot(), rs.Retention(keep_last=2))) == ["app:e"]


def test_an_unknown_age_is_never_old_and_does_not_count() -> None:
    snap = aged(a=1, b=2, c=None, epoch=20_000).snapshot()
    plan = rs.plan(snap, rs.Retention(keep_last=1, older_than="1h"))
    assert gone(plan) == ["app:b"]
    assert reason(plan, "app:c") == "keep_last=1: its age is unknown"
    assert reason(plan, "app:epoch") == "keep_last=1: its age is unknown"


def test_an_index_is_as_old_as_its_newest_image_and_of_unknown_age_if_one_of_them_is() -> None:
    registry = Registry()
    old = registry.image("old", ["a"], created=days_ago(100))  # type: ignore[arg-type]
    new = registry.image("new", ["b"], created=days_ago(1))  # type: ignore[arg-type]
    unknown = registry.image("unknown", ["c"], created=None)
    registry.index("mixed", [old, new], "app:mixed")
    registry.index("dark", [old, unknown], "app:dark")
    registry.index("aged", [old], "app:aged", created=NOW)
    for manifest in (old, new, unknown):
        registry.place("app", manifest)
    plan = rs.plan(registry.snapshot(), rs.Retention(older_than="30d"))
    assert gone(plan) == ["app:aged"]
    assert reason(plan, "app:mixed") == "older_than=30d: 1 day old"
    assert reason(plan, "app:dark") == "older_than=30d: its age is unknown"


def test_every_rule_must_let_go() -> None:
    snap = aged(a=1, b=50, c=60, d=2).snapshot()
    assert gone(rs.plan(snap, rs.Retention(keep_last=1, older_than="30d"))) == ["app:b", "app:c"]
    assert gone(rs.plan(snap, rs.Retention(keep_last=3, older_than="30d"))) == ["app:c"]
    assert gone(rs.plan(snap, rs.Retention(tags=["b", "d"], older_than="30d"))) == ["app:b"]


def test_tags_alone_says_that_they_go_and_nothing_else_does() -> None:
    registry = aged(a=1, pr_1=1, pr_22=1)
    registry.image("loose", ["x"])
    registry.place("app", digest("loose"), "untagged")
    snap = registry.snapshot()
    assert gone(rs.plan(snap, rs.Retention(tags="pr_*"))) == ["app:pr_1", "app:pr_22"]
    assert gone(rs.plan(snap, rs.Retention(tags="/pr_[0-9]/"))) == ["app:pr_1"]
    plan = rs.plan(snap, rs.Retention(untagged=True))
    assert gone(plan) == []
    assert plan.goes["digest"].tolist() == [digest("loose")]


def test_repositories_are_chosen_by_patterns() -> None:
    registry = Registry()
    for repository in ("team/a", "team/b", "base"):
        registry.image(repository, [repository], f"{repository}:x", created=days_ago(99))  # type: ignore[arg-type]
    snap = registry.snapshot()
    policy = {"older_than": "1d"}
    assert gone(rs.plan(snap, rs.Retention(repositories="team/*", **policy))) == ["team/a:x", "team/b:x"]
    assert gone(rs.plan(snap, rs.Retention(repositories="/team.[ab]/", exclude_repositories="*/b", **policy))) == [
        "team/a:x"
    ]


def test_versions_are_ordered_as_versions() -> None:
    registry = aged(**{"1.9.0": 1, "1.10.0": 9, "v1.2": 1, "1.10.0-rc.1": 1, "1.10.0-rc.11": 1, "1.10.0-rc.2": 1})
    registry.image("latest", ["l"], "app:latest")
    plan = rs.plan(registry.snapshot(), rs.Retention(keep_last=3, keep_last_by="version"))
    assert gone(plan) == ["app:1.10.0-rc.1", "app:1.9.0", "app:v1.2"]
    assert reason(plan, "app:latest") == "keep_last=3: it has no semantic version"


def test_platforms_and_labels_must_hold_for_every_image_of_a_tag() -> None:
    registry = Registry()
    arm = registry.image("arm", ["a"], "app:arm", platform="linux/arm/v7")
    amd = registry.image("amd", ["b"], "app:amd")
    registry.index("both", [arm, amd], "app:both")
    registry.rows["labels"] += [(arm, "config", "stage", "test-1"), (amd, "annotation", "stage", "live")]
    snap = registry.snapshot()
    assert gone(rs.plan(snap, rs.Retention(platforms="linux/arm"))) == []  # its manifest stays, a child of `both`
    assert gone(rs.plan(snap, rs.Retention(platforms="linux/arm")), "untag") == ["app:arm"]
    assert gone(rs.plan(snap, rs.Retention(platforms=["linux/arm", "linux/amd64"]))) == [
        "app:amd", "app:arm", "app:both",
    ]  # fmt: skip
    assert gone(rs.plan(snap, rs.Retention(labels={"stage": "test*"})), "untag") == ["app:arm"]
    assert len(gone(rs.plan(snap, rs.Retention(labels={"stage": "*"})))) == 3
    assert gone(rs.plan(snap, rs.Retention(labels={"stage": "*", "other": "*"}))) == []


def test_keep_always_wins() -> None:
    registry = aged(v1=99, latest=98, old=97, older=96)
    registry.tag(digest("image old"), "app:keep")
    policy = rs.Retention(tags="*", protect=["v*", "app:keep", digest("image latest")])
    plan = rs.plan(registry.snapshot(), policy)
    assert gone(plan) == ["app:older"]
    assert gone(plan, "untag") == ["app:old"]
    assert reason(plan, "app:v1") == "protect=v*"
    assert reason(plan, "app:old") == "the tag keep stays, on the same manifest"
    assert set(plan.spared["tag"]) == {"v1", "latest", "keep"}


def test_what_is_in_use_stays_by_name_by_digest_and_by_the_digest_of_its_config() -> None:
    registry = aged(a=99, b=98, c=97, d=96)
    child = registry.image("child", ["x"])
    registry.index("multi", [child], "app:multi")
    registry.place("app", child)
    in_use = ["registry.example.com/app:a", digest("image b"), digest("config of image c"), f"mirror/other@{child}"]
    plan = rs.plan(registry.snapshot(), rs.Retention(tags="*", in_use=[*in_use, "app:never-there"]))
    assert gone(plan) == ["app:d"]
    assert reason(plan, "app:a") == "in use: app:a"
    assert reason(plan, "app:multi").startswith(f"in use: mirror/other@{child}, through ")
    assert plan.unknown == ("library/app:never-there",)
    assert "app:never-there" in repr(plan)


def test_a_protected_signature_keeps_what_it_signs() -> None:
    registry = aged(a=99)
    signature = registry.image("signature", ["s"], kind="artifact")
    registry.rows["referrers"].append((digest("image a"), signature, "sig", "subject"))
    registry.place("app", signature, "referrer")
    plan = rs.plan(registry.snapshot(), rs.Retention(tags="*", protect=signature))
    assert plan.steps.empty
    assert reason(plan, "app:a").startswith(f"protect={signature}, through ")


def test_nothing_goes_from_a_repository_in_which_something_could_not_be_read() -> None:
    registry = aged(a=99, b=98)
    registry.image("other", ["x"], "other:x", created=days_ago(99))  # type: ignore[arg-type]
    registry.rows["problems"].append(("app", "broken", "manifest", "500 Internal Server Error"))
    plan = rs.plan(registry.snapshot(), rs.Retention(older_than="1d"))
    assert gone(plan) == ["other:x"]
    assert "broken" in reason(plan, "app:a")
    assert plan.at_most


def test_orphans_are_what_is_attached_to_nothing_and_indexes_without_any_child() -> None:
    registry = aged(a=1)
    for name, subject in (("signature", digest("image a")), ("orphan", digest("gone"))):
        made = registry.image(name, [name], kind="artifact")
        registry.rows["referrers"].append((subject, made, "sig", "subject"))
        registry.place("app", made, "referrer" if name == "signature" else "untagged")
    registry.image("cosign", ["c"], kind="artifact")
    registry.rows["tags"].append(("app", f"sha256-{'0' * 64}.sig", digest("cosign"), "sha256:" + "0" * 64, None, None))
    registry.rows["referrers"].append(("sha256:" + "0" * 64, digest("cosign"), "sig", "cosign tag"))
    registry.place("app", digest("cosign"), "tag")
    registry.index("broken", [digest("never")], "app:broken")
    registry.index("half", [digest("never"), digest("image a")], "app:half")
    snap = registry.snapshot()
    plan = rs.plan(snap, rs.Retention(orphans=True))
    assert set(plan.goes["digest"]) == {digest("orphan"), digest("cosign"), digest("broken")}
    only_a_part = dataclasses.replace(snap, filtered=("repositories",))
    assert rs.plan(only_a_part, rs.Retention(orphans=True)).steps.empty
    assert rs.plan(snap, rs.Retention(orphans=True, protect=["broken", digest("orphan"), "app:sha256-*"])).steps.empty


@pytest.mark.parametrize("what", ["tags", "platforms"])
def test_a_scan_of_a_part_of_repositories_cannot_be_planned_on(what: str) -> None:
    snap = dataclasses.replace(aged(a=9).snapshot(), filtered=("repositories", what))
    with pytest.raises(InvalidInput, match=f"only some {what} were scanned"):
        rs.plan(snap, rs.Retention(older_than="1d"))


def test_what_holds_is_deleted_before_what_it_holds_and_each_step_says_what_it_frees() -> None:
    registry = Registry(base=1000, amd=100, arm=200, sig=7)
    amd, arm = registry.image("amd64", ["base", "amd"]), registry.image("arm64", ["base", "arm"])
    registry.index("index", [amd, arm], "app:1")
    signature = registry.image("signature", ["sig"], kind="artifact")
    registry.rows["referrers"].append((digest("index"), signature, "sig", "subject"))
    for manifest in (amd, arm, signature):
        registry.place("app", manifest)
    plan = rs.plan(registry.snapshot(), rs.Retention(tags="*"))
    order = plan.steps["digest"].tolist()
    assert order[0] == digest("index")
    assert set(order) == {digest("index"), amd, arm, signature}
    frees = dict(zip(order, plan.steps["frees"], strict=True))
    assert frees[digest("index")] == 10
    assert frees[signature] == 10 + 7 + 7
    assert frees[order[-1]] + frees[order[-2]] + frees[order[-3]] == plan.freed_bytes - 10


def drawn_policy(data: st.DataObject, drawn: Drawn) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Tags to go, and tags to protect."""
    tags = sorted(drawn.tags)
    return set(data.draw(st.lists(st.sampled_from(tags), min_size=1))), set(
        data.draw(st.lists(st.sampled_from(tags), max_size=2))
    )


@settings(max_examples=75, deadline=None)
@given(registries(), st.data())
def test_any_plan_frees_what_plain_sets_say_and_breaks_nothing_that_stays(drawn: Drawn, data: st.DataObject) -> None:
    named, protected = drawn_policy(data, drawn)
    goes = named - protected
    policy = rs.Retention(
        tags=sorted({tag for _, tag in named}), protect=[f"{repository}:{tag}" for repository, tag in protected]
    )
    goes = {(r, t) for r, t in drawn.tags if any(t == tag for _, tag in named)} - protected
    plan = rs.plan(drawn.snapshot(), policy)
    freed, nodes = drawn.freed(goes, set())
    deleted = plan.steps[plan.steps["action"] == "delete"]
    assert plan.freed_bytes == freed == plan.steps["frees"].sum()
    assert set(zip(deleted["repository"], deleted["digest"], strict=True)) == {
        (repository, drawn_digest(f"manifest {manifest}")) for repository, manifest in nodes
    }
    assert len(deleted) == len(nodes)
    leaving = plan.table[plan.table["tag"].notna() & (plan.table["action"] != "keep")]
    assert set(zip(leaving["repository"], leaving["tag"], strict=True)) == goes
    position = {node: at for at, node in enumerate(zip(plan.steps["repository"], plan.steps["digest"], strict=True))}
    for repository, manifest in nodes:
        mine = position[repository, drawn_digest(f"manifest {manifest}")]
        for held in [*drawn.children.get(manifest, []), *(m for m, s in drawn.subjects.items() if s == manifest)]:
            if (repository, held) in nodes:
                assert mine < position[repository, drawn_digest(f"manifest {held}")]


@settings(max_examples=20, deadline=None)
@given(registries(), st.data())
def test_a_plan_is_the_same_after_it_was_saved(
    tmp_path_factory: pytest.TempPathFactory, drawn: Drawn, data: st.DataObject
) -> None:
    named, protected = drawn_policy(data, drawn)
    policy = rs.Retention(tags=[tag for _, tag in named], untagged=True, protect=[tag for _, tag in protected])
    plan = rs.plan(drawn.snapshot(), policy)
    again = rs.Plan.load(plan.save(tmp_path_factory.mktemp("plans") / "plan.json"))
    for name in ("table", "steps", "tags", "blobs", "shared"):
        pd.testing.assert_frame_equal(getattr(plan, name), getattr(again, name))
    assert plan.table["frees"].sum() == plan.steps["frees"].sum() == plan.freed_bytes
    assert set(plan.shared["digest"]).isdisjoint(plan.blobs["digest"])
    assert (again.policy, again.fingerprint, again.freed_bytes) == (policy, plan.fingerprint, plan.freed_bytes)
    assert again.compare(plan).empty
    assert repr(again) == repr(plan)


def test_two_plans_are_compared_row_by_row() -> None:
    snap = aged(a=1, b=2, c=3).snapshot()
    strict, mild = (rs.plan(snap, rs.Retention(keep_last=keep)) for keep in (1, 2))
    found = strict.compare(mild)
    assert found[["tag", "action", "other_action"]].to_numpy().tolist() == [["b", "delete", "keep"]]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"regscope_plan": 1}', b'{"regscope_plan": 99}', b"\xff"])
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises((NotAStore, StoreError)):
        rs.Plan.load(tmp_path / "plan.json")


def test_a_plan_whose_rows_were_damaged_is_refused(tmp_path: Path) -> None:
    path = rs.plan(aged(a=9).snapshot(), rs.Retention(older_than="1d")).save(tmp_path / "plan.json")
    found = json.loads(path.read_text())
    found["steps"][0] = found["steps"][0][:3]
    path.write_text(json.dumps(found))
    with pytest.raises(StoreError, match="damaged"):
        rs.Plan.load(path)


def test_the_fingerprint_changes_with_tags_and_manifests_and_with_nothing_else() -> None:
    def snap(taken_at: object = NOW, **tags: float | None) -> Snapshot:
        return dataclasses.replace(aged(**tags).snapshot(), taken_at=taken_at)  # type: ignore[arg-type]

    assert snap(a=1, b=2).fingerprint == snap(days_ago(1), a=1, b=2).fingerprint
    moved = aged(a=1, b=2)
    moved.tag(digest("image b"), "app:c")
    assert len({snap(a=1).fingerprint, snap(a=1, b=2).fingerprint, moved.snapshot().fingerprint}) == 3


def test_hostile_names_are_text_in_a_plan() -> None:
    registry = Registry()
    registry.image("x", ["l"], "app:<img src=x onerror=alert(1)>", "app:\x1b[31mred", created=days_ago(9))  # type: ignore[arg-type]
    plan = rs.plan(registry.snapshot(), rs.Retention(older_than="1d"))
    assert "<img" not in plan._repr_html_()
    assert "\x1b" not in plan._repr_html_() + repr(plan)


def test_an_empty_registry_has_an_empty_plan() -> None:
    plan = rs.plan(Registry().snapshot(), rs.Retention(keep_last=1, untagged=True, orphans=True))
    assert plan.steps.empty
    assert plan.freed_bytes == 0
    assert "0 of 0" in repr(plan)
