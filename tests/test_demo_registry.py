"""The registry to try things on answers as the real ones do."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

import regscope as rs
from regscope.errors import ContentMissing, ResourceNotFound
from tests.registry.test_read_by_others import run


@pytest.fixture
def demo() -> Iterator[rs.DemoRegistry]:
    with rs.DemoRegistry() as registry:
        yield registry


def test_it_holds_what_a_layout_holds(demo: rs.DemoRegistry, layout: Path) -> None:
    rs.copy(f"oci:{layout}", "*:*", demo.url, referrers=True, progress=False)
    theirs, ours = (rs.scan(rs.open(place, cache=False), progress=False) for place in (f"oci:{layout}", demo.url))
    names = ["repository", "tag", "digest"]
    assert ours.tags[names].astype("str").equals(theirs.tags[names].astype("str"))
    assert set(ours.blobs["digest"]) <= set(theirs.blobs["digest"])
    assert not len(ours.problems)


def test_skopeo_pushes_and_pulls(demo: rs.DemoRegistry, layout: Path, tmp_path: Path) -> None:
    image = f"docker://{demo.url.removeprefix('http://')}/copied:1"
    for source, target in ((f"oci:{layout}:base:1", image), (image, f"dir:{tmp_path / 'pulled'}")):
        command = ["skopeo", "copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", source, target]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


def test_what_nothing_needs_is_collected(demo: rs.DemoRegistry, layout: Path) -> None:
    rs.copy(f"oci:{layout}", "*:*", demo.url, referrers=True, progress=False)
    snap = rs.scan(rs.open(demo.url, cache=False), progress=False)
    assert demo.stored_bytes == snap.blobs.loc[~snap.blobs["foreign"], "size"].sum()
    assert demo.collect_garbage() == 0
    client = rs.DockerRegistryV2Client(demo.url)
    repository, tag, digest = snap.tags[["repository", "tag", "digest"]].iloc[0]
    rs.Tags(repository, client).untag(tag)
    with pytest.raises((ResourceNotFound, ContentMissing)):
        rs.ManifestRef(repository, tag, client).fetch()
    assert rs.ManifestRef(repository, digest, client).fetch().digest == digest
    for row in snap.placements.itertuples():
        client.delete(client.url(row.repository, "manifests", row.digest)).close()
    demo.collect_garbage()
    assert demo.stored_bytes == 0


def test_it_refuses_what_is_not_what_it_says(demo: rs.DemoRegistry) -> None:
    client = rs.DockerRegistryV2Client(demo.url)
    with pytest.raises(rs.RequestErrorWithResponse):
        client.put(client.url("app", "manifests", "sha256:" + "0" * 64), data=b"{}")
    with pytest.raises(ResourceNotFound):
        rs.Tags("absent", client).list()


def test_a_chunked_body_is_stored_whole(demo: rs.DemoRegistry) -> None:
    content = bytes(range(256)) * 1000
    digest = rs.Digest.of(content)
    client = rs.DockerRegistryV2Client(demo.url)
    place = client.post(client.url("app", "blobs", "uploads", "")).headers["Location"]
    pieces = (content[at : at + 999] for at in range(0, len(content), 999))
    answer = requests.put(f"{demo.url}{place}", params={"digest": digest}, data=pieces, timeout=30)
    assert answer.request.headers["Transfer-Encoding"] == "chunked"
    assert answer.status_code == 201
    assert rs.Blob("app", digest, client=client).read(10**7) == content


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"),
        (b"Transfer-Encoding: Chunked", b"3;name=value\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
        (b"Content-Length: 5", b"hello"),
    ],
)
def test_each_form_of_a_body_is_read_to_its_end(demo: rs.DemoRegistry, headers: bytes, body: bytes) -> None:
    with opened(demo) as connection:
        connection.sendall(put(headers, body) + b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answers = received(connection)
    assert [line[:12] for line in answers.split(b"\r\n") if line.startswith(b"HTTP/")] == [
        b"HTTP/1.1 201", b"HTTP/1.1 200",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Transfer-Encoding: chunked", b"x\r\nhello\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"5\r\nhelloworld\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"fffffffffff\r\nhello"),
        (b"Transfer-Encoding: chunked", b"5\r\nhel"),
        (b"Transfer-Encoding: gzip", b"hello"),
        (b"Content-Length: -5", b"hello"),
        (b"Content-Length: 99999999999999999999", b"hello"),
        (b"Content-Length: 6", b"hello"),
    ],
)
def test_a_body_without_valid_framing_is_refused_and_not_stored(
    demo: rs.DemoRegistry, headers: bytes, body: bytes
) -> None:
    with opened(demo) as connection:
        connection.sendall(put(headers, body))
        connection.shutdown(socket.SHUT_WR)
        assert received(connection).startswith(b"HTTP/1.1 400")
    assert demo.stored_bytes == 0


def opened(demo: rs.DemoRegistry) -> socket.socket:
    host, _, port = demo.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def put(headers: bytes, body: bytes) -> bytes:
    digest = rs.Digest.of(b"hello").encode()
    start = b"POST /v2/app/blobs/uploads/?digest=" + digest + b" HTTP/1.1\r\nHost: x\r\n"
    return start + headers + b"\r\n\r\n" + body


def received(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("content", [b"", b"[]", b"no JSON", b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(demo: rs.DemoRegistry, content: bytes) -> None:
    client = rs.DockerRegistryV2Client(demo.url)
    with pytest.raises(rs.RequestErrorWithResponse, match="400 MANIFEST_INVALID"):
        client.put(client.url("app", "manifests", "1"), data=content)


def test_other_programs_push_and_pull(demo: rs.DemoRegistry, layout: Path, tmp_path: Path) -> None:
    host = demo.url.removeprefix("http://")
    rs.copy(f"oci:{layout}", "app:1.0", f"oci:{tmp_path / 'one'}", progress=False)
    digest = rs.open(f"oci:{layout}").resolve("app", "1.0")
    run("crane", "push", "--insecure", str(tmp_path / "one"), f"{host}/by/crane:1")
    run("crane", "copy", "--insecure", f"{host}/by/crane:1", f"{host}/by/crane:2")
    assert "PASS" in run("crane", "validate", "--insecure", "--remote", f"{host}/by/crane:2")
    plain = ("--host", f"reg={host},tls=disabled")
    run("regctl", *plain, "image", "copy", f"{host}/by/crane:2", f"{host}/by/regctl:1")
    run("regctl", *plain, "image", "copy", f"{host}/by/regctl:1", f"ocidir://{tmp_path / 'copy'}:1")
    assert rs.open(f"oci:{tmp_path / 'copy'}").resolve("copy", "1") == digest


def test_it_begins_with_the_sample_on_request() -> None:
    with rs.DemoRegistry(sample=True) as registry, rs.DemoRegistry() as empty:
        snap = rs.scan(rs.open(registry.url, cache=False), progress=False)
        assert {"base/python", "team/api", "team/cli", "team/shop"} <= set(snap.tags["repository"])
        assert "application/spdx+json" in set(snap.referrers["artifact_type"])
        assert snap.problems.empty
        assert len(registry._kept.manifests) > len(snap.manifests)  # one has lost its tag
        assert empty.stored_bytes == 0
