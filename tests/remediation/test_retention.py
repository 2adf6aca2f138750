"""Policies: what can be said, in Python and in files, and what can't."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import InvalidInput
from regscope.remediation.in_use import images_in_use
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
        ({}, "says nothing that may go"),
        ({"protect": ["v*"]}, "says nothing that may go"),
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
        ({"untagged": True, "in_use": ["No Image"]}, "in_use: an image in use that is none: 'No Image'"),
        ({"untagged": True, "in_use": "/nowhere/at/all"}, "in_use: .*can't be read"),
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
        ("policy.yaml", b"keep_last: [", "can't be read"),
        ("policy.yaml", b"- keep_last", "has no rules"),
        ("policy.yaml", b"", "has no rules"),
        ("policy.yaml", b"1: 2", "has no rules"),
        ("policy.yaml", b"\xff\xfe\x00", "can't be read"),
        ("policy.yaml", b"!!python/object/apply:os.system ['true']", "can't be read"),
        ("policy.toml", b"keep_last = = 3", "can't be read"),
        ("policy.toml", b"keep_last = 'x'", "keep_last: .*integer"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_in_words(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=words):
        rs.Retention.from_file(tmp_path / name)
    with pytest.raises(InvalidInput, match="can't be read"):
        rs.Retention.from_file(tmp_path / "absent.yaml")


PODS = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {
            "kind": "Pod",
            "spec": {
                "containers": [{"name": "a", "image": "registry.example.com:5000/team/app:1.0"}, {"name": "b"}],
                "initContainers": [{"name": "i", "image": "busybox"}],
                "ephemeralContainers": [{"name": "e", "image": f"team/debug@{DIGEST}"}],
            },
            "status": {
                "containerStatuses": [
                    {"name": "a", "imageID": f"docker-pullable://registry.example.com:5000/team/app@{DIGEST}"},
                    {"name": "b", "imageID": ""},
                    {"name": "c", "imageID": f"docker://{DIGEST}"},
                ],
                "initContainerStatuses": [{"name": "i", "imageID": f"docker.io/library/busybox@{DIGEST}"}],
            },
        },
        {"kind": "Pod", "spec": {"containers": []}, "status": None},
        {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"image": "team/worker:2"}]}}}},
    ],
}
IN_PODS = (
    "team/app:1.0", "library/busybox:latest", f"team/debug@{DIGEST}", f"team/app@{DIGEST}", DIGEST,
    f"library/busybox@{DIGEST}", "team/worker:2",
)  # fmt: skip


def test_what_kubectl_prints_names_the_images_that_pods_ask_for_and_the_digests_that_they_run(tmp_path: Path) -> None:
    assert images_in_use(PODS) == IN_PODS
    (tmp_path / "pods.json").write_text(json.dumps(PODS))
    assert images_in_use(str(tmp_path / "pods.json")) == IN_PODS
    assert images_in_use(PODS["items"][2]) == ("team/worker:2",)  # type: ignore[index]


@pytest.mark.parametrize("wrong", ["{", "[1, 2", '{"kind": "Nothing"}', "not an image!\n", '["A B"]'])
def test_what_cannot_be_understood_might_be_in_use_and_is_refused(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "in-use").write_text(wrong)
    with pytest.raises(InvalidInput):
        images_in_use(tmp_path / "in-use")
