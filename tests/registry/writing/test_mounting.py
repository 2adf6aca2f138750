"""Blobs mounted from another repository: where that is refused they are uploaded, and it is not asked again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.local_content import LocalContent
from regscope.spec.digest import Digest
from regscope.stores.registry_destination import RegistryDestination
from tests.lab.pushes import LARGE
from tests.servers import faults
from tests.servers.empty import empty_registry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse, Rule
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService

SMALL = b"a small one"


@pytest.fixture(params=["docker-registry", "distribution 3"])
def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultProxy]:
    """An empty registry behind a proxy."""
    with empty_registry(request.param, tmp_path / "registry") as server, FaultProxy(server.url) as proxy:
        yield proxy


def mounts(answer: ProxyResponse) -> Rule:
    """Answer each mount so."""
    return lambda request, forward: answer if "mount=" in request.path else None


def asked(proxy: FaultProxy) -> int:
    """How many mounts were asked for."""
    return len([request for request in proxy.requests if "mount=" in request.path])


def push(client: DockerRegistryV2Client, content: bytes, repository: str = "from/here") -> Digest:
    """Push it there."""
    return Blob(repository, fileobj=io.BytesIO(content), client=client).upload().digest


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 415, 422, 500, 501, 503, 200, 202, 204])
def test_whatever_a_mount_is_answered_the_blob_arrives(faulty: FaultProxy, status: int, content: bytes) -> None:
    client = DockerRegistryV2Client(faulty.url)
    digest = push(client, content)
    headers = [("WWW-Authenticate", 'Basic realm="x"')] if status == 401 else []
    faulty.rule(mounts(ProxyResponse(status, headers)))
    taken = RegistryDestination(client).take_blob("to/there", digest, LocalContent.of(content), "from/here")
    assert taken == "sent"
    assert Blob("and/there", digest, client=client).mount_from("from/here").size == len(content)
    for repository in ("to/there", "and/there"):
        assert Blob(repository, digest, client=client).read(2**23) == content


def test_a_mount_whose_connection_breaks_is_an_upload(faulty: FaultProxy) -> None:
    def hangs_up(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if "mount=" in request.path:
            raise ConnectionResetError
        return None

    client = DockerRegistryV2Client(faulty.url)
    digest = push(client, SMALL)
    faulty.rule(hangs_up)
    assert Blob("to/there", digest, client=client).mount_from("from/here").digest == digest


def test_created_is_believed_only_of_what_is_there(faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    digest = push(client, LARGE)
    faulty.rule(mounts(ProxyResponse(201)))
    destination = RegistryDestination(client)
    assert destination.take_blob("to/there", digest, LocalContent.of(LARGE), "from/here") == "sent"
    assert Blob("to/there", digest, client=client).read(2**23) == LARGE


def test_a_registry_without_mounts_is_asked_once(faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    for number, status in enumerate([400, 404, 405, 415]):
        client.uploads.mounts = True
        faulty.clear()
        faulty.rule(mounts(ProxyResponse(status)))
        for content in (b"one", b"another", b"a third"):
            place = RegistryDestination(client)
            place.take_blob(f"to/there{number}", Digest.of(content), LocalContent.of(content), "from/here")
        assert asked(faulty) == 1


def test_where_one_repository_may_not_be_read_others_are_still_mounted_from(faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    digests = {content: push(client, content, "open") for content in (b"one", b"another")}
    faulty.rule(
        lambda request, forward: (
            ProxyResponse(403) if "mount=" in request.path and request.path.endswith("from=secret") else None
        )
    )
    faulty.requests.clear()
    place = RegistryDestination(client)
    for content in (b"one", b"another"):
        place.take_blob("to", digests[content], LocalContent.of(content), "secret")
    assert asked(faulty) == 1
    assert place.take_blob("to/too", digests[b"one"], LocalContent.of(b"one"), "open") == "mounted"


def test_what_is_not_in_one_repository_says_nothing_of_other_blobs(faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    digest = push(client, SMALL)
    faulty.rule(faults.refuse("mount=", 404, "BLOB_UNKNOWN", "not here", times=1))
    place = RegistryDestination(client)
    place.take_blob("to/there", Digest.of(b"elsewhere"), LocalContent.of(b"elsewhere"), "from/here")
    assert place.take_blob("to/there", digest, LocalContent.of(SMALL), "from/here") == "mounted"


def test_what_is_there_already_is_not_sent_where_a_mount_is_refused(faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    digest = push(client, LARGE, "to/there")
    faulty.rule(mounts(ProxyResponse(404)))
    taken = RegistryDestination(client).take_blob("to/there", digest, LocalContent.of(LARGE), "from/here")
    assert taken == "there"


def test_a_login_that_may_not_read_the_source_still_pushes(tmp_path: Path) -> None:
    grants = {"ann": {"to/*": {"pull", "push"}}, "root": {"*": {"pull", "push"}}}
    users = {"ann": "a", "root": "r"}
    with (
        TokenService(tmp_path / "tokens", users=users, grants=grants) as tokens,
        Registry(tmp_path / "registry", token=tokens) as server,
    ):
        digest = push(DockerRegistryV2Client(server.url, "root", "r"), LARGE, "from/here")
        client = DockerRegistryV2Client(server.url, "ann", "a")
        place = RegistryDestination(client)
        for content in (LARGE, SMALL):
            place.take_blob("to/there", Digest.of(content), LocalContent.of(content), "from/here")
            assert Blob("to/there", Digest.of(content), client=client).read(2**23) == content
        assert digest == Digest.of(LARGE)
        with pytest.raises(Exception, match="may not"):
            Blob("from/here", digest, client=client).stat()
