"""Amazon ECR: what its control plane shows to AWS credentials, and what a scan makes of it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

import regscope as rs
from regscope.errors import RegscopeError, ResourceNotFound
from regscope.hosted.ecr import ECR
from regscope.stores.registry_store import registry_of
from tests.hosted.pushed import AMD, BOTH, FOUND, LONE, NEW, OLD, fill, found, uploaded
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.ecr import ACCOUNT, HOST, ECRRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry


@pytest.fixture
def ecr(behind: Registry, authority: CertificateAuthority) -> Iterator[ECRRegistry]:
    with reached(ECRRegistry(behind, authority)) as profile:
        yield profile


def opened(ecr: ECRRegistry, location: str = HOST) -> rs.ContentStore:
    return rs.open(location, verify=ecr.ca)


def scanned(store: rs.ContentStore, **options: bool) -> rs.Snapshot:
    return rs.scan(store, progress=False, **options)


def test_what_has_no_tag_is_told_from_children_and_referrers(behind: Registry, ecr: ECRRegistry) -> None:
    fill(behind)
    store = opened(ecr)
    assert store.repositories() == ["other/app", "team/app", "team/tools/base"]
    snap = scanned(store)
    assert found(snap) == FOUND
    assert snap.sees_everything
    assert snap.sees_pulls
    assert not len(snap.problems)


def test_a_second_scan_asks_for_the_lists_alone(behind: Registry, ecr: ECRRegistry) -> None:
    fill(behind)
    store = opened(ecr)
    first = scanned(store)
    ecr.asked()
    ecr.api.asked.clear()
    second = scanned(store)
    assert ecr.asked() == ["GET /v2/_catalog?n=1000 200", *["POST / 200"] * 3]
    assert [operation for operation, _ in ecr.api.asked] == ["DescribeImages"] * 3
    assert sorted(given["repositoryName"] for _, given in ecr.api.asked) == store.repositories()
    assert all(given["registryId"] == ACCOUNT for _, given in ecr.api.asked)
    assert second.fingerprint == first.fingerprint


def test_lists_are_read_to_their_end_page_by_page(behind: Registry, ecr: ECRRegistry) -> None:
    ecr.most_in_a_page = 50
    images = [image([layer(f"many {at}", 20)], 5) for at in range(130)]
    Contents(pushes=[("team/app", f"t{at}" if at % 2 else None, each) for at, each in enumerate(images)]).push_to(
        behind.url
    )
    store = opened(ecr)
    assert store.tags("team/app") == sorted(f"t{at}" for at in range(1, 130, 2))
    assert set(store.untagged("team/app")) == {each.digest for each in images[::2]}
    assert [given.get("nextToken") for _, given in ecr.api.asked] == [None, "token:50", "token:100"]


@pytest.mark.parametrize("count", [900, 1000, 1500])
def test_as_many_repositories_as_there_are_by_the_catalog_and_below_a_prefix(
    ecr: ECRRegistry, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """OctopusDeploy/Issues#6495, go-containerregistry#681: `last` with a name is refused, the next token is opaque."""
    names = [f"team/app-{at:05d}" for at in range(count)]
    monkeypatch.setattr(ecr.upstream_files, "repositories", lambda: names)
    assert opened(ecr).repositories() == names
    assert opened(ecr, f"{HOST}/team").repositories() == names
    assert opened(ecr, f"{HOST}/tea").repositories() == []


def test_tags_and_manifests_have_the_times_of_their_push_and_of_their_last_pull(
    behind: Registry, ecr: ECRRegistry
) -> None:
    fill(behind)
    when = {each.digest: uploaded(behind, "team/app", each, days) for each, days in ((NEW, 7), (OLD, 9))}
    pulled = datetime(2026, 11, 1, tzinfo=UTC)
    ecr.pulled["team/app", NEW.digest] = pulled
    store = opened(ecr)
    assert store.pushed("team/app", "latest") == when[NEW.digest]
    snap = scanned(store)
    rows = snap.placements[snap.placements["repository"] == "team/app"].set_index("digest")
    assert {digest: rows["pushed"][digest] for digest in when} == when
    assert rows["pulled"][NEW.digest] == pulled
    assert rows["pulled"].isna()[OLD.digest]


def test_a_prefix_limits_what_is_listed_and_figures_are_exact_where_nothing_is_shared(
    behind: Registry, ecr: ECRRegistry
) -> None:
    fill(behind)
    store = opened(ecr, f"{HOST}/team")
    assert store.repositories() == ["team/app", "team/tools/base"]
    assert scanned(store).filtered == ()
    ecr.mounting = True
    assert scanned(store).filtered == ("repositories",)
    ecr.mounting, ecr.api.denied = False, {"GetAccountSetting"}
    assert scanned(store).filtered == ("repositories",)


def test_archived_images_are_neither_missing_nor_asked_for(behind: Registry, ecr: ECRRegistry) -> None:
    """Pulling one is a 404 (user guide, archive-image); without a filter DescribeImages leaves them out (botocore)."""
    fill(behind)
    ecr.archived = {("team/app", NEW.digest), ("team/app", OLD.digest)}
    snap = scanned(opened(ecr), check=True)
    problems = snap.problems[["repository", "reference", "what"]].astype("str").values.tolist()
    assert sorted(problems) == sorted(["team/app", digest, "archived"] for digest in (NEW.digest, OLD.digest))
    assert "(1.0, latest)" in " ".join(snap.problems["error"])
    assert not {NEW.digest, OLD.digest} & {*snap.placements.loc[snap.placements["repository"] == "team/app", "digest"]}
    assert not [line for line in ecr.asked() if line.endswith(" 404") and f"team/app/manifests/{NEW.digest}" in line]
    plan = rs.plan(snap, rs.Retention(untagged=True, repositories="team/app"))
    assert {*plan.steps["digest"]} >= {LONE.digest}
    assert plan.at_most  # the archived ones may need the same layers


@pytest.mark.parametrize("archived", [BOTH, AMD], ids=["an index", "a child of an index"])
def test_where_an_archived_manifest_is_part_of_an_index_its_repository_is_left_alone(
    behind: Registry, ecr: ECRRegistry, archived: object
) -> None:
    fill(behind)
    ecr.archived = {("team/app", archived.digest)}  # type: ignore[attr-defined]
    snap = scanned(opened(ecr), check=True)
    assert "missing manifest" not in {*snap.problems["what"]}
    plan = rs.plan(snap, rs.Retention(tags="*", untagged=True, orphans=True))
    assert {*plan.steps["repository"]} == {"other/app", "team/tools/base"}


def test_a_repository_that_is_not_there_is_an_error(ecr: ECRRegistry) -> None:
    with pytest.raises(ResourceNotFound, match="does not exist in the registry"):
        opened(ecr).tags("nobody/nothing")


def test_a_store_pickles_with_its_provider_and_its_login(behind: Registry, ecr: ECRRegistry) -> None:
    fill(behind)
    store = opened(ecr)
    assert store.tags("team/app")
    again = pickle.loads(pickle.dumps(store))
    registry = registry_of(again)
    assert registry is not None
    assert isinstance(registry.provider, ECR)
    assert again.tags("team/app") == store.tags("team/app")


def test_capabilities_name_the_provider_and_what_it_adds(behind: Registry, ecr: ECRRegistry) -> None:
    fill(behind)
    with pytest.warns(rs.CapabilityWarning, match="referrers API"):
        capabilities = opened(ecr).capabilities
    assert capabilities is not None
    assert (capabilities.catalog, capabilities.delete, capabilities.tag_delete) == (True, True, True)
    assert capabilities.provider == "Amazon Elastic Container Registry"
    assert {"push and pull times", "archived images"} <= {*capabilities.adds}
    assert "ecr:DescribeRepositories" in capabilities.needs
    assert not capabilities.would_add


@pytest.mark.parametrize(
    ("host", "service", "region", "api"),
    [
        (f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com", "ecr", "eu-west-1", "api.ecr.eu-west-1.amazonaws.com"),
        (f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn", "ecr", "cn-north-1", "api.ecr.cn-north-1.amazonaws.com.cn"),
        (f"{ACCOUNT}.dkr.ecr-fips.us-east-1.amazonaws.com", "ecr", "us-east-1", "ecr-fips.us-east-1.amazonaws.com"),
        (f"{ACCOUNT}.dkr-ecr.eu-west-1.on.aws", "ecr", "eu-west-1", "ecr.eu-west-1.api.aws"),
    ],
)
def test_hosts_of_each_form_lead_to_their_control_plane(
    ecr: ECRRegistry, host: str, service: str, region: str, api: str
) -> None:
    store = registry_of(rs.open(f"https://{host}", verify=ecr.ca))
    assert store is not None
    assert isinstance(store.provider, ECR)
    assert (store.provider._plane.place.service, store.provider._plane.place.region) == (service, region)
    assert store.provider._plane._connected().meta.endpoint_url == f"https://{api}"


@pytest.mark.parametrize(
    "host", ["dkr.ecr.eu-west-1.amazonaws.com", f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com.evil.io"]
)
def test_a_host_that_only_looks_alike_is_nobodys(host: str) -> None:
    assert not ECR.is_at(host)


def test_boto3_is_loaded_for_this_provider_alone() -> None:
    code = (
        "import sys\n"
        "from regscope.hosted.finding import login_sources, provider_of\n"
        "from regscope.registry.client import DockerRegistryV2Client\n"
        "assert provider_of(DockerRegistryV2Client('https://registry.example.com')) is None\n"
        "assert not login_sources('registry.example.com')\n"
        "print('boto3' in sys.modules, 'botocore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]


def test_errors_say_which_page_it_was_and_can_be_pickled(ecr: ECRRegistry) -> None:
    ecr.api.denied = {"DescribeRepositories"}
    with pytest.raises(RegscopeError) as caught:
        opened(ecr).tags("nobody/nothing")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
