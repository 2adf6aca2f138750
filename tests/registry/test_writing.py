"""Pushing and deleting, at docker-registry and at a registry with the whole OCI API."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from regscope.errors import (
    DigestMismatch,
    InvalidInput,
    InvalidManifest,
    RequestError,
    ResourceNotFound,
    Unsupported,
)
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.fallback_tag import fallback_tag
from regscope.registry.manifests import ManifestRef
from regscope.registry.referrers import list_referrers
from regscope.registry.scopes import scopes_of
from regscope.registry.tags import Tags
from regscope.registry.uploads import Upload, open_upload
from regscope.spec.digest import Digest
from regscope.spec.manifest import ManifestSchema1, ManifestSchema2, OCIIndex, OCIManifestSchema1
from regscope.spec.media_types import DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from tests.images import push, skopeo
from tests.servers import faults
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry
from tests.servers.relay import CuttingRelay

LARGE = bytes(range(256)) * 20_000  # 5 MB: more than fits into one piece
CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'


@pytest.fixture(params=["docker-registry", "oci-registry"])
def writable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry | OCIRegistry]:
    """An empty registry of each kind."""
    with Registry(tmp_path / "registry") if request.param == "docker-registry" else OCIRegistry() as server:
        yield server


@pytest.fixture
def client(writable: Registry | OCIRegistry) -> Iterator[DockerRegistryV2Client]:
    """A client of it."""
    with DockerRegistryV2Client(writable.url) as made:
        yield made


@pytest.fixture
def faulty(writable: Registry | OCIRegistry) -> Iterator[FaultProxy]:
    """A proxy before it."""
    with FaultProxy(writable.url) as server:
        yield server


def put_image(client: DockerRegistryV2Client, repository: str = "app", tag: str = "1", **fields: Any) -> Digest:
    config = Blob(repository, fileobj=io.BytesIO(CONFIG), client=client).upload()
    layer = Blob(repository, fileobj=io.BytesIO(b"layer"), client=client).upload()
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": OCI_LAYER, "digest": layer.digest, "size": layer.size}],
        **fields,
    }
    return ManifestRef(repository, tag, client).put(json.dumps(document).encode()).digest


# Blobs


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


class Stream(io.RawIOBase):
    """Bytes that can be read only once."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)

    def readable(self) -> bool:
        return True


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
    assert scopes_of("POST", url) == {"repository:to/there:pull,push", "repository:from/here:pull"}


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


# Manifests


def test_a_manifest_is_pushed_byte_for_byte(client: DockerRegistryV2Client) -> None:
    put_image(client)
    original = ManifestRef("app", "1", client).fetch()
    spaced = json.dumps(json.loads(original.raw), indent=7).encode() + b"\n"
    descriptor = ManifestRef("app", "spaced", client).put(spaced)
    assert (descriptor.digest, descriptor.size) == (Digest.of(spaced), len(spaced))
    assert ManifestRef("app", "spaced", client).fetch().raw == spaced
    model = ManifestRef("app", "spaced", client).get()
    assert ManifestRef("app", "again", client).put(model).digest == Digest.of(spaced)


def test_a_manifest_built_by_hand_is_pushed(client: DockerRegistryV2Client) -> None:
    config = Blob("app", fileobj=io.BytesIO(CONFIG), client=client).upload()
    manifest = ManifestSchema2(config={"digest": config.digest, "size": config.size}, layers=[])  # type: ignore[arg-type]
    assert ManifestRef("app", "docker", client).put(manifest)
    found = ManifestRef("app", "docker", client).fetch()
    assert found.media_type == DOCKER_MANIFEST
    assert found.raw == manifest.raw


def test_an_index_is_pushed(client: DockerRegistryV2Client) -> None:
    child = put_image(client)
    size = len(ManifestRef("app", child, client).fetch().raw)
    index = OCIIndex(manifests=[{"mediaType": OCI_MANIFEST, "digest": child, "size": size}])  # type: ignore[list-item]
    ManifestRef("app", "index", client).put(index)
    assert ManifestRef("app", "index", client).get(OCI_INDEX) == index


def test_a_manifest_is_pushed_by_its_digest(client: DockerRegistryV2Client) -> None:
    digest = put_image(client)
    raw = ManifestRef("app", digest, client).fetch().raw
    changed = raw + b" "
    assert ManifestRef("app", Digest.of(changed), client).put(changed).digest == Digest.of(changed)
    assert ManifestRef("app", Digest.of(changed), client).fetch().raw == changed
    with pytest.raises(DigestMismatch):
        ManifestRef("app", digest, client).put(changed)


def test_what_is_no_manifest_is_not_pushed(client: DockerRegistryV2Client) -> None:
    for raw in (b"", b"[]", b"{}", b"\xff"):
        with pytest.raises(InvalidManifest):
            ManifestRef("app", "1", client).put(raw)


@pytest.mark.parametrize("given", [None, "{}", {"schemaVersion": 2}])
def test_what_is_neither_a_model_nor_bytes_is_not_pushed(client: DockerRegistryV2Client, given: Any) -> None:
    with pytest.raises(InvalidInput, match=type(given).__name__):
        ManifestRef("app", "1", client).put(given)


def test_a_manifest_of_missing_blobs_is_refused(client: DockerRegistryV2Client) -> None:
    put_image(client)
    document = json.loads(ManifestRef("app", "1", client).fetch().raw)
    document["config"]["digest"] = Digest.of(b"missing")
    with pytest.raises(RequestError):
        ManifestRef("app", "2", client).put(json.dumps(document).encode())


def test_another_digest_than_was_pushed_is_noticed(faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    put_image(client)
    raw = ManifestRef("app", "1", client).fetch().raw
    faulty.rule(
        lambda request, forward: (
            ProxyResponse(201, [("Docker-Content-Digest", Digest.of(b"other"))]) if request.method == "PUT" else None
        )
    )
    with pytest.raises(DigestMismatch):
        ManifestRef("app", "2", client).put(raw)


def test_a_manifest_is_deleted_by_its_tag_or_digest(client: DockerRegistryV2Client) -> None:
    by_digest, by_tag = put_image(client, tag="1"), put_image(client, tag="other", annotations={"a": "b"})
    assert ManifestRef("app", by_digest, client).delete() is True
    assert ManifestRef("app", "other", client).delete() is True
    for digest in (by_digest, by_tag):
        assert ManifestRef("app", digest, client).get_metadata() is None
        assert ManifestRef("app", digest, client).delete(raise_not_found=False) is False
        with pytest.raises(ResourceNotFound):
            ManifestRef("app", digest, client).delete()


def test_deleting_a_manifest_takes_its_tags_along(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server:  # the other one leaves tags that lead nowhere
        client = DockerRegistryV2Client(server.url)
        put_image(client, tag="1")
        put_image(client, tag="same")
        put_image(client, tag="other", annotations={"a": "b"})
        assert ManifestRef("app", "1", client).delete() is True
        assert Tags("app", client).list() == ["other"]
        with pytest.raises(ResourceNotFound):
            ManifestRef("app", "same", client).delete()


def test_a_schema_1_manifest_is_signed_and_verified(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server:
        client = DockerRegistryV2Client(server.url)
        layer = Blob("old", fileobj=io.BytesIO(b"layer"), client=client).upload()
        document = {
            "schemaVersion": 1, "name": "old", "tag": "1", "architecture": "amd64",
            "fsLayers": [{"blobSum": layer.digest}],
            "history": [{"v1Compatibility": json.dumps({"id": "a" * 64, "author": "Zoë 漢"}, ensure_ascii=False)}],
        }  # fmt: skip
        pushed = ManifestRef("old", "1", client).put(ManifestSchema1.model_validate(document))
        found = ManifestRef("old", "1", client).get(ManifestSchema1.content_type())
        assert isinstance(found, ManifestSchema1)
        assert json.loads(found.history[0].v1Compatibility)["author"] == "Zoë 漢"
        assert ManifestRef("old", "1", client).fetch().digest == pushed.digest
        with FaultProxy(server.url) as proxy:
            proxy.rule(tampered)
            with pytest.raises((InvalidManifest, DigestMismatch)):
                ManifestRef("old", "1", DockerRegistryV2Client(proxy.url)).fetch()


def tampered(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
    if "/manifests/" not in request.path:
        return None
    answer = forward()
    answer.body = answer.body.replace(b"amd64", b"arm64")
    answer.set_header("Docker-Content-Digest", None)
    return answer


def test_what_a_registry_does_not_offer_is_not_asked_for_again(faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    put_image(client)
    blob = Blob("app", fileobj=io.BytesIO(b"x"), client=client)
    blob.upload()
    faulty.clear()
    faulty.rule(faults.refuse("", 405, "UNSUPPORTED", "nothing is deleted here", methods=("DELETE",)))
    for delete in (ManifestRef("app", "1", client).delete, blob.delete):
        with pytest.raises(Unsupported):
            delete()
    assert [request.method for request in faulty.requests].count("DELETE") == 2


# Tags


def test_untagging_leaves_the_manifest_and_its_other_tags(client: DockerRegistryV2Client) -> None:
    digest = put_image(client, tag="1")
    put_image(client, tag="same")
    assert Tags("app", client).untag("1") is True
    assert Tags("app", client).list() == ["same"]
    assert ManifestRef("app", digest, client).fetch().digest == digest
    Tags("app", client).untag("same")
    assert ManifestRef("app", digest, client).fetch().digest == digest
    with pytest.raises(ResourceNotFound):
        Tags("app", client).untag("1")


def test_untagging_a_docker_image_leaves_it(client: DockerRegistryV2Client) -> None:
    config = Blob("app", fileobj=io.BytesIO(CONFIG), client=client).upload()
    manifest = ManifestSchema2(config={"digest": config.digest, "size": config.size}, layers=[])  # type: ignore[arg-type]
    for tag in ("1", "2"):
        ManifestRef("app", tag, client).put(manifest)
    Tags("app", client).untag("2")
    assert Tags("app", client).list() == ["1"]
    assert ManifestRef("app", "1", client).fetch().digest == manifest.digest


def test_where_nothing_is_deleted_no_tag_is_touched(tmp_path: Path) -> None:
    with Registry(tmp_path / "kept", delete=False) as server, FaultProxy(server.url) as proxy:
        client = DockerRegistryV2Client(proxy.url)
        digest = put_image(client)
        proxy.clear()
        with pytest.raises(Unsupported):
            Tags("app", client).untag("1")
        assert not [request for request in proxy.requests if request.method in ("PUT", "POST", "PATCH")]
        assert ManifestRef("app", "1", client).fetch().digest == digest


def test_a_tag_that_moved_meanwhile_comes_back_as_what_it_is_now(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server, FaultProxy(server.url) as proxy:
        client = DockerRegistryV2Client(proxy.url)
        put_image(client)
        moved: list[Digest] = []

        def while_it_is_asked(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            if request.method == "DELETE" and "sha256:" in request.path:
                if moved:
                    return ProxyResponse(403)
                moved.append(put_image(DockerRegistryV2Client(server.url), annotations={"a": "b"}))
            return None

        proxy.rule(while_it_is_asked)
        with pytest.raises(RequestError):
            Tags("app", client).untag("1")
        assert [ManifestRef("app", "1", client).fetch().digest] == moved


def test_a_tag_whose_stand_in_cannot_be_deleted_comes_back(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server, FaultProxy(server.url) as proxy:
        client = DockerRegistryV2Client(proxy.url)
        digest = put_image(client)
        deletions: list[str] = []

        def only_the_first_two(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            if request.method == "DELETE":
                deletions.append(request.path)
                if len(deletions) > 2:
                    return ProxyResponse(403)
            return None

        proxy.rule(only_the_first_two)
        with pytest.raises(RequestError):
            Tags("app", client).untag("1")
        assert len(deletions) == 3
        assert ManifestRef("app", "1", client).fetch().digest == digest


# Others read it


def test_what_was_pushed_is_read_by_skopeo(client: DockerRegistryV2Client, tmp_path: Path) -> None:
    put_image(client)
    host = client.api_base_url.removeprefix("http://")
    skopeo(
        "copy",
        "-q",
        "--preserve-digests",
        "--src-tls-verify=false",
        f"docker://{host}/app:1",
        f"oci:{tmp_path / 'copy'}:app",
    )
    raw = ManifestRef("app", "1", client).fetch().raw
    copied = tmp_path / "copy" / "blobs" / "sha256" / hashlib.sha256(raw).hexdigest()
    assert copied.read_bytes() == raw
    assert isinstance(ManifestRef("app", "1", client).get(), OCIManifestSchema1)


def test_what_skopeo_pushed_is_deleted(
    client: DockerRegistryV2Client, writable: Registry | OCIRegistry, layout: Path
) -> None:
    push(layout, writable, only="base:1")
    digest = ManifestRef("base", "1", client).fetch().digest
    assert ManifestRef("base", "1", client).delete()
    assert ManifestRef("base", digest, client).get_metadata() is None


def test_too_many_requests_are_waited_for_when_writing(faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    faulty.rule(faults.too_many(3, "0"))
    assert Blob("app", fileobj=io.BytesIO(b"x"), client=client).upload()
    assert put_image(client)


# Referrers


def artifact(client: DockerRegistryV2Client, subject: Digest, number: int = 0, repository: str = "app") -> Digest:
    """Push an artifact about `subject`."""
    empty = Blob(repository, Digest.of(b"{}"), fileobj=io.BytesIO(b"{}"), client=client).upload()
    there = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty.digest, "size": 2}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/example",
        "config": there,
        "layers": [there],
        "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": 1},
        "annotations": {"number": str(number)},
    }
    raw = json.dumps(document).encode()
    return ManifestRef(repository, Digest.of(raw), client).put(raw).digest


def referrers(client: DockerRegistryV2Client, subject: Digest) -> dict[str, tuple[str | None, str]]:
    """What refers to `subject`, by the API or under its fallback tag."""
    found = list_referrers(client, "app", subject)
    if found is None:
        index = ManifestRef("app", fallback_tag(subject), client).get(OCI_INDEX)
        assert isinstance(index, OCIIndex)
        found = list(index.manifests)
    return {entry.digest: (entry.artifactType, entry.annotations["number"]) for entry in found}


def test_an_artifact_is_found_by_its_subject(client: DockerRegistryV2Client) -> None:
    subject = put_image(client)
    pushed = [artifact(client, subject, number) for number in range(3)]
    artifact(client, subject, 0)  # once more
    assert referrers(client, subject) == {
        digest: ("application/example", str(number)) for number, digest in enumerate(pushed)
    }
    ManifestRef("app", pushed[1], client).delete()
    assert set(referrers(client, subject)) == {pushed[0], pushed[2]}


def test_where_the_registry_counts_referrers_itself_no_fallback_tag_is_made() -> None:
    with OCIRegistry() as server:
        client = DockerRegistryV2Client(server.url)
        artifact(client, put_image(client))
        assert Tags("app", client).list() == ["1"]


def test_nobodys_referrer_is_lost_when_several_push_at_once(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server:
        clients = [DockerRegistryV2Client(server.url) for _ in range(4)]
        subject = put_image(clients[0])
        artifact(clients[0], subject, 99)  # docker-registry is confused by who pushes one blob at the same time
        with ThreadPoolExecutor(4) as pool:
            pushed = list(pool.map(lambda number: artifact(clients[number % 4], subject, number), range(12)))
        assert set(referrers(clients[0], subject)) > set(pushed)


def test_a_tag_that_should_hold_referrers_and_does_not_is_left_alone(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server:
        client = DockerRegistryV2Client(server.url)
        subject = put_image(client)
        other = put_image(client, tag=fallback_tag(subject), annotations={"a": "b"})
        with pytest.raises(InvalidManifest, match="index of referrers"):
            artifact(client, subject)
        assert ManifestRef("app", fallback_tag(subject), client).fetch().digest == other


def test_the_fallback_tag_of_a_longer_digest_is_cut_as_the_specification_says() -> None:
    digest = Digest.of(b"x", "sha512")
    assert fallback_tag(digest) == f"sha512-{digest.encoded[:64]}"
    assert fallback_tag(Digest.of(b"x")) == f"sha256-{Digest.of(b'x').encoded}"
