"""Blobs, pushed and deleted, at docker-registry and at a registry with the whole OCI API."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from regscope.errors import (
    DigestMismatch,
    InvalidInput,
    RequestError,
    ResourceNotFound,
)
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.scopes import need_of
from regscope.registry.uploads import Upload, open_upload
from regscope.spec.digest import Digest
from tests.lab.pushes import LARGE, Stream
from tests.servers import faults
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry
from tests.servers.relay import CuttingRelay


@pytest.mark.parametrize("content", [b"", b"x", b"a layer" * 1000, LARGE], ids=["empty", "one byte", "small", "large"])
@pytest.mark.parametrize("source", ["a file", "an open file", "a stream"])
def test_a_blob_arrives_as_it_was(client: DockerRegistryV2Client, tmp_path: Path, content: bytes, source: str) -> None:
    file = tmp_path / "blob"
    file.write_bytes(content)
    if source == "a file":
        blob = Blob("app", local_path=file, client=client)
    elif source == "an open file":
        blob = Blob("app", fileobj=io.BytesIO(content), client=client)
    else:
        blob = Blob("app", fileobj=Stream(content), client=client)  # type: ignore[arg-type]
    sent = blob.upload()
    assert (sent.digest, sent.size, blob.digest) == (Digest.of(content), len(content), Digest.of(content))
    assert Blob("app", sent.digest, client=client).read(2**23) == content
    assert Blob("app", sent.digest, client=client).stat().size == len(content)


def test_a_blob_is_sent_at_one_time(client: DockerRegistryV2Client) -> None:
    file = io.BytesIO(LARGE)
    file.read(100)
    sent = Blob("app", fileobj=file, client=client).upload_at_one_time()
    assert sent.digest == Digest.of(LARGE)
    assert Blob("app", sent.digest, client=client).read(2**23) == LARGE


def test_an_open_file_is_sent_from_where_it_stands(client: DockerRegistryV2Client) -> None:
    file = io.BytesIO(b"skipped" + LARGE)
    file.read(7)
    assert Blob("app", fileobj=file, client=client).upload().digest == Digest.of(LARGE)


def test_what_is_there_is_not_sent_again(writable: Registry | OCIRegistry, faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    first = Blob("app", fileobj=io.BytesIO(LARGE), client=client).upload()
    faulty.clear()
    assert Blob("app", first.digest, fileobj=io.BytesIO(LARGE), client=client).upload().size == len(LARGE)
    assert [request.method for request in faulty.requests] == ["HEAD"]


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_content_that_is_not_what_was_said_is_not_kept(client: DockerRegistryV2Client, content: bytes) -> None:
    with pytest.raises(DigestMismatch):
        Blob("app", Digest.of(b"other"), fileobj=io.BytesIO(content), client=client).upload()
    for digest in (Digest.of(b"other"), Digest.of(content)):
        with pytest.raises(ResourceNotFound):
            Blob("app", digest, client=client).stat()


def test_a_blob_without_content_or_with_two_is_refused(client: DockerRegistryV2Client, tmp_path: Path) -> None:
    for blob in (
        Blob("app", client=client),
        Blob("app", local_path=tmp_path / "x", fileobj=io.BytesIO(), client=client),
        Blob("app", fileobj=io.StringIO("text"), client=client),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidInput):
            blob.upload()


def test_an_upload_that_breaks_goes_on_where_it_was(writable: Registry | OCIRegistry, faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    upload = open_upload(client, "app")
    upload.append(lambda: [LARGE[:2_000_000]], start=0, length=2_000_000)
    elsewhere = Upload(DockerRegistryV2Client(writable.url), upload.location.replace(faulty.url, writable.url))
    received = elsewhere.received()
    assert received == 2_000_000
    elsewhere.append(lambda: [LARGE[received:]], start=received, length=len(LARGE) - received)
    elsewhere.finish(Digest.of(LARGE))
    assert Blob("app", Digest.of(LARGE), client=client).read(2**23) == LARGE


def test_an_upload_whose_connection_breaks_arrives_all_the_same(writable: Registry | OCIRegistry) -> None:
    content = LARGE * 8  # 40 MB: more than sockets hold
    with CuttingRelay(writable.port, 15_000_000) as relay:
        client = DockerRegistryV2Client(relay.url)
        sent = Blob("app", fileobj=io.BytesIO(content), client=client).upload()
        assert relay.cut == 1
    assert sent.digest == Digest.of(content)
    assert Blob("app", sent.digest, client=DockerRegistryV2Client(writable.url)).read(2**26) == content


def test_a_stream_that_cannot_be_read_again_is_not_sent_again(writable: Registry | OCIRegistry) -> None:
    with CuttingRelay(writable.port, 15_000_000) as relay:
        client = DockerRegistryV2Client(relay.url)
        with pytest.raises(RequestError):
            Blob("app", fileobj=Stream(LARGE * 8), client=client).upload()  # type: ignore[arg-type]


def test_the_newest_location_is_used_and_its_query_kept(faulty: FaultProxy) -> None:
    def relative_and_signed(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method not in ("POST", "PATCH"):
            return None
        answer = forward()
        path, mark, query = (answer.header("Location") or "").removeprefix(faulty.url).partition("?")
        stamp = f"stamp={request.method}&{query}" if mark else f"stamp={request.method}"
        answer.set_header("Location", f"{path}?{stamp}")
        return answer

    faulty.rule(relative_and_signed)
    client = DockerRegistryV2Client(faulty.url)
    Blob("app", fileobj=io.BytesIO(LARGE), client=client).upload()
    [patch] = [request.path for request in faulty.requests if request.method == "PATCH"]
    [put] = [request.path for request in faulty.requests if request.method == "PUT"]
    assert "stamp=POST" in patch
    assert "stamp=PATCH" in put
    assert f"digest=sha256%3A{Digest.of(LARGE).encoded}" in put


def test_a_chunk_states_its_range_without_a_unit(faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    Blob("app", fileobj=io.BytesIO(LARGE), client=client).upload()
    [patch] = [request for request in faulty.requests if request.method == "PATCH"]
    assert patch.headers["Content-Range"] == f"0-{len(LARGE) - 1}"
    assert patch.headers["Content-Length"] == str(len(LARGE))


@pytest.mark.parametrize("status", [405, 413])
def test_where_no_patch_is_taken_the_blob_goes_in_one_put(faulty: FaultProxy, status: int) -> None:
    faulty.rule(lambda request, forward: ProxyResponse(status) if request.method == "PATCH" else None)
    client = DockerRegistryV2Client(faulty.url)
    sent = Blob("app", fileobj=io.BytesIO(LARGE), client=client).upload()
    assert Blob("app", sent.digest, client=client).read(2**23) == LARGE
    assert [request.method for request in faulty.requests].count("PUT") == 1
    with pytest.raises(RequestError):
        Blob("app", fileobj=Stream(LARGE), client=client).upload()  # type: ignore[arg-type]


@pytest.mark.parametrize("stated", ["0-1999999", "bytes=0-1999999"])
def test_how_much_was_received_is_read_with_and_without_a_unit(faulty: FaultProxy, stated: str) -> None:
    upload = open_upload(DockerRegistryV2Client(faulty.url), "app")
    faulty.rule(faults.replace_header("/uploads/", "Range", stated))
    assert upload.received() == 2_000_000


def test_an_upload_that_is_sent_elsewhere_gets_no_credentials(
    writable: Registry | OCIRegistry, faulty: FaultProxy
) -> None:
    with FaultProxy(writable.url) as storage:
        faulty.rule(
            lambda request, forward: (
                ProxyResponse(202, [("Location", f"{storage.url}/v2/app/blobs/uploads/x")])
                if request.method == "POST" and "Authorization" in request.headers
                else None
                if "Authorization" in request.headers
                else ProxyResponse(401, [("WWW-Authenticate", 'Basic realm="x"')])
            )
        )
        client = DockerRegistryV2Client(faulty.url, "ann", "hunter2")
        with pytest.raises(RequestError):
            Blob("app", fileobj=io.BytesIO(b"x"), client=client).upload()
        assert storage.requests
        assert not [request for request in storage.requests if "Authorization" in request.headers]


def test_a_mount_asks_for_both_repositories() -> None:
    url = "http://localhost/v2/to/there/blobs/uploads/?mount=sha256%3Aab&from=from%2Fhere"
    assert need_of("POST", url).scopes == {"repository:to/there:pull,push", "repository:from/here:pull"}


def test_a_small_blob_takes_a_post_and_a_put(faulty: FaultProxy) -> None:
    Blob("app", fileobj=io.BytesIO(b"small"), client=DockerRegistryV2Client(faulty.url)).upload()
    assert [request.method for request in faulty.requests] == ["POST", "PUT"]


def test_a_patch_may_be_answered_by_created(faulty: FaultProxy) -> None:
    def as_amazon_does(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        answer = forward()
        answer.status = 201 if request.method == "PATCH" else answer.status
        return answer

    faulty.rule(as_amazon_does)
    client = DockerRegistryV2Client(faulty.url)
    sent = Blob("app", fileobj=io.BytesIO(LARGE), client=client).upload()
    assert Blob("app", sent.digest, client=client).read(2**23) == LARGE


def test_that_an_upload_cannot_be_cancelled_does_not_matter(faulty: FaultProxy) -> None:
    faulty.rule(faults.refuse("/uploads/", 403, "DENIED", "not to be written", methods=("PATCH",)))
    faulty.rule(faults.refuse("/uploads/", 405, "UNSUPPORTED", "not to be cancelled", methods=("DELETE",)))
    with pytest.raises(RequestError, match="not to be written"):
        Blob("app", fileobj=io.BytesIO(LARGE), client=DockerRegistryV2Client(faulty.url)).upload()
    assert [request.method for request in faulty.requests] == ["POST", "PATCH", "DELETE"]


def test_an_abandoned_upload_is_cancelled(faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    faulty.rule(lambda request, forward: ProxyResponse(500) if request.method == "PATCH" else None)
    with pytest.raises(RequestError):
        Blob("app", fileobj=io.BytesIO(LARGE), client=client).upload()
    assert [request.method for request in faulty.requests] == ["POST", "PATCH", "DELETE"]


def test_a_mounted_blob_does_not_travel(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server, FaultProxy(server.url) as proxy:
        client = DockerRegistryV2Client(proxy.url)
        digest = Blob("from/here", fileobj=io.BytesIO(LARGE), client=client).upload().digest
        proxy.clear()
        assert Blob("to/there", digest, client=client).mount_from("from/here").size == len(LARGE)
        assert [request.method for request in proxy.requests] == ["POST", "HEAD"]
        assert proxy.requests[0].path.endswith(f"?mount=sha256%3A{digest.encoded}&from=from%2Fhere")
        assert Blob("to/there", digest, client=client).read(2**23) == LARGE


def test_where_mounting_is_refused_the_open_upload_is_used(faulty: FaultProxy) -> None:
    def forgets_the_mount(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method == "POST" and "mount=" in request.path:
            return ProxyResponse(307, [("Location", request.path.partition("?")[0])])
        return None

    client = DockerRegistryV2Client(faulty.url)
    digest = Blob("from/here", fileobj=io.BytesIO(LARGE), client=client).upload().digest
    faulty.rule(forgets_the_mount)
    assert Blob("to/there", digest, client=client).mount_from("from/here").digest == digest
    assert Blob("to/there", digest, client=client).read(2**23) == LARGE


def test_mounting_what_is_not_there_says_so(client: DockerRegistryV2Client) -> None:
    with pytest.raises(ResourceNotFound):
        Blob("to/there", Digest.of(b"nothing"), client=client).mount_from("from/here")


def test_a_blob_is_deleted(client: DockerRegistryV2Client) -> None:
    digest = Blob("app", fileobj=io.BytesIO(b"x"), client=client).upload().digest
    assert Blob("app", client=client).delete(digest) is True
    for ask in (lambda: Blob("app", digest, client=client).stat(), lambda: Blob("app", digest, client=client).delete()):
        with pytest.raises(ResourceNotFound):
            ask()
