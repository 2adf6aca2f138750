"""Removing a tag while another one is being written: distribution deletes the manifest, and stumbles over the tags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.registry.tags import Tags
from tests.lab.drawn_registries import Contents, Pushed, image, layer
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry

TAGS = "docker/registry/v2/repositories/app/_manifests/tags"
OLD, NEW = image([layer("old", 50)], 9), image([layer("new", 50)], 1)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        Contents(pushes=[("app", "stays", OLD), ("app", "goes", OLD)]).push_to(running.url)
        yield running


@pytest.fixture
def half_written(registry: Registry) -> Path:
    """The link of a tag between its making and its writing."""
    link = registry.storage / TAGS / "being-written" / "current" / "link"
    link.parent.mkdir(parents=True)
    link.touch()
    return link


def written_after(proxy: FaultProxy, link: Path, deletions: int, meanwhile: Pushed | None = None) -> None:
    """The other tag is there once so many deletions of what is there were tried; and `goes` is pushed by somebody."""
    tried = 0

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        nonlocal tried
        answer = forward()
        if request.method == "DELETE" and answer.status == 500:
            tried += 1
            if tried == deletions:
                link.write_text(OLD.digest)
            if meanwhile is not None:
                Contents(pushes=[("app", "goes", meanwhile)]).push_to(proxy.upstream)
        return answer

    proxy.rule(rule)


@pytest.mark.parametrize("deletions", [1, 2])
def test_the_tag_is_gone_though_the_registry_stumbled(registry: Registry, half_written: Path, deletions: int) -> None:
    with FaultProxy(registry.url) as proxy:
        written_after(proxy, half_written, deletions)
        Tags("app", rs.DockerRegistryV2Client(proxy.url)).untag("goes")
    store = rs.open(f"storage:{registry.storage}")
    assert store.tags("app") == ["being-written", "stays"]
    assert store.untagged("app") == []
    assert store.resolve("app", "stays") == OLD.digest


def test_a_tag_that_the_registry_cannot_remove_is_as_it_was_and_no_success(
    registry: Registry, half_written: Path
) -> None:
    with pytest.raises(rs.RequestError, match="goes") as caught:
        Tags("app", rs.DockerRegistryV2Client(registry.url)).untag("goes")
    assert not isinstance(caught.value, rs.ResourceNotFound)
    half_written.write_text(OLD.digest)
    assert rs.open(registry.url, cache=False).resolve("app", "goes") == OLD.digest


def test_what_somebody_pushes_meanwhile_is_left_alone(registry: Registry, half_written: Path) -> None:
    with FaultProxy(registry.url) as proxy:
        written_after(proxy, half_written, 1, meanwhile=NEW)
        Tags("app", rs.DockerRegistryV2Client(proxy.url)).untag("goes")
    assert rs.open(registry.url, cache=False).resolve("app", "goes") == NEW.digest
