"""Amazon ECR Public: the account's own repositories with all that their control plane states, others as anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import regscope as rs
from regscope.hosted.ecr_public import ECRPublic
from regscope.stores.registry_store import registry_of
from regscope.stores.removal import open_removal
from tests.hosted.pushed import BOTH, FOUND, LONE, NEW, OLD, SBOM, fill, found, uploaded
from tests.lab.drawn_registries import state
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.ecr_public import ALIAS, HOST, ECRPublicRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry


@pytest.fixture
def ecr(behind: Registry, authority: CertificateAuthority, docker_config: Path) -> Iterator[ECRPublicRegistry]:
    fill(behind)
    with reached(ECRPublicRegistry(behind, authority)) as profile:
        yield profile


def opened(ecr: ECRPublicRegistry, location: str = f"{HOST}/{ALIAS}") -> rs.ContentStore:
    return rs.open(location, verify=ecr.ca, cache=False)


def scanned(store: rs.ContentStore, **options: list[str]) -> rs.Snapshot:
    return rs.scan(store, progress=False, **options)


def test_the_accounts_repositories_are_shown_with_what_has_no_tag(ecr: ECRPublicRegistry) -> None:
    store = opened(ecr)
    assert store.repositories() == ["team/app", "team/tools/base"]
    snap = scanned(store)
    assert found(snap) == FOUND
    assert snap.sees_untagged
    assert not snap.sees_pulls
    assert snap.filtered == ("repositories",)
    assert not len(snap.problems)
    assert {given.get("repositoryName") for _, given in ecr.api.asked} == {None, "app", "tools/base"}


def test_a_tag_has_the_time_at_which_it_was_set(behind: Registry, ecr: ECRPublicRegistry) -> None:
    when = uploaded(behind, "team/app", NEW, 7)
    store = opened(ecr)
    assert store.pushed("team/app", "latest") == when + timedelta(hours=1)
    rows = scanned(store).placements.set_index(["repository", "digest"])["pushed"]
    assert rows["team/app", NEW.digest] == when


def test_a_repository_of_others_is_shown_as_at_any_registry(ecr: ECRPublicRegistry) -> None:
    with pytest.warns(rs.CapabilityWarning, match="other/app is not a repository of the account"):
        snap = scanned(opened(ecr, HOST), repositories=["other/app"])
    assert len(snap.tags) == 1
    assert not snap.sees_untagged
    assert not len(snap.problems)


def test_everybody_may_read_where_aws_gives_no_login(ecr: ECRPublicRegistry) -> None:
    ecr.api.denied = {"GetAuthorizationToken", "DescribeRepositories", "DescribeImages"}
    with pytest.warns(rs.CapabilityWarning, match="Allow ecr-public:DescribeRepositories"):
        snap = scanned(opened(ecr, HOST), repositories=["team/app"])
    assert found(snap)[NEW.digest] == "tag"
    assert not snap.sees_untagged


def test_without_aws_credentials_everybody_may_read_and_is_told_what_is_lacking(
    ecr: ECRPublicRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.warns(rs.CapabilityWarning, match=r"the extra aws.*ecr-public:DescribeRepositories"):
        snap = scanned(opened(ecr, HOST), repositories=["team/app"])
    assert found(snap)[NEW.digest] == "tag"
    assert not ecr.api.asked


def test_a_plan_is_carried_out_and_undone(behind: Registry, ecr: ECRPublicRegistry, tmp_path: Path) -> None:
    store = opened(ecr)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags=["2.0", "1.0"], untagged=True, repositories="team/*"))
    assert plan.at_most
    before = state(behind.url, snap)
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    after = state(behind.url, snap)
    assert after["team/app", "latest"] == NEW.digest
    assert ("team/app", "1.0") not in after
    assert all(after["team/app", gone.digest] is None for gone in (BOTH, SBOM, OLD, LONE))
    assert rs.undo(done.journal, store, dry_run=False, progress=False).ok
    assert state(behind.url, snap) == before


def test_the_last_tag_goes_without_its_image(ecr: ECRPublicRegistry) -> None:
    store = opened(ecr)
    open_removal(store).untag("team/tools/base", "1")
    assert store.untagged("team/tools/base") == [OLD.digest]
    registry = registry_of(store)
    assert registry is not None
    assert isinstance(registry.provider, ECRPublic)
