"""Manifests, pushed and deleted, at docker-registry and at a registry with the whole OCI API."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from regscope.errors import (
    DigestMismatch,
    DigestWarning,
    InvalidInput,
    InvalidManifest,
    RequestError,
    ResourceNotFound,
    Unsupported,
)
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.tags import Tags
from regscope.spec.digest import Digest
from regscope.spec.manifest import ManifestSchema1, ManifestSchema2, OCIIndex, OCIManifestSchema1
from regscope.spec.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.lab.images import push, skopeo
from tests.lab.pushes import CONFIG, put_image
from tests.servers import faults
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry


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


@pytest.mark.parametrize("stated", ["nonsense", "sha256:", "{0}, {0}", '"{0}"'])
def test_a_malformed_digest_in_the_answer_to_a_push_is_a_warning(faulty: FaultProxy, stated: str) -> None:
    client = DockerRegistryV2Client(faulty.url)
    put_image(client)
    raw = ManifestRef("app", "1", client).fetch().raw
    answer = ProxyResponse(201, [("Docker-Content-Digest", stated.format(Digest.of(raw)))])
    faulty.rule(lambda request, forward: answer if request.method == "PUT" else None)
    with pytest.warns(DigestWarning):
        assert ManifestRef("app", "2", client).put(raw).digest == Digest.of(raw)


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
    asked = [request.path.rpartition("/")[2] for request in faulty.requests if request.method == "DELETE"]
    assert len(asked) == len(set(asked)) == 3  # whether a tag is deleted, the manifest, the blob


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
