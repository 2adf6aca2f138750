"""Policies of several rules, and rules that count for each group of tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import regscope as rs
from regscope.errors import InvalidInput
from regscope.remediation.policy import policy_from_file
from tests.lab.snapshots import NOW, Registry, digest

RELEASES = [f"v1.{number}.0" for number in range(13)]
BRANCHES = [f"{branch}-{number}" for branch in ("main", "fix-2") for number in range(5)]
TEN_RELEASES = rs.Retention(tags="v*", keep_last=10, keep_last_by="version")
THREE_OF_EACH = rs.Retention(keep_last=3, keep_last_per="(.+)-[0-9]+")


def registry(*tags: str, repository: str = "app", into: Registry | None = None) -> Registry:
    """One image for each tag; the later it stands here, the newer it is."""
    found = into or Registry()
    for at, tag in enumerate(tags):
        created = NOW - timedelta(days=2 * len(tags) - at)
        found.image(f"{repository}:{tag}", [f"{repository}:{tag}"], f"{repository}:{tag}", created=created)
    return found


def gone(plan: rs.Plan) -> list[str]:
    rows = plan.goes[plan.goes["tag"].notna()]
    return sorted(rows["repository"] + ":" + rows["tag"])


def said(plan: rs.Plan, column: str) -> Mapping[str, str]:
    return dict(zip(plan.table["tag"], plan.table[column], strict=True))


def test_three_of_each_branch_and_ten_releases_are_kept() -> None:
    plan = rs.plan(registry(*RELEASES, *BRANCHES, "latest").snapshot(), [TEN_RELEASES, THREE_OF_EACH])
    assert gone(plan) == [
        "app:fix-2-0", "app:fix-2-1", "app:main-0", "app:main-1", "app:v1.0.0", "app:v1.1.0", "app:v1.2.0",
    ]  # fmt: skip
    rule, reason = said(plan, "rule"), said(plan, "reason")
    assert rule["v1.2.0"] == "rule 1: tags=v* and keep_last=10: number 11 of its repository by semantic version"
    assert rule["main-0"] == "rule 2: keep_last=3: number 5 of 'main' in its repository by age"
    assert reason["v1.12.0"] == "rule 1: keep_last=10: number 1 of its repository by semantic version"
    assert reason["fix-2-4"] == "rule 2: keep_last=3: number 1 of 'fix-2' in its repository by age"
    assert reason["latest"] == "rule 2: keep_last=3: keep_last_per=(.+)-[0-9]+ does not match it"


def test_the_first_rule_that_is_about_a_tag_decides_even_that_it_stays() -> None:
    snap = registry("v1", "v2", "pr-1", "pr-2").snapshot()
    stays = rs.Retention(tags="v*", older_than="900d")
    everything = rs.Retention(tags="*")
    assert gone(rs.plan(snap, [stays, everything])) == ["app:pr-1", "app:pr-2"]
    assert len(gone(rs.plan(snap, [everything, stays]))) == 4
    but_v2 = rs.Retention(tags="v*", exclude_tags="v2", older_than="900d")
    assert gone(rs.plan(snap, [but_v2, everything])) == ["app:pr-1", "app:pr-2", "app:v2"]


def test_each_rule_has_its_own_repositories() -> None:
    found = registry("1", "2", "3", repository="team/app")
    snap = registry("1", "2", "3", repository="base", into=found).snapshot()
    rules = [rs.Retention(repositories="team/*", keep_last=1), rs.Retention(keep_last=2)]
    assert gone(rs.plan(snap, rules)) == ["base:1", "team/app:1", "team/app:2"]


def test_a_rule_that_is_not_about_tags_decides_for_none() -> None:
    snap = registry("1", "2").snapshot()
    assert gone(rs.plan(snap, [rs.Retention(untagged=True), rs.Retention(keep_last=1)])) == ["app:1"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([TEN_RELEASES, THREE_OF_EACH], []),
        ([THREE_OF_EACH, TEN_RELEASES], ["Rule 2 decides about no tag: rule 1"]),
        ([THREE_OF_EACH.changed(repositories="a*"), TEN_RELEASES], []),
        ([THREE_OF_EACH.changed(exclude_tags="v*"), TEN_RELEASES], []),
        ([rs.Retention(untagged=True), TEN_RELEASES, TEN_RELEASES], ["Rule 3 decides about no tag: rule 2"]),
        ([rs.Retention(tags="*", repositories="a"), TEN_RELEASES.changed(repositories="a")], ["Rule 2 decides"]),
        ([THREE_OF_EACH, rs.Retention(untagged=True)], []),
        (TEN_RELEASES, []),
    ],
)
def test_a_rule_for_which_nothing_is_left_is_told(rules: list[rs.Retention], expected: list[str]) -> None:
    found = [note for note in rs.plan(registry("v1").snapshot(), rules).notes() if " decides " in note]
    assert len(found) == len(expected)
    assert all(note.startswith(words) for note, words in zip(found, expected, strict=True))


def test_what_any_rule_keeps_is_kept_from_all() -> None:
    snap = registry("v1", "v2", "pr-1", "pr-2").snapshot()
    rules = [
        rs.Retention(tags="pr-*", protect="v1", in_use=["x.io/app:v2"]),
        rs.Retention(tags="v*", protect="pr-2"),
    ]
    plan = rs.plan(snap, rules)
    assert gone(plan) == ["app:pr-1"]
    assert said(plan, "reason")["v1"] == "protect=v1"
    assert said(plan, "reason")["v2"] == "in use: app:v2"
    assert said(plan, "rule")["v1"] == "rule 2: tags=v*"


def test_untagged_is_decided_by_the_first_rule_that_gives_it_for_the_repository() -> None:
    found = Registry()
    for repository in ("team/app", "base"):
        found.image(f"loose {repository}", [repository], created=NOW - timedelta(days=5))
        found.place(repository, digest(f"loose {repository}"), "untagged")
    rules = [
        rs.Retention(keep_last=1),
        rs.Retention(repositories="team/*", untagged="9d"),
        rs.Retention(untagged="3d"),
    ]
    plan = rs.plan(found.snapshot(), rules)
    assert plan.goes["digest"].tolist() == [digest("loose base")]
    assert plan.goes["rule"].tolist() == ["rule 3: untagged=3d: 5 days old"]


def test_a_tag_of_one_rule_keeps_the_manifest_that_a_tag_of_another_leaves() -> None:
    found = registry("v1", "pr-1")
    found.tag(digest("app:v1"), "app:pr-old")
    plan = rs.plan(found.snapshot(), [rs.Retention(tags="v*", keep_last=5), rs.Retention(tags="pr-*")])
    assert dict(zip(plan.goes["tag"], plan.goes["action"], strict=True)) == {"pr-1": "delete", "pr-old": "untag"}


def test_an_image_counts_for_each_group_of_its_tags() -> None:
    found = registry("a-1", "a-2", "b-1", "b-2")
    found.tag(digest("app:b-2"), "app:a-9")
    plan = rs.plan(found.snapshot(), rs.Retention(keep_last=1, keep_last_per="(.)-"))
    assert gone(plan) == ["app:a-1", "app:a-2", "app:b-1"]
    assert said(plan, "reason")["a-9"] == "keep_last=1: number 1 of 'a' in its repository by age"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("/v([0-9]+)[.][0-9]+/", ["app:v1.0", "app:v2.0"]),
        ("v([0-9]+)", ["app:v1.0", "app:v2.0"]),
        ("(v)([0-9]+)?", ["app:v1.0", "app:v2.0"]),
        ("(v)", ["app:v1.0", "app:v1.1", "app:v2.0"]),
        ("(.*)", []),
        ("(x)", []),
    ],
)
def test_groups_are_what_the_expression_says(pattern: str, expected: list[str]) -> None:
    snap = registry("v1.0", "v1.1", "v2.0", "v2.1", "dev").snapshot()
    policy = rs.Retention(keep_last=1, keep_last_by="version", keep_last_per=pattern)
    assert gone(rs.plan(snap, policy)) == expected


def test_each_repository_counts_groups_for_itself() -> None:
    found = registry("a-1", "a-2", repository="one")
    snap = registry("a-1", "a-2", "a-3", repository="two", into=found).snapshot()
    assert gone(rs.plan(snap, rs.Retention(keep_last=2, keep_last_per="(a)"))) == ["two:a-1"]


FILES = {
    "list.yaml": """
- {protect: [latest, "1.10"]}
- {tags: v*, keep_last: 10, keep_last_by: version, in_use: pods.txt}
- {keep_last: 3, keep_last_per: "(.+)-[0-9]+", protect: keep}
""",
    "rules.yaml": """
protect: [latest, "1.10"]
rules:
  - {tags: v*, keep_last: 10, keep_last_by: version, in_use: pods.txt}
  - {keep_last: 3, keep_last_per: "(.+)-[0-9]+", protect: keep}
""",
    "rules.toml": """
protect = ["latest", "1.10"]
[[rules]]
tags = "v*"
keep_last = 10
keep_last_by = "version"
in_use = "pods.txt"
[[rules]]
keep_last = 3
keep_last_per = "(.+)-[0-9]+"
protect = "keep"
""",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_may_have_a_list_of_rules(tmp_path: Path, name: str) -> None:
    (tmp_path / "pods.txt").write_text("x.io/app:pr-1\n")
    (tmp_path / name).write_text(FILES[name])
    rules = (
        rs.Retention(
            tags="v*", keep_last=10, keep_last_by="version", protect=["latest", "1.10"], in_use=["x.io/app:pr-1"]
        ),
        rs.Retention(keep_last=3, keep_last_per="(.+)-[0-9]+", protect="keep"),
    )
    assert policy_from_file(tmp_path / name) == rules
    snap = registry(*RELEASES, *BRANCHES).snapshot()
    assert rs.plan(snap, tmp_path / name).table.equals(rs.plan(snap, rules).table)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.yaml", "- {keep_last: 3}\n- {keep_last: x}\n", "rule 2: keep_last: .*integer"),
        ("p.yaml", "- {keep_last: 3}\n- {keep_last: 3, protect: [1.10]}\n", "rule 2: protect: 1.1 is no name"),
        ("p.yaml", "- {keep_last: 3}\n- {protect: [2024]}\n", "rule 2: protect: 2024 is no name"),
        ("p.yaml", "- {keep_last: 3}\n- {keep_last: 3, in_use: }\n", "rule 2: in_use: no value is given"),
        ("p.yaml", "- {keep_last: 3}\n- {repositories: a}\n", "rule 2: the policy has no rule by which anything"),
        ("p.yaml", "- {keep_last: 3}\n- []\n", "has no rules"),
        ("p.yaml", "- {}\n", "has no rule by which anything may be deleted"),
        ("p.yaml", "- {protect: a}\n", "a policy is a Retention, or a list of them"),
        ("p.yaml", "[]", "a policy is a Retention, or a list of them"),
        ("p.yaml", "rules: {keep_last: 3}\n", "rules that is no list"),
        ("p.yaml", "keep_last: 3\nrules: [{keep_last: 3}]\n", "keep_last beside rules"),
        ("p.yaml", "rules:\n", "rules that is no list"),
        ("p.yaml", "- {protect: [a], protect: [b], keep_last: 3}\n", "protect: the key is given twice"),
        ("p.toml", "[[rules]]\nkeep_last = 'x'\n", "rule 1: keep_last"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told_with_its_number(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInput, match=words):
        rs.plan(registry("a").snapshot(), tmp_path / name)


@pytest.mark.parametrize("wrong", [[], [{"keep_last": 3}], [THREE_OF_EACH, "v*"], None, 3])
def test_what_is_no_policy_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidInput, match="a policy is a Retention, or a list of them"):
        rs.plan(registry("a").snapshot(), wrong)  # type: ignore[arg-type]


def test_a_plan_with_rules_is_the_same_after_it_was_saved(tmp_path: Path) -> None:
    rules = [TEN_RELEASES, THREE_OF_EACH.changed(in_use=["x.io/team.x/app:1"], protect="v1.0.0")]
    plan = rs.plan(registry(*RELEASES, *BRANCHES).snapshot(), rules)
    again = rs.Plan.load(plan.save(tmp_path / "plan.json"))
    assert again.policy == tuple(rules) == plan.policy
    assert again.identity == plan.identity
    assert (repr(again), again._repr_html_()) == (repr(plan), plan._repr_html_())
    pd.testing.assert_frame_equal(again.table, plan.table)
    assert f"[{rules[0]!r}, {rules[1]!r}]" in repr(plan)


Image = tuple[str, str, int]  # repository, tag, and how many days old
PATTERNS: dict[str | None, Callable[[str], str | None]] = {
    None: lambda tag: "",
    "(main|dev)": lambda tag: tag[:3] if tag[0] in "md" else None,
}


def plainly(images: list[Image], rules: list[rs.Retention]) -> set[str]:
    """Which tags go, said in loops: each on an image of its own."""
    goes, left = set(), list(images)
    for rule in rules:
        mine = [
            (repository, tag, days)
            for repository, tag, days in left
            if fnmatch(repository, rule.repositories[0]) and (not rule.tags or fnmatch(tag, rule.tags[0]))
        ]
        left = [image for image in left if image not in mine]
        for repository, tag, days in mine:
            group = PATTERNS[rule.keep_last_per](tag)
            newer = [
                1
                for other_repository, other, age in mine
                if (other_repository, PATTERNS[rule.keep_last_per](other)) == (repository, group) and age < days
            ]
            beyond = rule.keep_last is None or (group is not None and len(newer) >= rule.keep_last)
            old = rule.older_than is None or days > int(rule.older_than[:-1])
            if beyond and old:
                goes.add(f"{repository}:{tag}")
    return goes


@st.composite
def rules_on_tags(draw: st.DrawFn) -> rs.Retention:
    keep_last = draw(st.sampled_from([None, 0, 1, 2]))
    return rs.Retention(
        repositories=draw(st.sampled_from(["*", "team/*"])),
        tags=draw(st.sampled_from(["*", "v*", "main-*", "*-1"])),
        keep_last=keep_last,
        keep_last_per=None if keep_last is None else draw(st.sampled_from(list(PATTERNS))),
        older_than=draw(st.sampled_from([None, "5d"])),
    )


NAMES = st.tuples(st.sampled_from(["team/app", "base"]), st.sampled_from(["main", "dev", "v"]), st.integers(0, 3))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, st.integers(1, 9), min_size=1), st.lists(rules_on_tags(), min_size=1, max_size=3))
def test_rules_decide_as_plain_loops_say(drawn: dict[tuple[str, str, int], int], rules: list[rs.Retention]) -> None:
    images = [(repository, f"{branch}-{number}", days) for (repository, branch, number), days in drawn.items()]
    found = Registry()
    for repository, tag, days in images:
        found.image(f"{repository}:{tag}", [tag], f"{repository}:{tag}", created=NOW - timedelta(days=days))
    assert set(gone(rs.plan(found.snapshot(), rules))) == plainly(images, rules)


def test_a_list_of_one_rule_is_that_rule() -> None:
    snap = registry(*BRANCHES).snapshot()
    pd.testing.assert_frame_equal(rs.plan(snap, [THREE_OF_EACH]).table, rs.plan(snap, THREE_OF_EACH).table)
