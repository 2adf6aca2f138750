"""The policy builder without a browser: fields in, plans out; what guards it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

import regscope as rs
from regscope.errors import InvalidInput
from regscope.remediation.journal_writer import JournalWriter
from regscope.views.remediator.policy_form import FIELDS
from regscope.views.remediator.remediate import Remediator
from tests.lab.drawn_registries import Contents, Pushed, image, index, layer
from tests.lab.layouts import write
from tests.servers.faults import refuse
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse, Rule
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
    assert "has no rule by which anything may be deleted" in ui.form.html


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
    assert eval(ui.code, {"rs": rs, "snap": rs.scan(layout, progress=False)}).policy == ui.policy
    again = rs.remediate(rs.scan(layout, progress=False), policy=ui.policy)
    assert again.form.written[field] == written


@pytest.mark.parametrize(
    ("field", "written", "words"),
    [
        ("keep_last", "many", "valid integer"),
        ("older_than", "soon", "is not a duration"),
        ("tags", "/(/", "not a regular expression"),
        ("platforms", "linux/", "not a platform"),
        ("in_use", "No Image, None", "not an image reference"),
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


def test_a_list_of_rules_is_refused_in_words(layout: rs.ContentStore) -> None:
    with pytest.raises(InvalidInput, match="the form edits a policy of one rule"):
        rs.remediate(rs.scan(layout, progress=False), policy=(rs.Retention(keep_last=1),))  # type: ignore[arg-type]


def test_what_a_plan_counts_per_group_and_passes_over_is_shown(layout: rs.ContentStore) -> None:
    policy = rs.Retention(keep_last=1, keep_last_per="(old-.)", in_use=["x.io/app:old-17", "No Image"])
    ui = rs.remediate(rs.scan(layout, progress=False), policy=policy)
    assert len(ui.goes) == 40 - 10 - 1  # one for each first digit stays, and what is in use
    assert "1 image by name or digest, 1 of them in this registry" in ui.facts.html
    assert "No Image" in ui.facts.html
    said = eval(ui.code, {"rs": rs, "snap": rs.scan(layout, progress=False)})
    assert said.steps.equals(ui.plan.steps)  # type: ignore[union-attr]
    ui.form.do("keep_last", "2")
    assert ui.policy == policy.changed(keep_last=2)


def test_every_field_is_there_for_every_rule() -> None:
    assert set(FIELDS) == set(rs.Retention.model_fields)


def slow_deletions(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
    if request.method == "DELETE":
        time.sleep(0.1)
    return None


def first_deletions(most: int) -> Rule:
    """Let so many pass, and refuse the others."""
    passed = itertools.count()

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method != "DELETE" or next(passed) < most:
            return None
        return refuse("", 403, "DENIED", "too late", methods=["DELETE"])(request, forward)

    return rule


def do(ui: Remediator, action: str, value: str = "") -> None:
    """What a click does, to its end."""
    ui.doing.do(action, value)
    ui.wait()


def make_ready(ui: Remediator) -> None:
    """Try the plan and type its name."""
    do(ui, "try")
    ui.doing.do("type", ui.doing.name)
    assert ui.doing.may_apply


def names(store: rs.ContentStore) -> pd.DataFrame:
    return rs.scan(store, progress=False).tags[["repository", "tag", "digest"]].astype("str")


def test_what_is_shown_is_what_its_code_gives(layout: rs.ContentStore) -> None:
    snap = rs.scan(layout, progress=False)
    ui = rs.remediate(snap)
    ui.form.do("keep_last", "3")
    ui.form.do("protect", "old-1*")
    for search in ("", "old-1"):
        for listing in (ui.goes_listing, ui.spared_listing):
            listing.do("search", search)
            pd.testing.assert_frame_equal(eval(listing.code, {"rs": rs, "snap": snap}), listing.table)
    assert len(ui.spared) == 10


def test_applying_takes_a_dry_run_of_this_very_plan_and_the_name(registry: Registry) -> None:
    store = rs.open(registry.url, cache=False)
    before = names(store)
    ui = rs.remediate(rs.scan(store, progress=False), store, policy=rs.Retention(keep_last=1))
    doing = ui.doing
    assert doing.name == "app"  # one repository: its name
    do(ui, "type", "app")
    do(ui, "apply")
    assert "had no dry run" in doing.trouble
    do(ui, "try")
    assert ui.applied is not None
    assert ui.applied.dry_run
    assert "would be done" in doing.html.lower()
    do(ui, "apply")
    assert "not typed" in doing.trouble
    doing.do("type", "wrong")
    assert not doing.may_apply
    doing.do("type", "app")
    assert doing.may_apply
    ui.form.do("keep_last", "2")
    assert not doing.may_apply
    assert ui.applied is None
    make_ready(ui)
    do(ui, "apply")
    assert ui.applied is not None
    assert ui.applied.ok
    assert not ui.applied.dry_run
    assert str(ui.applied.journal) in doing.html
    assert len(names(store)) == 2
    do(ui, "undo")
    assert "not typed" in doing.trouble
    doing.do("type_to_undo", "app")
    do(ui, "undo")
    assert ui.undone is not None
    assert ui.undone.ok
    assert names(store).equals(before)


def test_rules_that_cannot_be_understood_disarm_the_plan_that_is_still_shown(registry: Registry) -> None:
    store = rs.open(registry.url, cache=False)
    ui = rs.remediate(rs.scan(store, progress=False), store, policy=rs.Retention(keep_last=1))
    make_ready(ui)
    ui.form.do("protect", "/(/")
    assert ui.plan is not None
    assert "the plan of the last valid ones" in ui.facts.html
    assert not ui.doing.may_try
    assert not ui.doing.may_apply
    do(ui, "apply")
    do(ui, "try")
    assert ui.applied is None
    ui.form.do("protect", "")
    assert "last valid" not in ui.facts.html
    assert ui.doing.may_try
    assert not ui.doing.may_apply


def test_the_kernel_goes_on_while_a_plan_is_carried_out_and_the_rules_wait(
    registry: Registry, proxy: FaultProxy
) -> None:
    store = rs.open(proxy.url, cache=False)
    ui = rs.remediate(rs.scan(store, progress=False), store, policy=rs.Retention(keep_last=1))
    make_ready(ui)
    proxy.rule(slow_deletions)
    seen: list[float] = []
    ui.doing.observe(lambda change: seen.append(change["new"]), "progress")
    ui.doing.do("apply")
    assert ui.doing.running == "Applying"
    assert "<progress" in ui.doing.html
    plan = ui.plan
    ui.form.do("keep_last", "3")
    assert "while a plan is being applied" in ui.form.trouble
    ui.doing.do("apply")
    ui.doing.do("try")
    assert ui.plan is plan
    ui.wait()
    assert any(value is not None and 0 < value < 1 for value in seen)
    assert ui.doing.running == ""
    assert ui.applied is not None
    assert ui.applied.ok
    assert not ui.applied.dry_run
    assert not ui.form.locked


def test_what_was_done_can_be_undone_after_a_rule_was_changed(registry: Registry) -> None:
    store = rs.open(registry.url, cache=False)
    before = names(store)
    ui = rs.remediate(rs.scan(store, progress=False), store, policy=rs.Retention(keep_last=1))
    make_ready(ui)
    do(ui, "apply")
    ui.form.do("keep_last", "5")
    assert ui.applied is not None
    assert not ui.applied.dry_run
    ui.doing.do("type_to_undo", "app")
    do(ui, "undo")
    assert names(store).equals(before)


def test_what_was_collected_meanwhile_comes_back_from_the_backup(layout: rs.ContentStore, tmp_path: Path) -> None:
    before = names(layout)
    ui = rs.remediate(rs.scan(layout, progress=False), layout, policy=rs.Retention(keep_last=1))
    ui.doing.do("backup", f"oci:{tmp_path / 'backup'}")
    make_ready(ui)
    do(ui, "apply")
    ui.doing.do("backup", "")  # too late: it is known where it went
    ui.doing.do("type_to_undo", ui.doing.name_to_undo)
    do(ui, "undo")
    assert ui.undone is not None
    assert ui.undone.ok
    assert names(layout).equals(before)


def test_a_registry_that_refuses_is_told_in_words(registry: Registry, proxy: FaultProxy) -> None:
    store = rs.open(proxy.url, cache=False)
    ui = rs.remediate(rs.scan(store, progress=False), store, policy=rs.Retention(keep_last=1))
    make_ready(ui)
    proxy.rule(refuse("manifests/sha256", 405, "UNSUPPORTED", "deletes are disabled", methods=["DELETE"]))
    do(ui, "apply")
    assert "deletes are disabled" in ui.doing.trouble
    assert ui.doing.running == ""
    assert ui.doing.done is None


def test_stopped_half_way_it_says_so_and_goes_on_in_the_same_journal(registry: Registry, proxy: FaultProxy) -> None:
    store = rs.open(proxy.url, cache=False)
    before = names(store)
    ui = rs.remediate(rs.scan(store, progress=False), store, policy=rs.Retention(keep_last=1))
    make_ready(ui)
    proxy.rule(first_deletions(8))
    do(ui, "apply")
    assert ui.applied is not None
    assert not ui.applied.ok
    assert not ui.applied.dry_run
    assert "too late" in ui.doing.html
    assert 0 < ui.applied.counts()["done"] < len(ui.plan.steps)  # type: ignore[union-attr]
    journal = ui.applied.journal
    proxy.clear()
    make_ready(ui)
    do(ui, "apply")
    assert ui.applied.ok
    assert ui.applied.journal == journal
    assert len(names(store)) == 1
    ui.doing.do("type_to_undo", "app")
    do(ui, "undo")
    assert names(store).equals(before)


def test_it_is_stopped_at_once_and_goes_on_in_the_same_journal(registry: Registry, proxy: FaultProxy) -> None:
    store = rs.open(proxy.url, cache=False)
    before = names(store)
    ui = rs.remediate(rs.scan(store, progress=False), store, policy=rs.Retention(keep_last=1))
    make_ready(ui)
    proxy.rule(slow_deletions)
    ui.doing.observe(lambda change: change["new"] and ui.doing.do("stop"), "progress")
    ui.doing.do("apply")
    assert 'data-do="stop"' in ui.doing.html
    ui.wait()
    assert ui.applied is not None
    counts = ui.applied.counts()
    assert 0 < counts["done"] < counts["left"]
    assert ui.applied.ok
    assert "with the same journal to continue" in ui.doing.html
    proxy.clear()
    ui.doing.unobserve_all("progress")
    make_ready(ui)
    journal = ui.applied.journal if not ui.applied.dry_run else ui.doing.done.journal  # type: ignore[union-attr]
    do(ui, "apply")
    assert ui.applied.journal == journal
    assert len(names(store)) == 1
    ui.doing.do("type_to_undo", "app")
    do(ui, "undo")
    assert names(store).equals(before)


def test_a_dry_run_that_was_stopped_arms_nothing(registry: Registry) -> None:
    store = rs.open(registry.url, cache=False)
    ui = rs.remediate(rs.scan(store, progress=False), store, policy=rs.Retention(keep_last=1))
    ui.doing.observe(lambda change: change["new"] and ui.doing.do("stop"), "progress")
    do(ui, "try")
    assert ui.doing.tried is None
    ui.doing.do("type", "app")
    assert not ui.doing.may_apply


def test_what_ends_it_in_between_leaves_a_word_on_the_journal(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, say: no error of a registry."""
    store = rs.open(registry.url, cache=False)
    ui = rs.remediate(rs.scan(store, progress=False), store, policy=rs.Retention(keep_last=1))
    make_ready(ui)
    ended, write_end = [0], JournalWriter.end

    def end(writer: JournalWriter, key: str) -> None:
        ended[0] += 1
        if ended[0] > 5:
            raise OSError(28, "No space left on device")
        write_end(writer, key)

    monkeypatch.setattr(JournalWriter, "end", end)
    do(ui, "apply")
    assert "No space left" in ui.doing.trouble
    assert "rs.undo(" in ui.doing.trouble
    assert ui.doing.running == ""


def test_without_a_store_it_only_plans(layout: rs.ContentStore) -> None:
    ui = rs.remediate(rs.scan(layout, progress=False), policy=rs.Retention(keep_last=1))
    assert "this plan is only shown" in ui.doing.html
    do(ui, "try")
    assert "no store was given" in ui.doing.trouble


def test_hostile_names_are_text(tmp_path: Path) -> None:
    made = image([layer("x", 9)], 9)
    store = rs.open(
        f"oci:{write(tmp_path / 'hostile', {'<img src=x onerror=alert(1)>:<script>alert(1)</script>': made})}"
    )
    ui = rs.remediate(rs.scan(store, progress=False), store, policy=rs.Retention(tags="*"))
    ui.form.do("protect", '"><script>alert(1)</script>')
    do(ui, "try")
    for pane in (ui.form, ui.facts, ui.goes_listing, ui.spared_listing, ui.doing):
        assert "<img" not in pane.html
        assert "<script" not in pane.html
