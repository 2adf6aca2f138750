"""One tag removed, and nothing else, at docker-registry and at a registry with the whole OCI API."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from regscope.errors import (
    PermissionDeny,
    RequestError,
    ResourceNotFound,
    Unsupported,
)
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.tags import Tags
from regscope.spec.digest import Digest
from regscope.spec.manifest import ManifestSchema2
from tests.lab.drawn_registries import Contents, image, index, layer
from tests.lab.pushes import CONFIG, put_image
from tests.servers import deleting, faults
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry, distribution_3


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
        assert deletions[2:] == [deletions[2]] * 2  # the stand-in, once more after the tag has come back
        assert ManifestRef("app", "1", client).fetch().digest == digest


@pytest.fixture
def tag_deleting(tmp_path: Path) -> Iterator[FaultProxy]:
    """Before a registry that deletes tags by their names."""
    with Registry(tmp_path / "deletes-tags", program=distribution_3()) as server, FaultProxy(server.url) as proxy:
        yield proxy


def test_a_manifest_that_is_stored_under_its_tag_alone_stays(tag_deleting: FaultProxy) -> None:
    tag_deleting.rule(deleting.with_the_last_tag(tag_deleting, unless_put_by_digest=True))
    client = DockerRegistryV2Client(tag_deleting.url)
    digest = put_image(client)
    Tags("app", client).untag("1")
    assert Tags("app", client).list() == []
    assert ManifestRef("app", digest, client).fetch().digest == digest


def test_a_tag_whose_manifest_goes_with_it_in_any_case_comes_back(tag_deleting: FaultProxy) -> None:
    tag_deleting.rule(deleting.with_the_last_tag(tag_deleting))
    client = DockerRegistryV2Client(tag_deleting.url)
    digest = put_image(client)
    put_back = [digest]

    def nor_by_digest(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        is_put = request.method == "PUT" and request.path.endswith(digest)
        return ProxyResponse(201, [("Docker-Content-Digest", digest)]) if is_put else None

    tag_deleting.rule(nor_by_digest)
    with pytest.raises(RequestError, match=r"deletes sha256:.* with its last tag, so the tag app:1 was set again"):
        Tags("app", client).untag("1")
    assert [ManifestRef("app", "1", client).fetch().digest] == put_back


def test_a_login_that_may_not_push_is_told_before_a_tag_is_removed(tag_deleting: FaultProxy) -> None:
    client = DockerRegistryV2Client(tag_deleting.url)
    digest = put_image(client)
    tag_deleting.rule(faults.refuse("/manifests/", 403, "DENIED", "pull and delete only", methods=["PUT"]))
    with pytest.raises(PermissionDeny, match="was not removed"):
        Tags("app", client).untag("1")
    assert ManifestRef("app", "1", client).fetch().digest == digest


def test_an_index_that_lacks_a_child_can_be_untagged(tmp_path: Path) -> None:
    """No registry takes it back by its digest; and that is no reason to keep its tag."""
    with Registry(tmp_path / "registry", program=distribution_3()) as server:
        child = image([layer("child", 10)], 1)
        whole = index([child])
        Contents(pushes=[("app", "1", whole)], deletions=[("app", child.digest)]).push_to(server.url)
        client = DockerRegistryV2Client(server.url)
        Tags("app", client).untag("1")
        assert Tags("app", client).list() == []
        assert ManifestRef("app", whole.digest, client).fetch().raw == whole.raw


def test_removal_that_comes_later_is_waited_for_and_one_that_never_comes_is_an_error(tag_deleting: FaultProxy) -> None:
    patient = DockerRegistryV2Client(tag_deleting.url)
    digest = put_image(patient)

    def accepted(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method == "DELETE" and request.path.endswith("/manifests/1"):
            if late:
                threading.Timer(0.6, deleting.ask, (tag_deleting, "DELETE", request.path)).start()
            return ProxyResponse(202)
        return None

    late = False
    tag_deleting.rule(accepted)
    with pytest.raises(RequestError, match="accepted the deletion of the tag app:1, and still serves it"):
        Tags("app", DockerRegistryV2Client(tag_deleting.url, retry_policy=RetryPolicy(settling=1))).untag("1")
    late = True
    Tags("app", patient).untag("1")
    assert Tags("app", patient).list() == []
    assert ManifestRef("app", digest, patient).fetch().digest == digest


@pytest.mark.parametrize("program", ["docker-registry", "distribution-3"])
def test_a_stranger_cannot_pass_an_image_off_as_a_stand_in(tmp_path: Path, program: str) -> None:
    with Registry(tmp_path / "registry", program=None if program == "docker-registry" else distribution_3()) as server:
        client = DockerRegistryV2Client(server.url)
        digest = put_image(client, tag="1", annotations={"regscope.stands-in": "0" * 32})
        put_image(client, tag="protected", annotations={"regscope.stands-in": "0" * 32})
        Tags("app", client).untag("1")
        assert Tags("app", client).list() == ["protected"]
        assert ManifestRef("app", "protected", client).fetch().digest == digest


def test_other_tags_that_are_deleted_along_come_back(tag_deleting: FaultProxy) -> None:
    tag_deleting.rule(deleting.with_any_tag(tag_deleting))
    client = DockerRegistryV2Client(tag_deleting.url)
    digest = put_image(client)
    put_image(client, tag="2")
    other = put_image(client, tag="other", annotations={"a": "b"})
    Tags("app", client).untag("1")
    assert {tag: ManifestRef("app", tag, client).fetch().digest for tag in Tags("app", client).list()} == {
        "2": digest, "other": other,
    }  # fmt: skip
