"""One tag removed, and nothing else, at docker-registry and at a registry with the whole OCI API."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from regscope.errors import (
    RequestError,
    ResourceNotFound,
    Unsupported,
)
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.tags import Tags
from regscope.spec.digest import Digest
from regscope.spec.manifest import ManifestSchema2
from tests.registry.writing.pushed import CONFIG, put_image
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry


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
