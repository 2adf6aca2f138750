"""After an upload, what is there is what was meant, or it is an error; a blob is looked for as the registry allows."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regscope.errors import ContentError, PermissionDeny
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.local_content import LocalContent
from regscope.registry.retry_policy import RetryPolicy
from regscope.spec.digest import Digest
from regscope.stores.registry_destination import RegistryDestination
from tests.lab.pushes import LARGE
from tests.servers import faults
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse, Rule
from tests.servers.registry import Registry

QUICK = RetryPolicy(backoff=0.001)


def accepted(digest: str | None, *, keep: bool = True) -> Rule:
    """Answer what ends an upload by 201 and this digest; kept by the registry or not."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method != "PUT":
            return None
        answer = forward() if keep else ProxyResponse(201)
        answer.set_header("Docker-Content-Digest", digest)
        return answer

    return rule


def push(client: DockerRegistryV2Client, content: bytes) -> None:
    Blob("app", fileobj=io.BytesIO(content), client=client).upload()


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "large"])
def test_another_digest_in_the_answer_is_an_error(faulty: FaultProxy, content: bytes) -> None:
    faulty.rule(accepted(Digest.of(b"another")))
    with pytest.raises(ContentError, match="hash to"):
        push(DockerRegistryV2Client(faulty.url), content)


@pytest.mark.parametrize("stated", [None, "nonsense", "", Digest.of(LARGE, "sha512")])
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_an_answer_that_proves_nothing_is_looked_behind(faulty: FaultProxy, content: bytes, stated: str | None) -> None:
    faulty.rule(accepted(stated))
    push(DockerRegistryV2Client(faulty.url), content)
    assert [request.method for request in faulty.requests][-1] == "HEAD"
    faulty.clear()
    faulty.rule(accepted(stated, keep=False))
    with pytest.raises(ContentError, match="is not there"):
        push(DockerRegistryV2Client(faulty.url, retry_policy=QUICK), content + b"!")


def test_another_size_is_an_error(faulty: FaultProxy) -> None:
    def cut(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method not in ("HEAD", "GET"):
            return None
        return ProxyResponse(200, [("Content-Length", "3")], b"sma")

    faulty.rule(accepted(None))
    faulty.rule(cut)
    with pytest.raises(ContentError, match="3 bytes there, and 5 were sent"):
        push(DockerRegistryV2Client(faulty.url), b"small")


def test_a_head_that_states_no_length_of_the_blob_is_not_believed(faulty: FaultProxy) -> None:
    faulty.rule(accepted(None))
    faulty.rule(
        lambda request, forward: ProxyResponse(200, [("Content-Length", "0")]) if request.method == "HEAD" else None
    )
    push(DockerRegistryV2Client(faulty.url), b"small")
    assert [request.headers.get("Range") for request in faulty.requests if request.method == "GET"] == ["bytes=0-0"]


def test_an_answer_that_states_the_digest_costs_no_look(faulty: FaultProxy) -> None:
    push(DockerRegistryV2Client(faulty.url), LARGE)
    assert [request.method for request in faulty.requests] == ["POST", "PATCH", "PUT"]


def test_what_went_in_chunks_is_looked_at(faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    client.uploads.chunk = 2**22
    push(client, LARGE)
    assert [request.method for request in faulty.requests] == ["POST", "PATCH", "PATCH", "PUT", "HEAD"]


@pytest.mark.parametrize("status", [401, 403, 405])
def test_who_may_push_and_not_pull_pushes(faulty: FaultProxy, status: int) -> None:
    faulty.rule(lambda request, forward: ProxyResponse(status) if request.method in ("HEAD", "GET") else None)
    faulty.rule(accepted(None))
    client = DockerRegistryV2Client(faulty.url)
    for content in (b"small", LARGE):
        push(client, content)
        Blob("app", Digest.of(content), fileobj=io.BytesIO(content), client=client).upload()
        assert RegistryDestination(client).take_blob("b", Digest.of(content), LocalContent.of(content), None) == "sent"
    faulty.clear()
    assert Blob("app", Digest.of(LARGE), client=client).read(2**23) == LARGE


@pytest.mark.parametrize("refusal", [400, 403, 405])
def test_a_blob_behind_an_address_that_was_signed_for_get_alone_is_there(faulty: FaultProxy, refusal: int) -> None:
    client = DockerRegistryV2Client(faulty.url)
    push(client, LARGE)
    with FaultProxy(faulty.upstream) as storage:
        storage.rule(lambda request, forward: ProxyResponse(refusal) if request.method == "HEAD" else None)
        faulty.rule(faults.redirect("/blobs/sha256", lambda request: storage.url + request.path))
        assert Blob("app", Digest.of(LARGE), client=client).stat().size == len(LARGE)
        taken = RegistryDestination(client).take_blob("app", Digest.of(LARGE), LocalContent.of(LARGE), None)
        assert taken == "there"
        assert max(request.sent for request in storage.requests) < 2**20


def test_a_refusal_of_the_registry_itself_is_not_asked_about_twice(faulty: FaultProxy) -> None:
    faulty.rule(lambda request, forward: ProxyResponse(403) if request.method == "HEAD" else None)
    with pytest.raises(PermissionDeny):
        Blob("app", Digest.of(LARGE), client=DockerRegistryV2Client(faulty.url)).stat()
    assert len(faulty.requests) == 1


@pytest.fixture
def cut_off(tmp_path: Path) -> Iterator[tuple[Registry, bytes]]:
    """A registry that keeps the first 1,000 bytes of a blob, and the blob: what Pulp keeps of a PUT that was cut."""
    content = LARGE[:20_000]
    with Registry(tmp_path / "damaged") as registry:
        push(DockerRegistryV2Client(registry.url), content)
        digest = Digest.of(content)
        os.truncate(registry.blobs / "sha256" / digest.encoded[:2] / digest.encoded / "data", 1000)
        yield registry, content


def by_blob(client: DockerRegistryV2Client, content: bytes) -> None:
    Blob("app", Digest.of(content), fileobj=io.BytesIO(content), client=client).upload()


def by_destination(client: DockerRegistryV2Client, content: bytes) -> None:
    RegistryDestination(client).take_blob("app", Digest.of(content), LocalContent(None, io.BytesIO(content)), None)


@pytest.mark.parametrize("push_again", [by_blob, by_destination])
def test_a_part_of_a_blob_is_not_taken_for_it(
    cut_off: tuple[Registry, bytes], push_again: Callable[[DockerRegistryV2Client, bytes], None]
) -> None:
    """It is sent again, and the registry, which keeps what it has, is not believed when it says that it took it."""
    registry, content = cut_off
    with pytest.raises(ContentError, match=r"has 1,000 bytes there, and 20,000 were sent") as caught:
        push_again(DockerRegistryV2Client(registry.url), content)
    assert caught.value.next_step


@pytest.mark.parametrize("push_again", [by_blob, by_destination])
def test_a_part_of_a_blob_is_mended_where_the_registry_takes_the_whole(
    cut_off: tuple[Registry, bytes], push_again: Callable[[DockerRegistryV2Client, bytes], None]
) -> None:
    registry, content = cut_off
    digest = Digest.of(content)

    def forget_it_first(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method == "PUT":
            (registry.blobs / "sha256" / digest.encoded[:2] / digest.encoded / "data").unlink()
        return None

    with FaultProxy(registry.url) as proxy:
        proxy.rule(forget_it_first)
        push_again(DockerRegistryV2Client(proxy.url), content)
    assert Blob("app", digest, client=DockerRegistryV2Client(registry.url)).read(20_000) == content
