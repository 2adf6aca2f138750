"""The one path of every request: redirects, retries, connections, and errors that say what to do."""

from __future__ import annotations

import contextlib
import email.utils
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from regscope.errors import (
    ConnectionFailed,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    TimedOut,
    TLSFailed,
    TooManyRequests,
    UnknownHost,
    UnsafeRedirect,
    Unsupported,
)
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.tags import Tags
from regscope.spec.digest import Digest
from tests.servers import faults
from tests.servers.certificates import Certificate, CertificateAuthority
from tests.servers.proxy import FaultProxy, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry
from tests.servers.relay import Relay

Layer = tuple[Digest, bytes]


# Redirects


@pytest.fixture
def storage(registry: Registry) -> Iterator[FaultProxy]:
    """Another host that has the registry's blobs."""
    with FaultProxy(registry.url) as server:
        yield server


def asks_for_a_password(request: ProxyRequest, forward: object) -> ProxyResponse | None:
    """A rule: Basic authentication."""
    if "Authorization" in request.headers:
        return None
    return ProxyResponse(401, [("WWW-Authenticate", 'Basic realm="x"')])


def test_a_blob_redirect_travels_without_credentials(proxy: FaultProxy, storage: FaultProxy, layer: Layer) -> None:
    proxy.rule(asks_for_a_password)
    proxy.rule(faults.redirect("/blobs/", lambda request: f"{storage.url}{request.path}?signature=s"))
    client = DockerRegistryV2Client(proxy.url, "ann", "hunter2")
    assert Blob("base", layer[0], client=client).read(10**6) == layer[1]
    assert Blob("base", client=client).stat(layer[0]).size == len(layer[1])
    assert [request.method for request in storage.requests] == ["GET", "HEAD"]
    assert not any("Authorization" in request.headers for request in storage.requests)
    assert "Authorization" in proxy.requests[-1].headers


def test_a_redirect_within_the_registry_keeps_its_credentials(proxy: FaultProxy, layer: Layer) -> None:
    elsewhere = faults.redirect("/blobs/", lambda request: f"{request.path.replace('/blobs/', '/blobs//')}")
    proxy.rule(asks_for_a_password)
    proxy.rule(lambda request: "/blobs//" not in request.path, elsewhere)
    proxy.rule(faults.replace_body("/blobs//", layer[1], status=200))
    client = DockerRegistryV2Client(proxy.url, "ann", "hunter2")
    assert Blob("base", layer[0], client=client).read(10**6) == layer[1]
    assert "Authorization" in proxy.requests[-1].headers


def test_a_redirect_that_leaves_encryption_is_refused(
    registry: Registry, storage: FaultProxy, certificate: Certificate, layer: Layer
) -> None:
    with FaultProxy(registry.url, tls=certificate) as proxy:
        proxy.rule(faults.redirect("/blobs/", lambda request: f"{storage.url}{request.path}?signature=secret"))
        client = DockerRegistryV2Client(proxy.url, verify_certificate=str(certificate.ca))
        with pytest.raises(UnsafeRedirect, match="is not encrypted") as caught:
            Blob("base", layer[0], client=client).read(10**6)
    assert storage.requests == []
    assert "secret" not in str(caught.value)
    assert caught.value.next_step


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "http://host:99999/", "http://[bad/", "gopher://x/", "http://x:y/"]
)
def test_a_redirect_to_no_address_is_refused(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer, target: str
) -> None:
    proxy.rule(faults.redirect("/blobs/", target))
    with pytest.raises(UnsafeRedirect) as caught:
        Blob("base", layer[0], client=proxied).read(10**6)
    assert caught.value.next_step


def test_the_long_body_of_a_redirect_is_not_read(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    nowhere = [("Location", "http://host:99999/")]
    proxy.rule(lambda request, forward: ProxyResponse(307, nowhere, b"x" * 50_000_000))
    with pytest.raises(UnsafeRedirect):
        Tags("base", proxied).list()
    assert proxy.requests[0].sent < 40_000_000


def test_redirects_in_a_circle_end(proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer) -> None:
    proxy.rule(faults.redirect("/blobs/", lambda request: request.path))
    with pytest.raises(UnsafeRedirect, match="more than 5 redirects"):
        Blob("base", layer[0], client=proxied).read(10**6)
    assert len(proxy.requests) == 6


def test_no_cookies_are_kept(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(faults.replace_header("", "Set-Cookie", "sid=1; Path=/"))
    for _ in range(2):
        Tags("base", proxied).list()
    assert not any("Cookie" in request.headers for request in proxy.requests)


# Waiting and trying again


@pytest.mark.parametrize("as_date", [False, True])
def test_a_registry_that_asks_to_wait_is_given_the_time(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, as_date: bool
) -> None:
    proxy.rule(faults.too_many(1, email.utils.formatdate(time.time() + 2, usegmt=True) if as_date else "1"))
    start = time.monotonic()
    assert Tags("base", proxied).list() == ["1", "stable"]
    assert 0.95 <= time.monotonic() - start < 5
    assert [request.status for request in proxy.requests] == [429, 200]


@pytest.mark.parametrize(
    "retry_after", [None, "soon", "-1", "1e9", "Thu, 99 Foo 2020", "Thu, 01 Jan 1970 00:00:00 GMT"]
)
def test_an_unreadable_time_to_wait_is_no_obstacle(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, retry_after: str | None
) -> None:
    proxy.rule(faults.too_many(1, retry_after))
    start = time.monotonic()
    assert Tags("base", proxied).list() == ["1", "stable"]
    assert time.monotonic() - start < 2


def test_a_registry_that_never_stops_refusing_is_given_up(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(faults.too_many(100, "0"))
    proxied.retry_policy = RetryPolicy(backoff=0)
    with pytest.raises(TooManyRequests, match="TOOMANYREQUESTS: too many requests") as caught:
        Tags("base", proxied).list()
    assert (caught.value.status_code, caught.value.code) == (429, "TOOMANYREQUESTS")
    assert caught.value.next_step
    assert 2 <= len(proxy.requests) <= 7


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_stumbles_is_asked_again(proxy: FaultProxy, proxied: DockerRegistryV2Client, status: int) -> None:
    proxy.rule(faults.refuse("/tags/", status, "UNKNOWN", "stumbled", times=1))
    assert Tags("base", proxied).list() == ["1", "stable"]


# Errors


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "DENIED", PermissionDeny),
        (404, "NAME_UNKNOWN", ResourceNotFound),
        (405, "UNSUPPORTED", Unsupported),
        (400, "UNSUPPORTED", Unsupported),
        (418, "TEAPOT", RequestErrorWithResponse),
    ],
)
def test_an_answer_becomes_the_error_that_it_means(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, status: int, code: str, kind: type[RequestErrorWithResponse]
) -> None:
    proxy.rule(faults.refuse("/tags/", status, code, "because \x1b[31m"))
    with pytest.raises(RequestErrorWithResponse) as caught:
        proxied.get(proxied.url("base", "tags", "list") + "?token=hunter2")
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.code) == (status, code)
    assert error.url == f"{proxy.url}/v2/base/tags/list"
    assert error.next_step
    assert f"{code}: because" in str(error)
    assert "\x1b" not in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.code, copy.url) == (kind, str(error), code, error.url)
    assert "hunter2" not in str(error) + repr(error) + str(vars(copy))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors": []}', b'{"errors": [1]}', b"[" * 50_000, b"\xff"])
def test_an_error_without_the_registrys_words_is_still_one(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, body: bytes
) -> None:
    proxy.rule(lambda request, forward: ProxyResponse(404, body=body))
    with pytest.raises(ResourceNotFound, match="404 Not Found"):
        Tags("base", proxied).list()


def test_an_endless_error_is_not_read_to_its_end(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(lambda request, forward: ProxyResponse(403, body=b" " * 20_000_000))
    start = time.monotonic()
    with pytest.raises(PermissionDeny):
        Tags("base", proxied).list()
    assert time.monotonic() - start < 2


def fails(url: str, **options: object) -> RequestError:
    """The error of a first request, which must come quickly."""
    start = time.monotonic()
    client = DockerRegistryV2Client(url, "ann", "hunter2", **options)  # type: ignore[arg-type]
    with client, pytest.raises(RequestError) as caught:
        Tags("base", client).list()
    assert time.monotonic() - start < 4
    assert caught.value.next_step
    assert "hunter2" not in f"{caught.value}{caught.value!r}"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return caught.value


def test_a_refused_connection_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    error = fails(f"http://127.0.0.1:{port}")
    assert type(error) is ConnectionFailed
    assert "refused" in error.message


def test_an_unknown_host_is_said() -> None:
    error = fails("https://nope.invalid")
    assert type(error) is UnknownHost
    assert "nope.invalid" in error.message


def test_an_expired_certificate_is_said(registry: Registry, authority: CertificateAuthority) -> None:
    expired = authority.issue(expired=True)
    with FaultProxy(registry.url, tls=expired) as proxy:
        error = fails(proxy.url, verify_certificate=str(expired.ca))
        assert proxy.requests == []
    assert type(error) is TLSFailed
    assert "renewed" in error.next_step


def test_a_certificate_of_nobody_known_is_said(registry: Registry, certificate: Certificate) -> None:
    with FaultProxy(registry.url, tls=certificate) as proxy:
        error = fails(proxy.url)
    assert type(error) is TLSFailed
    assert "verify=" in error.next_step


def test_a_certificate_for_another_host_is_said(registry: Registry, authority: CertificateAuthority) -> None:
    other = authority.issue(["other.test"])
    with FaultProxy(registry.url, tls=other) as proxy:
        assert type(fails(proxy.url, verify_certificate=str(other.ca))) is TLSFailed


def test_tls_spoken_to_a_plain_port_is_said(registry: Registry) -> None:
    error = fails(registry.url.replace("http://", "https://"))
    assert type(error) is TLSFailed
    assert "http://" in error.next_step


def test_plain_http_spoken_to_a_tls_port_is_said(tmp_path: Path, registry: Registry, certificate: Certificate) -> None:
    with Registry(tmp_path / "tls", tls=certificate) as encrypted:
        error = fails(encrypted.url.replace("https://", "http://"))
    assert isinstance(error, RequestErrorWithResponse)
    assert "https://" in error.next_step
    with FaultProxy(registry.url, tls=certificate) as proxy:  # one that hangs up without a word
        assert isinstance(fails(proxy.url.replace("https://", "http://")), ConnectionFailed)


def test_an_authority_that_is_no_file_is_said(registry: Registry, tmp_path: Path, certificate: Certificate) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with FaultProxy(registry.url, tls=certificate) as proxy:
        for name in ("missing.pem", "ca.pem"):
            error = fails(proxy.url, verify_certificate=str(tmp_path / name))
            assert isinstance(error, TLSFailed)
            assert "verify=" in error.next_step


def test_a_registry_that_does_not_answer_is_not_waited_for(proxy: FaultProxy, registry: Registry) -> None:
    proxy.rule(faults.delay(1.5))
    client = DockerRegistryV2Client(proxy.url, default_timeout=0.1)
    start = time.monotonic()
    with pytest.raises(TimedOut) as caught:
        Tags("base", client).list()
    assert time.monotonic() - start < 4
    assert "timeout" in caught.value.next_step
    with pytest.raises(TimedOut):
        Tags("base", DockerRegistryV2Client(proxy.url), timeout=0.1).list()


def test_an_answer_that_is_no_http_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_talk_nonsense, args=(server,), daemon=True).start()
        assert type(fails(f"http://127.0.0.1:{server.getsockname()[1]}")) is ConnectionFailed


def _talk_nonsense(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 mail.example.test ESMTP\r\n")


def test_what_is_no_registry_is_said(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(lambda request, forward: ProxyResponse(200, [("Content-Type", "text/html")], b"<html>welcome"))
    with pytest.raises(RequestErrorWithResponse, match="is not a JSON object") as caught:
        Tags("base", proxied).list()
    assert "/v2/" in caught.value.next_step


# Connections, threads and processes


def read_everything(client: DockerRegistryV2Client, layer: Layer) -> None:
    """Requests of every kind: GET, HEAD, what is not there, and a blob."""
    missing = Digest("sha256:" + "0" * 64)
    Tags("base", client).list()
    assert Tags("base", client).get("stable") is not None
    assert Tags("base", client).get("nothing") is None
    ManifestRef("base", "1", client).fetch()
    with pytest.raises(ResourceNotFound):
        ManifestRef("base", "nothing", client).fetch()
    with pytest.raises(ResourceNotFound):
        Tags("no/such", client).list()
    assert Blob("base", client=client).stat(layer[0])
    assert b"".join(Blob("base", layer[0], client=client).chunks()) == layer[1]
    with pytest.raises(ResourceNotFound):
        Blob("base", client=client).stat(missing)
    with pytest.raises(ResourceNotFound):
        list(Blob("base", missing, client=client).chunks())


def test_one_thread_needs_one_connection(registry: Registry, layer: Layer) -> None:
    with Relay(registry.port) as relay:
        client = DockerRegistryV2Client(relay.url)
        with client:
            for _ in range(3):
                read_everything(client, layer)
        assert relay.connections == 1


def test_one_thread_needs_one_connection_where_a_password_is_wanted(proxy: FaultProxy, layer: Layer) -> None:
    proxy.rule(asks_for_a_password)
    with Relay(proxy.port) as relay:
        client = DockerRegistryV2Client(relay.url, "ann", "hunter2")
        with client:
            read_everything(client, layer)
        assert relay.connections == 1


def test_a_redirect_with_a_long_body_does_not_spoil_the_connection(proxy: FaultProxy, layer: Layer) -> None:
    def wordy(request: ProxyRequest, forward: object) -> ProxyResponse | None:
        if "/blobs/sha" not in request.path or "?" in request.path:
            return None
        return ProxyResponse(307, [("Location", f"{request.path}?again")], b"x" * 200_000, chunked=True)

    proxy.rule(wordy)
    client = DockerRegistryV2Client(proxy.url)
    for _ in range(3):
        assert Blob("base", layer[0], client=client).read(10**6) == layer[1]


def test_as_many_threads_need_as_many_connections(registry: Registry, layer: Layer) -> None:
    with Relay(registry.port) as relay:
        client = DockerRegistryV2Client(relay.url, pool_size=4)
        with client, ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: read_everything(client, layer), range(8)))
        assert relay.connections <= 4


def test_a_client_pickles(proxy: FaultProxy, layer: Layer) -> None:
    proxy.rule(asks_for_a_password)
    client = DockerRegistryV2Client(proxy.url, "ann", "hunter2", default_timeout=7, insecure=True)
    Tags("base", client).list()
    copy = pickle.loads(pickle.dumps(client))
    assert (copy.api_base_url, copy.default_timeout, copy.insecure) == (proxy.url, 7, True)
    read_everything(copy, layer)
    assert repr(copy) == repr(client) == f"DockerRegistryV2Client({proxy.url!r})"


def test_ping_says_whether_anybody_is_there(client: DockerRegistryV2Client, proxy: FaultProxy) -> None:
    assert client.ping()
    proxy.rule(asks_for_a_password)
    assert not DockerRegistryV2Client(proxy.url).ping()
    assert not DockerRegistryV2Client("http://nope.invalid").ping()


def test_a_password_in_the_address_never_shows() -> None:
    client = DockerRegistryV2Client("http://ann:hunter2@127.0.0.1:1")
    with pytest.raises(ConnectionFailed) as caught:
        Tags("base", client).list()
    assert "hunter2" not in f"{caught.value}{caught.value!r}{client!r}{caught.value.url}"


def test_a_refused_header_is_our_own_error(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    with pytest.raises(RequestError):
        proxied.get(proxied.url("base", "tags", "list"), headers={"Accept": "a\nb"})
    assert proxy.requests == []
