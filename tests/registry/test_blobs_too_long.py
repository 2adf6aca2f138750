"""Blobs that are longer than their descriptors say, or that nothing says an end of: cut, wherever they are read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import ConnectionFailed, TooLarge
from regscope.registry import blobs
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.retry_policy import RetryPolicy
from regscope.scanning.files import scan_files
from regscope.scanning.metadata import scan
from regscope.spec.digest import Digest, no_longer_than
from regscope.stores.open_store import open as open_store
from tests.servers import faults
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.raw import RawServer

Layer = tuple[Digest, bytes]
PIECE = b"%x\r\n%b\r\n" % (2**16, b"x" * 2**16)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def endless() -> Iterable[bytes]:
    return itertools.chain([CHUNKED], itertools.repeat(PIECE))


def longer(path_contains: str) -> Callable[[ProxyRequest, Forward], ProxyResponse | None]:
    """Answers a GET with one byte more than there is."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method != "GET" or path_contains not in request.path:
            return None
        answer = forward()
        return ProxyResponse(200, [], answer.body + b"x")

    return rule


def read(blob: Blob) -> int:
    return sum(map(len, blob.chunks()))


def test_no_more_is_read_than_the_descriptor_says() -> None:
    with RawServer(endless) as server, DockerRegistryV2Client(server.url) as client:
        with pytest.raises(TooLarge, match="more than the expected 1,000,000 bytes") as caught:
            read(Blob("app", Digest.of(b"x"), client=client, size=1_000_000))
        assert caught.value.next_step
        with pytest.raises(TooLarge):
            list(Blob("app", Digest.of(b"x"), client=client).rest(10, 1_000_000))


def test_a_blob_whose_size_nobody_says_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "_MOST_UNSAID", 2**20)
    with RawServer(endless, CHUNKED, endless) as server, DockerRegistryV2Client(server.url) as client:
        with pytest.raises(TooLarge) as caught:
            read(Blob("app", Digest.of(b"x"), client=client))
        assert "size=" in caught.value.next_step


def test_a_size_that_is_only_said_by_head_holds(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer
) -> None:
    """Some registries send blobs in chunks, without a length."""
    digest, content = layer

    def in_chunks(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        return faults.replace_header("", "Content-Length", None)(request, forward) if request.method == "GET" else None

    proxy.rule(in_chunks)
    assert b"".join(Blob("base", digest, client=proxied).chunks()) == content
    assert [request.method for request in proxy.requests] == ["GET", "HEAD"]


def test_a_longer_layer_is_one_problem_of_its_own(proxy: FaultProxy, layer: Layer) -> None:
    snap = scan(open_store(proxy.url, cache=False), repositories=["base", "tool"])
    proxy.rule(longer(layer[0]))
    found = scan_files(snap, open_store(proxy.url, cache=False), progress=False)
    assert ["more than the" in error for error in found.problems["error"]] == [True]
    assert not found.files.empty


def test_a_copy_does_not_take_more_than_the_descriptor_says(proxy: FaultProxy, layer: Layer, tmp_path: Path) -> None:
    proxy.rule(longer(layer[0]))
    with pytest.raises(TooLarge):
        rs.copy(open_store(proxy.url, cache=False), "base:1", f"oci:{tmp_path / 'copied'}", progress=False)


@pytest.mark.parametrize("each", [1, 100_000])
def test_a_blob_that_breaks_off_each_time_soon_is_given_up(each: int) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + b"x" * each
    with RawServer(answer, hangs_up=True) as server:
        client = DockerRegistryV2Client(server.url, retry_policy=RetryPolicy(0, 0))
        with pytest.raises(ConnectionFailed):
            read(Blob("app", Digest.of(b"x"), client=client))
        assert len(server.requests) == 4


def test_what_is_as_long_as_it_says_passes() -> None:
    assert list(no_longer_than([b"ab", b"", b"c"], 3, "it")) == [b"ab", b"", b"c"]
    assert list(no_longer_than([b"abc"], None, "it")) == [b"abc"]
    with pytest.raises(TooLarge, match="it has more than the 2 bytes"):
        list(no_longer_than([b"ab", b"c"], 2, "it"))
