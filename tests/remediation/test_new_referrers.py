"""A referrer that came after a plan was made protects what it refers to, wherever referrers are listed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

import regscope as rs
from regscope.remediation.live_state import LiveState
from tests.lab.drawn_registries import (
    Contents,
    Pushed,
    artifact,
    dashed,
    fallback_list,
    image,
    index,
    layer,
    with_attestation,
)
from tests.lab.layouts import write
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry, distribution_3

SIGNED, OTHER, KEPT = (image([layer("base", 400), layer(name, 60)], 90) for name in ("signed", "other", "kept"))
CHILDREN = [image([layer(f"child {n}", 90)], 9, platform) for n, platform in enumerate(("amd64", "arm64"))]
MULTI = index(CHILDREN)
OLD_SBOM = artifact("sbom", b"known to the plan", OTHER)
PUSHES: list[tuple[str, str | None, Pushed]] = [
    ("app", "old-signed", SIGNED),
    ("app", "old-other", OTHER),
    ("app", "old-multi", MULTI),
    ("app", "stable", KEPT),
    ("app", None, OLD_SBOM),
]
NEW = artifact("sbom", b"came later", SIGNED)
COSIGNED = artifact("signature", b"came later", None)

Pushes = list[tuple[str, str | None, Pushed]]
MANNERS: dict[str, tuple[Pushes, Pushed]] = {
    "fallback tag": ([("app", None, NEW), ("app", dashed(SIGNED.digest), fallback_list([NEW]))], NEW),
    "cosign's signature": ([("app", dashed(SIGNED.digest, ".sig"), COSIGNED)], COSIGNED),
    "cosign's attestation": ([("app", dashed(SIGNED.digest, ".att"), COSIGNED)], COSIGNED),
    "cosign's SBOM": ([("app", dashed(SIGNED.digest, ".sbom"), COSIGNED)], COSIGNED),
}


@pytest.fixture(params=["docker-registry", "distribution-3"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """Without an API for referrers: these stand under tags."""
    program = None if request.param == "docker-registry" else distribution_3()
    with Registry(tmp_path / "registry", program=program) as running:
        Contents(pushes=[*PUSHES, ("app", dashed(OTHER.digest), fallback_list([OLD_SBOM]))]).push_to(running.url)
        yield running


def planned(url: str) -> rs.Plan:
    return rs.plan(rs.scan(rs.open(url, cache=False), progress=False), rs.Retention(tags="old-*"))


def applied(plan: rs.Plan, url: str, journal: Path, *, dry_run: bool = False) -> rs.Applied:
    store = rs.open(url, cache=False)
    return plan.apply(store, dry_run=dry_run, journal=journal, concurrency=1, progress=False)


def skipped(done: rs.Applied) -> dict[str, str]:
    rows = done.table[done.table["outcome"] == "skipped"]
    return dict(zip(rows["digest"], rows["reason"], strict=True))


def assert_kept_alone(done: rs.Applied, url: str, kept: Pushed, newcomer: Pushed) -> None:
    """Nothing else that was planned stays, and the reason says what came."""
    assert done.ok, repr(done)
    assert list(skipped(done)) == [kept.digest]
    assert f"{newcomer.digest}, which was pushed after the plan was made, refers to it" in skipped(done)[kept.digest]
    store = rs.open(url, cache=False)
    assert store.manifest("app", kept.digest).raw == kept.raw
    for gone in {OTHER, SIGNED, MULTI} - {kept}:
        with pytest.raises(rs.ResourceNotFound):
            store.manifest("app", gone.digest)


@pytest.mark.parametrize("manner", MANNERS)
def test_under_a_tag_it_keeps_its_subject(registry: Registry, tmp_path: Path, manner: str) -> None:
    plan = planned(registry.url)
    pushes, newcomer = MANNERS[manner]
    Contents(pushes=pushes).push_to(registry.url)
    dry = applied(plan, registry.url, tmp_path / "journal", dry_run=True)
    done = applied(plan, registry.url, tmp_path / "journal")
    assert skipped(dry) == skipped(done)
    assert_kept_alone(done, registry.url, SIGNED, newcomer)


def test_in_a_list_that_was_there_it_keeps_its_subject(registry: Registry, tmp_path: Path) -> None:
    plan = planned(registry.url)
    newcomer = artifact("signature", b"one more", OTHER)
    listed = fallback_list([OLD_SBOM, newcomer])
    Contents(pushes=[("app", None, newcomer), ("app", dashed(OTHER.digest), listed)]).push_to(registry.url)
    done = applied(plan, registry.url, tmp_path / "journal")
    assert newcomer.digest in skipped(done)[OTHER.digest]
    assert set(skipped(done)) == {OTHER.digest, OLD_SBOM.digest, fallback_list([OLD_SBOM]).digest}
    assert rs.open(registry.url, cache=False).tags("app") == ["old-other", dashed(OTHER.digest), "stable"]


@pytest.mark.parametrize("manner", MANNERS)
def test_so_does_one_that_comes_during_the_run(registry: Registry, tmp_path: Path, manner: str) -> None:
    pushes, newcomer = MANNERS[manner]
    with FaultProxy(registry.url) as proxy:
        plan = planned(proxy.url)
        ahead = itertools.count()

        def meanwhile(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            """Right before the tag of the subject is asked for the last time."""
            asked = request.method == "HEAD" and request.path.endswith("/manifests/old-signed")
            if asked and next(ahead) == 1:
                Contents(pushes=pushes).push_to(registry.url)
            return None

        proxy.rule(meanwhile)
        done = applied(plan, proxy.url, tmp_path / "journal")
        assert next(ahead) > 1
    assert_kept_alone(done, registry.url, SIGNED, newcomer)


def test_so_does_an_index_that_comes_during_the_run(registry: Registry, tmp_path: Path) -> None:
    with FaultProxy(registry.url) as proxy:
        plan, asked = planned(proxy.url), itertools.count()

        def meanwhile(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            is_asked = request.method == "HEAD" and request.path.endswith("/manifests/old-multi")
            if is_asked and next(asked) == 1:
                Contents(pushes=[("app", "fresh", index([KEPT, CHILDREN[1]]))]).push_to(registry.url)
            return None

        proxy.rule(meanwhile)
        done = applied(plan, proxy.url, tmp_path / "journal")
    assert list(skipped(done)) == [CHILDREN[1].digest]
    assert "the tag fresh, which was pushed after the plan was made" in skipped(done)[CHILDREN[1].digest]
    assert rs.open(registry.url, cache=False).manifest("app", CHILDREN[1].digest).raw == CHILDREN[1].raw


def test_threads_that_meet_one_new_index_at_once_all_keep_what_it_needs(registry: Registry) -> None:
    fresh, others = index([*CHILDREN, KEPT]), list[Future[str | None]]()
    with FaultProxy(registry.url) as proxy, ThreadPoolExecutor(1) as pool:
        store, children = rs.open(proxy.url, cache=False), [child.digest for child in CHILDREN]
        tags = {tag: store.resolve("app", tag) for tag in store.tags("app")}
        current = LiveState(store, "app", tags, children, {}, set(children))
        Contents(pushes=[("app", "fresh", fresh)]).push_to(registry.url)

        def meanwhile(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            """While the first thread reads the index, another one looks."""
            if request.method == "GET" and request.path.endswith(fresh.digest) and not others:
                others.append(pool.submit(current.look_again, children[1]))
                wait(others, timeout=1)
            return None

        proxy.rule(meanwhile)
        assert "the tag fresh" in (current.look_again(children[0]) or "")
        assert "the tag fresh" in (others[0].result() or "")


def test_an_image_that_a_new_tag_keeps_keeps_its_attestation(registry: Registry, tmp_path: Path) -> None:
    attested = with_attestation(SIGNED)
    Contents(pushes=[("app", "old-attested", attested)]).push_to(registry.url)
    plan = planned(registry.url)
    assert {attested.digest, *(child.digest for child in attested.children)} <= set(plan.steps["digest"])
    Contents(pushes=[("app", "fresh", SIGNED)]).push_to(registry.url)
    done = applied(plan, registry.url, tmp_path / "journal")
    assert set(skipped(done)) == {child.digest for child in attested.children}
    assert all("the tag fresh" in reason for reason in skipped(done).values())


def test_what_the_plan_knew_is_no_newcomer(registry: Registry, tmp_path: Path) -> None:
    done = applied(planned(registry.url), registry.url, tmp_path / "journal")
    assert set(done.table["outcome"]) == {"done"}
    assert rs.open(registry.url, cache=False).tags("app") == ["stable"]


def test_one_request_for_each_manifest_that_goes(registry: Registry, tmp_path: Path) -> None:
    plan, since = planned(registry.url), len(registry.requests())
    assert applied(plan, registry.url, tmp_path / "journal").ok
    lists = [line for line in registry.requests()[since:] if "/tags/list" in line]
    assert len(lists) == 1 + (plan.steps["action"] == "delete").sum()


@pytest.fixture
def with_api() -> Iterator[OCIRegistry]:
    with OCIRegistry() as running:
        Contents(pushes=PUSHES).push_to(running.url)
        yield running


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_registry_that_lists_referrers_is_asked(with_api: OCIRegistry, tmp_path: Path, dry_run: bool) -> None:
    plan = planned(with_api.url)
    assert OLD_SBOM.digest in plan.steps["digest"].tolist()
    Contents(pushes=[("app", None, NEW)]).push_to(with_api.url)
    done = applied(plan, with_api.url, tmp_path / "journal", dry_run=dry_run)
    assert list(skipped(done)) == [SIGNED.digest]
    if not dry_run:
        assert_kept_alone(done, with_api.url, SIGNED, NEW)


def test_a_signature_of_a_child_keeps_the_child_and_one_of_an_sbom_its_image(
    with_api: OCIRegistry, tmp_path: Path
) -> None:
    plan = planned(with_api.url)
    of_child, of_sbom = artifact("signature", b"c", CHILDREN[0]), artifact("signature", b"s", OLD_SBOM)
    Contents(pushes=[("app", None, of_child), ("app", None, of_sbom)]).push_to(with_api.url)
    done = applied(plan, with_api.url, tmp_path / "journal")
    assert set(skipped(done)) == {CHILDREN[0].digest, OLD_SBOM.digest, OTHER.digest}
    assert of_sbom.digest in skipped(done)[OTHER.digest]


def test_a_registry_that_lists_referrers_is_asked_again_right_before(with_api: OCIRegistry, tmp_path: Path) -> None:
    with FaultProxy(with_api.url) as proxy:
        plan, asked = planned(proxy.url), itertools.count()

        def meanwhile(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            if f"/referrers/{SIGNED.digest}" in request.path and next(asked) == 1:
                Contents(pushes=[("app", None, NEW)]).push_to(with_api.url)
            return None

        proxy.rule(meanwhile)
        done = applied(plan, proxy.url, tmp_path / "journal")
        assert next(asked) == 2
    assert_kept_alone(done, with_api.url, SIGNED, NEW)


@pytest.mark.parametrize("fresh", [SIGNED, index([SIGNED, KEPT])], ids=["tag", "index"])
def test_so_it_is_for_tags_that_come_during_the_run(with_api: OCIRegistry, tmp_path: Path, fresh: Pushed) -> None:
    with FaultProxy(with_api.url) as proxy:
        plan, asked = planned(proxy.url), itertools.count()

        def meanwhile(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            if f"/referrers/{SIGNED.digest}" in request.path and next(asked) == 1:
                Contents(pushes=[("app", "fresh", fresh)]).push_to(with_api.url)
            return None

        proxy.rule(meanwhile)
        done = applied(plan, proxy.url, tmp_path / "journal")
        assert next(asked) == 2
    assert list(skipped(done)) == [SIGNED.digest]
    assert "the tag fresh, which was pushed after the plan was made" in skipped(done)[SIGNED.digest]
    assert rs.open(with_api.url, cache=False).manifest("app", "fresh").raw == fresh.raw


def test_a_referrer_whose_list_cannot_be_read_is_not_none(with_api: OCIRegistry, tmp_path: Path) -> None:
    with FaultProxy(with_api.url) as proxy:
        plan = planned(proxy.url)
        refused = ProxyResponse(500, [("Content-Type", "application/json")], b"{}")
        proxy.rule(lambda request, forward: refused if f"/referrers/{SIGNED.digest}" in request.path else None)
        done = applied(plan, proxy.url, tmp_path / "journal")
    assert not done.ok
    assert done.counts() == {"left": len(plan.steps)}


def test_in_a_layout_it_keeps_its_subject(tmp_path: Path) -> None:
    folder = write(tmp_path / "layout", {f"app:{tag}": made for _, tag, made in PUSHES if tag})
    store = rs.open(f"oci:{folder}")
    plan = rs.plan(rs.scan(store, progress=False), rs.Retention(tags="old-*"))
    write(tmp_path / "newer", {"app:sbom": NEW})
    rs.copy(rs.open(f"oci:{tmp_path / 'newer'}"), "app:sbom", store, "app:sbom", overwrite=True)
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert SIGNED.digest in skipped(done)
    assert store.manifest("app", "old-signed").raw == SIGNED.raw
