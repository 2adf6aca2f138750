"""What runs: every form in which it can be said, and what is kept in the registry because of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

import regscope as rs
from regscope.errors import InvalidInput, StoreError
from regscope.remediation.in_use import images_in_use
from tests.lab.snapshots import NOW, Registry, digest

DIGEST = "sha256:" + "a" * 64

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


CONTAINERS = {"spec": {"containers": [{"name": "a", "image": "registry.example.com/app:1.10"}]}}
OBJECTS = {
    "CronJob": {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": CONTAINERS}}}},
    "Job": {"kind": "Job", "spec": {"template": CONTAINERS}},
    "StatefulSet": {"kind": "StatefulSet", "spec": {"template": CONTAINERS, "volumeClaimTemplates": []}},
    "ReplicationController": {"kind": "ReplicationController", "spec": {"template": CONTAINERS}},
    "PodTemplate": {"kind": "PodTemplate", "template": CONTAINERS},
    "custom resource": {"kind": "Shop", "spec": {"parts": [{"web": {"podTemplate": CONTAINERS}}]}},
    "init container": {"kind": "Pod", "spec": {"initContainers": CONTAINERS["spec"]["containers"]}},
    "image volume": {"kind": "Pod", "spec": {"volumes": [{"name": "v", "image": {"reference": "x.io/app:1.10"}}]}},
    "Python client": {"kind": "Pod", "status": {"container_statuses": [{"image_id": "x.io/app:1.10"}]}},
    "lists within lists": {"kind": "List", "items": [{"kind": "List", "items": [{"kind": "Pod", **CONTAINERS}]}]},
    "a list with a hole": {"kind": "List", "items": [None, {"kind": "Pod", "spec": None}, CONTAINERS]},
}


@pytest.mark.parametrize("name", OBJECTS)
def test_whatever_has_containers_names_images_parsed_or_as_json_or_yaml(tmp_path: Path, name: str) -> None:
    assert images_in_use(OBJECTS[name]) == ("app:1.10",)
    assert images_in_use([OBJECTS[name]]) == ("app:1.10",)
    for written in (json.dumps(OBJECTS[name]), yaml.safe_dump(OBJECTS[name]), json.dumps([OBJECTS[name]])):
        (tmp_path / "found").write_text(written)
        assert images_in_use(tmp_path / "found") == ("app:1.10",)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("registry.example.com/app:1.10\n# none\n\nb:2  # why: it runs\n", ["app:1.10", "library/b:2"]),
        ("\ufeffx.io/app:1.10\r\n", ["app:1.10"]),
        ("x.io/app:1.10 x.io/b:2 redis\n", ["app:1.10", "b:2", "library/redis:latest"]),
        ("# images\n- x.io/app:1.10\n- 'x.io/b:2'\n", ["app:1.10", "b:2"]),
        ("---\n- x.io/app:1.10\n---\n- x.io/b:2\n", ["app:1.10", "b:2"]),
        ('["x.io/app:1.10", "x.io/b:2"]', ["app:1.10", "b:2"]),
        ("[x.io/app:1.10, x.io/b:2]", ["app:1.10", "b:2"]),
        ('"x.io/app:1.10"\n"x.io/b:2"\n', ["app:1.10", "b:2"]),
        (json.dumps(CONTAINERS) + "\n" + json.dumps({"kind": "List", "items": []}), ["app:1.10"]),
        (json.dumps(CONTAINERS) + "\n---\nkind: Pod\nspec: {containers: [{image: b:2}]}", ["app:1.10", "library/b:2"]),
        ("---\nkind: Service\n---\n---\n" + yaml.safe_dump(CONTAINERS), ["app:1.10"]),
        ("spec: &a\n  containers: [{image: x.io/app:1.10}]\nsame: *a\n", ["app:1.10"]),
        ("kind: Pod\nmade: 2024-99-99\nset: !Own {containers: [{image: x.io/app:1.10}]}\n", ["app:1.10"]),
    ],
)
def test_a_file_may_be_lines_yaml_json_or_several_documents(
    tmp_path: Path, written: str, expected: Sequence[str]
) -> None:
    (tmp_path / "found").write_text(written)
    assert list(images_in_use(tmp_path / "found")) == list(expected)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "names no image in use: it is empty"),
        ("\n  # nothing runs\n", "names no image in use: it is empty"),
        ("[]", "names no image in use: it is empty"),
        ("null", "names no image in use: it is null"),
        ("---\n", "names no image in use: it is null"),
        ("---\nnull\n", "names no image in use: it is null"),
        ("{}", r"no containers in object \(1\)"),
        ('{"kind": "List", "items": null}', r"no containers in List without items \(1\)"),
        ('{"kind": "PodList", "items": []}', r"no containers in PodList without items \(1\)"),
        ("kind: List\nitems: []\n", r"no containers in List without items \(1\)"),
        ('{"items": [{"kind": "Node", "status": {"images": [{"names": ["a:1"]}]}}]}', r"no containers in Node \(1\)"),
        ("kind: Service\n---\nkind: Service\n---\nkind: Node\n", r"no containers in Service \(2\), Node \(1\)"),
        ('{"kind": "Pod", "spec": {"containers": []}}', r"no containers in Pod \(1\)"),
        ('{"kind": "Pod", "spec": {"containers": [{"image": ""}, {"image": null}]}}', r"no containers in Pod \(1\)"),
        ('[["x.io/app:1"]]', "a list within a list is no name"),
        ('["x.io/app:1", 5]', "5 is no name"),
        ("No resources found in default namespace.\n", "not an image reference: 'No resources found"),
        ("NAME READY\nweb-1 1/1\n", "not an image reference: 'NAME READY'"),
        ("kind: [", "can be read neither as JSON nor as YAML"),
        ('{"items": ' + "[" * 100_000, "can be read neither as JSON nor as YAML"),
        ("kind: Pod\nspec: &a [*a]\n", "can be read neither as JSON nor as YAML"),
        ("- " * 100_000, "can be read neither as JSON nor as YAML"),
    ],
)
def test_what_names_no_image_is_refused_with_what_was_found(tmp_path: Path, written: str, words: str) -> None:
    (tmp_path / "found").write_text(written)
    with pytest.raises(InvalidInput, match=words):
        images_in_use(tmp_path / "found")


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regscope.remediation.in_use._LARGEST", 100)
    (tmp_path / "found").write_text("app:1\n" * 100)
    with pytest.raises(InvalidInput, match="larger than 100 bytes"):
        images_in_use(tmp_path / "found")


def test_aliases_that_multiply_are_walked_once(tmp_path: Path) -> None:
    value: Any = CONTAINERS
    for _ in range(200):
        value = {"a": value, "b": [value] * 10}
    assert images_in_use(value) == ("app:1.10",)
    lines = ["a0: &a0 {image: x.io/app:1.10}"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, 60)]
    (tmp_path / "found").write_text("\n".join(lines))
    assert images_in_use(tmp_path / "found") == ("app:1.10",)


def registry(*tags: str) -> Registry:
    """Each of these tags on an old image of its own."""
    found = Registry()
    for tag in tags:
        found.image(tag, [tag], tag, created=NOW - timedelta(days=99))
    return found


def kept(tags: Sequence[str], *in_use: str) -> list[str]:
    """Which tags stay because they are in use, where everything was to go."""
    table = rs.plan(registry(*tags).snapshot(), rs.Retention(tags="*", in_use=in_use)).table
    rows = table[table["action"] == "keep"]
    assert rows["reason"].str.startswith("in use: ").all()
    return sorted(rows["repository"] + ":" + rows["tag"])


MIRRORED = (
    "redis:7", "library/redis:7", "hub/library/redis:7", "mirror/redis:7", "hub/library/redis:6", "redis-exporter:7",
    "my/xredis:7", "redis/tool:7", "bitnami/redis:7", "hub/bitnami/redis:7",
)  # fmt: skip


@pytest.mark.parametrize(
    ("in_use", "expected"),
    [
        ("docker.io/library/redis:7", {0, 1, 2, 3, 8, 9}),
        ("redis:7", {0, 1, 2, 3, 8, 9}),
        ("registry.example.com/hub/library/redis:7", {0, 1, 2}),
        ("docker.io/bitnami/redis:7", {0, 8, 9}),
        ("proxy.example.com/docker.io/bitnami/redis:7", {0, 8}),
        ("x.io/other/redis:7", {0}),
        ("x.io/tool:7", {7}),
        ("x.io/redis:6", {4}),
    ],
)
def test_a_name_keeps_what_its_path_fits_from_the_end_with_the_same_tag(in_use: str, expected: set[int]) -> None:
    assert kept(MIRRORED, in_use) == sorted(MIRRORED[at] for at in expected)


def test_a_digest_is_kept_wherever_it_is() -> None:
    assert kept(["team/a:1", "b:1"], f"x.io/elsewhere@{digest('team/a:1')}") == ["team/a:1"]


def test_one_name_that_is_no_reference_is_told_and_the_others_count(tmp_path: Path) -> None:
    snap = registry("app:1", "app:2").snapshot()
    plan = rs.plan(
        snap, rs.Retention(tags="*", in_use=["x.io/app:1", "Typo App:1", "x.io/app:{{ tag }}", "x.io/gone:1"])
    )
    assert plan.steps["digest"].tolist() == [digest("app:2")]
    assert plan.in_use == ("app:1", "gone:1")
    assert plan.unknown == ("gone:1",)
    assert plan.not_understood == ("Typo App:1", "x.io/app:{{ tag }}")
    assert plan.facts()["in use"] == "2 images by name or digest, 1 of them in this registry"
    assert any("'Typo App:1', 'x.io/app:{{ tag }}'" in note for note in plan.notes())
    again = rs.Plan.load(plan.save(tmp_path / "plan.json"))
    assert (again.policy, again.facts(), again.notes()) == (plan.policy, plan.facts(), plan.notes())


def test_that_nothing_in_use_is_in_this_registry_is_told() -> None:
    plan = rs.plan(registry("app:1").snapshot(), rs.Retention(tags="*", in_use=["x.io/other:1"]))
    assert plan.facts()["in use"] == "1 image by name or digest, 0 of them in this registry"
    assert any("None of the images in use is in this registry" in note for note in plan.notes())


def test_a_name_that_protect_does_not_find_and_in_use_does_is_known() -> None:
    policy = rs.Retention(tags="*", protect="library/redis:7", in_use=["redis:7"])
    plan = rs.plan(registry("hub/library/redis:7").snapshot(), policy)
    assert (plan.unknown, len(plan.steps)) == ((), 0)


def test_names_in_a_saved_plan_are_names_and_no_file_is_opened(tmp_path: Path) -> None:
    plan = rs.plan(registry("team.x/app:1").snapshot(), rs.Retention(tags="*", in_use=["x.io/team.x/app:1"]))
    path = plan.save(tmp_path / "plan.json")
    assert rs.Plan.load(path).policy.in_use == ("team.x/app:1",)  # type: ignore[union-attr]
    (tmp_path / "pods").write_text("app:1\n")
    found = json.loads(path.read_text())
    found["policy"]["in_use"] = str(tmp_path / "pods")
    path.write_text(json.dumps(found))
    with pytest.raises(StoreError, match="in_use must be a list of names"):
        rs.Plan.load(path)


@pytest.mark.parametrize(
    ("rule", "name"), [("protect", "app:{tag}"), ("protect", "sha256-*"), ("in_use", "x.io/app:{tag}")]
)
def test_an_attachment_whose_tag_is_kept_keeps_what_it_is_attached_to(rule: str, name: str) -> None:
    """By its subject it would go, whatever the policy says."""
    made = Registry()
    image, signature = made.image("image", ["l"], "app:old"), made.image("signature", ["s"], kind="artifact")
    tag = f"{image.replace(':', '-')}.sig"
    made.rows["tags"].append(("app", tag, signature, image, None, None))
    made.rows["referrers"].append((image, signature, "signature", "cosign tag"))
    made.place("app", signature, "tag")
    assert len(rs.plan(made.snapshot(), rs.Retention(tags="old")).steps) == 2
    kept: dict[str, Any] = {rule: [name.format(tag=tag)]}
    assert rs.plan(made.snapshot(), rs.Retention(tags="old", **kept)).steps.empty
