"""What the probe says a server can do is what it does when it is asked to; what it cannot know it leaves open."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from regscope.registry.capabilities import probe_capabilities
from regscope.registry.client import DockerRegistryV2Client
from regscope.spec.digest import Digest
from tests.field.contents import made
from tests.field.kinds import chosen
from tests.field.wire import Wire, in_time

SERVERS = chosen()


def lists_repositories(wire: Wire, filling: Wire, repository: str) -> bool:
    return wire.catalog() is not None


def deletes_a_manifest(wire: Wire, filling: Wire, repository: str) -> bool:
    digest = filling.push(repository, made(repository, "to go"))
    if wire.ask("DELETE", repository, f"manifests/{digest}").status_code >= 300:
        return False
    return in_time(lambda: wire.digest(repository, digest), None) is None


def deletes_a_tag(wire: Wire, filling: Wire, repository: str) -> bool:
    filling.push(repository, made(repository, "to stay"), "to-go")
    if wire.ask("DELETE", repository, "manifests/to-go").status_code >= 300:
        return False
    return in_time(lambda: wire.digest(repository, "to-go"), None) is None


def lists_referrers(wire: Wire, filling: Wire, repository: str) -> bool:
    return wire.ask("GET", repository, f"referrers/{Digest.of(b'unknown')}").status_code == 200


def sends_a_part(wire: Wire, filling: Wire, repository: str) -> bool:
    image = made(repository, "probed")
    answer = wire.ask("GET", repository, f"blobs/{Digest.of(image.blobs[1])}", headers={"Range": "bytes=5-9"})
    return (answer.status_code, answer.content) == (206, image.blobs[1][5:10])


FACTS: dict[str, Callable[[Wire, Wire, str], bool]] = {
    "catalog": lists_repositories,
    "delete": deletes_a_manifest,
    "tag_delete": deletes_a_tag,
    "referrers": lists_referrers,
    "ranges": sends_a_part,
}


@pytest.mark.parametrize("name", FACTS)
def test_the_probe_says_what_the_server_does(
    client: DockerRegistryV2Client, wire: Wire, filling: Wire, repository: str, name: str
) -> None:
    filling.push(repository, made(repository, "probed"), "probed")
    before = wire.state(repository)
    said = probe_capabilities(client, repository)
    assert wire.state(repository) == before
    found = getattr(said, name)
    if found is None:
        assert said.reasons[name]  # it could not be found out without changing anything, and why is told
    else:
        does = FACTS[name](wire, filling, repository)
        assert found is does, f"{name} is said to be {found}, and is {does}"
