"""The policy builder without a browser: fields in, plans out; what guards it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import regscope as rs
from regscope.views.remediator.policy_form import FIELDS
from tests.remediation.drawn_registry import Contents, Pushed, image, index, layer
from tests.remediation.layouts import write
from tests.servers.faults import refuse
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry


def images() -> dict[str, Pushed]:
    multi = index([image([layer("multi", 90)], 90)])
    singles = {f"app:old-{n}": image([layer(f"old {n}", 80)], 50 + n) for n in range(40)}
    return {"app:new": image([layer("new", 80)], 1), "app:multi": multi, **singles}


@pytest.fixture
def layout(tmp_path: Path) -> rs.ContentStore:
    return rs.open(f"oci:{write(tmp_path / 'layout', images())}")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        pushes = [(*name.split(":"), made) for name, made in images().items()]
        Contents(pushes=pushes).push_to(running.url)  # type: ignore[arg-type]
        yield running


def test_a_changed_rule_is_a_plan_at_once(layout: rs.ContentStore) -> None:
    snap = rs.scan(layout, progress=False)
    ui = rs.remediate(snap)
    assert ui.plan is None
    ui.form.do("keep_last", "3")
    assert ui.policy == rs.Retention(keep_last=3)
    assert ui.plan is not None
    assert len(ui.goes) == len(ui.plan.goes) == 40  # 39 tags, and the child of an index
    assert "of its repository by age" in ui.goes_listing.html
    ui.form.do("protect", "old-1*")
    assert len(ui.spared) == 10
    assert "protect=old-1*" in ui.spared_listing.html
    ui.form.do("keep_last", "")
    assert ui.policy == rs.Retention(keep_last=3, protect="old-1*")  # alone that says nothing: the last one stands
    assert "says nothing that may go" in ui.form.html


@pytest.mark.parametrize(
    ("field", "written", "expected"),
    [
        ("older_than", "30d", {"older_than": "30d"}),
        ("tags", "pr-*, /v[0-9]/", {"tags": ["pr-*", "/v[0-9]/"]}),
        ("platforms", "linux/arm/v7", {"platforms": ["linux/arm/v7"]}),
        ("labels", "stage=test*, a=b", {"labels": {"stage": "test*", "a": "b"}}),
        ("untagged", "all", {"untagged": True}),
        ("untagged", "7d", {"untagged": "7d"}),
        ("orphans", "delete", {"orphans": True}),
    ],
)
def test_what_is_written_is_the_rule_that_it_says_and_the_other_way_round(
    layout: rs.ContentStore, field: str, written: str, expected: dict[str, object]
) -> None:
    ui = rs.remediate(rs.scan(layout, progress=False))
    ui.form.do(field, written)
    assert ui.policy == rs.Retention(**expected)  # type: ignore[arg-type]
    assert yaml.safe_load(ui.form.yaml) == expected
    assert eval(ui.form.code, {"rs": rs}) == ui.policy
    again = rs.remediate(rs.scan(layout, progress=False), policy=ui.policy)
    assert again.form.written[field] == written


@pytest.mark.parametrize(
    ("field", "written", "words"),
    [
        ("keep_last", "many", "valid integer"),
        ("older_than", "soon", "is not a duration"),
        ("tags", "/(/", "not a regular expression"),
        ("platforms", "amd64", "not a platform"),
        ("in_use", "No Image, x", "image in use that is none"),
        ("protect", "app@x", "no digest"),
    ],
)
def test_what_cannot_be_is_told_at_its_field_and_the_last_plan_stays(
    layout: rs.ContentStore, field: str, written: str, words: str
) -> None:
    ui = rs.remediate(rs.scan(layout, progress=False), policy=rs.Retention(keep_last=1))
    plan = ui.plan
    ui.form.do(field, written)
    assert list(ui.form.wrong) == [field]
    assert words in ui.form.html
    assert 'aria-invalid="true"' in ui.form.html
    assert ui.plan is plan


def test_every_field_is_there_for_every_rule() -> None:
    assert set(FIELDS) == set(rs.Retention.model_fields)


def test_applying_takes_a_dry_run_of_this_very_plan_and_the_name(registry: Registry) -> None:
    store = rs.open(registry.url, cache=False)
    before = rs.scan(store, progress=False)
    ui = rs.remediate(before, store, policy=rs.Retention(keep_last=1))
    doing = ui.doing
    assert doing.name == "app"  # one repository: its name
    doing.do("type", "app")
    doing.do("apply")
    assert "not tried" in doing.trouble
    doing.do("try")
    assert ui.applied is not None
    assert ui.applied.dry_run
    assert "would be done" in doing.html.lower()
    doing.do("apply")
    assert "not typed" in doing.trouble
    doing.do("type", "wrong")
    assert not doing.may_apply
    doing.do("type", "app")
    assert doing.may_apply
    ui.form.do("keep_last", "2")
    assert not doing.may_apply
    assert ui.applied is None
    doing.do("try")
    doing.do("type", "app")
    seen = []
    doing.observe(lambda change: seen.append(change["new"]), "progress")
    doing.do("apply")
    assert ui.applied is not None
    assert ui.applied.ok
    assert not ui.applied.dry_run
    assert any(value is not None and 0 < value < 1 for value in seen)
    assert len(rs.scan(store, progress=False).tags) == 2
    doing.do("undo")
    assert "not typed" in doing.trouble
    doing.do("type", "app")
    doing.do("undo")
    assert ui.undone is not None
    assert ui.undone.ok
    names = ["repository", "tag", "digest"]
    assert rs.scan(store, progress=False).tags[names].astype("str").equals(before.tags[names].astype("str"))


def test_a_registry_that_refuses_is_told_in_words(registry: Registry, proxy: FaultProxy) -> None:
    store = rs.open(proxy.url, cache=False)
    ui = rs.remediate(rs.scan(store, progress=False), store, policy=rs.Retention(keep_last=1))
    ui.doing.do("try")
    ui.doing.do("type", ui.doing.name)
    proxy.rule(refuse("manifests/sha256", 405, "UNSUPPORTED", "deletes are disabled", methods=["DELETE"]))
    ui.doing.do("apply")
    assert "deletes are disabled" in ui.doing.trouble
    assert ui.doing.progress is None


def test_without_a_store_it_only_plans(layout: rs.ContentStore) -> None:
    ui = rs.remediate(rs.scan(layout, progress=False), policy=rs.Retention(keep_last=1))
    assert "only plans" in ui.doing.html
    ui.doing.do("try")
    assert "no store was given" in ui.doing.trouble


def test_hostile_names_are_text(tmp_path: Path) -> None:
    made = image([layer("x", 9)], 9)
    store = rs.open(
        f"oci:{write(tmp_path / 'hostile', {'<img src=x onerror=alert(1)>:<script>alert(1)</script>': made})}"
    )
    ui = rs.remediate(rs.scan(store, progress=False), store, policy=rs.Retention(tags="*"))
    ui.form.do("protect", '"><script>alert(1)</script>')
    ui.doing.do("try")
    for pane in (ui.form, ui.facts, ui.goes_listing, ui.spared_listing, ui.doing):
        assert "<img" not in pane.html
        assert "<script" not in pane.html
