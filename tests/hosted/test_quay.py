"""Quay: a token service with scopes of its own, tags with their times by the API, and what a scan makes of them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import regscope as rs
from regscope.errors import AuthFailed, InvalidDigest, PermissionDeny, RequestError, ResourceNotFound, Unsupported
from regscope.hosted.quay import Quay
from regscope.registry.tokens import TokenService
from regscope.stores.registry_store import RegistryStore
from regscope.stores.wrapped_store import unwrapped
from tests.hosted.pushed import AMD, ARM, BOTH, LONE, NEW, OLD, SBOM, fill, found, uploaded
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.hosted import answered, reached
from tests.servers.hosted.quay import QuayRegistry
from tests.servers.proxy import ProxyResponse
from tests.servers.registry import Registry

HOST, OWN_HOST = QuayRegistry.hosts


@pytest.fixture
def quay(behind: Registry, authority: CertificateAuthority) -> Iterator[QuayRegistry]:
    fill(behind)
    with reached(QuayRegistry(behind, authority, password="secret")) as profile:
        profile.api_tokens = {"reads": {"repo:read"}, "writes": {"repo:read", "repo:write"}}
        yield profile


def opened(quay: QuayRegistry, location: str = HOST, **options: Any) -> rs.ContentStore:
    return rs.open(location, verify=quay.ca, **{"username": "org+robot", "password": quay.password} | options)


def provider_of(store: rs.ContentStore) -> Quay:
    itself = unwrapped(store)
    assert isinstance(itself, RegistryStore)
    assert isinstance(itself.provider, Quay)
    return itself.provider


def scanned(store: rs.ContentStore, **options: Any) -> rs.Snapshot:
    return rs.scan(store, progress=False, **options)


def test_another_host_is_known_by_its_own_token_service_alone() -> None:
    assert Quay.is_at("quay.io")
    assert not Quay.is_at("quay.io.example.com")
    assert Quay.is_named_by(TokenService("https://quay.example.com/v2/auth", "quay.example.com"), "quay.example.com")
    assert not Quay.is_named_by(TokenService("https://auth.example.com/v2/auth", "x"), "quay.example.com")
    assert not Quay.is_named_by(TokenService("https://quay.example.com/v2/token", "x"), "quay.example.com")


def test_a_store_pickles_with_what_it_has_learnt(quay: QuayRegistry) -> None:
    store = opened(quay, f"{HOST}/team")
    assert pickle.loads(pickle.dumps(store)).repositories() == store.repositories()
    assert pickle.loads(pickle.dumps(store)).tags("team/app") == ["1.0", "2.0", "latest"]


def test_the_catalog_is_read_though_no_scope_for_it_exists(quay: QuayRegistry) -> None:
    """Its token service answers 400 to registry:catalog:*, and any token will do."""
    assert opened(quay).repositories() == ["other/app", "team/app", "team/tools/base"]
    assert "registry:catalog:*" in quay.scopes


@pytest.mark.filterwarnings("ignore::regscope.CapabilityWarning")
def test_a_scan_sees_what_has_a_tag_and_what_that_needs(quay: QuayRegistry) -> None:
    snap = scanned(opened(quay))
    assert found(snap) == {
        NEW.digest: "tag",
        BOTH.digest: "tag",
        AMD.digest: "index child",
        ARM.digest: "index child",
        SBOM.digest: "referrer",
    }
    assert {OLD.digest, LONE.digest}.isdisjoint(found(snap))  # no tag is on them: Quay serves them to nobody
    assert not snap.sees_untagged
    assert not len(snap.problems)


def test_below_a_namespace_the_api_shows_public_names_and_the_catalog_those_of_the_login(
    behind: Registry, quay: QuayRegistry
) -> None:
    Contents(pushes=[("public/tool", "1", NEW)]).push_to(behind.url)
    quay.private = {"team/app"}
    assert opened(quay, f"{HOST}/public").repositories() == ["public/tool"]
    assert opened(quay, f"{HOST}/team").repositories() == ["team/app", "team/tools/base"]
    nobody = {"username": None, "password": None}
    assert opened(quay, f"{HOST}/team", **nobody).repositories() == ["team/tools/base"]
    assert opened(quay, f"{HOST}/team", **nobody, api_token="reads").repositories() == ["team/app", "team/tools/base"]


def test_names_with_more_than_two_parts_are_below_their_namespace(quay: QuayRegistry) -> None:
    assert opened(quay, f"{HOST}/team/tools").repositories() == ["team/tools/base"]


def test_a_private_repository_is_read_by_the_registry_where_there_is_no_token_for_the_api(quay: QuayRegistry) -> None:
    """renovatebot/renovate#36481: the API answers 401 to a robot's login, and its own tag list works."""
    quay.private = {"team/app"}
    store = opened(quay)
    with pytest.warns(rs.CapabilityWarning, match="OAuth access token .* scope repo:read"):
        assert store.tags("team/app") == ["1.0", "2.0", "latest"]
    assert store.tags("team/tools/base") == ["1"]
    assert provider_of(opened(quay, api_token="reads")).manifests("team/app") is not None


def test_the_robots_password_is_not_sent_to_the_api(quay: QuayRegistry) -> None:
    opened(quay).tags("team/app")
    sent = [each.headers.get("Authorization") for each in quay.requests if each.path.startswith("/api/")]
    assert sent == [None]


def test_a_host_of_ones_own_is_known_by_the_token_service_that_it_names(quay: QuayRegistry) -> None:
    store = opened(quay, OWN_HOST)
    store.repositories()
    assert provider_of(store).name == "Quay"
    listing = provider_of(store).manifests("team/app")
    assert listing is not None
    assert {tag for row in listing.manifests for tag in row.tag_names} == {"1.0", "2.0", "latest"}


def test_lists_are_read_to_their_end_page_by_page(behind: Registry, quay: QuayRegistry) -> None:
    """ivanilves/lstags#185, regclient/regclient#272: fifty tags were taken for all."""
    each = image([layer("many", 20)], 5)
    Contents(
        pushes=[
            *(("team/app", f"t{at}", each) for at in range(230)),
            *((f"many/r{at}", "1", each) for at in range(110)),
        ]
    ).push_to(behind.url)
    quay.private = {"team/tools/base"}
    store = opened(quay)
    wanted = sorted([*(f"t{at}" for at in range(230)), "1.0", "2.0", "latest"])
    assert store.tags("team/app") == wanted
    asked = [line for line in quay.asked() if "/api/v1/" in line]
    assert [line.split()[1].partition("?")[2] for line in asked] == [
        f"limit=100&page={page}&onlyActiveTags=true" for page in (1, 2, 3)
    ]
    quay.private = {"team/app"}
    with pytest.warns(rs.CapabilityWarning, match="OAuth"):
        assert store.tags("team/app") == wanted  # by /v2, a hundred a page
    assert len(store.repositories()) == 113
    anyone = opened(quay, f"{HOST}/many", username=None, password=None)
    assert len(anyone.repositories()) == 110


def test_a_second_scan_asks_for_the_lists_alone(quay: QuayRegistry) -> None:
    quay.referrers = False
    store = opened(quay)
    first = scanned(store)
    quay.asked()
    second = scanned(store)
    names = ["other/app", "team/app", "team/tools/base"]
    asked = sorted(line.partition("?")[0] for line in quay.asked())
    assert asked == sorted(["GET /v2/_catalog", *(f"GET /api/v1/repository/{name}/tag/" for name in names)])
    assert second.fingerprint == first.fingerprint


def test_a_tag_has_the_time_at_which_it_was_set(behind: Registry, quay: QuayRegistry) -> None:
    when = uploaded(behind, "team/app", NEW, 7)
    store = opened(quay, f"{HOST}/team/app")
    assert store.pushed("team/app", "latest") == when
    snap = scanned(store)
    assert snap.tags.set_index("tag")["pushed"]["1.0"] == when
    assert len(rs.plan(snap, rs.Retention(tags="1.0", older_than="5d")).goes) == 1
    assert rs.plan(snap, rs.Retention(tags="1.0", older_than="9d")).goes.empty


def test_immutable_tags_are_locked_in_the_snapshot(quay: QuayRegistry) -> None:
    quay.immutable = {("team/app", "1.0")}
    snap = scanned(opened(quay))
    rows = snap.placements[snap.placements["repository"] == "team/app"]
    assert rows.loc[rows["locked"], "digest"].tolist() == [NEW.digest]


@pytest.mark.parametrize(
    "answer",
    [ProxyResponse(200, [("Content-Type", "text/html")], b"<html>Quay</html>"), answered([]), answered({"tags": None})],
    ids=["a page", "a list", "nothing"],
)
def test_an_answer_of_something_else_is_none_of_the_apis(quay: QuayRegistry, answer: ProxyResponse) -> None:
    quay.rules.insert(0, lambda request, forward: answer if request.path.startswith("/api/") else None)
    with pytest.warns(rs.CapabilityWarning, match="are not shown"):
        assert opened(quay).tags("team/app") == ["1.0", "2.0", "latest"]
    with pytest.raises(RequestError):
        opened(quay, f"{HOST}/team", username=None, password=None).repositories()


def test_an_entry_without_a_digest_is_an_error_and_no_gap(quay: QuayRegistry) -> None:
    page = answered({"tags": [{"name": "1.0"}], "page": 1, "has_additional": False})
    quay.rules.insert(0, lambda request, forward: page if "/api/" in request.path else None)
    with pytest.raises(InvalidDigest):
        opened(quay).tags("team/app")


def test_a_server_that_fails_is_a_problem_of_the_scan_and_no_empty_list(quay: QuayRegistry) -> None:
    broken = answered({"title": "downstream_issue", "status": 520}, status=520)
    quay.rules.insert(0, lambda request, forward: broken if "/api/v1/repository/team/app/" in request.path else None)
    snap = scanned(opened(quay))
    assert snap.problems["repository"].tolist() == ["team/app"]


def test_a_repository_that_is_not_there_is_an_error(quay: QuayRegistry) -> None:
    with pytest.warns(rs.CapabilityWarning), pytest.raises(ResourceNotFound):
        opened(quay).tags("team/nothing")


def test_a_wrong_password_and_a_wrong_token_are_errors(quay: QuayRegistry) -> None:
    quay.private = {"team/app"}
    with pytest.raises(AuthFailed, match="Specified credentials are invalid"):
        opened(quay, password="wrong").repositories()
    with pytest.raises(PermissionDeny) as caught:
        opened(quay, f"{HOST}/team", api_token="wrong").repositories()
    assert "repo:read" in caught.value.next_step
    assert "wrong" not in str(caught.value)


def test_nobody_is_told_to_name_a_namespace_or_to_log_in(quay: QuayRegistry) -> None:
    with pytest.raises((AuthFailed, Unsupported), match=r"an anonymous user|below a namespace"):
        opened(quay, username=None, password=None).repositories()


def test_tokens_that_expire_in_mid_run_are_renewed(quay: QuayRegistry) -> None:
    quay.private = {"team/app"}
    store = opened(quay)
    with pytest.warns(rs.CapabilityWarning, match="OAuth"):
        store.tags("team/app")
    quay.forget_tokens()
    assert store.manifest("team/app", "1.0").digest == NEW.digest


def test_where_there_are_too_many_requests_it_waits(quay: QuayRegistry) -> None:
    left = [ProxyResponse(429, [("Retry-After", "0")], b"<html>429 Too Many Requests</html>")] * 2

    def limit(request: Any, forward: Any) -> ProxyResponse | None:
        return left.pop() if left and request.path.startswith("/api/") else None

    quay.rules.insert(0, limit)
    assert opened(quay).tags("team/app") == ["1.0", "2.0", "latest"]
    assert not left


def test_capabilities_name_what_a_token_would_add(quay: QuayRegistry) -> None:
    capabilities = opened(quay).capabilities
    assert capabilities is not None
    assert capabilities.provider == "Quay"
    assert (capabilities.catalog, capabilities.delete, capabilities.tag_delete) == (True, True, True)
    assert any("repo:write" in said for said in capabilities.would_add)
