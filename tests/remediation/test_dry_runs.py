"""A dry run finds out what the run would, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import PermissionDeny, RegscopeError, Unsupported
from regscope.registry.deletion import Deletion
from tests.lab.drawn_registries import Contents, image, layer, state
from tests.lab.layouts import write
from tests.servers import deleting, faults
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry, distribution_3

KEPT, OLD = image([layer("kept", 50)], 1), image([layer("old", 50)], 90)


@pytest.fixture(params=["docker-registry", "distribution-3"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultProxy]:
    program = None if request.param == "docker-registry" else distribution_3()
    with Registry(tmp_path / "registry", program=program) as server, FaultProxy(server.url) as made:
        pushes = [("app", "stable", KEPT), ("app", "old-alias", KEPT), ("app", "old", OLD)]
        Contents(pushes=[*pushes]).push_to(server.url)
        yield made


def of_tags(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
    is_of_a_tag = request.method == "DELETE" and "/manifests/sha256:" not in request.path
    return deleting.refused(403, "DENIED") if is_of_a_tag else None


def of_writes(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
    return deleting.refused(403, "DENIED") if request.method in ("PUT", "POST", "PATCH") else None


REFUSALS: dict[str, tuple[Callable[[ProxyRequest, Forward], ProxyResponse | None], type[RegscopeError]]] = {
    "every deletion, as off": (faults.refuse("/manifests/", 405, "UNSUPPORTED", "off", ["DELETE"]), Unsupported),
    "every deletion, by scope": (faults.refuse("/manifests/", 403, "DENIED", "no", ["DELETE"]), PermissionDeny),
    "the deletion of tags": (of_tags, PermissionDeny),
    "every push, which untagging needs": (of_writes, PermissionDeny),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_a_run_is_refused_a_dry_run_is_refused_too(proxy: FaultProxy, tmp_path: Path, what: str) -> None:
    snap = rs.scan(rs.open(proxy.url, cache=False), progress=False)
    plan, before = rs.plan(snap, rs.Retention(tags="old*")), state(proxy.url, snap)
    rule, error = REFUSALS[what]
    proxy.rule(rule)
    with pytest.raises(error):
        plan.apply(rs.open(proxy.url, cache=False), progress=False)
    try:
        done = plan.apply(
            rs.open(proxy.url, cache=False), dry_run=False, journal=tmp_path / "journal", concurrency=1, progress=False
        )
        assert isinstance(done.stopped_by, error)
        assert "done" not in done.counts()
    except error:
        assert not (tmp_path / "journal").exists()
    proxy.clear()
    assert state(proxy.url, snap) == before


@pytest.mark.parametrize("status", [400, 403])
def test_how_tags_go_is_told_and_so_they_go(proxy: FaultProxy, tmp_path: Path, status: int) -> None:
    """Where a manifest with a tag is refused, its tags go first."""
    snap = rs.scan(rs.open(proxy.url, cache=False), progress=False)
    plan, before = rs.plan(snap, rs.Retention(tags="old*")), state(proxy.url, snap)
    store = rs.open(proxy.url, cache=False)
    by_name = Deletion(rs.DockerRegistryV2Client(proxy.url), "app").knows_tags()
    if by_name:
        proxy.rule(deleting.refuses_tagged(proxy, status, "DENIED"))
    dry = plan.apply(store, progress=False)
    assert ("deleted by name, before their manifest" if by_name else "deletes no tag by name") in repr(dry)
    assert dry.counts() == {"would be done": len(plan.steps)}
    assert state(proxy.url, snap) == before
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.counts() == {"done": len(plan.steps)}, repr(done)
    assert store.tags("app") == ["stable"]


def test_in_a_layout_there_is_nothing_to_find_out(tmp_path: Path) -> None:
    store = rs.open(f"oci:{write(tmp_path / 'layout', {'app:old': OLD, 'app:stable': KEPT})}")
    dry = rs.plan(rs.scan(store, progress=False), rs.Retention(tags="old*")).apply(store, progress=False)
    assert (dry.counts(), dry.tags_go) == ({"would be done": 1}, "")
