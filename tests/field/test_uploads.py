"""Blobs arrive whole, however they travel and whatever happens on the way."""

from __future__ import annotations

import hashlib
import io
import random
import socket
from urllib.parse import urljoin, urlsplit

import pytest

from regscope.errors import RegscopeError
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from tests.field.kinds import chosen
from tests.field.servers.server import FieldServer
from tests.field.wire import Wire
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.relay import CuttingRelay

SERVERS = chosen(lambda kind: kind.takes_pushes)


def drawn(repository: str, size: int) -> tuple[str, bytes]:
    """Bytes that no other repository has, and their digest."""
    content = random.Random(repository).randbytes(size)
    return f"sha256:{hashlib.sha256(content).hexdigest()}", content


def upload(client: DockerRegistryV2Client, repository: str, content: bytes) -> str:
    return Blob(repository, fileobj=io.BytesIO(content), client=client).upload().digest


@pytest.mark.parametrize("size", [0, 700, 12_000_000], ids=["empty", "small", "12 MB"])
def test_a_blob_arrives_whole(client: DockerRegistryV2Client, wire: Wire, repository: str, size: int) -> None:
    digest, content = drawn(repository, size)
    assert upload(client, repository, content) == digest
    assert Blob(repository, digest, client=client).stat().size == size
    assert wire.blob(repository, digest) == content


def test_a_blob_arrives_in_chunks_where_no_more_is_taken_at_once(
    server: FieldServer, wire: Wire, repository: str
) -> None:
    digest, content = drawn(repository, 12_000_000)

    def at_most_5_mb(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        return ProxyResponse(413) if request.body_length > 5_000_000 else None

    with FaultProxy(server.url) as proxy:
        proxy.rule(at_most_5_mb)
        with DockerRegistryV2Client(proxy.url, **server.login()) as client:
            assert upload(client, repository, content) == digest
        assert sum(request.method == "PATCH" and request.status < 300 for request in proxy.requests) >= 3
    assert wire.blob(repository, digest) == content


@pytest.mark.parametrize(("size", "cut"), [(200_000, 50_000), (12_000_000, 5_000_000)], ids=["of 200 kB", "of 12 MB"])
def test_a_push_whose_connection_is_cut_once_arrives_whole(
    server: FieldServer, wire: Wire, repository: str, size: int, cut: int
) -> None:
    digest, content = drawn(repository, size)
    with CuttingRelay(server.port, cut) as relay:
        with DockerRegistryV2Client(relay.url, **server.login()) as client:
            assert upload(client, repository, content) == digest
        assert relay.cut == 1
    assert wire.blob(repository, digest) == content


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_what_another_client_left_of_a_push_that_was_cut_is_not_taken_for_the_blob(
    client: DockerRegistryV2Client, server: FieldServer, wire: Wire, repository: str, method: str
) -> None:
    digest, content = drawn(repository, 200_000)
    opened = wire.ask("POST", repository, "blobs/uploads/", data=b"")
    place = urlsplit(urljoin(opened.url, opened.headers["Location"]))
    query = "&".join(filter(None, [place.query, f"digest={digest}" if method == "PUT" else ""]))
    header = [
        f"{method} {place.path}{'?' if query else ''}{query} HTTP/1.1",
        f"Host: {server.host}",
        f"Content-Length: {len(content)}",
        "Content-Type: application/octet-stream",
        *([f"Authorization: {wire.authorization(repository)}"] if wire.authorization(repository) else []),
    ]
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall("\r\n".join([*header, "", ""]).encode() + content[:1000])
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        while connection.recv(65536):
            pass
    try:
        Blob(repository, digest, fileobj=io.BytesIO(content), client=client).upload()
    except RegscopeError as error:
        assert error.next_step  # noqa: PT017 - it cannot be mended from here, and that is told
    else:
        assert wire.blob(repository, digest) == content


def test_a_blob_is_mounted_from_another_repository(client: DockerRegistryV2Client, wire: Wire, repository: str) -> None:
    digest, content = drawn(repository, 700)
    wire.push_blob(f"{repository}-source", content)
    assert Blob(repository, digest, client=client).mount_from(f"{repository}-source").digest == digest
    assert wire.blob(repository, digest) == content
