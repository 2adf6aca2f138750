"""Proxies of the environment: plain and CONNECT, with a password, and what goes past them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from regscope.errors import AuthFailed, ConnectionFailed, RequestError, TLSFailed
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.tags import Tags
from regscope.stores.open_store import open as open_store
from tests.lab.images import push
from tests.servers import faults
from tests.servers.certificates import CertificateAuthority
from tests.servers.forward_proxy import ForwardProxy
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry

NAME, PRIVATE = "registry.example.test", "private.example.test"


@pytest.fixture(scope="module")
def private(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, layout: Path
) -> Iterator[Registry]:
    """A registry with TLS and passwords, by a name that only a proxy knows."""
    certificate = authority.issue([PRIVATE, "localhost"])
    with Registry(tmp_path_factory.mktemp("private"), tls=certificate, htpasswd={"ann": "hunter2"}) as server:
        push(layout, server, credentials="ann:hunter2", only="base")
        yield server


@pytest.fixture
def border(registry: Registry, private: Registry) -> Iterator[ForwardProxy]:
    """A forward proxy to both registries."""
    names = {NAME: f"127.0.0.1:{registry.port}", f"{PRIVATE}:443": f"127.0.0.1:{private.port}"}
    with ForwardProxy(names) as server:
        yield server


@pytest.fixture
def behind(border: ForwardProxy, monkeypatch: pytest.MonkeyPatch) -> ForwardProxy:
    """The same, which the environment names."""
    monkeypatch.setenv("HTTP_PROXY", border.url)
    monkeypatch.setenv("HTTPS_PROXY", border.url)
    return border


def private_client(authority: CertificateAuthority) -> DockerRegistryV2Client:
    return DockerRegistryV2Client(f"https://{PRIVATE}", "ann", "hunter2", verify_certificate=str(authority.ca))


def test_plain_requests_go_through_the_proxy(behind: ForwardProxy) -> None:
    with DockerRegistryV2Client(f"http://{NAME}") as client:
        for _ in range(2):
            assert Tags("base", client).list() == ["1", "stable"]
    assert behind.requests == [("GET", f"http://{NAME}/v2/base/tags/list")] * 2


def test_encrypted_requests_go_through_a_tunnel(behind: ForwardProxy, authority: CertificateAuthority) -> None:
    with private_client(authority) as client:
        for _ in range(2):
            assert Tags("base", client).list() == ["1", "stable"]
    assert behind.requests == [("CONNECT", f"{PRIVATE}:443")]
    assert behind.leaked == []


def test_the_certificate_at_the_end_of_a_tunnel_is_verified(behind: ForwardProxy) -> None:
    with pytest.raises(TLSFailed), DockerRegistryV2Client(f"https://{PRIVATE}") as client:
        Tags("base", client).list()
    assert behind.requests


@pytest.mark.parametrize("url", [f"http://{NAME}", f"https://{PRIVATE}"])
def test_a_proxy_may_want_a_password(
    behind: ForwardProxy, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    behind.login = "carl:sec:ret ü"

    def ask() -> list[str]:
        with DockerRegistryV2Client(url, "ann", "hunter2", verify_certificate=str(authority.ca)) as client:
            return Tags("base", client).list()

    with pytest.raises(RequestError, match="407") as caught:
        ask()
    assert caught.value.next_step
    with_login = behind.url.replace("://", "://carl:sec%3Aret%20%C3%BC@")
    monkeypatch.setenv("HTTP_PROXY", with_login)
    monkeypatch.setenv("HTTPS_PROXY", with_login)
    assert ask() == ["1", "stable"]


@pytest.mark.parametrize("url", [f"http://{NAME}", f"https://{PRIVATE}"])
def test_a_proxy_that_is_not_there_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://carl:secret@127.0.0.1:1")
    with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1") as caught, DockerRegistryV2Client(url) as client:
        Tags("base", client).list()
    assert "secret" not in f"{caught.value}{caught.value!r}{vars(caught.value)}"
    assert "proxy" in caught.value.message
    assert "HTTPS_PROXY" in caught.value.next_step


@pytest.mark.parametrize("exempt", ["*", NAME, "example.test", ".example.test", f"other.test, {NAME}"])
def test_no_proxy_goes_past_it(behind: ForwardProxy, monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    monkeypatch.setenv("NO_PROXY", exempt)
    with pytest.raises(ConnectionFailed), DockerRegistryV2Client(f"http://{NAME}") as client:
        Tags("base", client).list()  # only the proxy knows the name
    assert behind.requests == []


def test_no_proxy_for_another_host_changes_nothing(behind: ForwardProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "other.test,registry.example.test.org")
    with DockerRegistryV2Client(f"http://{NAME}") as client:
        assert Tags("base", client).list()


def test_each_host_of_a_redirect_has_its_own_way(behind: ForwardProxy, registry: Registry) -> None:
    """The registry is on this machine, and the host that it points to is behind the proxy."""
    with FaultProxy(registry.url) as proxy:
        proxy.rule(faults.redirect("/tags/", f"http://{NAME}/v2/base/tags/list"))
        with DockerRegistryV2Client(proxy.url) as client:
            assert Tags("base", client).list() == ["1", "stable"]
    assert behind.requests == [("GET", f"http://{NAME}/v2/base/tags/list")]


def test_this_machine_is_never_asked_through_a_proxy(behind: ForwardProxy, registry: Registry) -> None:
    """Credentials may go to this machine unencrypted, and must not travel to a proxy so."""
    with FaultProxy(registry.url) as proxy:
        behind.names[proxy.host] = proxy.host
        with DockerRegistryV2Client(proxy.url, "ann", "hunter2") as client:
            assert Tags("base", client).list()
    assert behind.requests == []


def test_the_environment_is_read_once(behind: ForwardProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    with DockerRegistryV2Client(f"http://{NAME}") as client:
        assert Tags("base", client).list()
        monkeypatch.delenv("HTTP_PROXY")
        assert Tags("base", client).list()


def test_credentials_are_not_sent_through_a_proxy_unencrypted(behind: ForwardProxy, registry: Registry) -> None:
    with FaultProxy(registry.url) as proxy:
        proxy.rule(faults.replace_header("", "WWW-Authenticate", 'Basic realm="x"'))
        proxy.rule(faults.refuse("/v2/", 401, "UNAUTHORIZED", "log in"))
        behind.names[NAME] = proxy.host
        with (
            pytest.raises(AuthFailed, match="not private"),
            DockerRegistryV2Client(f"http://{NAME}", "ann", "hunter2") as client,
        ):
            Tags("base", client).list()
    assert behind.leaked == []


def test_a_registry_without_a_scheme_is_found_through_a_proxy(
    behind: ForwardProxy, authority: CertificateAuthority
) -> None:
    store = open_store(PRIVATE, username="ann", password="hunter2", verify=str(authority.ca), cache=False)
    assert store.location == f"https://{PRIVATE}"
    assert store.tags("base") == ["1", "stable"]


def test_a_proxy_whose_name_is_unknown_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.nope.invalid:3128")
    with pytest.raises(ConnectionFailed, match=r"the proxy http://proxy\.nope\.invalid:3128 cannot be used"):
        open_store(PRIVATE, cache=False)


def test_a_proxy_of_another_kind_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "socks5://carl:secret@127.0.0.1:1080")
    with pytest.raises(ConnectionFailed, match="not one that is reached by http") as caught:
        Tags("base", DockerRegistryV2Client(f"http://{NAME}")).list()
    assert "secret" not in str(caught.value)
