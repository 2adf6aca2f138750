"""Blobs are verified as they stream."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from regscope.errors import (
    ConnectionFailed,
    DigestMismatch,
    InvalidDigest,
    InvalidInput,
    InvalidReference,
    RequestErrorWithResponse,
    ResourceNotFound,
    TooLarge,
)
from regscope.registry import blobs
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.spec.digest import Digest
from tests.servers import faults
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse

Layer = tuple[Digest, bytes]
MISSING = "sha256:" + "0" * 64


def test_a_blob_is_read_in_every_way(client: DockerRegistryV2Client, layer: Layer, tmp_path: Path) -> None:
    digest, content = layer
    target, buffer = tmp_path / "blob", io.BytesIO()
    Blob("base", digest, target, client=client).download()
    Blob("base", fileobj=buffer, client=client).download(digest)
    assert target.read_bytes() == buffer.getvalue() == content
    assert b"".join(Blob("base", client=client).chunks(digest)) == content
    assert Blob("base", digest, client=client).read(len(content)) == content
    assert Blob("base", digest, client=client).stat().size == len(content)
    assert [path.name for path in tmp_path.iterdir()] == ["blob"]


def test_a_blob_above_the_limit_is_not_read(client: DockerRegistryV2Client, layer: Layer) -> None:
    with pytest.raises(TooLarge):
        Blob("base", layer[0], client=client).read(len(layer[1]) - 1)


def test_the_limit_holds_where_no_length_is_announced(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer
) -> None:
    proxy.rule(faults.replace_header("/blobs/", "Content-Length", None))
    assert Blob("base", layer[0], client=proxied).read(len(layer[1])) == layer[1]
    with pytest.raises(TooLarge):
        Blob("base", layer[0], client=proxied).read(len(layer[1]) - 1)


def test_a_missing_blob_is_said(client: DockerRegistryV2Client, tmp_path: Path) -> None:
    blob = Blob("base", MISSING, tmp_path / "blob", client=client)
    for read in (blob.stat, blob.download, lambda: list(blob.chunks()), lambda: blob.read(10)):
        with pytest.raises(ResourceNotFound):
            read()
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_blob_leaves_no_file(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer, tmp_path: Path
) -> None:
    proxy.rule(faults.corrupt_body("/blobs/"))
    blob = Blob("base", layer[0], tmp_path / "blob", client=proxied)
    for read in (blob.download, lambda: list(blob.chunks()), lambda: blob.read(10**6)):
        with pytest.raises(DigestMismatch):
            read()
    assert list(tmp_path.iterdir()) == []


def test_a_blob_that_breaks_off_leaves_no_file(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer, tmp_path: Path
) -> None:
    proxy.rule(faults.cut_body("/blobs/", 20, times=None))
    with pytest.raises(ConnectionFailed) as caught:
        Blob("base", layer[0], tmp_path / "blob", client=proxied).download()
    assert caught.value.next_step
    assert list(tmp_path.iterdir()) == []


def cut_twice(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Break off a blob after 40 bytes, twice, and read it in pieces of 16."""
    monkeypatch.setattr(blobs, "PIECE", 16)
    proxy.rule(faults.cut_body("/blobs/", 40, times=2))


def ranges(proxy: FaultProxy) -> list[str | None]:
    return [request.headers.get("Range") for request in proxy.requests]


def test_a_blob_that_breaks_off_is_resumed_where_it_was(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_twice(proxy, monkeypatch)
    assert b"".join(Blob("base", layer[0], client=proxied).chunks()) == layer[1]
    last = len(layer[1]) - 1
    assert ranges(proxy) == [None, f"bytes=32-{last}", f"bytes=64-{last}"]


def test_a_registry_without_ranges_starts_over(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.rule(lambda request, forward: ProxyResponse(200, body=layer[1]) if "Range" in request.headers else None)
    cut_twice(proxy, monkeypatch)
    assert b"".join(Blob("base", layer[0], client=proxied).chunks()) == layer[1]
    assert len(proxy.requests) == 2


@pytest.mark.parametrize("stated", ["bytes 0-9/100", "bytes 320-400/401", "nonsense", None])
def test_another_part_than_was_asked_for_is_refused(
    proxy: FaultProxy,
    proxied: DockerRegistryV2Client,
    layer: Layer,
    monkeypatch: pytest.MonkeyPatch,
    stated: str | None,
) -> None:
    headers = [("Content-Range", stated)] if stated else []
    proxy.rule(lambda request, forward: ProxyResponse(206, headers, layer[1]) if "Range" in request.headers else None)
    cut_twice(proxy, monkeypatch)
    with pytest.raises(ConnectionFailed, match="another range"):
        list(Blob("base", layer[0], client=proxied).chunks())


def test_a_small_blob_that_breaks_off_is_asked_for_again(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer
) -> None:
    proxy.rule(faults.cut_body("/blobs/", 20, times=2))
    assert Blob("base", layer[0], client=proxied).read(10**6) == layer[1]
    assert len(proxy.requests) == 3


def test_a_blob_under_a_false_length_is_refused(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer
) -> None:
    proxy.rule(faults.replace_header("/blobs/", "Content-Length", "20"))
    with pytest.raises(DigestMismatch):
        list(Blob("base", layer[0], client=proxied).chunks())


@pytest.mark.parametrize("body", [b"", b"short"])
def test_a_truncated_blob_is_refused(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer, body: bytes
) -> None:
    proxy.rule(faults.replace_body("/blobs/", body))
    with pytest.raises(DigestMismatch):
        list(Blob("base", layer[0], client=proxied).chunks())


def test_blobs_are_asked_for_as_they_are(proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer) -> None:
    Blob("base", layer[0], client=proxied).read(10**6)
    assert proxy.requests[0].headers["Accept-Encoding"] == "identity"


def test_a_size_that_is_not_said_is_an_error(proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer) -> None:
    proxy.rule(
        lambda request: "secret" not in request.path,
        faults.redirect("/blobs/", f"{proxy.url}/v2/base/blobs/{layer[0]}?secret"),
    )
    proxy.rule(faults.replace_header("/blobs/", "Content-Length", None))
    proxy.rule(faults.replace_header("/blobs/", "Content-Range", None))
    with pytest.raises(RequestErrorWithResponse, match="does not say how large") as caught:
        Blob("base", layer[0], client=proxied).stat()
    assert "secret" not in str(caught.value.url)


@pytest.mark.parametrize("length", [None, "0"])
def test_a_size_that_head_does_not_say_is_asked_for_with_one_byte(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, layer: Layer, length: str | None
) -> None:
    def of_a_head(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        rule = faults.replace_header("/blobs/", "Content-Length", length)
        return rule(request, forward) if request.method == "HEAD" else None

    proxy.rule(of_a_head)
    assert Blob("base", layer[0], client=proxied).stat().size == len(layer[1])
    assert proxy.requests[-1].headers["Range"] == "bytes=0-0"


def test_a_reader_who_stops_early_spoils_nothing(client: DockerRegistryV2Client, layer: Layer) -> None:
    chunks = Blob("base", layer[0], client=client).chunks()
    next(chunks)
    chunks.close()
    assert Blob("base", layer[0], client=client).read(10**6) == layer[1]


def test_what_was_not_said_is_asked_back(client: DockerRegistryV2Client, layer: Layer) -> None:
    with pytest.raises(InvalidInput, match="no digest"):
        list(Blob("base", client=client).chunks())
    with pytest.raises(InvalidInput, match="local_path or to fileobj"):
        Blob("base", layer[0], client=client).download()
    with pytest.raises(InvalidDigest):
        Blob("base", "sha256:x", client=client)
    with pytest.raises(InvalidReference):
        Blob("../base", layer[0], client=client)
