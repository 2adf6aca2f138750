"""A deleted manifest is gone with all its tags, whatever a registry makes of its deletion; or it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import ContentError, PermissionDeny, RequestError, RequestErrorWithResponse, Unsupported
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.tags import Tags
from regscope.spec.digest import Digest
from tests.lab.pushes import put_image
from tests.servers import deleting, faults
from tests.servers.crane import CraneRegistry
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry, distribution_3


@pytest.fixture(params=["docker-registry", "distribution-3", "oci-registry", "crane registry serve"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    servers = {
        "docker-registry": lambda: Registry(tmp_path / "registry"),
        "distribution-3": lambda: Registry(tmp_path / "registry", program=distribution_3()),
        "oci-registry": OCIRegistry,
        "crane registry serve": CraneRegistry,
    }
    with servers[request.param]() as server:
        yield server.url


@pytest.fixture
def tag_deleting(tmp_path: Path) -> Iterator[FaultProxy]:
    """Before a registry that deletes tags by their names."""
    with Registry(tmp_path / "registry", program=distribution_3()) as server, FaultProxy(server.url) as proxy:
        yield proxy


def impatient(url: str) -> DockerRegistryV2Client:
    return DockerRegistryV2Client(url, retry_policy=RetryPolicy(refusals=1, settling=1))


def pushed(url: str, *tags: str) -> Digest:
    client = DockerRegistryV2Client(url)
    digest = put_image(client, tag=tags[0])
    for tag in tags[1:]:
        put_image(client, tag=tag)
    return digest


def assert_gone(url: str, digest: Digest, *left: str) -> None:
    client = DockerRegistryV2Client(url)
    assert ManifestRef("app", digest, client).get_metadata() is None
    store = rs.open(url, cache=False)
    assert [name for name in ("1", "2", "other") if tag_is_served(store, name)] == list(left)


def tag_is_served(store: rs.ContentStore, name: str) -> bool:
    try:
        store.resolve("app", name)
    except rs.ResourceNotFound:
        return False
    return True


@pytest.mark.parametrize("reference", ["tag", "digest"])
def test_every_tag_goes_with_it_and_no_other(url: str, reference: str) -> None:
    digest = pushed(url, "1", "2")
    put_image(DockerRegistryV2Client(url), tag="other", annotations={"a": "b"})
    name = "1" if reference == "tag" else digest
    assert ManifestRef("app", name, DockerRegistryV2Client(url)).delete() is True
    assert_gone(url, digest, "other")


@pytest.mark.parametrize(
    ("status", "code"), [(400, "GOOGLE_MANIFEST_DANGLING_TAG"), (403, "DENIED"), (409, "CONFLICT")]
)
def test_tags_go_first_where_a_manifest_with_tags_is_refused(tag_deleting: FaultProxy, status: int, code: str) -> None:
    digest = pushed(tag_deleting.url, "1", "2")
    tag_deleting.rule(deleting.refuses_tagged(tag_deleting, status, code))
    ManifestRef("app", digest, DockerRegistryV2Client(tag_deleting.url)).delete()
    assert_gone(tag_deleting.url, digest)


def test_a_manifest_that_goes_with_its_last_tag_is_gone_and_no_error(tag_deleting: FaultProxy) -> None:
    digest = pushed(tag_deleting.url, "1", "2")
    tag_deleting.rule(deleting.with_the_last_tag(tag_deleting))
    assert ManifestRef("app", "1", DockerRegistryV2Client(tag_deleting.url)).delete() is True
    assert_gone(tag_deleting.url, digest)


def test_a_tag_that_moves_meanwhile_stays(tag_deleting: FaultProxy) -> None:
    digest = pushed(tag_deleting.url, "1", "2")
    moved: list[Digest] = []

    def while_the_first_goes(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method == "DELETE" and request.path.endswith("/manifests/1") and not moved:
            upstream = DockerRegistryV2Client(tag_deleting.upstream)
            moved.append(put_image(upstream, tag="2", annotations={"a": "b"}))
        return None

    tag_deleting.rule(while_the_first_goes)
    ManifestRef("app", digest, DockerRegistryV2Client(tag_deleting.url)).delete()
    assert_gone(tag_deleting.url, digest, "2")
    assert ManifestRef("app", "2", DockerRegistryV2Client(tag_deleting.url)).fetch().digest == moved[0]


def test_tags_come_back_where_the_manifest_is_refused_after_them(tag_deleting: FaultProxy) -> None:
    digest = pushed(tag_deleting.url, "1", "2")
    tag_deleting.rule(faults.refuse(digest, 403, "DENIED", "not this one", methods=["DELETE"]))
    with pytest.raises(PermissionDeny, match="not this one"):
        ManifestRef("app", digest, DockerRegistryV2Client(tag_deleting.url)).delete()
    store = rs.open(tag_deleting.url, cache=False)
    assert {tag: store.resolve("app", tag) for tag in store.tags("app")} == {"1": digest, "2": digest}


def test_tags_come_back_where_the_second_of_them_is_refused(tag_deleting: FaultProxy) -> None:
    digest = pushed(tag_deleting.url, "1", "2")
    tag_deleting.rule(faults.refuse("/manifests/2", 403, "DENIED", "protected tag", methods=["DELETE"]))
    with pytest.raises(PermissionDeny, match="protected tag"):
        ManifestRef("app", digest, DockerRegistryV2Client(tag_deleting.url)).delete()
    store = rs.open(tag_deleting.url, cache=False)
    assert {tag: store.resolve("app", tag) for tag in store.tags("app")} == {"1": digest, "2": digest}


@pytest.mark.parametrize("status", [202, 500])
def test_what_is_deleted_later_is_waited_for(tag_deleting: FaultProxy, status: int) -> None:
    digest = pushed(tag_deleting.url, "1")
    tag_deleting.rule(deleting.knows_no_tag_deletion())
    tag_deleting.rule(deleting.later(tag_deleting, 0.7, status))
    client = DockerRegistryV2Client(tag_deleting.url, retry_policy=RetryPolicy(refusals=0))
    ManifestRef("app", digest, client).delete()
    assert_gone(tag_deleting.url, digest)


def test_what_is_accepted_and_never_done_is_an_error(tag_deleting: FaultProxy) -> None:
    digest = pushed(tag_deleting.url, "1")
    tag_deleting.rule(deleting.knows_no_tag_deletion())
    tag_deleting.rule(deleting.later(tag_deleting, None))
    with pytest.raises(RequestError, match=r"accepted the deletion .* and still serves it"):
        ManifestRef("app", digest, impatient(tag_deleting.url)).delete()
    assert ManifestRef("app", "1", DockerRegistryV2Client(tag_deleting.url)).fetch().digest == digest


def test_a_tag_that_is_left_and_cannot_be_deleted_is_told() -> None:
    with CraneRegistry() as server, FaultProxy(server.url) as proxy:
        digest = pushed(server.url, "1", "2")
        proxy.rule(deleting.knows_no_tag_deletion())
        with pytest.raises(RequestError, match="still serves its tag 1"):
            ManifestRef("app", digest, impatient(proxy.url)).delete()


@pytest.mark.parametrize("code", ["DENIED", "UNSUPPORTED"])
def test_where_nothing_is_deleted_nothing_is_changed(tag_deleting: FaultProxy, code: str) -> None:
    digest = pushed(tag_deleting.url, "1", "2")
    tag_deleting.rule(faults.refuse("", 405 if code == "UNSUPPORTED" else 403, code, "no", methods=["DELETE"]))
    with pytest.raises(RequestErrorWithResponse, match=code):
        ManifestRef("app", digest, DockerRegistryV2Client(tag_deleting.url)).delete()
    assert Tags("app", DockerRegistryV2Client(tag_deleting.url)).list() == ["1", "2"]


def test_a_registry_without_deletion_that_says_404_is_told_from_one_without_the_manifest(
    tag_deleting: FaultProxy,
) -> None:
    digest = pushed(tag_deleting.url, "1")
    page = ProxyResponse(404, [("Content-Type", "text/html")], b"<html>404 Not Found</html>")
    tag_deleting.rule(lambda request: request.method == "DELETE", lambda request, forward: page)
    with pytest.raises(Unsupported, match=r"the registry has sha256:.*, but answers 404"):
        ManifestRef("app", digest, DockerRegistryV2Client(tag_deleting.url)).delete()
    with pytest.raises(Unsupported):
        Tags("app", DockerRegistryV2Client(tag_deleting.url)).untag("1")
    assert Tags("app", DockerRegistryV2Client(tag_deleting.url)).list() == ["1"]


def test_a_registry_that_takes_tags_along_is_asked_for_them_once(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server, FaultProxy(server.url) as proxy:
        client = DockerRegistryV2Client(proxy.url)
        digests = [put_image(client, tag=f"{number}", annotations={"n": f"{number}"}) for number in range(4)]
        ManifestRef("app", digests[0], client).delete()
        proxy.clear()
        for digest in digests[1:]:
            ManifestRef("app", digest, client).delete()
        assert [request.method for request in proxy.requests] == ["GET", "DELETE", "HEAD", "GET"] * 3
        assert Tags("app", client).list() == []


def test_a_tag_whose_manifest_cannot_be_read_deletes_nothing(tag_deleting: FaultProxy) -> None:
    """A header may name a child of the index that the tag stands for."""
    child = pushed(tag_deleting.url, "1")
    tag_deleting.rule(faults.corrupt_body("/manifests/1"))
    with pytest.raises(ContentError):
        ManifestRef("app", "1", DockerRegistryV2Client(tag_deleting.url)).delete()
    assert ManifestRef("app", child, DockerRegistryV2Client(tag_deleting.url)).fetch().digest == child
