"""A saved plan that contradicts itself or its policy is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import regscope as rs
from regscope.errors import NotAStore, RegscopeError, StoreError
from regscope.remediation.plan_checking import contradictions
from tests.lab.drawn_snapshots import Drawn, registries
from tests.lab.snapshots import NOW, Registry, digest

Document = dict[str, Any]
TAG, DIGEST, KIND, ACTION, RULE, AGE_FROM, FREES = 1, 2, 3, 4, 5, 8, 11  # columns of `table`


def made() -> rs.Snapshot:
    """`old`, and an index `multi` of two, may go; `stable` stays; an alias is to be untagged; one is attached."""
    registry = Registry()
    amd, arm = registry.image("amd", ["a"]), registry.image("arm", ["b"])
    registry.index("multi", [amd, arm], "app:old-multi")
    old = registry.image("old", ["base", "o"], "app:old", created=NOW.replace(year=2020))
    registry.image("stable", ["base"], "app:stable", "app:old-alias", "lib/app:1")
    registry.image("else", ["e"], "web:old")
    sbom = registry.image("sbom", ["s"], kind="artifact")
    registry.rows["referrers"].append((old, sbom, "sbom", "subject"))
    for child in (amd, arm, sbom):
        registry.place("app", child)
    return registry.snapshot()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    policy = rs.Retention(tags="old*", protect=["v*", "lib/app"], in_use=["x.io/library/app:stable", "x.io/gone:1"])
    plan = rs.plan(made(), policy)
    assert set(plan.steps["action"]) == {"untag", "delete"}
    return plan.save(tmp_path / "plan.json")


def row(found: Document, table: str, *, tag: str | None = None, named: str = "") -> list[Any]:
    """Of a table, by tag or by the name of its image."""
    at = {"table": (1, 2), "steps": (2, 3), "tags": (1, 2), "blobs": (None, 0), "shared": (None, 0)}[table]
    return next(
        each for each in found[table]
        if (tag is not None and at[0] is not None and each[at[0]] == tag) or (named and each[at[1]] == digest(named))
    )  # fmt: skip


def put(table: str, column: int, value: Any, **which: Any) -> Callable[[Document], Any]:
    return lambda found: row(found, table, **which).__setitem__(column, value)


def drop(table: str, **which: Any) -> Callable[[Document], Any]:
    return lambda found: found[table].remove(row(found, table, **which))


def twice(table: str, **which: Any) -> Callable[[Document], Any]:
    return lambda found: found[table].append([*row(found, table, **which)])


def said(**values: Any) -> Callable[[Document], Any]:
    return lambda found: found.update(values)


def policy(**values: Any) -> Callable[[Document], Any]:
    return lambda found: found["policy"].update(values)


def reverse(found: Document) -> None:
    """What is held before what holds it."""
    untags = [step for step in found["steps"] if step[1] == "untag"]
    found["steps"] = untags + [step for step in reversed(found["steps"]) if step[1] == "delete"]


def keep_everywhere_but_in_the_steps(found: Document) -> None:
    row(found, "table", tag="old")[ACTION] = "keep"
    row(found, "tags", tag="old")[3] = False


def add_step_for_what_stays(found: Document) -> None:
    found["steps"].append(["app", "delete", None, digest("stable"), "image", 0])


def let_protected_go(found: Document) -> None:
    """Consistently in table, tags and steps."""
    one = next(each for each in found["table"] if each[0] == "lib/app")
    one[ACTION], one[RULE] = "untag", "tags=old*"
    found["steps"].insert(0, ["lib/app", "untag", "1", digest("stable"), "image", 0])
    found["tags"].append(["lib/app", "1", digest("stable"), True])


def let_go_what_is_in_use(found: Document) -> None:
    one = row(found, "table", tag="stable")
    one[ACTION], one[RULE] = "untag", "tags=old*"
    found["steps"].insert(0, ["app", "untag", "stable", digest("stable"), "image", 0])
    row(found, "tags", tag="stable")[3] = True


CONTRADICTIONS: dict[str, tuple[Callable[[Document], Any], str]] = {
    "a step for what stays": (add_step_for_what_stays, "but the table does not say so"),
    "a step for what is not there": (put("steps", 3, digest("nothing"), named="old"), "the table does not say so"),
    "a step in another repository": (put("steps", 0, "web", named="old"), "the table does not say so"),
    "a step that is left out": (drop("steps", named="old"), "but no step deletes it"),
    "a step that stands twice": (twice("steps", named="old"), "2 steps change"),
    "an untag that is left out": (drop("steps", tag="old-alias"), "but no step untags it"),
    "an untag of another tag": (put("steps", 2, "stable", tag="old-alias"), "the table does not say so"),
    "an untag without a tag": (put("steps", 2, None, tag="old-alias"), "an untag step names no tag"),
    "a deletion with a tag": (put("steps", 2, "old", named="old"), "a delete step names one"),
    "an untag after deletions": (lambda d: d["steps"].append(d["steps"].pop(0)), "comes after a delete step"),
    "children before their index": (reverse, "is deleted before"),
    "another kind": (put("steps", 4, "index", named="old"), "is index in its step and image in the table"),
    "a kept tag on what goes": (keep_everywhere_but_in_the_steps, "the table does not say so"),
    "one tag of two goes": (
        lambda d: d["table"].append([*row(d, "table", tag="old")[:1], "x", *row(d, "table", tag="old")[2:4], "keep",
                                     *row(d, "table", tag="old")[5:]]),
        "is both deleted and kept",
    ),
    "a row that stands twice": (twice("table", tag="old"), "is listed 2 times in table"),
    "a tag that stands twice": (twice("tags", tag="old"), "is listed 2 times in tags"),
    "a tag that is left out": (drop("tags", tag="stable"), "differs between tags and table"),
    "a tag that points elsewhere": (put("tags", 2, digest("old"), tag="stable"), "differs between"),
    "a tag that goes after all": (put("tags", 3, True, tag="stable"), "stays according to the other"),
    "a tag that stays after all": (put("tags", 3, False, tag="old"), "stays according to the other"),
    "more bytes": (said(freed_bytes=10**9), "freed bytes, and freed_bytes says"),
    "a blob more": (lambda d: d["blobs"].append([digest("base"), "layer", 1, 1]), "blobs adds up to"),
    "frees by another step": (
        lambda d: (put("steps", 5, 0, named="old")(d), put("steps", 5, 19 + 10 + 7 + 1, named="sbom")(d)),
        "steps adds up to|bytes in the table and",
    ),
    "a blob that nothing needs": (lambda d: d["blobs"][0].__setitem__(3, 0), "needed_by of a freed blob"),
    "a blob that is freed and stays": (
        lambda d: d["shared"].append([d["blobs"][0][0], 1, "app", digest("stable")]), "and kept according to shared",
    ),
    "what stays and goes": (lambda d: d["shared"][0].__setitem__(3, digest("old")), "the table does not keep it"),
    "a rule that is not there": (put("table", RULE, "older_than=1d: 99 days old", tag="old"), "not a rule of the"),
    "no rule at all": (put("table", RULE, None, tag="old"), "names no rule"),
    "a rule about other tags": (policy(tags=["other"]), "not a rule of the policy"),
    "with something that stays": (
        put("table", RULE, f"it is attached to {digest('stable')}, which goes", tag="old"), "but no step deletes",
    ),
    "as a part of what stays": (put("table", RULE, "it is part of stable, which goes", tag="old"), "but stable stays"),
    "with tags that stay": (put("table", RULE, "its other tags go", tag="old"), "but no other tag of it goes"),
    "protected now": (policy(protect=["old"]), "the policy keeps app:old"),
    "protected by digest": (policy(protect=[digest("amd")]), "the policy keeps app@"),
    "protected by repository": (policy(protect=["app:*"]), "the policy keeps app:"),
    "a protected repository goes": (let_protected_go, "the policy keeps lib/app:1"),
    "in use": (let_go_what_is_in_use, "the policy keeps app:stable .in use: library/app:stable"),
    "in use by digest": (lambda d: d["policy"]["in_use"].append(digest("old")), "the policy keeps app:old"),
    "in use by its config": (
        lambda d: d["policy"]["in_use"].append(digest("config of old")), "but blobs says that it is freed",
    ),
    "unknown, and there": (said(unknown=["gone:1", "library/app:stable", "v*"]), "but the table has it"),
    "unknown to the policy": (said(unknown=["gone:1", "v*", "x"]), "the policy does not name it"),
    "another kind of place": (said(location="file:/etc"), "of an unknown kind"),
    "a password": (said(location="https://ann:secret@registry.example.com"), "besides the address"),
    "a token": (said(location="https://registry.example.com/?token=secret"), "besides the address"),
    "a fingerprint that is none": (said(fingerprint="x"), "its fingerprint is not 64"),
    "the past": (said(taken_at="1970-01-01T00:00:00+00:00"), "was taken at 1970"),
    "the future": (said(taken_at="2999-01-01T00:00:00+00:00"), "was taken at 2999"),
    "a word that is none": (put("table", ACTION, "explode", tag="old"), "explode"),
    "a kind that is none": (put("blobs", 1, "x", named="o"), "blobs.kind"),
    "a digest that is none": (put("steps", 3, "sha256:abc", named="old"), "is not a digest"),
    "a digest of a path": (put("steps", 3, "../../blobs/uploads", named="old"), "is not a digest|let go"),
}  # fmt: skip


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_what_contradicts_itself_is_refused(saved: Path, what: str) -> None:
    change, words = CONTRADICTIONS[what]
    found = json.loads(saved.read_text())
    change(found)
    saved.write_text(json.dumps(found))
    with pytest.raises(StoreError, match=f"(?s)contradicts itself: .*({words})") as told:
        rs.Plan.load(saved)
    assert "Make a new plan" in told.value.next_step
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("table", "column", "name"),
    [
        ("repository", 0, "../../etc"),
        ("repository", 0, "app/../other"),
        ("repository", 0, "app\x1b[31m"),
        ("repository", 0, "app?x=y"),
        ("repository", 0, "app#"),
        ("repository", 0, ""),
        ("tag", 1, "../manifests/stable"),
        ("tag", 1, "old\r\nHost: x"),
        ("tag", 1, "a" * 129),
        ("tag", 1, "old%2f"),
    ],
)
def test_names_that_no_registry_has_are_refused_wherever_they_stand(
    saved: Path, table: str, column: int, name: str
) -> None:
    before = "app" if column == 0 else "old"
    changed = saved.read_text().replace(json.dumps(before), json.dumps(name))
    found = json.loads(changed) | {"location": "https://registry.example.com"}
    saved.write_text(json.dumps(found))
    with pytest.raises(StoreError, match=f"{table}: not an image reference|library/app") as told:
        rs.Plan.load(saved)
    assert not {"\x1b", "\r"} & set(str(told.value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("location", 7), ("location", None), ("fingerprint", []), ("taken_at", "2026-01-01T00:00:00"),
        ("taken_at", 5), ("taken_at", "never"), ("taken_at", "0001-01-01T00:00:00+23:59"), ("policy", [1]),
        ("policy", []), ("policy", {}), ("policy", "keep"), ("policy", {"in_use": "/dev/zero", "tags": "*"}),
        ("freed_bytes", float("inf")), ("freed_bytes", float("nan")), ("freed_bytes", -1), ("freed_bytes", 10**30),
        ("freed_bytes", True), ("freed_bytes", "7"), ("freed_bytes", 7.0), ("at_most", 1), ("at_most", "no"),
        ("orphaned_bytes", -1), ("orphaned_bytes", None), ("unknown", 5), ("unknown", "abc"), ("unknown", [1]),
        ("table", [[]]), ("table", [1]), ("table", {}), ("table", None), ("steps", [["a"]]), ("steps", 7),
        ("tags", {"a": 1}), ("blobs", [["x", "layer", 1, 1, 1]]), ("shared", "x"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_of_another_type_is_damage(saved: Path, name: str, value: object) -> None:
    saved.write_text(json.dumps(json.loads(saved.read_text()) | {name: value}))
    with pytest.raises(StoreError, match="is damaged"):
        rs.Plan.load(saved)
    found = json.loads(saved.read_text())
    del found[name]
    saved.write_text(json.dumps(found))
    with pytest.raises(StoreError, match=f"it lacks '{name}'"):
        rs.Plan.load(saved)


@pytest.mark.parametrize("value", [10**30, -1, float("nan"), float("-inf"), True, "7", None, [], {}, 1.5], ids=repr)
@pytest.mark.parametrize("table", ["steps", "table", "blobs"])
def test_a_number_that_is_none_is_damage(saved: Path, table: str, value: object) -> None:
    found = json.loads(saved.read_text())
    found[table][0][{"steps": 5, "table": FREES, "blobs": 2}[table]] = value
    saved.write_text(json.dumps(found))
    with pytest.raises(StoreError, match="is damaged"):
        rs.Plan.load(saved)


def test_a_plan_that_cannot_be_written_is_an_error_in_words(saved: Path, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "no folder" / "plan.json"):
        with pytest.raises(StoreError, match="the plan cannot be written"):
            rs.Plan.load(saved).save(place)


def test_any_byte_changed_is_a_plan_or_an_error_in_words(saved: Path) -> None:
    content, refused = saved.read_bytes(), 0
    for at in range(0, len(content), 59):
        for damaged in (
            content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :],
            content[:at],
            content[:at] + b"9" * 30 + content[at:],
        ):
            saved.write_bytes(damaged)
            try:
                plan = rs.Plan.load(saved)
                assert plan.identity
                assert repr(plan)
                assert plan._repr_html_()
            except RegscopeError:
                refused += 1
    assert refused > 2 * len(content) // 59


@pytest.mark.parametrize("content", [b"[" * 100_000, b"{" + b" " * 100, b'{"a":' * 50_000, b'{"regscope_plan":2}'])
def test_what_only_begins_like_a_plan_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises((NotAStore, StoreError)):
        rs.Plan.load(tmp_path / "plan.json")
    with pytest.raises(NotAStore, match=r"not a plan|no plan can be read"):
        rs.Plan.load("/dev/zero")


POLICIES = st.builds(
    lambda **rules: rs.Retention(**rules),
    tags=st.sampled_from([(), ("*",), ("v*",)]),
    keep_last=st.sampled_from([None, 0, 1]),
    older_than=st.sampled_from([None, None, "0s", "1d"]),
    untagged=st.sampled_from([False, True, "10d"]),
    orphans=st.just(True),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(registries(), st.data())
def test_no_plan_that_was_made_contradicts_itself(
    tmp_path_factory: pytest.TempPathFactory, drawn: Drawn, data: st.DataObject
) -> None:
    tags = sorted(drawn.tags)
    names = data.draw(st.lists(st.sampled_from(tags), max_size=2))
    rule = data.draw(POLICIES).changed(
        protect=[tag for _, tag in names[:1]], in_use=[f"x.io/{name}:{tag}" for name, tag in names[1:]] or None
    )
    plan = rs.plan(drawn.snapshot(), data.draw(st.sampled_from([rule, [rule, rs.Retention(tags="*")]])))
    assert list(contradictions(plan)) == []
    rs.Plan.load(plan.save(tmp_path_factory.mktemp("plans") / "plan.json"))
