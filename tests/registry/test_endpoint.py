"""Where a registry answers, and whether it speaks TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from regscope.errors import InvalidLocation, TimedOut, UnknownHost
from regscope.registry.endpoint import OFFICIAL_ENDPOINT, APIEndpoint
from tests.servers.certificates import Certificate, CertificateAuthority
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return CertificateAuthority(tmp_path_factory.mktemp("ca")).issue()


@contextlib.contextmanager
def listener(context: ssl.SSLContext | None = None, hold: float = 0) -> Iterator[int]:
    """A server that takes one connection, shakes hands if it can, and lets go after `hold` seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    time.sleep(hold)
                    if context is not None:
                        context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.close()
        thread.join()


def test_a_server_without_tls_is_asked_by_http(registry: Registry) -> None:
    endpoint = APIEndpoint(url=registry.host)
    assert endpoint.is_secure_repository() == (False, False)
    assert endpoint.base_url == registry.url
    assert endpoint.api_base_url == registry.host


def test_a_server_with_tls_is_asked_by_https(registry: Registry, certificate: Certificate) -> None:
    with FaultProxy(registry.url, tls=certificate) as proxy:
        endpoint = APIEndpoint(url=proxy.host)
        assert endpoint.is_secure_repository() == (True, False)  # its authority is private
        assert endpoint.base_url == proxy.url


def test_a_server_that_ends_the_handshake_still_speaks_tls(certificate: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    with listener(context) as port:
        assert APIEndpoint(url=f"localhost:{port}").is_secure_repository() == (True, False)


def test_a_server_that_hangs_up_speaks_no_tls() -> None:
    with listener() as port:
        assert APIEndpoint(url=f"127.0.0.1:{port}").is_secure_repository() == (False, False)


def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    with listener(hold=1) as port, pytest.raises(TimedOut) as caught:
        APIEndpoint(url=f"127.0.0.1:{port}").is_secure_repository(timeout=0.2)
    assert "http://" in caught.value.next_step


def test_an_unknown_host_is_said() -> None:
    with pytest.raises(UnknownHost, match=r"nope\.invalid") as caught:
        _ = APIEndpoint(url="nope.invalid").base_url
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("url", "host", "base_url"),
    [
        ("https://a.test", "a.test", "https://a.test"),
        ("http://a.test:5000/", "a.test:5000", "http://a.test:5000"),
        ("https://ann:secret@a.test/prefix/", "a.test", "https://a.test/prefix"),
        ("http://[::1]:5000", "[::1]:5000", "http://[::1]:5000"),
        ("https://docker.io", "registry-1.docker.io", "https://registry-1.docker.io"),
    ],
)
def test_a_stated_scheme_is_believed(url: str, host: str, base_url: str) -> None:
    endpoint = APIEndpoint(url=url)
    assert (endpoint.host, endpoint.base_url) == (host, base_url)


def test_docker_hub_answers_elsewhere() -> None:
    assert OFFICIAL_ENDPOINT.base_url == "https://registry-1.docker.io"
    assert OFFICIAL_ENDPOINT.api_base_url == "registry-1.docker.io"


@pytest.mark.parametrize(
    "url", ["", "https://", "ftp://a.test", "a.test:port", "a.test:99999", "a.test:0", ":5000", "http://[bad", "//"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidLocation) as caught:
        _ = APIEndpoint(url=url).base_url
    assert caught.value.next_step


def test_a_refused_address_does_not_show_its_password() -> None:
    with pytest.raises(InvalidLocation) as caught:
        _ = APIEndpoint(url="https://ann:hunter2@a.test:99999").host
    assert "hunter2" not in str(caught.value)


@pytest.fixture(scope="module")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return CertificateAuthority(tmp_path_factory.mktemp("expired")).issue(expired=True)


def test_a_registry_with_an_expired_certificate_is_asked_by_https(tmp_path: Path, expired: Certificate) -> None:
    with Registry(tmp_path / "r", tls=expired) as registry:
        endpoint = APIEndpoint(url=registry.host)
        assert endpoint.is_secure_repository() == (True, False)
        assert endpoint.base_url == registry.url


def test_what_does_not_answer_behind_an_expired_certificate_is_asked_by_http(expired: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(expired.cert, expired.key)
    with listener(context) as port:
        endpoint = APIEndpoint(url=f"localhost:{port}")
        assert endpoint.is_secure_repository() == (False, False)
        assert endpoint.base_url == f"http://localhost:{port}"
