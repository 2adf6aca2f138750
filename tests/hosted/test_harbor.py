"""Harbor: its own lists, read with the registry's login, and what a scan makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

import regscope as rs
from regscope.errors import AuthFailed, InvalidDigest, RegscopeError, ResourceNotFound
from regscope.stores.registry_store import RegistryStore
from tests.hosted.pushed import AMD, BOTH, FOUND, NEW, OLD, fill, found, uploaded
from tests.lab.drawn_registries import Contents, artifact, dashed, image, layer
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.harbor import HOST, HarborRegistry
from tests.servers.hosted.hosted import answered, reached
from tests.servers.registry import Registry


@pytest.fixture
def harbor(behind: Registry, authority: CertificateAuthority) -> Iterator[HarborRegistry]:
    with reached(HarborRegistry(behind, authority, password="secret", is_admin=False)) as profile:
        yield profile


def opened(harbor: HarborRegistry) -> RegistryStore:
    store = rs.open(HOST, username="ann", password=harbor.password, verify=harbor.ca, cache=False)
    assert isinstance(store, RegistryStore)
    return store


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


def asked(harbor: HarborRegistry) -> list[str]:
    return [line for line in harbor.asked() if "/service/token" not in line and not line.endswith(" 401")]


def test_what_has_no_tag_is_told_from_children_and_referrers(behind: Registry, harbor: HarborRegistry) -> None:
    fill(behind)
    store = opened(harbor)
    assert store.repositories() == ["other/app", "team/app", "team/tools/base"]  # its catalog is for administrators
    snap = scanned(store)
    assert store.provider is not None
    assert store.provider.name == "Harbor"
    assert found(snap) == FOUND
    assert snap.sees_untagged
    assert snap.sees_pulls
    assert not len(snap.problems)


def test_names_with_slashes_are_read(behind: Registry, harbor: HarborRegistry) -> None:
    """harbor#12131, #18355, #19635: a slash that is not encoded twice leads to an empty list, or to 404."""
    fill(behind)
    assert opened(harbor).repositories()
    snap = scanned(opened(harbor))
    assert set(snap.tags.loc[snap.tags["repository"] == "team/tools/base", "digest"]) == {OLD.digest}
    assert [line for line in asked(harbor) if "repositories/tools%252Fbase/artifacts?" in line]


def test_lists_are_read_to_their_end_page_by_page(behind: Registry, harbor: HarborRegistry) -> None:
    images = [image([layer(f"many {at}", 20)], 5) for at in range(130)]
    Contents(pushes=[("team/app", f"t{at}" if at % 2 else None, each) for at, each in enumerate(images)]).push_to(
        behind.url
    )
    store = opened(harbor)
    assert store.repositories() == ["team/app"]
    assert store.tags("team/app") == sorted(f"t{at}" for at in range(1, 130, 2))
    assert set(store.untagged("team/app")) == {each.digest for each in images[::2]}
    assert len([line for line in asked(harbor) if "/artifacts?" in line]) == 2


def test_a_second_scan_asks_for_the_lists_alone(behind: Registry, harbor: HarborRegistry) -> None:
    fill(behind)
    store = rs.open(HOST, username="ann", password=harbor.password, verify=harbor.ca)
    first = scanned(store)
    asked(harbor)
    second = scanned(store)
    lists = sorted(line.partition("?")[0] for line in asked(harbor) if "/referrers/" not in line)
    places = [("other", "app"), ("team", "app"), ("team", "tools%252Fbase")]
    api = [f"GET /api/v2.0/projects/{project}/repositories/{name}/artifacts" for project, name in places]
    tags = [f"GET /v2/{name}/tags/list 200" for name in ("other/app", "team/app", "team/tools/base")]
    attached = [line for line in lists if "/artifacts/sha256:" in line]
    assert len(attached) == 1  # that of the attachment of team/app
    assert lists == sorted([*api, *tags, *attached, "GET /api/v2.0/repositories"])
    assert second.fingerprint == first.fingerprint


def test_manifests_and_tags_have_the_times_of_pushes_and_pulls(behind: Registry, harbor: HarborRegistry) -> None:
    fill(behind)
    when = {each.digest: uploaded(behind, "team/app", each, days) for each, days in ((NEW, 7), (OLD, 9))}
    pulled = datetime(2026, 4, 2, 11, 5, tzinfo=UTC)
    harbor.pulled["team/app", "latest"] = harbor.pulled["team/app", NEW.digest] = pulled
    snap = scanned(opened(harbor))
    rows = snap.placements[snap.placements["repository"] == "team/app"].set_index("digest")
    assert {digest: rows["pushed"][digest] for digest in when} == when
    assert rows["pulled"][NEW.digest] == pulled
    assert rows["pulled"].isna()[OLD.digest]  # 0001-01-01: never
    tags = snap.tags[snap.tags["repository"] == "team/app"].set_index("tag")
    assert (tags["pushed"]["latest"], tags["pulled"]["latest"]) == (when[NEW.digest], pulled)
    assert tags["pulled"]["1.0"] == pulled  # the image was pulled, by another name


def test_signatures_are_seen_with_their_tags_and_what_is_attached_to_them(
    behind: Registry, harbor: HarborRegistry
) -> None:
    signature = artifact("signature", b"signed", None)
    deeper = artifact("about the signature", b"deeper", signature)
    Contents(
        pushes=[
            ("team/app", "1", BOTH),
            ("team/app", dashed(AMD.digest, ".sig"), signature),
            ("team/app", None, deeper),
        ]
    ).push_to(behind.url)
    snap = scanned(opened(harbor))
    assert found(snap)[signature.digest] == "tag"
    assert found(snap)[deeper.digest] == "referrer"
    assert set(snap.tags["tag"]) == {"1", dashed(AMD.digest, ".sig")}
    assert snap.sees_untagged


def test_immutable_tags_are_in_the_snapshot(behind: Registry, harbor: HarborRegistry) -> None:
    fill(behind)
    harbor.immutable = {("team/app", "1.0")}
    snap = scanned(opened(harbor))
    assert snap.placements.loc[snap.placements["locked"], "digest"].tolist() == [NEW.digest]


def test_a_login_that_may_not_list_artifacts_sees_what_any_registry_shows(
    behind: Registry, harbor: HarborRegistry
) -> None:
    """harbor#14554, #8723: a robot account that may pull, and not use the API."""
    fill(behind)
    harbor.may_list = False
    store = opened(harbor)
    with pytest.warns(rs.CapabilityWarning, match="needs List Artifact"):
        snap = rs.scan(store, repositories="team/app", progress=False)
    assert found(snap)[NEW.digest] == "tag"
    assert OLD.digest not in found(snap)
    assert not snap.sees_untagged
    asked(harbor)
    rs.scan(store, repositories="team/app", progress=False)
    assert not [line for line in asked(harbor) if "/api/" in line]


def test_another_service_with_the_same_token_service_is_asked_once(behind: Registry, harbor: HarborRegistry) -> None:
    """Tencent's registry names `harbor-registry` too (pkg/reg/adapter/tencentcr)."""
    fill(behind)
    harbor.has_api = False
    store = opened(harbor)
    with pytest.warns(rs.CapabilityWarning, match="immutable tags are not shown"):
        snap = rs.scan(store, repositories=["team/app", "other/app"], progress=False)
    assert len(snap.tags) == 4
    asked(harbor)
    rs.scan(store, repositories=["team/app", "other/app"], progress=False)
    assert not [line for line in asked(harbor) if "/api/" in line]


def test_a_public_project_is_read_without_a_login(behind: Registry, authority: CertificateAuthority) -> None:
    fill(behind)
    with reached(HarborRegistry(behind, authority, is_admin=False)) as profile:
        snap = scanned(rs.open(HOST, verify=profile.ca, cache=False))
    assert found(snap) == FOUND
    assert snap.sees_untagged
    assert snap.filtered == ("repositories",)  # there may be private ones, which share their layers


def test_an_administrator_reads_the_catalog(behind: Registry, authority: CertificateAuthority) -> None:
    fill(behind)
    with reached(HarborRegistry(behind, authority, password="secret", is_admin=True)) as profile:
        store = opened(profile)
        assert store.repositories() == ["other/app", "team/app", "team/tools/base"]
        assert scanned(store).sees_everything


def test_a_wrong_password_is_an_error_that_says_so(behind: Registry, harbor: HarborRegistry) -> None:
    fill(behind)
    store = rs.open(HOST, username="ann", password="wrong", verify=harbor.ca, cache=False)
    with pytest.raises(AuthFailed, match="401 UNAUTHORIZED") as caught:
        store.repositories()
    assert "docker login" in caught.value.next_step


def test_a_repository_that_is_not_there_is_an_error(behind: Registry, harbor: HarborRegistry) -> None:
    fill(behind)
    store = opened(harbor)
    store.repositories()
    with pytest.raises(ResourceNotFound, match="team/nothing"):
        store.tags("team/nothing")


@pytest.mark.parametrize(
    ("nonsense", "expected"),
    [({"a": 1}, RegscopeError), (None, RegscopeError), ([{"tags": []}], InvalidDigest), ([3], InvalidDigest)],
)
def test_a_list_that_is_none_is_an_error_and_no_gap(
    behind: Registry, harbor: HarborRegistry, nonsense: object, expected: type[RegscopeError]
) -> None:
    fill(behind)
    store = opened(harbor)
    store.repositories()
    harbor.rules.insert(0, lambda request, _: answered(nonsense) if "/artifacts?" in request.path else None)
    with pytest.raises(expected):
        store.tags("team/app")


def test_an_expired_token_is_renewed_and_the_api_needs_none(behind: Registry, harbor: HarborRegistry) -> None:
    fill(behind)
    store = opened(harbor)
    scanned(store)
    harbor.forget_tokens()
    assert found(scanned(store)) == FOUND


def test_capabilities_name_the_provider_and_what_it_adds(behind: Registry, harbor: HarborRegistry) -> None:
    fill(behind)
    store = opened(harbor)
    store.tags("team/app")
    with pytest.warns(rs.CapabilityWarning):
        capabilities = store.capabilities
    assert capabilities is not None
    assert (capabilities.catalog, capabilities.delete, capabilities.tag_delete) == (True, True, True)
    assert capabilities.provider == "Harbor"
    assert {"immutable tags", "pull times"} <= {*capabilities.adds}
    assert "robot account" in capabilities.needs
