"""Uploads in chunks: what a registry wants of their sizes, and what happens when they break."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from regscope.errors import RequestError
from regscope.registry import sending
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.local_content import LocalContent
from regscope.registry.uploads import Upload, open_upload
from regscope.spec.digest import Digest
from regscope.stores.registry_destination import RegistryDestination
from tests.lab.pushes import Stream, put_image
from tests.servers import faults
from tests.servers.empty import KINDS, empty_registry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse, Rule

MIB = 2**20
CONTENT = bytes(range(256)) * 40_000 + b"the end"  # 10 MB: two chunks, and less than a third


@pytest.fixture(params=KINDS)
def strict(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultProxy]:
    """An empty registry of each kind, behind a proxy."""
    with empty_registry(request.param, tmp_path / "registry") as server, FaultProxy(server.url) as proxy:
        yield proxy


def at_most(limit: int, status: int = 413) -> Rule:
    """Refuse a longer PATCH."""
    return lambda request, forward: (
        ProxyResponse(status) if request.method == "PATCH" and request.body_length > limit else None
    )


def chunks(proxy: FaultProxy) -> list[tuple[str, int]]:
    """The chunks that were taken: the range that each stated, and its bytes."""
    taken = [request for request in proxy.requests if request.method == "PATCH" and 200 <= request.status < 300]
    return [(request.headers["Content-Range"], request.body_length) for request in taken]


def push(client: DockerRegistryV2Client, content: bytes = CONTENT) -> None:
    """Push it, and read it back."""
    sent = Blob("app", fileobj=io.BytesIO(content), client=client).upload()
    assert sent.digest == Digest.of(content)
    assert Blob("app", sent.digest, client=client).read(2**25) == content


@pytest.mark.parametrize("status", [400, 411, 413, 416])
def test_where_a_patch_can_be_too_large_the_blob_goes_in_chunks(strict: FaultProxy, status: int) -> None:
    strict.rule(at_most(4 * MIB, status))
    push(DockerRegistryV2Client(strict.url))
    assert chunks(strict) == [
        ("0-4194303", 4 * MIB),
        ("4194304-8388607", 4 * MIB),
        (f"8388608-{len(CONTENT) - 1}", len(CONTENT) - 8 * MIB),
    ]


def test_the_least_size_of_a_chunk_is_kept_to(strict: FaultProxy) -> None:
    strict.rule(at_most(6 * MIB))
    strict.rule(faults.replace_header("/uploads/", "OCI-Chunk-Min-Length", str(5 * MIB)))
    push(DockerRegistryV2Client(strict.url))
    assert [size for _, size in chunks(strict)] == [5 * MIB, len(CONTENT) - 5 * MIB]


def test_that_chunks_are_wanted_is_found_out_once(strict: FaultProxy) -> None:
    strict.rule(at_most(4 * MIB))
    client = DockerRegistryV2Client(strict.url)
    for content in (CONTENT, CONTENT[1:]):
        push(client, content)
    assert len([request for request in strict.requests if request.status == 413]) == 1
    stream = Stream(CONTENT[2:])
    assert Blob("app", fileobj=stream, client=client).upload().digest == Digest.of(CONTENT[2:])


@pytest.mark.parametrize("limit", [MIB, 300_000, 65_536])
def test_chunks_get_smaller_until_they_are_taken_and_their_size_is_kept(strict: FaultProxy, limit: int) -> None:
    size = max(size for size in (MIB, 2**18, 2**16) if size <= limit)
    strict.rule(too_large(limit))
    client = DockerRegistryV2Client(strict.url)
    push(client, CONTENT[: 3 * MIB])
    assert {sent for _, sent in chunks(strict)[:-1]} == {size}
    assert client.uploads.chunk == size
    strict.requests.clear()
    push(client, CONTENT[1 : 3 * MIB])
    push(client, CONTENT[: MIB - 1])  # which otherwise goes in one PUT
    assert not [request for request in strict.requests if request.status >= 400]


@pytest.mark.parametrize("status", [400, 413, 416])
def test_a_small_blob_that_is_too_large_for_one_request_goes_in_chunks(strict: FaultProxy, status: int) -> None:
    strict.rule(too_large(100_000, status=413))
    strict.rule(at_most(70_000, status))
    push(DockerRegistryV2Client(strict.url), CONTENT[: MIB // 2])
    assert chunks(strict)[0] == ("0-65535", 65_536)


def test_a_limit_that_nothing_is_small_enough_for_is_named(strict: FaultProxy) -> None:
    strict.rule(too_large(1000))
    with pytest.raises(RequestError, match="64 KiB were the smallest") as caught:
        push(DockerRegistryV2Client(strict.url))
    assert "client_max_body_size" in caught.value.next_step
    with pytest.raises(RequestError, match="client_max_body_size"):
        push(DockerRegistryV2Client(strict.url), CONTENT[:2000])
    assert len(strict.requests) < 30


def test_a_minimum_above_the_limit_is_named(strict: FaultProxy) -> None:
    strict.rule(too_large(MIB))
    strict.rule(faults.replace_header("/uploads/", "OCI-Chunk-Min-Length", str(5 * MIB)))
    with pytest.raises(RequestError, match="chunks of at least 5,120 KiB"):
        push(DockerRegistryV2Client(strict.url))
    assert [request.body_length for request in strict.requests if request.method == "PATCH"] == [
        len(CONTENT),
        5 * MIB,
    ]


def test_a_manifest_that_is_too_large_for_the_proxy_says_so(strict: FaultProxy) -> None:
    client = DockerRegistryV2Client(strict.url)
    strict.rule(lambda request, forward: ProxyResponse(413) if "/manifests/" in request.path else None)
    with pytest.raises(RequestError, match="client_max_body_size"):
        put_image(client)


def test_where_no_chunk_is_small_enough_the_blob_goes_in_one_put(strict: FaultProxy) -> None:
    strict.rule(at_most(MIB // 32))
    client = DockerRegistryV2Client(strict.url)
    push(client)
    assert [request.body_length for request in strict.requests if request.method == "PUT"] == [len(CONTENT)]
    strict.requests.clear()
    push(client, CONTENT[1:])
    assert not [request for request in strict.requests if request.method == "PATCH"]


def too_large(limit: int, status: int = 413) -> Rule:
    """Refuse whatever is longer, as a proxy does that knows nothing of blobs."""
    return lambda request, forward: ProxyResponse(status) if request.body_length > limit else None


@pytest.mark.parametrize("strict", ["distribution 3", "oci-registry"], indirect=True)
def test_a_chunk_whose_answer_is_lost_is_not_sent_again(strict: FaultProxy) -> None:
    strict.rule(at_most(4 * MIB))
    strict.rule(break_after(2))
    push(DockerRegistryV2Client(strict.url))
    assert [stated for stated, _ in chunks(strict)] == ["0-4194303", f"8388608-{len(CONTENT) - 1}"]


@pytest.mark.parametrize("strict", ["docker-registry"], indirect=True)
def test_where_the_registry_then_knows_nothing_of_the_upload_all_of_it_is_sent_again(strict: FaultProxy) -> None:
    strict.rule(at_most(4 * MIB))
    strict.rule(break_after(2))
    push(DockerRegistryV2Client(strict.url))
    assert sum(size for _, size in chunks(strict)) == 4 * MIB + len(CONTENT)


def break_after(chunk: int) -> Rule:
    """Pass the chunk on, and hang up before its answer is through."""
    seen = 0

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        nonlocal seen
        if request.method != "PATCH":
            return None
        answer = forward()
        seen += 1
        if seen == chunk:
            raise ConnectionResetError
        return answer

    return rule


def test_a_push_that_broke_between_chunks_goes_on_there_in_another_run(strict: FaultProxy) -> None:
    strict.rule(at_most(4 * MIB))
    broken = faults.refuse("/uploads/", 403, "DENIED", "no", methods=("PATCH", "DELETE"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Upload, "cancel", lambda upload: None)  # as where the process is killed
        strict.rule(lambda request, forward: broken(request, forward) if len(chunks(strict)) == 2 else None)
        with pytest.raises(RequestError):
            take(strict)
    strict.clear()
    strict.rule(at_most(4 * MIB))
    take(strict)
    assert chunks(strict) == [(f"8388608-{len(CONTENT) - 1}", len(CONTENT) - 8 * MIB)]
    assert Blob("app", Digest.of(CONTENT), client=DockerRegistryV2Client(strict.url)).read(2**25) == CONTENT


def take(proxy: FaultProxy) -> None:
    """Copy the blob there, as a process of its own would."""
    destination = RegistryDestination(DockerRegistryV2Client(proxy.url))
    destination.take_blob("app", Digest.of(CONTENT), LocalContent.of(CONTENT), None)


def test_a_push_that_is_gone_on_with_finds_out_that_chunks_are_wanted(strict: FaultProxy) -> None:
    client = DockerRegistryV2Client(strict.url)
    upload = open_upload(client, "app")
    upload.append(lambda: [CONTENT[:MIB]], start=0, length=MIB)
    strict.clear()
    strict.rule(at_most(4 * MIB))
    sender = sending.Sender(client, "app")
    assert sender.go_on(upload, LocalContent.of(CONTENT), Digest.of(CONTENT))
    assert [stated for stated, _ in chunks(strict)] == [
        "1048576-5242879",
        "5242880-9437183",
        f"9437184-{len(CONTENT) - 1}",
    ]
