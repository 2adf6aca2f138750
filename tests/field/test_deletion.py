"""What is deleted goes, and nothing else: on servers that each have their own idea of a tag."""

from __future__ import annotations

import pytest

from regscope.errors import RegscopeError
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.tags import Tags
from tests.field.contents import made, multi
from tests.field.kinds import chosen
from tests.field.servers.server import FieldServer
from tests.field.wire import Wire, in_time, to_the_token_service_through
from tests.servers.proxy import FaultProxy

SERVERS = chosen(lambda kind: kind.deletes)


@pytest.mark.parametrize("by_digest", [False, True], ids=["pushed by tag alone", "pushed by digest too"])
def test_untagging_keeps_the_other_tag_and_the_manifest(
    client: DockerRegistryV2Client, server: FieldServer, wire: Wire, repository: str, by_digest: bool
) -> None:
    image = made(repository, "one")
    wire.push(repository, image, "one", "two", by_digest=by_digest)
    Tags(repository, client).untag("one")
    server.settle()
    assert wire.state(repository) == {"two": image.digest}
    assert wire.digest(repository, "one") is None
    assert wire.missing(repository, "two") == []


@pytest.mark.parametrize("by_digest", [False, True], ids=["pushed by tag alone", "pushed by digest too"])
def test_untagging_keeps_a_manifest_that_has_no_other_tag(
    client: DockerRegistryV2Client, server: FieldServer, wire: Wire, repository: str, by_digest: bool
) -> None:
    image = made(repository, "only")
    wire.push(repository, image, "only", by_digest=by_digest)
    Tags(repository, client).untag("only")
    server.settle()
    assert wire.tags(repository) == []
    assert wire.missing(repository, image.digest) == []


def test_untagging_a_child_of_an_index_leaves_the_index_whole(
    client: DockerRegistryV2Client, server: FieldServer, wire: Wire, repository: str
) -> None:
    """Its children were pushed by tag alone, as `docker manifest create` wants them."""
    index = multi(repository)
    for machine, child in zip(("amd64", "arm64"), index.children, strict=True):
        wire.push(repository, child, machine, by_digest=False)
    put = wire.ask("PUT", repository, "manifests/multi", data=index.raw, headers={"Content-Type": index.media_type})
    assert put.status_code == 201
    Tags(repository, client).untag("amd64")
    server.settle()
    assert wire.state(repository) == {"multi": index.digest, "arm64": index.children[1].digest}
    assert wire.missing(repository, "multi") == []


def test_deleting_a_digest_takes_every_tag_on_it_or_says_which_stay(
    client: DockerRegistryV2Client, server: FieldServer, wire: Wire, repository: str
) -> None:
    image, other = made(repository, "one"), made(repository, "other")
    tags = [f"tag-{number}" for number in range(5)]
    wire.push(repository, image, *tags)
    wire.push(repository, other, "other")
    told = ""
    try:
        assert ManifestRef(repository, image.digest, client).delete()
    except RegscopeError as error:
        told = str(error)
    server.settle()
    left = {tag for tag, digest in wire.state(repository).items() if digest == image.digest}
    assert {tag for tag in left if tag not in told} == set()
    assert told or wire.digest(repository, image.digest) is None
    assert wire.digest(repository, "other") == other.digest
    assert wire.missing(repository, "other") == []


def test_deleting_an_index_leaves_what_has_a_tag_of_its_own(
    client: DockerRegistryV2Client, server: FieldServer, wire: Wire, repository: str
) -> None:
    index = multi(repository)
    wire.push(repository, index, "multi")
    wire.push(repository, index.children[0], "amd64")
    assert ManifestRef(repository, "multi", client).delete()
    server.settle()
    assert wire.digest(repository, index.digest) is None
    assert wire.state(repository) == {"amd64": index.children[0].digest}
    assert wire.missing(repository, "amd64") == []


def test_deleting_leaves_the_same_manifest_in_another_repository_whole(
    client: DockerRegistryV2Client, server: FieldServer, wire: Wire, repository: str
) -> None:
    image = made(repository, "one")
    for name in (repository, f"{repository}-too"):
        wire.push(name, image, "one")
    assert ManifestRef(repository, image.digest, client).delete()
    server.settle()
    server.collect()
    assert wire.digest(repository, image.digest) is None
    assert wire.missing(f"{repository}-too", "one") == []


def test_what_was_deleted_is_gone_when_the_call_returns(
    client: DockerRegistryV2Client, wire: Wire, repository: str
) -> None:
    """Some begin a deletion and answer before it is done: 202 (RFC 9110, 15.3.3)."""
    image = made(repository, "one")
    wire.push(repository, image, "one")
    assert ManifestRef(repository, image.digest, client).delete()
    assert wire.digest(repository, image.digest) is None
    assert wire.tags(repository) == []


def test_what_is_not_there_is_an_error_and_not_a_success(
    client: DockerRegistryV2Client, wire: Wire, repository: str
) -> None:
    image = made(repository, "one")
    wire.push(repository, image, "one")
    for delete in (
        lambda: Tags(repository, client).untag("absent"),
        lambda: ManifestRef(repository, "absent", client).delete(),
        lambda: ManifestRef(repository, made(repository, "never pushed").digest, client).delete(),
    ):
        with pytest.raises(RegscopeError) as caught:
            delete()
        assert getattr(caught.value, "status_code", None) == 404
    assert ManifestRef(repository, "absent", client).delete(raise_not_found=False) is False
    assert wire.state(repository) == {"one": image.digest}


def test_repeated_deletions_ask_for_one_token(server: FieldServer, wire: Wire, repository: str) -> None:
    images = [made(repository, f"image {number}") for number in range(5)]
    for number, image in enumerate(images):
        wire.push(repository, image, f"tag-{number}")
    with FaultProxy(server.url) as proxy:
        proxy.rule(to_the_token_service_through(proxy))
        with DockerRegistryV2Client(proxy.url, **server.login()) as client:
            ManifestRef(repository, images[0].digest, client).delete()
            first = _refused_and_tokens(proxy)
            for image in images[1:]:
                ManifestRef(repository, image.digest, client).delete()
        assert _refused_and_tokens(proxy) == first
        assert first[1] <= 3  # one to be let in, one to read, one to delete
    assert in_time(lambda: wire.digest(repository, images[4].digest), None) is None


def _refused_and_tokens(proxy: FaultProxy) -> tuple[int, int]:
    asked = proxy.requests
    return sum(request.status == 401 for request in asked), sum("token" in request.path for request in asked)
