"""Logins on the wire: identity tokens, registry tokens, and one login for each repository."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from regscope.errors import AuthFailed, PermissionDeny, RegscopeError, UnsafeRedirect
from regscope.registry.catalog import list_repositories
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credentials import Credentials, IdentityToken, Keychain, Login, RegistryToken, SavedLogins
from regscope.registry.docker_config import find_logins
from regscope.registry.tags import Tags
from regscope.stores.open_store import open as open_store
from tests.registry.guarded import guarded_by
from tests.servers import faults
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService

USERS = {"ann": "hunter2", "base-reader": "hunter3", "tool-reader": "hunter4"}
GRANTS: dict[str, dict[str, list[str]]] = {
    "ann": {"*": ["pull", "push"], "registry:catalog": ["*"]},
    "base-reader": {"base": ["pull"]},
    "tool-reader": {"tool": ["pull"]},
}


@pytest.fixture(scope="module")
def _service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenService]:
    with TokenService(tmp_path_factory.mktemp("tokens"), users=USERS, grants=GRANTS) as server:
        yield server


@pytest.fixture
def service(_service: TokenService) -> Iterator[TokenService]:
    """A token service that only knows users with names."""
    _service.requests.clear()
    yield _service
    _service.rotate, _service.oauth, _service.expires_in = False, True, 300


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, layout: Path, _service: TokenService) -> Iterator[Registry]:
    """A registry that the service guards."""
    with guarded_by(_service, tmp_path_factory.mktemp("guarded"), layout, "ann:hunter2") as server:
        yield server


def client_with(login: Login, url: str, **options: Any) -> DockerRegistryV2Client:
    return DockerRegistryV2Client(url, keychain=Keychain.of(login), **options)


def challenges(realm: str, service: TokenService) -> Any:
    return faults.replace_header("", "WWW-Authenticate", f'Bearer realm="{realm}",service="{service.service}"')


# Identity tokens


def test_an_identity_token_is_exchanged_by_post(guarded: Registry, service: TokenService) -> None:
    client = client_with(IdentityToken(service.refresh_token("ann")), guarded.url)
    assert Tags("base", client).list() == ["1", "stable"]
    assert list_repositories(client) == ["base", "tool"]
    assert Tags("base", client).list() == ["1", "stable"]
    asked = [(request.method, request.grant_type, request.user, request.scopes) for request in service.requests]
    assert asked == [
        ("POST", "refresh_token", "ann", ("repository:base:pull",)),
        ("POST", "refresh_token", "ann", ("registry:catalog:*",)),
    ]
    assert not any(request.authorization for request in service.requests)
    assert {request.service for request in service.requests} == {service.service}


@pytest.mark.parametrize("form", ["identitytoken", "user"])
def test_a_saved_identity_token_opens_a_registry(
    guarded: Registry, service: TokenService, docker_config: Path, form: str
) -> None:
    token = service.refresh_token("ann")
    as_user = {"auth": base64.b64encode(f"<token>:{token}".encode()).decode()}
    entry = {"identitytoken": token, "auth": "MDA6"} if form == "identitytoken" else as_user
    (docker_config / "config.json").write_text(json.dumps({"auths": {guarded.host: entry}}))
    assert open_store(guarded.url, cache=False).tags("base") == ["1", "stable"]
    assert open_store(guarded.url, username="<token>", password=token, cache=False).tags("base") == ["1", "stable"]


def test_a_new_identity_token_replaces_the_old_one(guarded: Registry, service: TokenService) -> None:
    service.rotate = True
    with FaultProxy(service.url) as slow, FaultProxy(guarded.url) as proxy:
        slow.rule(faults.delay(0.2))
        proxy.rule(challenges(f"{slow.url}/token", service))
        client = client_with(IdentityToken(service.refresh_token("ann")), proxy.url)
        with ThreadPoolExecutor(2) as pool:  # each takes the token that the answer to the other one gave
            assert len(list(pool.map(lambda name: Tags(name, client).list(), ["base", "tool"]))) == 2
        assert list_repositories(client) == ["base", "tool"]
    assert [request.status for request in service.requests] == [200, 200, 200]


def test_an_identity_token_that_is_not_known_is_said_and_not_shown(guarded: Registry) -> None:
    with pytest.raises(AuthFailed, match=r"the token service .* refuses these credentials") as caught:
        Tags("base", client_with(IdentityToken("hunter2"), guarded.url)).list()
    assert "docker login" in caught.value.next_step
    assert "hunter2" not in f"{caught.value}{pickle.dumps(caught.value)!r}"


def test_a_service_that_knows_no_identity_tokens_is_said(guarded: Registry, service: TokenService) -> None:
    service.oauth = False
    with pytest.raises(RegscopeError, match="405") as caught:
        Tags("base", client_with(IdentityToken(service.refresh_token("ann")), guarded.url)).list()
    assert caught.value.next_step


def test_an_identity_token_is_no_answer_to_basic(proxy: FaultProxy) -> None:
    proxy.rule(lambda request, forward: ProxyResponse(401, [("WWW-Authenticate", 'Basic realm="x"')]))
    with pytest.raises(AuthFailed, match="what was found is a token"):
        Tags("base", client_with(IdentityToken("hunter2"), proxy.url)).list()
    assert not any("Authorization" in request.headers for request in proxy.requests)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_identity_token_is_not_sent_on_to_another_host(
    guarded: Registry, service: TokenService, status: int
) -> None:
    with FaultProxy(service.url) as first, FaultProxy(service.url) as other, FaultProxy(guarded.url) as proxy:
        first.rule(faults.redirect("/token", f"{other.url}/token?hunter2", status, methods=["POST"]))
        proxy.rule(challenges(f"{first.url}/token", service))
        with pytest.raises(UnsafeRedirect, match="not followed") as caught:
            Tags("base", client_with(IdentityToken(service.refresh_token("ann")), proxy.url)).list()
    assert len(first.requests) == 1
    assert other.requests == []
    assert "hunter2" not in str(caught.value)
    assert caught.value.next_step


def test_an_identity_token_stays_here_where_the_connection_is_not_private(
    monkeypatch: pytest.MonkeyPatch, proxy: FaultProxy
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    realm = 'Bearer realm="http://auth.example.test/token",service="x"'
    proxy.rule(lambda request, forward: ProxyResponse(401, [("WWW-Authenticate", realm)]))
    with pytest.raises(AuthFailed, match="not private"):
        Tags("base", client_with(IdentityToken("hunter2"), "http://registry.example.test")).list()
    assert [request.method for request in proxy.requests] == ["GET"]


# Registry tokens


def test_a_registry_token_is_used_as_it_is(guarded: Registry, service: TokenService) -> None:
    token = service.sign("ann", [{"type": "repository", "name": "base", "actions": ["pull"]}])
    client = client_with(RegistryToken(token), guarded.url)
    assert Tags("base", client).list() == ["1", "stable"]
    with pytest.raises(PermissionDeny, match="these credentials may not") as caught:
        Tags("tool", client).list()
    assert token not in str(caught.value)
    assert service.requests == []


# One login for each repository


def auth(username: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{USERS[username]}".encode()).decode()}


def test_each_repository_gets_the_login_that_fits_it(
    guarded: Registry, service: TokenService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = guarded.host
    auths = {host: auth("ann"), f"{host}/base": auth("base-reader"), f"{host}/tool": auth("tool-reader")}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": auths}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    store = open_store(guarded.url, cache=False)
    for _ in range(2):
        assert store.repositories() == ["base", "tool"]
        assert store.tags("base")
        assert store.tags("tool")
    assert [(request.user, request.scopes) for request in service.requests] == [
        ("ann", ("registry:catalog:*",)),
        ("base-reader", ("repository:base:pull",)),
        ("tool-reader", ("repository:tool:pull",)),
    ]


def test_tokens_of_different_logins_are_kept_apart(guarded: Registry, service: TokenService) -> None:
    """Where the registry names one scope for both repositories, the login is all that tells the tokens apart."""
    logins: dict[str, Login] = {"base": Credentials("base-reader", "hunter3"), "tool": Credentials("ann", "hunter2")}
    with FaultProxy(guarded.url) as proxy:
        scope = "repository:base:pull repository:tool:pull"
        challenge = f'Bearer realm="{service.realm}",service="{service.service}",scope="{scope}"'
        proxy.rule(faults.replace_header("", "WWW-Authenticate", challenge))
        for name in logins:
            proxy.rule(faults.refuse(f"/{name}/", 401, "UNAUTHORIZED", "ask for the scope that is named", times=1))
        client = DockerRegistryV2Client(proxy.url, keychain=Keychain([SavedLogins(logins)]))
        assert Tags("base", client).list()
        assert Tags("tool", client).list()
    assert [request.user for request in service.requests] == ["base-reader", "base-reader", "ann", "ann"]
    assert service.requests[1].scopes == service.requests[3].scopes == tuple(scope.split())


def test_passwords_of_different_repositories_are_kept_apart(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    def wants_a_password(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        known = "Authorization" in request.headers
        return None if known else ProxyResponse(401, [("WWW-Authenticate", 'Basic realm="x"')])

    proxy.rule(wants_a_password)
    logins: dict[str, Login] = {name: Credentials(name, "hunter2") for name in ("base", "tool")}
    client = DockerRegistryV2Client(proxy.url, keychain=Keychain([SavedLogins(logins)]))
    for name in ("base", "tool", "base"):
        Tags(name, client).list()
    sent = {(request.path.split("/")[2], request.headers.get("Authorization")) for request in proxy.requests}
    assert sent == {("", None), *((name, Credentials(name, "hunter2").basic) for name in ("base", "tool"))}
    with pytest.raises(AuthFailed, match="wants a user name and password"):
        list_repositories(client)
    assert "Authorization" not in proxy.requests[-1].headers


def test_logins_travel_with_the_client(guarded: Registry, docker_config: Path) -> None:
    (docker_config / "config.json").write_text(json.dumps({"auths": {guarded.host: auth("ann")}}))
    client = DockerRegistryV2Client(guarded.url, keychain=find_logins(guarded.host))
    travelled = pickle.dumps(client)
    (docker_config / "config.json").unlink()
    assert Tags("tool", pickle.loads(travelled)).list()


def test_what_is_given_by_hand_comes_before_what_is_kept(guarded: Registry, service: TokenService) -> None:
    keychain = Keychain.of(Credentials("base-reader", "hunter3"))
    assert Tags("tool", DockerRegistryV2Client(guarded.url, "ann", "hunter2", keychain=keychain)).list()
    assert {request.user for request in service.requests} == {"ann"}
