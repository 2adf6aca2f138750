"""Registries that are not at the root of their host."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import AuthFailed, InvalidLocation, TLSFailed
from regscope.registry.credentials import Credentials
from regscope.registry.docker_config import find_logins
from regscope.registry.scopes import need_of
from regscope.spec.descriptor import Descriptor
from regscope.stores.mirrored_store import MirroredStore
from regscope.stores.registry_store import RegistryStore
from tests.images.test_copying import everything_below
from tests.lab.images import TAGS
from tests.servers.certificates import Certificate
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService

PATH = "artifactory/api/docker/key"
USERS = {"ann": "hunter2"}


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory, layout: Path) -> Iterator[Registry]:
    """A registry below a path that holds the layout."""
    with Registry(tmp_path_factory.mktemp("below"), path=PATH) as server:
        rs.copy(f"oci:{layout}", "*:*", server.url, referrers=True, progress=False)
        yield server


@pytest.mark.parametrize("form", ["http://{host}/{path}", "{host}/{path}", "http://{host}/{path}/"])
def test_it_is_opened_with_and_without_a_scheme(below: Registry, form: str) -> None:
    store = rs.open(form.format(host=below.host, path=PATH), cache=False)
    assert store.location == f"http://{below.host}/{PATH}"
    assert set(TAGS) <= set(store.repositories())


def test_all_that_is_there_is_read(below: Registry, layout: Path) -> None:
    store = rs.open(below.url)
    snap = rs.scan(store, progress=False)
    assert snap.location == below.url
    source = rs.open(f"oci:{layout}")
    for repository, tags in TAGS.items():
        for tag in tags:
            assert everything_below(store, repository, tag) == everything_below(source, repository, tag)
    found = dict(zip(snap.tags["repository"].astype(str) + ":" + snap.tags["tag"], snap.tags["digest"], strict=True))
    assert {name: digest for name, digest in found.items() if name in ("app:1.0", "team/api:1.0")} == {
        "app:1.0": source.resolve("app", "1.0"),
        "team/api:1.0": source.resolve("team/api", "1.0"),
    }
    again = pickle.loads(pickle.dumps(store))
    assert again.resolve("app", "1.0") == source.resolve("app", "1.0")


def test_pages_lead_on_below_the_path(below: Registry) -> None:
    with FaultProxy(f"http://{below.host}") as proxy:
        proxy.rule(lambda request, _: None)
        store = rs.open(f"{proxy.url}/{PATH}", cache=False)
        assert isinstance(store, RegistryStore)
        url = store.client.url("_catalog") + "?n=1"
        answer = store.client.get(url)
        assert answer.headers["Link"].startswith(f"</{PATH}/v2/_catalog")
        assert set(store.repositories()) >= set(TAGS)
        assert all(request.path.startswith(f"/{PATH}/v2/") for request in proxy.requests)


def test_images_are_pushed_mounted_and_deleted_there(tmp_path: Path, layout: Path) -> None:
    with Registry(tmp_path / "own", path=PATH) as server:
        first = rs.copy(f"oci:{layout}", "app:1.0", server.url, progress=False)
        within = rs.copy(server.url, "app:1.0", server.url, "third:1", progress=False)
        assert (within.sent, within.mounted) == (0, first.sent)
        snap = rs.scan(rs.open(server.url, cache=False), progress=False)
        plan = rs.plan(snap, rs.Retention(repositories="third", tags="*"))
        done = plan.apply(rs.open(server.url, cache=False), dry_run=False, journal=tmp_path / "journal")
        assert list(done.table["outcome"]) == ["done"]
        assert "third" not in set(rs.scan(rs.open(server.url, cache=False), progress=False).tags["repository"])


def test_a_login_by_token_is_for_the_repository_and_not_for_the_path(tmp_path: Path, layout: Path) -> None:
    grants = {"ann": {"*": ("pull", "push"), "registry:catalog": ("*",)}}
    with (
        TokenService(tmp_path / "tokens", users=USERS, grants=grants) as tokens,
        Registry(tmp_path / "registry", path=PATH, token=tokens) as server,
    ):
        store = rs.open(server.url, username="ann", password="hunter2", cache=False)
        rs.copy(f"oci:{layout}", "team/api:1.0", store, progress=False)
        assert store.tags("team/api") == ["1.0"]
        assert any("repository:team/api:pull" in " ".join(request.scopes) for request in tokens.requests)
        assert not any(PATH in " ".join(request.scopes) for request in tokens.requests)
        with pytest.raises(AuthFailed):
            rs.open(server.url, username="ann", password="wrong", cache=False).tags("team/api")


def test_scopes_are_those_of_the_repository_whatever_the_path_holds() -> None:
    base = "https://example.com/v2/tags/list/manifests/x"
    for registry in (base, "https://example.com"):
        need = need_of("GET", f"{registry}/v2/team/app/manifests/1", registry)
        assert need.scopes == {"repository:team/app:pull"}


def test_a_login_is_found_by_the_host_and_by_podman_by_the_path(
    below: Registry, docker_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    podman = tmp_path / "auth.json"
    names = {below.host: "host", f"{below.host}/{PATH}": "path", f"{below.host}/{PATH}/team": "team"}
    logins = {key: {"username": name, "password": "x"} for key, name in names.items()}
    podman.write_text(json.dumps({"auths": {**logins, f"{below.host}/team": {"username": "root", "password": "x"}}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(podman))
    for path, repository, name in (
        (PATH, "app", "path"),
        (PATH, "team/app", "team"),
        ("elsewhere", "app", "host"),
        ("", "team/app", "root"),
        ("", "", "host"),
    ):
        assert find_logins(below.host, path).login(repository) == Credentials(name, "x")
    store = rs.open(below.url, cache=False)
    assert isinstance(store, RegistryStore)
    assert store.client.keychain.login("team/app") == Credentials("team", "x")
    (docker_config / "config.json").write_text(json.dumps({"auths": {below.host: logins[below.host]}}))
    assert find_logins(below.host, PATH).login("app") == Credentials("host", "x")


def test_its_mirrors_and_mirrors_below_a_path(
    below: Registry, registry: Registry, images: dict[str, Descriptor], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = images["app:1.0"].digest
    with FaultProxy(f"http://{below.host}") as proxy:
        mirrored = rs.open(registry.url, mirrors=[f"{proxy.url}/{PATH}/v2/"], cache=False)
        assert mirrored.manifest("app", digest).digest == digest
        assert [request.path for request in proxy.requests] == [f"/{PATH}/v2/app/manifests/{digest}"]
        monkeypatch.setenv("REGSCOPE_MIRRORS", f"{below.host}/{PATH}={registry.url}")
        assert isinstance(rs.open(below.url, cache=False), MirroredStore)
        assert isinstance(rs.open(registry.url, cache=False), RegistryStore)


@pytest.mark.parametrize("name", ["team/app", "base", "v2/app"])
def test_a_repository_is_no_registry_and_the_error_names_the_right_call(
    registry: Registry, oci_registry: OCIRegistry, name: str
) -> None:
    for server in (registry, oci_registry):
        with pytest.raises(InvalidLocation, match="no registry answers at that path") as caught:
            rs.open(f"{server.url}/{name}", cache=False)
        assert f"Open {server.url}, and name {name!r}" in caught.value.next_step


@pytest.mark.parametrize(
    ("status", "headers", "body", "is_one"),
    [
        (200, [("Docker-Distribution-Api-Version", "registry/2.0")], b"", True),
        (200, [], b"{}", True),
        (200, [("Content-Type", "text/html")], b"<html>welcome</html>", False),
        (401, [("WWW-Authenticate", 'Basic realm="x"')], b"", True),
        (401, [], b'{"errors": []}', True),
        (401, [], b"who are you?", False),
        (404, [("Docker-Distribution-Api-Version", "registry/2.0")], b"{}", False),
        (302, [("Location", "/login")], b"", False),
    ],
)
def test_what_answers_as_a_registry_is_one(
    proxy: FaultProxy, status: int, headers: list[tuple[str, str]], body: bytes, is_one: bool
) -> None:
    def answer(request: ProxyRequest, _: object) -> ProxyResponse | None:
        return ProxyResponse(status, headers, body) if request.path == "/sub/v2/" else None

    proxy.rule(answer)
    if is_one:
        assert rs.open(f"{proxy.url}/sub", cache=False).location == f"{proxy.url}/sub"
    else:
        with pytest.raises(InvalidLocation):
            rs.open(f"{proxy.url}/sub", cache=False)
    asked = [request for request in proxy.requests if request.path == "/sub/v2/"]
    assert len(asked) == 1
    assert "Authorization" not in asked[0].headers


def test_a_certificate_that_is_not_trusted_is_said_and_can_be_named(
    tmp_path: Path, layout: Path, certificate: Certificate
) -> None:
    with Registry(tmp_path / "registry", path=PATH, tls=certificate) as server:
        with pytest.raises(TLSFailed):
            rs.open(server.url, cache=False)
        store = rs.open(server.url, verify=str(certificate.ca), cache=False)
        rs.copy(f"oci:{layout}", "base:1", store, progress=False)
        assert store.tags("base") == ["1"]
