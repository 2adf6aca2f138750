"""Policies: what can be said, in Python and in files, and what can't."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import InvalidInput
from regscope.remediation.patterns import named

DIGEST = "sha256:" + "a" * 64


def test_a_policy_shows_what_it_says_and_nothing_else() -> None:
    policy = rs.Retention(keep_last=5, older_than="30d", protect="v*")
    assert repr(policy) == "Retention(keep_last=5, older_than='30d', protect=['v*'])"
    assert policy == rs.Retention(**policy.rules())


def test_a_duration_may_be_a_timedelta() -> None:
    assert rs.Retention(older_than=timedelta(days=2)).older_than == "172800s"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({}, "has no rule by which anything may be deleted"),
        ({"protect": ["v*"]}, "has no rule by which anything may be deleted"),
        ({"keep_lst": 3}, "keep_lst: there is no such rule"),
        ({"keep_last": -1}, "keep_last: .*greater than or equal to 0"),
        ({"keep_last": "3"}, "keep_last: .*valid integer"),
        ({"keep_last": True}, "keep_last: .*valid integer"),
        ({"keep_last": 3, "keep_last_by": "size"}, "keep_last_by: .*'created', 'pushed' or 'version'"),
        ({"older_than": "soon"}, "older_than: 'soon' is not a duration"),
        ({"older_than": "30"}, "older_than: '30' is not a duration"),
        ({"older_than": -timedelta(days=1)}, "is not a duration"),
        ({"untagged": "soon"}, "untagged: 'soon' is not a duration"),
        ({"tags": ["/(/"]}, "tags: '/\\(/' is not a regular expression"),
        ({"repositories": ["/[/"], "untagged": True}, "repositories: .*not a regular expression"),
        ({"labels": {"a": "/(/"}}, "not a regular expression"),
        ({"platforms": ["linux"]}, "platforms: 'linux' is not a platform"),
        ({"untagged": True, "protect": ["app@x"]}, "protect: 'app@x' is no digest"),
        ({"untagged": True, "protect": [""]}, "protect: an empty name"),
        ({"keep_last_per": "(a)", "untagged": True}, "keep_last_per without keep_last"),
        ({"keep_last": 3, "keep_last_per": "main-.*"}, "keep_last_per: 'main-.*' has no group"),
        ({"keep_last": 3, "keep_last_per": "(main"}, "keep_last_per: '\\(main' is not a regular expression"),
        ({"keep_last": 3, "keep_last_per": 3}, "keep_last_per: 3 is no name"),
        ({"tags": 1.10}, "tags: 1.1 is no name: .*quote it"),
        ({"tags": ["v*", 2024]}, "tags: 2024 is no name: .*quote it"),
        ({"exclude_tags": [date(2024, 1, 31)], "untagged": True}, "exclude_tags: 2024-01-31 is no name: .*quote it"),
        ({"untagged": True, "protect": [2.0]}, "protect: 2.0 is no name: .*quote it"),
        ({"untagged": True, "protect": ["v1", ["v2"]]}, "protect: a list within a list is no name"),
        ({"untagged": True, "protect": [{"app": "v1"}]}, "protect: a mapping is no name: .*quote it"),
        ({"untagged": True, "protect": {"app": "v1"}}, "protect: a mapping is no name: .*quote it"),
        ({"untagged": True, "protect": [None]}, "protect: an empty entry is no name"),
        ({"untagged": True, "protect": False}, "protect: false is no name: .*yes, no, on and off"),
        ({"untagged": True, "repositories": 2024}, "repositories: 2024 is no name: .*quote it"),
        ({"untagged": True, "exclude_repositories": [b"app"]}, "exclude_repositories: a bytes is no name"),
        ({"platforms": [386]}, "platforms: 386 is no name"),
        ({"labels": {"stage": 1.10}}, "labels: 1.1 is no name: .*quote it"),
        ({"labels": {1.10: "stage"}}, "labels: 1.1 is no name: .*quote it"),
        ({"labels": ["stage"]}, "labels: must be a mapping"),
        ({"self": 1}, "self: there is no such rule"),
        ({"untagged": True, "in_use": ["app:1", 1.10]}, "in_use: 1.1 is no name: .*quote it"),
        ({"untagged": True, "in_use": ["app:1", ["app:2"]]}, "in_use: a list within a list"),
        ({"untagged": True, "in_use": []}, "in_use: the list names no image in use: it is empty"),
        ({"untagged": True, "in_use": 3}, "in_use: 3 is no name"),
        ({"untagged": True, "in_use": ["No Image"]}, "in_use: not an image reference: 'No Image'"),
        ({"untagged": True, "in_use": "/nowhere/at/all"}, "in_use: .*cannot be read"),
    ],
)
def test_what_a_policy_cannot_say_is_told_with_the_rule_that_is_wrong(rules: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        rs.Retention(**rules)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v*", ("*", "v*", None)),
        ("latest", ("*", "latest", None)),
        ("/v[0-9]+/", ("*", "/v[0-9]+/", None)),
        ("team/app", ("team/app", "*", None)),
        ("app:*", ("app", "*", None)),
        ("team/*:v1", ("team/*", "v1", None)),
        (DIGEST, ("*", None, DIGEST)),
        (f"team/app@{DIGEST}", ("team/app", None, DIGEST)),
    ],
)
def test_a_name_means_tags_a_repository_or_a_manifest(text: str, expected: tuple[str, str | None, str | None]) -> None:
    assert named(text) == expected


POLICIES = {
    "policy.yaml": "keep_last: 3\nolder_than: 30d\nprotect: [v*, latest]\nin_use: pods.txt\n",
    "policy.toml": 'keep_last = 3\nolder_than = "30d"\nprotect = ["v*", "latest"]\nin_use = "pods.txt"\n',
}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_comes_from_a_file_and_what_is_in_use_from_one_beside_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "pods.txt").write_text("registry.example.com/team/app:1.0  # the shop\n\n# nothing\n")
    (tmp_path / name).write_text(POLICIES[name])
    assert rs.Retention.from_file(tmp_path / name) == rs.Retention(
        keep_last=3, older_than="30d", protect=["v*", "latest"], in_use=["team/app:1.0"]
    )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("policy.yaml", b"keep_last: [", "cannot be read"),
        ("policy.yaml", b"- keep_last", "has no rules"),
        ("policy.yaml", b"", "has no rules"),
        ("policy.yaml", b"1: 2", "has no rules"),
        ("policy.yaml", b"keep_last: 3\nprotect:\n", "protect: no value is given"),
        ("policy.yaml", b"keep_last: 3\nprotect: [latest, 1.10]\n", "protect: 1.1 is no name: .*quote it"),
        ("policy.yaml", b"tags: 2.0\n", "tags: 2.0 is no name: .*quote it"),
        ("policy.yaml", b"keep_last: 3\nprotect: 12:30:00\n", "protect: 45000 is no name: .*quote it"),
        ("policy.yaml", b"keep_last: 3\nprotect: [v1]\nprotect: [v2]\n", "protect: the key is given twice"),
        ("policy.yaml", b"keep_last: 3\nprotect: &a [v1, *a]\n", "protect: its aliases expand to more"),
        ("policy.yaml", b"keep_last: 3\nlabels: &a {x: *a}\n", "labels: its aliases expand to more"),
        ("policy.yaml", b"keep_last: 3\nprotect: " + b"[" * 100_000, "cannot be read"),
        ("policy.yaml", b"#" * 2**20 + b"\nkeep_last: 3", "larger than 1,048,576 bytes"),
        ("policy.yaml", b"- keep_last: 3", "is a list of rules"),
        ("policy.toml", b"keep_last = 3\nprotect = [1.10]", "protect: 1.1 is no name: .*quote it"),
        ("policy.yaml", b"\xff\xfe\x00", "cannot be read"),
        ("policy.yaml", b"!!python/object/apply:os.system ['true']", "cannot be read"),
        ("policy.toml", b"keep_last = = 3", "cannot be read"),
        ("policy.toml", b"keep_last = 'x'", "keep_last: .*integer"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_in_words(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=words):
        rs.Retention.from_file(tmp_path / name)
    with pytest.raises(InvalidInput, match="cannot be read"):
        rs.Retention.from_file(tmp_path / "absent.yaml")


def bomb(lines: int) -> str:
    """Lists of ten aliases each, of which every line stands for ten times the one before."""
    found = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    found += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, lines)]
    return "\n".join(found)


@pytest.mark.parametrize(
    "content",
    [
        bomb(40) + "\nkeep_last: 3\nprotect: *a39\n",
        "a0: &a0 {x: 1, y: 2}\n"
        + "\n".join(f"a{at}: &a{at} {{<<: [{', '.join([f'*a{at - 1}'] * 10)}]}}" for at in range(1, 30)),
    ],
    ids=["lists", "merged mappings"],
)
def test_aliases_that_multiply_without_end_are_refused_at_once(tmp_path: Path, content: str) -> None:
    (tmp_path / "policy.yaml").write_text(content)
    with pytest.raises(InvalidInput, match=r"a[0-9]+: its aliases expand to more than 100,000 values"):
        rs.Retention.from_file(tmp_path / "policy.yaml")


def test_a_few_aliases_are_what_they_stand_for(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text('tags: &old ["1.10", "2.0"]\nprotect: *old\n')
    assert rs.Retention.from_file(tmp_path / "policy.yaml") == rs.Retention(
        tags=["1.10", "2.0"], protect=["1.10", "2.0"]
    )
