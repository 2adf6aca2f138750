"""What `docker login` and `podman login` left behind is found, in docker's and podman's own order."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from regscope.errors import RegscopeError
from regscope.registry.credentials import Credentials, IdentityToken, RegistryToken
from regscope.registry.docker_config import docker_config_path, find_logins, podman_auth_paths
from tests.servers.credential_helper import OwnHelper

HUB = "https://index.docker.io/v1/"


def auth(username: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def write(folder: Path, document: Any, name: str = "config.json") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.fixture
def podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker_config: Path) -> Path:
    """An empty folder for podman's `auth.json`; docker's is empty, too."""
    folder = tmp_path / "podman"
    folder.mkdir()
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(folder / "auth.json"))
    return folder


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of the PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


# Docker's file


@pytest.mark.parametrize(
    "key", ["localhost:5000", "https://localhost:5000", "http://localhost:5000/", "https://localhost:5000/v2/"]
)
def test_a_host_is_found_under_every_form_of_its_key(docker_config: Path, key: str) -> None:
    write(docker_config, {"auths": {"other": auth("x", "y"), key: auth("ann", "se:cret")}})
    assert find_logins("localhost:5000").login() == Credentials("ann", "se:cret")
    assert find_logins("localhost:5001").login() is None


@pytest.mark.parametrize("key", [HUB, "docker.io", "index.docker.io"])
def test_docker_hub_is_found_under_its_old_addresses(docker_config: Path, key: str) -> None:
    write(docker_config, {"auths": {key: auth("ann", "secret")}})
    assert find_logins("registry-1.docker.io").login("library/alpine") == Credentials("ann", "secret")


@pytest.mark.parametrize(
    ("entry", "login"),
    [
        ({"username": "ann", "password": "secret"}, Credentials("ann", "secret")),
        ({"auth": base64.b64encode(b"ann:secret\0\0").decode()}, Credentials("ann", "secret")),
        ({**auth("00000000", ""), "identitytoken": "long"}, IdentityToken("long")),
        (auth("<token>", "long"), IdentityToken("long")),
        ({"registrytoken": "short", "identitytoken": "long"}, RegistryToken("short")),
        ({"registrytoken": "no\ntoken", **auth("ann", "secret")}, Credentials("ann", "secret")),
    ],
)
def test_every_kind_of_login_is_taken(docker_config: Path, entry: object, login: object) -> None:
    write(docker_config, {"auths": {"a.test": entry}})
    assert find_logins("a.test").login() == login


@pytest.mark.parametrize(
    "entry", [{}, {"auth": "é"}, {"auth": "%%"}, {"auth": 7}, {"auth": "/////w=="}, {"auth": "bm9jb2xvbg=="}, None, "x"]
)
def test_an_entry_that_holds_no_credentials_counts_for_nothing(docker_config: Path, entry: object) -> None:
    write(docker_config, {"auths": {"a.test": entry}})
    assert not find_logins("a.test")


def test_a_missing_file_holds_nothing(
    docker_config: Path, podman: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert docker_config_path() == docker_config / "config.json"
    assert not find_logins("a.test")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "file"))
    assert not find_logins("a.test")


@pytest.mark.parametrize(
    "document",
    ["{", "[]", '{"auths": [1]}', '{"auths": "x"}', '{"credHelpers": ["x"]}', "[" * 100_000, "\udcff"],
)
@pytest.mark.parametrize("name", ["config.json", "auth.json"])
def test_a_file_that_cannot_be_read_is_named(podman: Path, docker_config: Path, document: str, name: str) -> None:
    path = (podman if name == "auth.json" else docker_config) / name
    path.write_bytes(document.encode("utf-8", "surrogateescape"))
    with pytest.raises(RegscopeError) as caught:
        find_logins("a.test")
    assert str(path) in caught.value.message
    assert caught.value.next_step


def test_a_file_without_logins_holds_nothing(docker_config: Path) -> None:
    write(docker_config, {"auths": None, "credHelpers": None, "credsStore": ""})
    assert not find_logins("a.test")


# Helpers: a host's own, else the common one, else the file


def test_a_hosts_own_helper_comes_before_the_common_one_and_the_file(docker_config: Path, programs: Path) -> None:
    own = OwnHelper(programs, "own", {"a.test": ("own", "1")})
    common = OwnHelper(programs, "common", {"a.test": ("common", "2"), "b.test": ("common", "3")})
    auths = {"a.test": auth("file", "4"), "b.test": auth("file", "5"), "c.test": auth("file", "6")}
    write(docker_config, {"auths": auths, "credHelpers": {"a.test": "own"}, "credsStore": "common"})
    assert find_logins("a.test").login() == Credentials("own", "1")
    assert find_logins("b.test").login() == Credentials("common", "3")
    assert find_logins("c.test").login() is None  # docker's own reading: with a store the file counts for nothing
    assert own.asked == ["get a.test"]
    assert common.asked == ["get b.test", "get c.test"]


def test_a_hosts_own_helper_that_has_nothing_is_not_followed_by_the_common_one(
    docker_config: Path, programs: Path
) -> None:
    OwnHelper(programs, "own", {})
    common = OwnHelper(programs, "common", {"a.test": ("common", "2")})
    write(docker_config, {"credHelpers": {"a.test": "own"}, "credsStore": "common"})
    assert find_logins("a.test").login() is None
    assert common.asked == []


def test_an_empty_helper_means_the_file(docker_config: Path, programs: Path) -> None:
    common = OwnHelper(programs, "common", {})
    write(
        docker_config,
        {"auths": {"a.test": auth("ann", "secret")}, "credHelpers": {"a.test": ""}, "credsStore": "common"},
    )
    assert find_logins("a.test").login() == Credentials("ann", "secret")
    assert common.asked == []


@pytest.mark.parametrize(
    "config", [{"credsStore": "own"}, {"credHelpers": {HUB: "own"}}, {"credHelpers": {"docker.io": "own"}}]
)
def test_docker_hub_is_asked_for_by_its_old_address(docker_config: Path, programs: Path, config: object) -> None:
    own = OwnHelper(programs, "own", {HUB: ("ann", "secret")})
    write(docker_config, config)
    assert find_logins("registry-1.docker.io").login() == Credentials("ann", "secret")
    assert own.asked == [f"get {HUB}"]


# Podman's file


def test_dockers_file_comes_before_podmans(docker_config: Path, podman: Path, programs: Path) -> None:
    OwnHelper(programs, "own", {"b.test": ("helper", "2")})
    write(podman, {"auths": {host: auth("podman", "1") for host in ("a.test", "b.test", "c.test")}}, "auth.json")
    write(docker_config, {"auths": {"a.test": auth("docker", "2")}, "credHelpers": {"b.test": "own", "c.test": "own"}})
    assert find_logins("a.test").login() == Credentials("docker", "2")
    assert find_logins("b.test").login() == Credentials("helper", "2")
    assert find_logins("c.test").login() == Credentials("podman", "1")  # the helper has nothing


def test_podmans_keys_may_name_a_repository(podman: Path) -> None:
    auths = {
        "a.test/team/app": auth("app", "1"),
        "a.test/team": auth("team", "2"),
        "a.test": auth("host", "3"),
        "a.test.evil/team": auth("evil", "4"),
        "b.test/team": auth("b", "5"),
    }
    write(podman, {"auths": auths}, "auth.json")
    logins = find_logins("a.test")
    found = [logins.login(name) for name in ("team/app", "team/app/x", "team/other", "else", "")]
    assert [login.username for login in found if isinstance(login, Credentials)] == [
        "app",
        "app",
        "team",
        "host",
        "host",
    ]
    assert find_logins("b.test").login("else") is None


def test_podmans_docker_hub_keys_may_name_a_repository(podman: Path) -> None:
    write(podman, {"auths": {"docker.io": auth("host", "1"), "docker.io/team": auth("team", "2")}}, "auth.json")
    logins = find_logins("registry-1.docker.io")
    assert logins.login("team/app") == Credentials("team", "2")
    assert logins.login("library/alpine") == Credentials("host", "1")


def test_podmans_own_helpers_are_asked(podman: Path, programs: Path) -> None:
    own = OwnHelper(programs, "own", {"a.test": ("ann", "secret")})
    write(podman, {"credHelpers": {"a.test": "own"}, "auths": {"a.test": auth("file", "1")}}, "auth.json")
    assert find_logins("a.test").login("team/app") == Credentials("ann", "secret")
    assert own.asked == ["get a.test"]


def test_podmans_file_is_where_podman_login_puts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "/named.json")
    assert podman_auth_paths() == [Path("/named.json")]
    monkeypatch.delenv("REGISTRY_AUTH_FILE")
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    kept = Path("/home/ann/.config/containers/auth.json")
    assert podman_auth_paths() == [Path("/run/user/7/containers/auth.json"), kept]
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert podman_auth_paths() == [kept]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "containers").mkdir()
    write(tmp_path / "containers", {"auths": {"a.test": auth("ann", "secret")}}, "auth.json")
    assert find_logins("a.test").login() == Credentials("ann", "secret")
