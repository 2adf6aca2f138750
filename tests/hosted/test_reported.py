"""What went wrong for users of other tools at these registries, done again with this one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from tests.hosted.pushed import AMD, ARM, BOTH, NEW, OLD, SBOM, fill
from tests.lab.drawn_registries import Contents, artifact, dashed, index, state
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.azure import AzureRegistry
from tests.servers.hosted.google import USER, GoogleRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry


@pytest.fixture
def azure(behind: Registry, authority: CertificateAuthority) -> Iterator[AzureRegistry]:
    with reached(AzureRegistry(behind, authority)) as profile:
        yield profile


def at_google(google: GoogleRegistry) -> rs.ContentStore:
    return rs.open("gcr.io/team", username=USER, password=google.password, verify=google.ca, cache=False)


def at_azure(azure: AzureRegistry) -> rs.ContentStore:
    return rs.open("ours.azurecr.io", verify=azure.ca, cache=False)


def cleaned(store: rs.ContentStore, policy: rs.Retention, folder: Path) -> tuple[rs.Snapshot, rs.Plan]:
    snap = rs.scan(store, progress=False)
    plan = rs.plan(snap, policy)
    done = plan.apply(store, dry_run=False, journal=folder / "journal", progress=False)
    assert done.ok, repr(done)
    return snap, plan


def test_reg_136_a_tagged_image_is_deleted_its_tags_first(
    behind: Registry, google: GoogleRegistry, tmp_path: Path
) -> None:
    """genuinetools/reg#136, docker-credential-gcr#73, kube-image-keeper#636: GOOGLE_MANIFEST_DANGLING_TAG."""
    Contents(pushes=[("team/app", tag, NEW) for tag in ("a", "b", "c")]).push_to(behind.url)
    cleaned(at_google(google), rs.Retention(tags="*"), tmp_path)
    lines = [line.split()[1:] for line in google.asked() if line.startswith("DELETE") and line.endswith("202")]
    assert [path.rpartition("/")[2] for path, _ in lines] == ["a", "b", "c", NEW.digest]


def test_gcr_cleaner_130_children_that_are_listed_without_a_tag_are_left_to_their_index(
    behind: Registry, google: GoogleRegistry, tmp_path: Path
) -> None:
    """Its clean-up of the untagged stopped at GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE."""
    other = index([AMD])
    pushes = [("team/app", "kept", BOTH), ("team/app", None, other), ("team/app", None, OLD)]
    Contents(pushes=pushes).push_to(behind.url)
    snap, _ = cleaned(at_google(google), rs.Retention(untagged=True), tmp_path)
    left = {name for (_, name), digest in state(behind.url, snap).items() if digest}
    assert left == {"kept", BOTH.digest, AMD.digest, ARM.digest}
    assert not [line for line in google.requests if line.status == 400]


def test_gcr_cleaner_113_every_media_type_is_asked_for(
    behind: Registry, google: GoogleRegistry, tmp_path: Path
) -> None:
    """It got MANIFEST_UNKNOWN for images whose media type it did not name."""
    fill(behind)
    snap = rs.scan(at_google(google), progress=False)
    assert not len(snap.problems)
    assert {*snap.manifests["kind"]} == {"image", "index", "artifact"}


def test_acr_cli_131_and_133_what_an_index_or_an_attachment_needs_is_not_purged(
    behind: Registry, azure: AzureRegistry, tmp_path: Path
) -> None:
    """acr-cli#131, #133, #342, acr#666: `acr purge --untagged` broke multi-arch and signed images."""
    signature = artifact("signature", b"signed", None)
    pushes = [
        ("team/app", "multi", BOTH),
        ("team/app", None, SBOM),
        ("team/app", dashed(AMD.digest, ".sig"), signature),
        ("team/app", None, OLD),
    ]
    Contents(pushes=pushes).push_to(behind.url)
    snap, plan = cleaned(at_azure(azure), rs.Retention(untagged=True), tmp_path)
    assert plan.steps["digest"].tolist() == [OLD.digest]
    after = state(behind.url, snap)
    assert all(after["team/app", each.digest] for each in (BOTH, AMD, ARM, SBOM, signature))


def test_acr_cli_70_what_may_be_deleted_and_not_written_stays_and_the_rest_goes(
    behind: Registry, azure: AzureRegistry, tmp_path: Path
) -> None:
    """acr-cli#70, #134: its run ended with 405 at the first image with writeEnabled=false."""
    pushes = [("team/app", "locked", NEW), ("team/app", "free", OLD)]
    Contents(pushes=pushes).push_to(behind.url)
    azure.read_only = {("team/app", "locked")}
    snap, plan = cleaned(at_azure(azure), rs.Retention(tags="*"), tmp_path)
    assert plan.spared["reason"].tolist() == ["it is locked in the registry"]
    assert {name for (_, name), digest in state(behind.url, snap).items() if digest} == {"locked", NEW.digest}


def test_acr_cli_523_where_nothing_may_be_pulled_nothing_is_deleted_and_the_rest_goes_on(
    behind: Registry, azure: AzureRegistry, tmp_path: Path
) -> None:
    """Its run ended with 401 at a repository whose manifests it could list and not read."""
    Contents(pushes=[(name, tag, each) for name in ("a", "b") for tag, each in (("1", BOTH), (None, OLD))]).push_to(
        behind.url
    )
    azure.unreadable = {"a"}
    snap, plan = cleaned(at_azure(azure), rs.Retention(tags="*", untagged=True), tmp_path)
    assert {*snap.problems["repository"]} == {"a"}
    assert {*plan.steps["repository"]} == {"b"}
    assert plan.at_most
    after = state(behind.url, snap)
    assert not [key for key, digest in after.items() if key[0] == "b" and digest]
    listed = {each.digest for each in azure.upstream_files.manifests("a")}
    assert listed == {BOTH.digest, OLD.digest, *(child["digest"] for child in json.loads(BOTH.raw)["manifests"])}
