"""Who asks: anonymous, Basic and Bearer, and where credentials go."""

from __future__ import annotations

import base64
import json
import pickle
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from regscope.errors import AuthFailed, PermissionDeny, RegscopeError, TLSFailed, UnsafeRedirect
from regscope.registry.catalog import list_repositories
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.tags import Tags
from regscope.stores.open_store import open as open_store
from tests.lab.images import push
from tests.registry.guarded import guarded_by
from tests.servers import faults
from tests.servers.certificates import CertificateAuthority
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService

PASSWORD = "hunter2 ü:"
USERS = {"ann": PASSWORD, "bob": "word"}
GRANTS = {
    "ann": {"*": ["pull", "push", "delete"], "registry:catalog": ["*"]},
    "bob": {"base": ["pull"]},
    "": {"base": ["pull"]},
}
SECRETS = (PASSWORD, base64.b64encode(f"ann:{PASSWORD}".encode()).decode())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenService]:
    with TokenService(tmp_path_factory.mktemp("tokens"), users=USERS, grants=GRANTS) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, layout: Path, service: TokenService) -> Iterator[Registry]:
    with guarded_by(service, tmp_path_factory.mktemp("guarded"), layout, f"ann:{PASSWORD}") as server:
        yield server


@pytest.fixture(autouse=True)
def _as_it_was(service: TokenService) -> Iterator[None]:
    service.requests.clear()
    yield
    service.expires_in, service.lifetime, service.answer, service.grants[""] = 300, 300, "token", GRANTS[""]


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory, layout: Path) -> Iterator[tuple[Registry, str]]:
    """A registry with TLS and passwords, and the file of its authority."""
    folder = tmp_path_factory.mktemp("private")
    certificate = CertificateAuthority(folder / "ca").issue()
    with Registry(folder / "registry", tls=certificate, htpasswd=USERS) as server:
        push(layout, server, credentials=f"ann:{PASSWORD}", only="base")
        yield server, str(certificate.ca)


def tags(client: DockerRegistryV2Client, repository: str = "base") -> list[str]:
    with client:
        return Tags(repository, client).list()


def assert_keeps_secrets(error: RegscopeError) -> None:
    shown = f"{error} {error!r} {error.args} {pickle.loads(pickle.dumps(error))!s}"
    shown += pickle.dumps(error).decode("latin-1")
    for secret in SECRETS:
        assert secret not in shown
    assert error.next_step


def test_anybody_may_read_an_open_registry(client: DockerRegistryV2Client) -> None:
    assert client.ping()
    assert tags(client) == ["1", "stable"]


# Basic


def test_a_password_opens_a_private_registry(private: tuple[Registry, str]) -> None:
    registry, ca = private
    client = DockerRegistryV2Client(registry.url, "ann", PASSWORD, verify_certificate=ca)
    assert client.ping()
    assert tags(client) == ["1", "stable"]
    assert list_repositories(client) == ["base"]


def test_docker_login_opens_a_private_registry(private: tuple[Registry, str], docker_config: Path) -> None:
    registry, ca = private
    login = {"auths": {registry.host: {"auth": SECRETS[1]}}}
    (docker_config / "config.json").write_text(json.dumps(login))
    store = open_store(registry.host, verify=ca, cache=False)
    assert store.tags("base") == ["1", "stable"]
    with pytest.raises(AuthFailed):
        open_store(registry.host, username="ann", password="given by hand", verify=ca, cache=False).tags("base")


def test_a_wrong_password_is_said_and_not_shown(private: tuple[Registry, str]) -> None:
    registry, ca = private
    client = DockerRegistryV2Client(registry.url, "bob", PASSWORD, verify_certificate=ca)
    assert not client.ping()
    with pytest.raises(AuthFailed, match="refuses these credentials") as caught:
        tags(client)
    assert caught.value.status_code == 401
    assert_keeps_secrets(caught.value)
    assert PASSWORD not in repr(client) + repr(client.keychain)


def test_a_private_registry_asks_for_a_login(private: tuple[Registry, str]) -> None:
    registry, ca = private
    with pytest.raises(AuthFailed, match="wants a user name and password") as caught:
        tags(DockerRegistryV2Client(registry.url, verify_certificate=ca))
    assert "docker login" in caught.value.next_step


def test_a_private_authority_must_be_named(private: tuple[Registry, str]) -> None:
    with pytest.raises(TLSFailed) as caught:
        tags(DockerRegistryV2Client(private[0].url, "ann", PASSWORD))
    assert "verify=" in caught.value.next_step
    assert_keeps_secrets(caught.value)


def test_basic_costs_one_question(private: tuple[Registry, str]) -> None:
    registry, ca = private
    with FaultProxy(registry.url, ca=Path(ca)) as proxy:
        client = DockerRegistryV2Client(proxy.url, "ann", PASSWORD)
        for _ in range(3):
            tags(client)
        assert [request.status for request in proxy.requests] == [401, 200, 200, 200]


# Bearer


@pytest.mark.parametrize("answer", ["token", "access_token", "both"])
@pytest.mark.parametrize("expires_in", [None, 300])
def test_a_token_is_taken_in_every_form(guarded: Registry, service: TokenService, answer: Any, expires_in: Any) -> None:
    service.answer, service.expires_in = answer, expires_in
    client = DockerRegistryV2Client(guarded.url, "ann", PASSWORD)
    assert tags(client) == ["1", "stable"]
    assert list_repositories(client) == ["base", "tool"]
    asked = [request.scopes for request in service.requests]
    assert asked == [("repository:base:pull",), ("registry:catalog:*",)]
    assert {request.user for request in service.requests} == {"ann"}
    assert {request.service for request in service.requests} == {service.service}


def test_one_token_serves_one_set_of_scopes(guarded: Registry, service: TokenService) -> None:
    client = DockerRegistryV2Client(guarded.url, "ann", PASSWORD)
    for repository in ("base", "tool", "base", "tool", "base"):
        assert tags(client, repository)
    assert sorted(request.scopes for request in service.requests) == [
        ("repository:base:pull",),
        ("repository:tool:pull",),
    ]


def test_threads_wait_for_one_token(guarded: Registry, service: TokenService) -> None:
    client = DockerRegistryV2Client(guarded.url, "ann", PASSWORD)
    with ThreadPoolExecutor(8) as pool:
        assert {len(found) for found in pool.map(lambda _: tags(client), range(24))} == {2}
    assert len(service.requests) == 1


def test_a_slow_token_holds_up_nobody_who_needs_another(guarded: Registry, service: TokenService) -> None:
    """Two tokens are asked for at once: each answer waits until the other question has arrived."""
    client = DockerRegistryV2Client(guarded.url, "ann", PASSWORD)
    tags(client)
    meeting = threading.Barrier(2, timeout=5)

    def meet(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        meeting.wait()
        return None

    with FaultProxy(service.url) as slow, FaultProxy(guarded.url) as proxy:
        realm = f'Bearer realm="{slow.url}/token",service="{service.service}"'
        slow.rule(meet)
        proxy.rule(faults.replace_header("", "WWW-Authenticate", realm))
        client = DockerRegistryV2Client(proxy.url, "ann", PASSWORD)
        with ThreadPoolExecutor(2) as pool:
            assert [len(found) for found in pool.map(lambda name: tags(client, name), ("base", "tool"))] == [2, 1]


def test_a_token_is_renewed_before_it_expires(guarded: Registry, service: TokenService) -> None:
    service.expires_in = 2
    client = DockerRegistryV2Client(guarded.url, "ann", PASSWORD)
    tags(client)
    tags(client)
    assert len(service.requests) == 1
    time.sleep(1.65)
    tags(client)
    assert len(service.requests) == 2


def test_a_token_that_expired_early_is_replaced(guarded: Registry, service: TokenService) -> None:
    client = DockerRegistryV2Client(guarded.url, "ann", PASSWORD)
    service.lifetime = -58  # the registry forgives 60 seconds: two are left
    tags(client)
    time.sleep(3.1)
    service.lifetime = 300
    assert tags(client) == ["1", "stable"]
    assert len(service.requests) == 2


def test_a_service_that_gives_expired_tokens_is_named(guarded: Registry, service: TokenService) -> None:
    service.lifetime = -100
    with pytest.raises(AuthFailed, match="its own token service") as caught:
        tags(DockerRegistryV2Client(guarded.url, "ann", PASSWORD))
    assert "clocks" in caught.value.next_step
    assert len(service.requests) == 1


def test_what_is_not_granted_is_denied(guarded: Registry, service: TokenService) -> None:
    client = DockerRegistryV2Client(guarded.url, "bob", "word")
    assert tags(client) == ["1", "stable"]
    for _ in range(2):
        with pytest.raises(PermissionDeny, match="these credentials may not") as caught:
            tags(client, "tool")
    assert caught.value.next_step
    assert len(service.requests) == 2  # a token that lacks a permission is not asked for again


def test_a_wrong_password_for_a_token_is_said_and_not_shown(guarded: Registry) -> None:
    with pytest.raises(AuthFailed, match=r"the token service .* refuses these credentials") as caught:
        tags(DockerRegistryV2Client(guarded.url, "bob", PASSWORD))
    assert_keeps_secrets(caught.value)


def test_nobody_gets_an_anonymous_token_where_there_is_one(guarded: Registry, service: TokenService) -> None:
    client = DockerRegistryV2Client(guarded.url)
    assert tags(client) == ["1", "stable"]
    assert not any(request.authorization for request in service.requests)
    with pytest.raises(PermissionDeny, match="an anonymous user may not"):
        tags(client, "tool")


def test_without_anonymous_tokens_a_login_is_asked_for(guarded: Registry, service: TokenService) -> None:
    del service.grants[""]
    with pytest.raises(AuthFailed, match="refuses an anonymous user") as caught:
        tags(DockerRegistryV2Client(guarded.url))
    assert "docker login" in caught.value.next_step


def test_a_closed_catalog_says_to_name_the_repositories(guarded: Registry) -> None:
    with pytest.raises(PermissionDeny) as caught:
        list_repositories(DockerRegistryV2Client(guarded.url, "bob", "word"))
    assert "--repository" in caught.value.next_step


@pytest.mark.parametrize("body", [b"{}", b'{"token": 7}', b'{"token": "a\\nb"}', b'{"token": ""}', b"[]", b"<html>"])
def test_a_service_without_a_usable_token_is_named(guarded: Registry, service: TokenService, body: bytes) -> None:
    with FaultProxy(service.url) as broken, FaultProxy(guarded.url) as proxy:
        broken.rule(faults.replace_body("/token", body))
        challenge = f'Bearer realm="{broken.url}/token",service="{service.service}"'
        proxy.rule(faults.replace_header("", "WWW-Authenticate", challenge))
        with pytest.raises(RegscopeError, match=r"token") as caught:
            tags(DockerRegistryV2Client(proxy.url, "ann", PASSWORD))
    assert caught.value.next_step
    assert_keeps_secrets(caught.value)


def test_a_huge_token_is_not_read(guarded: Registry, service: TokenService) -> None:
    with FaultProxy(service.url) as broken, FaultProxy(guarded.url) as proxy:
        broken.rule(faults.replace_body("/token", b" " * 3_000_000))
        proxy.rule(faults.replace_header("", "WWW-Authenticate", f'Bearer realm="{broken.url}/token"'))
        with pytest.raises(RegscopeError, match="at most"):
            tags(DockerRegistryV2Client(proxy.url))


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Bearer",
        "Bearer realm=",
        'Bearer realm="",service="x"',
        'Bearer realm="http://nope.invalid:99999/"',
        'Bearer realm="/token"',
        'Negotiate, Digest realm="x"',
        "a=b,a=b",
        "[]",
        "B" * 60_000,
    ],
)
def test_a_challenge_that_cannot_be_met_fails_with_a_next_step(proxy: FaultProxy, challenge: str) -> None:
    headers = [("WWW-Authenticate", challenge)] if challenge else []
    proxy.rule(lambda request, forward: ProxyResponse(401, headers))
    with pytest.raises(AuthFailed) as caught:
        tags(DockerRegistryV2Client(proxy.url, "ann", PASSWORD))
    assert_keeps_secrets(caught.value)
    assert len(str(caught.value)) < 1000


def test_the_scope_that_the_registry_names_is_asked_for(guarded: Registry, service: TokenService) -> None:
    with FaultProxy(guarded.url) as proxy:
        wanted = "repository:base:pull,push"
        challenge = f'Bearer realm="{service.realm}",service="{service.service}",scope="{wanted}"'
        proxy.rule(faults.replace_header("", "WWW-Authenticate", challenge))
        tags(DockerRegistryV2Client(proxy.url))
    assert [request.scopes for request in service.requests] == [(wanted,)]


# Where credentials go


def test_a_token_service_on_plain_http_is_not_asked_for_an_encrypted_registry(
    private: tuple[Registry, str], service: TokenService, tmp_path: Path
) -> None:
    certificate = CertificateAuthority(tmp_path).issue()
    with FaultProxy(private[0].url, ca=Path(private[1]), tls=certificate) as proxy:
        challenge = f'Bearer realm="{service.realm}",service="x"'
        proxy.rule(lambda request, forward: ProxyResponse(401, [("WWW-Authenticate", challenge)]))
        for login in ({}, {"username": "ann", "password": PASSWORD}):
            with pytest.raises(UnsafeRedirect, match="is not encrypted") as caught:
                tags(DockerRegistryV2Client(proxy.url, verify_certificate=str(certificate.ca), **login))
            assert_keeps_secrets(caught.value)
    assert service.requests == []


@pytest.fixture
def elsewhere(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> FaultProxy:
    """A host that is not this machine: a web proxy that answers in its name, and wants a password."""
    monkeypatch.setenv("http_proxy", proxy.url)
    proxy.rule(_wants_a_password)
    return proxy


def _wants_a_password(request: ProxyRequest, forward: Forward) -> ProxyResponse:
    if "Authorization" not in request.headers:
        return ProxyResponse(401, [("WWW-Authenticate", 'Basic realm="elsewhere"')])
    return ProxyResponse(200, body=b'{"tags": ["read"]}')


def test_credentials_stay_here_where_the_connection_is_not_private(elsewhere: FaultProxy) -> None:
    client = DockerRegistryV2Client("http://registry.example.test", "ann", PASSWORD)
    for _ in range(2):
        with pytest.raises(AuthFailed, match="the connection is not private") as caught:
            tags(client)
    assert "insecure" in caught.value.next_step
    assert_keeps_secrets(caught.value)
    assert [request.path for request in elsewhere.requests] == ["http://registry.example.test/v2/"]
    assert not any("Authorization" in request.headers for request in elsewhere.requests)


def test_a_token_service_that_is_not_private_gets_no_credentials(elsewhere: FaultProxy) -> None:
    realm = 'Bearer realm="http://auth.example.test/token",service="x"'
    elsewhere.rules[:] = [lambda request, forward: ProxyResponse(401, [("WWW-Authenticate", realm)])]
    with pytest.raises(AuthFailed, match="not private"):
        tags(DockerRegistryV2Client("http://registry.example.test", "ann", PASSWORD))
    assert len(elsewhere.requests) == 1
    assert "auth.example.test" not in elsewhere.requests[0].path


def test_insecure_lets_credentials_go_where_the_user_says(elsewhere: FaultProxy) -> None:
    client = DockerRegistryV2Client("http://registry.example.test", "ann", PASSWORD, insecure=True)
    assert tags(client) == ["read"]


def test_an_anonymous_token_is_reused_on_plain_http(elsewhere: FaultProxy) -> None:
    def answer(request: ProxyRequest, forward: Forward) -> ProxyResponse:
        if "auth.example.test" in request.path:
            return ProxyResponse(200, body=b'{"token": "anybody"}')
        if request.headers.get("Authorization") == "Bearer anybody":
            return ProxyResponse(200, body=b'{"tags": ["read"]}')
        return ProxyResponse(401, [("WWW-Authenticate", 'Bearer realm="http://auth.example.test/token",service="x"')])

    elsewhere.rules[:] = [answer]
    client = DockerRegistryV2Client("http://registry.example.test")
    assert [tags(client) for _ in range(3)] == [["read"]] * 3
    assert [request.status for request in elsewhere.requests] == [401, 200, 200, 200, 200]


def test_the_users_netrc_is_not_looked_at(
    private: tuple[Registry, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login bob password word\nmachine 127.0.0.1 login bob password word\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    registry, ca = private
    with FaultProxy(registry.url, ca=Path(ca)) as proxy:
        with pytest.raises(AuthFailed, match="wants a user name"):
            tags(DockerRegistryV2Client(proxy.url))
        assert not any("Authorization" in request.headers for request in proxy.requests)
        assert tags(DockerRegistryV2Client(proxy.url, "ann", PASSWORD))
        assert proxy.requests[-1].headers["Authorization"] == f"Basic {SECRETS[1]}"
