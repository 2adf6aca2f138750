"""How a registry gives the bytes back is said by what it shows of itself, and that it is not known where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.hosted.finding import kind_of
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.product import Greeted
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.tokens import TokenService
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.stores.registry_store import RegistryStore
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.crane import CraneRegistry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.raw import RawServer
from tests.servers.registry import Registry, distribution_3

PUSHES = [("app", "old", image([layer("old", 50)], 9)), ("app", "new", image([], 1))]
VERSION_2 = "Docker-Distribution-Api-Version: registry/2.0"


def answers(status: str, *headers: str, body: str = "") -> RawServer:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", body]
    return RawServer("\r\n".join(lines).encode())


def said(url: str) -> str:
    return " ".join(how_space_is_freed(rs.open(url, cache=False)))


@pytest.mark.parametrize("version", ["2.8", "3"])
@pytest.mark.parametrize("has_login", [False, True])
def test_distribution_is_told_what_to_run_and_what_to_mind(tmp_path: Path, version: str, has_login: bool) -> None:
    program = distribution_3() if version == "3" else None
    users = {"ann": "secret"} if has_login else None
    with Registry(tmp_path / "registry", program=program, htpasswd=users) as registry:
        login = {"username": "ann", "password": "secret"} if has_login else {}
        told = " ".join(how_space_is_freed(rs.open(registry.url, cache=False, **login)))  # type: ignore[arg-type]
    for word in ("registry garbage-collect", "readonly", "Restart the registry", "Do not use --delete-untagged"):
        assert word in told


def test_a_run_says_it_and_asks_once(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry:
        Contents(pushes=[("app", "old", image([layer("old", 50)], 9)), ("app", "new", image([], 1))]).push_to(
            registry.url
        )
        store = rs.open(registry.url, cache=False)
        plan = rs.plan(rs.scan(store, progress=False), rs.Retention(tags="old"))
        dry = plan.apply(store, progress=False)
        assert dry.comes_back == ()
        since = len(registry.requests())
        done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
        assert sum(line.startswith("GET /v2/ ") for line in registry.requests()[since:]) == 1
    assert "garbage-collect" in repr(done)
    assert done.summary()["comes_back"] == list(done.comes_back)


def test_a_registry_that_was_planned_by_its_files_is_distribution_whatever_it_answers(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry, FaultProxy(registry.url) as proxy:
        Contents(pushes=[("app", "old", image([layer("old", 50)], 9)), ("app", "new", image([], 1))]).push_to(
            registry.url
        )
        inside = rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)

        def no_header(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            answer = forward()
            answer.set_header("Docker-Distribution-Api-Version", None)
            return answer

        proxy.rule(no_header)
        plan = rs.plan(inside, rs.Retention(tags="old"))
        done = plan.apply(rs.open(proxy.url, cache=False), dry_run=False, journal=tmp_path / "j", progress=False)
        assert "These are the files of docker-registry" in repr(done)
        assert "is not known" in said(proxy.url)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        (
            ['WWW-Authenticate: Bearer realm="https://h.example/service/token",service="harbor-registry"', VERSION_2],
            "/api/v2.0/system/gc/schedule",
        ),
        (['WWW-Authenticate: Bearer realm="https://g.example/jwt/auth",service="container_registry"'], "gitlab-ctl"),
        (
            [
                'WWW-Authenticate: Bearer realm="https://g.example/v2/token",service="container_registry",scope="*"',
                VERSION_2,
            ],
            "cleanup_packages",
        ),
        (
            ["Correlation-ID: 5a", VERSION_2, 'WWW-Authenticate: Bearer realm="http://p.example/token/",service="p"'],
            "/pulp/api/v3/orphans/cleanup/",
        ),
        (['WWW-Authenticate: Bearer realm="https://127.0.0.1/v2/auth",service="127.0.0.1"', VERSION_2], "time machine"),
        (["Server: Nexus/3.70.1-02 (OSS)", VERSION_2, 'WWW-Authenticate: BASIC realm="x"'], "Compact blob store"),
        (["X-JFrog-Version: Artifactory/7.90.1", 'WWW-Authenticate: Basic realm="x"'], "trash can"),
        ([VERSION_2, 'WWW-Authenticate: Bearer realm="https://x.example/auth",service="x"'], "is not known"),
        (['WWW-Authenticate: Bearer realm="https://x.example/token",service="container_registry"'], "is not known"),
        (["WWW-Authenticate: ,,,=\x7f"], "is not known"),
        (["Server: nginx"], "is not known"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_others_are_known_by_how_they_greet(headers: list[str], words: str) -> None:
    with answers("401 Unauthorized", *headers) as server:
        assert words in said(server.url)


def test_gitlab_is_known_by_its_version_though_it_is_built_on_distribution() -> None:
    with answers("200 OK", VERSION_2, "Gitlab-Container-Registry-Version: 4.9.0-gitlab", body="{}") as server:
        assert "gitlab-ctl" in said(server.url)


@pytest.mark.parametrize("address", ["registry-1.docker.io", "ghcr.io", "gcr.io"])
def test_hosted_registries_are_known_by_their_address(address: str) -> None:
    """No request is sent: these hosts cannot be reached here."""
    store = RegistryStore(DockerRegistryV2Client(f"https://{address}"))
    assert store.provider is not None
    assert how_space_is_freed(store) == (store.provider.frees,)


@pytest.mark.parametrize("host", ["ghcr.io.example.com", "notghcr.io", "xgcr.io"])
def test_an_address_that_only_looks_alike_is_not(host: str) -> None:
    assert kind_of(Greeted(host, {}, TokenService("", ""), b"")) is None


def test_one_that_sends_the_same_header_and_nothing_else_is_not_known() -> None:
    with CraneRegistry() as registry:
        assert "is not known" in said(registry.url)


def test_one_that_does_not_answer_is_not_known() -> None:
    with answers("200 OK", VERSION_2, body="{}") as server:
        url = server.url
    store = RegistryStore(DockerRegistryV2Client(url, retry_policy=RetryPolicy(failures=0)))
    assert "is not known" in " ".join(how_space_is_freed(store))
