"""What people reported about other clean-up tools, done again here on a real registry with its garbage collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

import regscope as rs
from tests.lab.drawn_registries import Pushed, artifact, dashed, fallback_list, index, state, with_attestation
from tests.remediation.cleaning import built, by_api, clean, pulls, push, snapshot
from tests.servers.distributions import VERSIONS, filled
from tests.servers.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        yield running


def tags_of(registry: Registry, repository: str) -> list[str]:
    with requests.Session() as web:
        web.trust_env = False
        listed = web.get(f"{registry.url}/v2/{repository}/tags/list")
        return sorted(listed.json()["tags"] or []) if listed.status_code == 200 else []


def stays(plan: rs.Plan) -> list[str]:
    """The tags that a plan leaves."""
    return sorted(plan.table.loc[plan.table["action"] == "keep", "tag"].dropna())


@pytest.mark.parametrize("version", VERSIONS)
def test_an_image_of_one_platform_with_provenance_is_pulled_after_the_untagged_went(
    tmp_path: Path, version: str
) -> None:
    """Azure/acr-cli#342, vlaurin/action-ghcr-prune#76: buildx makes an index of what looks like one image."""
    kept = with_attestation(built("kept"))
    with filled(version, tmp_path / "registry", [("app", "1", kept), ("app", None, built("loose"))]) as registry:
        plan = clean(registry, rs.Retention(untagged=True, orphans=True), tmp_path)
        assert len(plan.steps) == 1
        assert pulls(registry, "app:1", tmp_path / "pulled")


def test_of_a_tag_that_moved_the_old_platforms_go_and_the_shared_one_stays(registry: Registry, tmp_path: Path) -> None:
    """chizkiyahu/delete-untagged-ghcr-action#55: either all platforms stay for ever, or those of `latest` go too."""
    shared, old, new = (built(name, architecture=of) for name, of in (("s", "arm64"), ("o", "amd64"), ("n", "amd64")))
    push(registry, ("app", "latest", index([old, shared])), ("app", "latest", index([new, shared])))
    plan = clean(registry, rs.Retention(untagged=True), tmp_path)
    assert set(plan.steps["digest"]) == {index([old, shared]).digest, old.digest}
    assert pulls(registry, "app:latest", tmp_path / "pulled")


def test_an_index_whose_platforms_another_tool_deleted_can_go(registry: Registry, tmp_path: Path) -> None:
    """dataaxiom/ghcr-cleanup-action#1: the clean-up stumbled over what an earlier one had broken."""
    broken, whole = index([built("a"), built("b", architecture="arm64")]), index([built("c")])
    push(registry, ("app", "broken", broken), ("app", "whole", whole))
    with requests.Session() as web:
        web.trust_env = False
        for child in broken.children:
            assert web.delete(f"{registry.url}/v2/app/manifests/{child.digest}").status_code == 202
    plan = clean(registry, rs.Retention(orphans=True), tmp_path)
    assert plan.goes["tag"].dropna().tolist() == ["broken"]
    assert tags_of(registry, "app") == ["whole"]
    assert pulls(registry, "app:whole", tmp_path / "pulled")


def test_manifests_without_a_tag_are_not_counted_as_images_to_keep(registry: Registry, tmp_path: Path) -> None:
    """GoogleCloudPlatform/gcr-cleaner#69, getnora-io/nora#931: `keep 3` kept one release and two leftovers."""
    pushes: list[tuple[str, str | None, Pushed]] = [("app", None, built(f"loose {day}", day)) for day in (1, 3, 5)]
    pushes += [("app", f"1.0.{8 - day}", built(f"release {day}", day)) for day in (2, 4, 6, 8)]
    push(registry, *pushes)
    plan = clean(registry, rs.Retention(tags=r"/\d+\.\d+\.\d+/", keep_last=3, untagged=True), tmp_path)
    assert stays(plan) == ["1.0.2", "1.0.4", "1.0.6"]
    assert (plan.steps["action"] == "delete").sum() == 4


def test_what_has_no_date_is_kept_and_takes_no_place_of_what_has_one(registry: Registry, tmp_path: Path) -> None:
    """GoogleCloudPlatform/gcr-cleaner#79: all three images went though three were to be kept, one built N/A."""
    push(
        registry,
        ("events", "1.4.0-alpha.1-212", built("a", None)),
        ("events", "1.4.0-alpha.2-2", built("b", 34)),
        ("events", "1.4.0-alpha.3-3", built("c", 16)),
    )
    policy = rs.Retention(tags=r"/.*-alpha\..*/", keep_last=3, older_than="24h")
    assert rs.plan(by_api(registry), policy).steps.empty
    plan = clean(registry, rs.Retention(tags=r"/.*-alpha\..*/", keep_last=1), tmp_path, by_api(registry))
    assert stays(plan) == ["1.4.0-alpha.1-212", "1.4.0-alpha.3-3"]


def test_images_that_are_kept_keep_all_their_tags(registry: Registry, tmp_path: Path) -> None:
    """GoogleCloudPlatform/gcr-cleaner#143: the right images stayed, without the tags of earlier revisions."""
    pushes: list[tuple[str, str | None, Pushed]] = []
    for day in range(1, 5):
        made = built(f"revision {day}", day)
        pushes += [("app", f"r{day}", made), ("app", f"sha-{day:07d}", made), ("app", f"branch-{day}", made)]
    push(registry, *pushes)
    plan = clean(registry, rs.Retention(tags="*", keep_last=2), tmp_path)
    assert stays(plan) == sorted(f"{name}{day}" for day in (1, 2) for name in ("r", "sha-000000", "branch-"))
    assert tags_of(registry, "app") == stays(plan)


def test_each_release_stream_keeps_its_own(registry: Registry, tmp_path: Path) -> None:
    """GoogleCloudPlatform/gcr-cleaner#16, MicrosoftDocs/azure-docs#40115: two of each minor version and base."""
    names = [f"1.{minor}.{patch}-{base}" for minor in (13, 14) for patch in (9, 10, 11) for base in ("alpine", "slim")]
    push(registry, *(("app", name, built(name, 100 - at)) for at, name in enumerate(names)))
    policy = rs.Retention(keep_last=2, keep_last_by="version", keep_last_per=r"(\d+\.\d+)\.\d+-(\w+)")
    plan = clean(registry, policy, tmp_path)
    assert stays(plan) == sorted(name for name in names if ".9-" not in name)


def test_a_pattern_of_tags_is_not_about_what_has_none(registry: Registry, tmp_path: Path) -> None:
    """GoogleCloudPlatform/gcr-cleaner#45: a filter for `dev` removed every manifest without a tag."""
    loose = built("loose")
    push(registry, ("airflow", "20210106-1", built("a")), ("airflow", "dev-1", built("b")), ("airflow", None, loose))
    plan = clean(registry, rs.Retention(tags="dev*"), tmp_path)
    assert plan.goes["tag"].tolist() == ["dev-1"]
    assert pulls(registry, f"airflow@{loose.digest}", tmp_path / "pulled")


def test_only_the_tags_that_match_go_from_an_image_with_several(registry: Registry, tmp_path: Path) -> None:
    """GoogleCloudPlatform/gcr-cleaner#61, goharbor/harbor#8717, andrey-pohilko/registry-cli#80, zot#1772."""
    made = built("one")
    push(registry, *(("app", name, made) for name in ("latest", "stable", "beta", "1.0-nightly", "nightly")))
    plan = clean(registry, rs.Retention(tags="*-nightly"), tmp_path)
    assert plan.steps["action"].tolist() == ["untag"]
    assert tags_of(registry, "app") == ["beta", "latest", "nightly", "stable"]
    assert pulls(registry, "app:stable", tmp_path / "pulled")


def test_keep_rules_win_over_every_other(registry: Registry, tmp_path: Path) -> None:
    """andrey-pohilko/registry-cli#92, #35: tags that were to be kept by name went by their age."""
    push(registry, *(("ubuntu", name, built(name, 900)) for name in ("16.04", "18.04", "18.04-2019-08-27", "bez")))
    policy = rs.Retention(tags="*", keep_last=0, protect=["ubuntu:16.04", "ubuntu:18.04"])
    clean(registry, policy, tmp_path)
    assert tags_of(registry, "ubuntu") == ["16.04", "18.04"]


def test_nested_repositories_follow_the_patterns_as_written(registry: Registry, tmp_path: Path) -> None:
    """goharbor/harbor#23530: a rule that left nested repositories out was applied to them."""
    names = ("qa/web", "qa/team/svp-1/web", "prod/web")
    push(registry, *((name, "build-42", built(name)) for name in names))
    policy = rs.Retention(tags="build-*", repositories="qa/*", exclude_repositories="qa/team/*")
    clean(registry, policy, tmp_path)
    assert [tags_of(registry, name) for name in names] == [[], ["build-42"], ["build-42"]]


def test_indexes_within_indexes_keep_what_has_no_tag(registry: Registry, tmp_path: Path) -> None:
    """goharbor/harbor#11277, #11273: the images of a bundle (CNAB) were deleted as untagged."""
    invocation, component = built("invocation"), index([built("x"), built("y", architecture="arm64")])
    push(registry, ("bundle", "v1", index([invocation, component])), ("bundle", None, built("loose")))
    snap = snapshot(registry)
    before = state(registry.url, snap)
    plan = clean(registry, rs.Retention(untagged=True, orphans=True), tmp_path)
    lost = {key for key, digest in state(registry.url, snap).items() if digest is None and before[key] is not None}
    assert lost == {("bundle", built("loose").digest)}
    assert plan.steps["digest"].tolist() == [built("loose").digest]


def test_a_dry_run_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    """goharbor/harbor#20996, #15332: images were gone after a dry run."""
    push(registry, ("app", "1", built("a")), ("app", "2", index([built("b")])), ("app", None, built("loose")))
    snap = snapshot(registry)
    before, files = state(registry.url, snap), registry.blob_digests()
    plan = rs.plan(snap, rs.Retention(tags="*", untagged=True))
    seen = len(registry.requests())
    done = plan.apply(rs.open(registry.url, cache=False), progress=False)
    asked = registry.requests()[seen:]
    assert set(done.table["outcome"]) == {"would be done"}
    assert state(registry.url, snap) == before
    assert registry.blob_digests() == files
    assert not [line for line in asked if line.split()[0] in ("PUT", "PATCH", "POST")]
    deletions = [line for line in asked if line.startswith("DELETE")]
    assert deletions
    assert not [line for line in deletions if line.split()[-1].startswith("2")]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_repository_without_any_tag_is_emptied(tmp_path: Path, version: str) -> None:
    """distribution/distribution#4282: 104,504 blobs were marked for a repository with `"tags": null`."""
    loose = [built(f"loose {number}") for number in range(3)]
    pushes: list[tuple[str, str | None, Pushed]] = [("gone", None, each) for each in loose]
    with filled(version, tmp_path / "registry", [*pushes, ("app", "1", built("kept"))]) as registry:
        clean(registry, rs.Retention(untagged=True), tmp_path)
        assert set(registry.blob_digests()) >= {built("kept").digest}
        assert not {each.digest for each in loose} & set(registry.blob_digests())


def test_after_a_deletion_neither_tag_nor_digest_answers(registry: Registry, tmp_path: Path) -> None:
    """distribution/distribution#3828: what does GET say by a tag whose manifest was deleted?"""
    made = built("a")
    push(registry, ("foo/bar", "baz", made), ("foo/bar", "other", built("b")))
    clean(registry, rs.Retention(tags="baz"), tmp_path)
    with requests.Session() as web:
        web.trust_env = False
        for name in ("baz", made.digest):
            assert web.get(f"{registry.url}/v2/foo/bar/manifests/{name}").status_code == 404


def test_platforms_that_a_release_shares_with_its_candidate_survive_two_nights(
    registry: Registry, tmp_path: Path
) -> None:
    """dataaxiom/ghcr-cleanup-action#91: the second night took what the first had spared."""
    shared = [built("amd"), built("arm", architecture="arm64")]
    release, candidate = index(shared), index([*reversed(shared)])
    push(registry, ("app", "1.12.1-rc2", candidate), ("app", "1.12.1", release), ("app", "1.13-rc1", built("next")))
    for night in ("first", "second"):
        (tmp_path / night).mkdir()
        clean(registry, rs.Retention(tags="*-rc*", untagged=True, orphans=True), tmp_path / night)
    assert tags_of(registry, "app") == ["1.12.1"]
    assert pulls(registry, "app:1.12.1", tmp_path / "pulled")


@pytest.mark.parametrize("suffix", ["", ".sig", ".att"])
def test_attachments_under_tags_are_not_old_images(registry: Registry, tmp_path: Path, suffix: str) -> None:
    """dataaxiom/ghcr-cleanup-action#13, bsherman/bos#8, aws/containers-roadmap#2613: they went, or were counted."""
    pushes: list[tuple[str, str | None, Pushed]] = []
    for day in (40, 50):
        made = built(f"image {day}", day)
        about = artifact("bundle", f"{day}".encode(), None if suffix else made)
        pushes += [
            ("app", f"t{day}", made),
            ("app", dashed(made.digest, suffix), about if suffix else fallback_list([about])),
        ]
    push(registry, *pushes)
    assert rs.plan(snapshot(registry), rs.Retention(tags="sha256-*", older_than="1d")).steps.empty
    plan = clean(registry, rs.Retention(keep_last=1), tmp_path)
    assert tags_of(registry, "app") == sorted(["t40", dashed(built("image 40", 40).digest, suffix)])
    assert "t40" in stays(plan)


def test_attestations_go_with_an_index_without_a_tag(registry: Registry, tmp_path: Path) -> None:
    """dataaxiom/ghcr-cleanup-action#102: attestations of replaced builds stayed for ever."""
    old, new = with_attestation(built("old")), with_attestation(built("new"))
    push(registry, ("app", "main", old), ("app", "main", new))
    plan = clean(registry, rs.Retention(untagged=True), tmp_path)
    assert set(plan.steps["digest"]) == {old.digest, *(child.digest for child in old.children)}
    assert pulls(registry, "app:main", tmp_path / "pulled")


def test_one_named_tag_is_deleted_though_all_others_would_be_kept(registry: Registry, tmp_path: Path) -> None:
    """andrey-pohilko/registry-cli#50, #89, hcguersoy/cleanreg#7: the tag stayed, since its digest was to be kept."""
    same = built("same")
    push(registry, ("custom", "test_v1", built("only")), ("custom", "pr-1", same), ("custom", "2.1.7", same))
    clean(registry, rs.Retention(tags=["test_v1", "pr-1"]), tmp_path)
    assert tags_of(registry, "custom") == ["2.1.7"]


def test_a_tag_is_renamed_by_a_second_one_and_the_deletion_of_the_first(registry: Registry) -> None:
    """containers/skopeo#1981, #1432: the image was gone with its old name."""
    made = built("release")
    push(registry, ("boda", "e5c33170", made), ("boda", "foo", made))
    assert rs.Tags("boda", rs.DockerRegistryV2Client(registry.url)).untag("e5c33170")
    assert tags_of(registry, "boda") == ["foo"]


def test_a_referrer_with_a_tag_of_its_own_goes_as_an_orphan(registry: Registry, tmp_path: Path) -> None:
    """agntcy/dir#2101: half of an index was referrers of what was long gone, each with a tag."""
    gone, here = built("gone"), built("here")
    push(
        registry,
        ("dir", "record", here),
        ("dir", "bafy-1", artifact("record", b"1", gone)),
        ("dir", "bafy-2", artifact("record", b"2", here)),
    )
    clean(registry, rs.Retention(orphans=True), tmp_path)
    assert tags_of(registry, "dir") == ["bafy-2", "record"]


def test_what_a_task_runs_is_not_counted_out_by_newer_builds(registry: Registry, tmp_path: Path) -> None:
    """aws/containers-roadmap#1078, ministryofjustice/cloud-platform#839: newer builds pushed production out."""
    pushes: list[tuple[str, str | None, Pushed]] = [
        ("app", f"ci-{day}", built(f"ci {day}", day)) for day in range(1, 6)
    ]
    push(registry, *pushes, ("app", "deployed", built("production", 90)))
    running = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/app@{built('production', 90).digest}"
    plan = clean(registry, rs.Retention(keep_last=3, in_use=[running]), tmp_path)
    assert stays(plan) == ["ci-1", "ci-2", "ci-3", "deployed"]
    assert pulls(registry, "app:deployed", tmp_path / "pulled")


def test_platforms_with_tags_of_their_own_are_marked_with_their_index(registry: Registry, tmp_path: Path) -> None:
    """aws/containers-roadmap#1466: tags on the platforms of an index that is to be kept expired by themselves."""
    parts = [built("p1"), built("p2", architecture="arm64")]
    push(registry, ("app", "prod-2021", index(parts)), ("app", "1234", parts[0]), ("app", "abcd", parts[1]))
    plan = clean(registry, rs.Retention(older_than="1d", protect="prod*"), tmp_path, by_api(registry))
    assert pulls(registry, "app:prod-2021", tmp_path / "pulled")
    assert set(plan.steps["action"]) <= {"untag"}


def test_a_plan_says_which_repositories_it_empties(registry: Registry) -> None:
    """GoogleCloudPlatform/gcr-cleaner#11, andrey-pohilko/registry-cli#39: all images were old, so all of them went."""
    push(registry, ("idle", "1", built("a", 90)), ("idle", "2", built("b", 80)), ("busy", "1", built("c", 1)))
    plan = rs.plan(by_api(registry), rs.Retention(older_than="30d"))
    assert any(note.startswith("1 repository loses all its tags: idle.") for note in plan.notes())
    kept = rs.plan(by_api(registry), rs.Retention(older_than="30d", keep_last=1))
    assert stays(kept) == ["1", "2"]
    assert not any("loses all" in note for note in kept.notes())


def test_a_plan_says_which_rule_is_about_no_tag(registry: Registry) -> None:
    """ustaxcourt/ef-cms#10265: a rule for a prefix that nobody used any more, and images without end."""
    push(registry, ("app", "build-1", built("a")), ("app", "v1", built("b")))
    found = rs.plan(by_api(registry), [rs.Retention(tags="SNAPSHOT-*"), rs.Retention(tags="build-*")])
    assert "Rule 1 matches no tag: none in this snapshot fits 'SNAPSHOT-*'." in found.notes()
    assert not any(note.startswith("Rule 2") for note in found.notes())
