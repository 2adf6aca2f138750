"""A login counts from the first request on: whose challenge is answered, in which way, and with how many requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from regscope.errors import AuthFailed, ConnectionFailed, PermissionDeny, RegscopeError, TooManyRequests
from regscope.registry.catalog import list_repositories
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credentials import Credentials, IdentityToken, Keychain
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.tags import Tags
from tests.registry.guarded import guarded_by
from tests.servers import faults
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse, Rule
from tests.servers.raw import RawServer
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService

ANN = Credentials("ann", "hunter2")
GRANTS = {"ann": {"*": ["pull", "push", "delete"], "registry:catalog": ["*"]}, "": {"base": ["pull"]}}
BASIC = 'Basic realm="x"'


@pytest.fixture(scope="module")
def _service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenService]:
    with TokenService(tmp_path_factory.mktemp("tokens"), users={"ann": "hunter2"}, grants=GRANTS) as server:
        yield server


@pytest.fixture
def service(_service: TokenService) -> Iterator[TokenService]:
    """A token service that knows ann, and lets strangers read `base`."""
    _service.requests.clear()
    yield _service
    _service.lifetime = _service.expires_in = 300


@pytest.fixture(scope="module")
def _guarded(tmp_path_factory: pytest.TempPathFactory, layout: Path, _service: TokenService) -> Iterator[Registry]:
    with guarded_by(_service, tmp_path_factory.mktemp("guarded"), layout, "ann:hunter2") as server:
        yield server


@pytest.fixture
def guarded(_guarded: Registry) -> Iterator[FaultProxy]:
    """A proxy before a registry that the token service guards."""
    with FaultProxy(_guarded.url) as server:
        yield server


def password(client: FaultProxy | str, **options: Any) -> DockerRegistryV2Client:
    return DockerRegistryV2Client(getattr(client, "url", client), "ann", "hunter2", **options)


def asks(challenge: str, *paths: str, status: int = 401, but: str = "") -> Rule:
    """Whoever does not show ann's password for these paths is refused, with a challenge where there is one."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        path = request.path.partition("?")[0]
        if request.headers.get("Authorization") == ANN.basic or (paths and not path.endswith(paths)) or path == but:
            return None
        headers = [("WWW-Authenticate", challenge)] if challenge else []
        return ProxyResponse(status, headers, b'{"repositories": [], "tags": []}')

    return rule


def statuses(proxy: FaultProxy) -> list[tuple[str, int]]:
    return [(request.path.partition("?")[0], request.status) for request in proxy.requests]


# The challenge of /v2/


def test_a_refusal_without_a_challenge_is_answered_by_that_of_the_registry(proxy: FaultProxy) -> None:
    proxy.rule(asks(BASIC, "/v2/"))
    proxy.rule(asks(""))
    client = password(proxy)
    assert Tags("base", client).list() == ["1", "stable"]
    assert Tags("tool", client).list()
    assert statuses(proxy) == [("/v2/", 401), ("/v2/base/tags/list", 200), ("/v2/tool/tags/list", 200)]


def test_a_stranger_asks_for_the_registrys_challenge_only_where_there_is_no_other(
    guarded: FaultProxy, service: TokenService
) -> None:
    guarded.rule(lambda request: request.path != "/v2/", faults.replace_header("", "WWW-Authenticate", None))
    client = DockerRegistryV2Client(guarded.url)
    for _ in range(2):
        assert Tags("base", client).list() == ["1", "stable"]
    base = "/v2/base/tags/list"
    assert statuses(guarded) == [(base, 401), ("/v2/", 401), (base, 200), (base, 200)]


def test_a_stranger_pays_no_request_more(guarded: FaultProxy, proxy: FaultProxy, service: TokenService) -> None:
    Tags("base", DockerRegistryV2Client(guarded.url)).list()
    assert statuses(guarded) == [("/v2/base/tags/list", 401), ("/v2/base/tags/list", 200)]
    Tags("base", DockerRegistryV2Client(proxy.url)).list()
    assert statuses(proxy) == [("/v2/base/tags/list", 200)]


@pytest.mark.parametrize("who", [{}, {"username": "ann", "password": "hunter2"}])
def test_a_registry_that_names_no_way_at_all_is_said(proxy: FaultProxy, who: dict[str, str]) -> None:
    proxy.rule(lambda request, forward: ProxyResponse(401))
    with pytest.raises(AuthFailed, match=r"cannot be read: WWW-Authenticate: \(empty\)") as caught:
        Tags("base", DockerRegistryV2Client(proxy.url, **who)).list()
    assert caught.value.next_step
    assert len(proxy.requests) <= 3


def test_a_stranger_at_a_registry_with_passwords_is_told_to_log_in(proxy: FaultProxy) -> None:
    proxy.rule(asks(BASIC, "/v2/"))
    proxy.rule(asks(""))
    with pytest.raises(AuthFailed, match="wants a user name and password"):
        Tags("base", DockerRegistryV2Client(proxy.url)).list()


def test_many_threads_ask_for_the_registrys_challenge_once(guarded: FaultProxy, service: TokenService) -> None:
    client = password(guarded)
    with ThreadPoolExecutor(16) as pool:
        assert {len(found) for found in pool.map(lambda _: Tags("base", client).list(), range(48))} == {2}
    assert statuses(guarded).count(("/v2/", 401)) == 1
    assert {status for path, status in statuses(guarded) if path != "/v2/"} == {200}
    assert len(service.requests) == 1


def test_a_stranger_is_answered_though_another_was_first(guarded: FaultProxy, service: TokenService) -> None:
    """Two requests arrive together, and the second one hears its challenge when that of the first is answered."""
    together, is_answered = threading.Barrier(2), threading.Event()

    def hold(request: ProxyRequest, forward: Forward) -> ProxyResponse:
        answer = forward()
        if "Authorization" in request.headers:
            is_answered.set()
        elif together.wait(10) == 0:
            is_answered.wait(10)
        return answer

    guarded.rule(hold)
    client = DockerRegistryV2Client(guarded.url)
    with ThreadPoolExecutor(2) as pool:
        assert [*pool.map(lambda _: Tags("base", client).list(), range(2))] == [["1", "stable"]] * 2


def test_one_request_at_a_time_is_enough_to_log_in(proxy: FaultProxy) -> None:
    """The token service is at the registry's own host, and nobody waits there for himself."""

    def both(request: ProxyRequest, forward: Forward) -> ProxyResponse:
        if request.path.startswith("/token"):
            return ProxyResponse(200, body=b'{"token": "abc", "expires_in": 0.1}')
        if request.headers.get("Authorization") == "Bearer abc":
            return ProxyResponse(200, body=b'{"tags": ["1"]}')
        return ProxyResponse(401, [("WWW-Authenticate", f'Bearer realm="{proxy.url}/token"')])

    proxy.rule(faults.delay(0.02))
    proxy.rule(both)
    client = password(proxy, concurrency=1)
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(Tags(f"team/app-{number % 3}", client).list) for number in range(24)]
        assert [future.result(timeout=30) for future in done] == [["1"]] * 24


@pytest.mark.parametrize(("status", "kind"), [(429, TooManyRequests), (503, RegscopeError)])
def test_a_registry_that_cannot_be_asked_for_its_challenge_tells_a_login_nothing(
    proxy: FaultProxy, status: int, kind: type[RegscopeError]
) -> None:
    proxy.rule(faults.refuse("/v2/", status, "BUSY", "later", times=1))
    client = password(proxy, retry_policy=RetryPolicy(refusals=0))
    with pytest.raises(kind):
        list_repositories(client)
    assert len(proxy.requests) == 1
    assert list_repositories(client)


def test_a_registry_without_that_page_is_asked_in_its_paths_own_ways(proxy: FaultProxy) -> None:
    proxy.rule(lambda request, forward: ProxyResponse(404) if request.path == "/v2/" else None)
    proxy.rule(asks(BASIC))
    assert Tags("base", password(proxy)).list() == ["1", "stable"]


# What strangers are told


def test_what_strangers_are_told_is_not_taken_for_what_the_login_is_told(
    guarded: FaultProxy, service: TokenService
) -> None:
    """Quay's catalog is empty, and no refusal, to whoever does not say who asks."""

    def empty(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if "_catalog" in request.path and "Authorization" not in request.headers:
            return ProxyResponse(200, body=b'{"repositories": []}')
        return None

    guarded.rule(empty)
    assert list_repositories(DockerRegistryV2Client(guarded.url)) == []
    assert list_repositories(password(guarded)) == ["base", "tool"]
    with pytest.raises(AuthFailed, match="refuses these credentials"):
        list_repositories(DockerRegistryV2Client(guarded.url, "ann", "wrong"))


@pytest.mark.parametrize("path", ["/v2/", "_catalog"])
@pytest.mark.parametrize("challenge", ["basic realm=zot", 'Bearer realm="http://nowhere.invalid" , Basic'])
def test_a_challenge_that_comes_with_an_answer_is_met(proxy: FaultProxy, path: str, challenge: str) -> None:
    """As zot's, which lets strangers in and says that there is more for others."""
    proxy.rule(asks(challenge.replace("http://nowhere.invalid", ""), path, status=200))
    proxy.rule(asks("", "_catalog", status=200))
    assert "base" in list_repositories(password(proxy))
    assert proxy.requests[-1].headers["Authorization"] == ANN.basic
    assert len(proxy.requests) == 2
    proxy.requests.clear()
    assert list_repositories(DockerRegistryV2Client(proxy.url)) == []
    assert len(proxy.requests) == 1


def test_a_token_that_an_answer_asks_for_is_shown(guarded: FaultProxy, service: TokenService) -> None:
    def lets_in(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.path == "/v2/":
            return ProxyResponse(200)
        if request.headers.get("Authorization", "").startswith("Bearer "):
            return None
        challenge = forward().header("WWW-Authenticate") or ""
        return ProxyResponse(200, [("WWW-Authenticate", challenge)], b'{"repositories": []}')

    guarded.rule(lets_in)
    assert list_repositories(DockerRegistryV2Client(guarded.url)) == []
    client = password(guarded)
    for _ in range(2):
        assert list_repositories(client) == ["base", "tool"]
    assert len(guarded.requests) == 1 + 4


def test_a_registry_that_asks_nobody_is_shown_the_login_all_the_same(proxy: FaultProxy) -> None:
    proxy.rule(asks("", "_catalog", status=200))
    assert list_repositories(DockerRegistryV2Client(proxy.url)) == []
    assert "base" in list_repositories(password(proxy))
    assert [status for _, status in statuses(proxy)] == [200, 200, 200]
    proxy.rules.insert(0, lambda request, forward: ProxyResponse(401) if "Authorization" in request.headers else None)
    with pytest.raises(AuthFailed, match="refuses these credentials"):
        list_repositories(DockerRegistryV2Client(proxy.url, "ann", "wrong"))


def test_a_login_stays_here_where_nobody_asks_and_the_connection_is_not_private(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    proxy.rule(lambda request, forward: ProxyResponse(200, body=b'{"tags": ["read"]}'))
    assert Tags("base", password("http://registry.example.test")).list() == ["read"]
    assert not any("Authorization" in request.headers for request in proxy.requests)


@pytest.mark.parametrize("challenge", ["Negotiate", "[", BASIC])
def test_an_answer_with_a_challenge_that_cannot_be_met_is_kept(proxy: FaultProxy, challenge: str) -> None:
    proxy.rule(faults.replace_header("tags", "WWW-Authenticate", challenge))
    client = DockerRegistryV2Client(proxy.url, keychain=Keychain.of(IdentityToken("hunter2")))
    assert Tags("base", client).list() == ["1", "stable"]
    assert len(proxy.requests) == 2


def test_a_token_for_nobody_is_not_taken_for_the_logins(guarded: FaultProxy, service: TokenService) -> None:
    """A token service that gives strangers' tokens to wrong passwords, as `sub` in its tokens says."""
    with FaultProxy(service.url) as lenient:

        def forgive(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            del request.headers["Authorization"]
            return ProxyResponse(200, body=b'{"token": "%s"}' % service.sign("", []).encode())

        lenient.rule(lambda request: request.headers.get("Authorization") not in (None, ANN.basic), forgive)
        challenge = f'Bearer realm="{lenient.url}/token",service="{service.service}"'
        guarded.rule(faults.replace_header("", "WWW-Authenticate", challenge))
        client = DockerRegistryV2Client(guarded.url, "ann", "wrong")
        with pytest.raises(AuthFailed, match="to nobody"):
            list_repositories(client)
        assert list_repositories(password(guarded)) == ["base", "tool"]


# Each path in its own way


def test_a_catalog_behind_a_password_beside_tokens_is_read(guarded: FaultProxy, service: TokenService) -> None:
    """Harbor's: Bearer for all but the catalog, and Basic for every request that has a header already."""

    def harbor(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        shown = request.headers.get("Authorization")
        if "_catalog" in request.path:
            if shown == ANN.basic:
                return ProxyResponse(200, body=b'{"repositories": ["base"]}')
            return ProxyResponse(401, [("WWW-Authenticate", 'Basic realm="harbor"')])
        answer = forward()
        if shown and answer.status == 401:
            answer.set_header("WWW-Authenticate", 'Basic realm="harbor"')
        return answer

    guarded.rule(harbor)
    client = password(guarded)
    for _ in range(3):
        assert list_repositories(client) == ["base"]
        assert Tags("base", client).list() == ["1", "stable"]
    paths = statuses(guarded)
    assert paths.count(("/v2/_catalog", 401)) == 1
    assert paths.count(("/v2/base/tags/list", 200)) == 3
    assert len(paths) == 1 + 4 + 3


def test_a_token_that_expired_is_replaced_where_the_refusal_asks_for_a_password(
    guarded: FaultProxy, service: TokenService
) -> None:
    guarded.rule(lambda r: "Authorization" in r.headers, faults.replace_header("", "WWW-Authenticate", BASIC))
    client = password(guarded)
    service.lifetime = -58  # the registry forgives 60 seconds: two are left
    assert Tags("base", client).list()
    time.sleep(3.1)
    service.lifetime = 300
    assert Tags("base", client).list()
    assert [status for _, status in statuses(guarded)] == [401, 200, 401, 200]
    assert not any(request.headers.get("Authorization") == ANN.basic for request in guarded.requests)


def test_what_is_denied_in_both_ways_is_denied_in_a_few_requests(guarded: FaultProxy, service: TokenService) -> None:
    service.users["bob"], service.grants["bob"] = "word", {"base": ["pull"]}
    guarded.rule(lambda r: "Authorization" in r.headers, faults.replace_header("", "WWW-Authenticate", BASIC))
    client = DockerRegistryV2Client(guarded.url, "bob", "word")
    for _ in range(2):
        with pytest.raises(PermissionDeny, match="these credentials may not"):
            Tags("tool", client).list()
        assert Tags("base", client).list()
    assert len(guarded.requests) <= 1 + 2 * 3


@pytest.mark.parametrize(
    "challenge",
    [
        "Negotiate YII=, " + BASIC,
        "Negotiate, NTLM TlRMTVNTUAAC==, basic realm=x",
        f'Bearer realm="/token",service="x", {BASIC}',
        f"{BASIC}, Bearer realm=,service=x",
        f'Digest realm="a, b",qop="auth,auth-int", {BASIC}',
        f'Bearer realm="http://127.0.0.1:1/token",service="x", {BASIC}',
    ],
)
def test_the_other_way_is_taken_where_one_cannot_be_met(proxy: FaultProxy, challenge: str) -> None:
    proxy.rule(asks(challenge))
    client = password(proxy, retry_policy=RetryPolicy(failures=0))
    assert Tags("base", client).list() == ["1", "stable"]
    assert Tags("tool", client).list()
    assert [status for _, status in statuses(proxy)] == [401, 200, 200]


def test_a_token_is_preferred_to_a_password(guarded: FaultProxy, service: TokenService) -> None:
    def both(request: ProxyRequest, forward: Forward) -> ProxyResponse:
        answer = forward()
        if answer.status == 401:
            answer.headers.insert(0, ("WWW-Authenticate", "Negotiate"))
            answer.headers.insert(0, ("WWW-Authenticate", BASIC))
        return answer

    guarded.rule(both)
    assert Tags("base", password(guarded)).list()
    assert not any(request.headers.get("Authorization") == ANN.basic for request in guarded.requests)
    assert Tags("base", DockerRegistryV2Client(guarded.url)).list()


def test_a_token_without_a_scope_that_opens_nothing_leaves_the_other_paths_as_they_are(
    guarded: FaultProxy, service: TokenService
) -> None:
    """Harbor takes no such token at `/v2/` from some of its robots, and asks them for the password there."""

    def harbor(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        shown = request.headers.get("Authorization")
        if request.path != "/v2/" or shown is None:
            return None
        return ProxyResponse(200) if shown == ANN.basic else ProxyResponse(401, [("WWW-Authenticate", BASIC)])

    guarded.rule(harbor)
    client = password(guarded)
    for _ in range(2):
        assert client.ping()
        assert Tags("base", client).list()
    assert [status for _, status in statuses(guarded)] == [401, 401, 200, 200, 200, 200]
    with pytest.raises(AuthFailed):
        DockerRegistryV2Client(guarded.url, "ann", "wrong").check_login()
    assert password(guarded).check_login()


# When the header is made


@pytest.mark.parametrize("limits", [{"rate": 12}, {"concurrency": 1}])
def test_no_token_expires_while_its_request_waits_for_its_turn(
    guarded: FaultProxy, service: TokenService, limits: dict[str, Any]
) -> None:
    service.lifetime, service.expires_in = -57, 2  # the registry forgives 60 seconds: more than two are left
    if "concurrency" in limits:
        guarded.rule(faults.delay(0.1, "/tags/"))
    client = password(guarded, **limits)
    with ThreadPoolExecutor(24) as pool:
        assert {len(found) for found in pool.map(lambda _: Tags("base", client).list(), range(48))} == {2}
    assert [status for _, status in statuses(guarded)].count(401) == 1


def test_a_request_that_is_sent_again_after_a_pause_has_a_token_that_holds(
    guarded: FaultProxy, service: TokenService
) -> None:
    service.lifetime, service.expires_in = -58, 2
    client = password(guarded)
    guarded.rule(faults.too_many(1, "4", "/tags/"))
    assert Tags("base", client).list()
    assert [status for _, status in statuses(guarded)] == [401, 429, 200]
    assert len(service.requests) == 2


# A token service that fails


@pytest.mark.parametrize("fault", ["refuses", "fails", "is gone"])
def test_a_failing_token_service_is_not_asked_for_each_of_many_requests(proxy: FaultProxy, fault: str) -> None:
    with FaultProxy(proxy.url) as tokens:
        status = 401 if fault == "refuses" else 500
        tokens.rule(lambda request, forward: ProxyResponse(status))
        realm = "http://127.0.0.1:1/token" if fault == "is gone" else f"{tokens.url}/token"
        proxy.rule(lambda request, forward: ProxyResponse(401, [("WWW-Authenticate", f'Bearer realm="{realm}"')]))
        client = password(proxy, retry_policy=RetryPolicy(failures=0, refusals=0))
        for number in range(50):
            with pytest.raises(ConnectionFailed if fault == "is gone" else RegscopeError) as caught:
                Tags(f"team/app-{number}", client).list()
            assert caught.value.next_step
        assert len(tokens.requests) <= 2
        assert len(proxy.requests) == 1


def test_a_token_service_that_came_back_is_asked_again(
    guarded: FaultProxy, service: TokenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regscope.registry.recent_failures._HOLD_FOR", 0.2)
    with FaultProxy(service.url) as tokens:
        tokens.rule(faults.refuse("/token", 500, "DOWN", "no", times=1))
        challenge = f'Bearer realm="{tokens.url}/token",service="{service.service}"'
        guarded.rule(faults.replace_header("", "WWW-Authenticate", challenge))
        client = password(guarded, retry_policy=RetryPolicy(refusals=0))
        with pytest.raises(RegscopeError):
            Tags("base", client).list()
        time.sleep(0.25)
        assert Tags("base", client).list()


def test_a_challenge_of_another_host_is_not_answered(proxy: FaultProxy) -> None:
    answer = b'HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
    with RawServer(answer) as other:
        proxy.rule(faults.redirect("/tags/", f"{other.url}/x"))
        with pytest.raises(AuthFailed):
            Tags("base", password(proxy)).list()
        assert len(other.requests) == 1
        assert b"authorization" not in other.requests[0].lower()
