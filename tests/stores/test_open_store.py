"""From what a user writes to a store, or to what to write instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regscope.errors import InvalidLocation, NotAStore, RegscopeError, UnknownHost
from regscope.registry.credentials import Credentials
from regscope.stores.cached_store import CachedStore
from regscope.stores.digest_cache import DigestCache
from regscope.stores.docker_archive import DockerArchiveStore
from regscope.stores.oci_layout import OCILayoutStore
from regscope.stores.open_store import open as open_store
from regscope.stores.registry_store import RegistryStore
from tests.servers.registry import Registry


@pytest.mark.parametrize("form", ["{host}", "http://{host}", "http://{host}/", "{host}/", "http://ann:secret@{host}"])
def test_a_registry_is_opened_in_every_form(registry: Registry, form: str) -> None:
    store = open_store(form.format(host=registry.host), cache=False)
    assert isinstance(store, RegistryStore)
    assert store.location == registry.url
    assert store.tags("base") == ["1", "stable"]


def test_a_layout_and_an_archive_are_opened(layout: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_store(f"oci:{layout}"), OCILayoutStore)
    assert isinstance(open_store(f"docker-archive:{archive}"), DockerArchiveStore)
    monkeypatch.setenv("HOME", str(layout.parent))
    assert open_store(f"oci:~/{layout.name}").repositories() == open_store(f"oci:{layout}").repositories()
    monkeypatch.chdir(layout)
    assert open_store("oci:.").repositories()


def test_a_registry_is_cached_and_files_are_not(
    registry: Registry, layout: Path, cache_folder: Path, tmp_path: Path
) -> None:
    store = open_store(registry.url)
    assert isinstance(store, CachedStore)
    assert store.cache.folder == cache_folder
    assert not isinstance(open_store(f"oci:{layout}"), CachedStore)
    mine = DigestCache(tmp_path / "mine")
    for location in (registry.url, f"oci:{layout}"):
        cached = open_store(location, cache=mine)
        assert isinstance(cached, CachedStore)
        assert cached.cache is mine


def test_credentials_are_those_given_or_those_of_docker(registry: Registry, docker_config: Path) -> None:
    login = {"auths": {registry.host: {"auth": "YW5uOmh1bnRlcjI="}}}
    (docker_config / "config.json").write_text(json.dumps(login))
    found = open_store(registry.url, cache=False)
    given = open_store(registry.url, username="bob", password="word", cache=False)
    assert isinstance(found, RegistryStore)
    assert isinstance(given, RegistryStore)
    assert found.client.keychain.login() == Credentials("ann", "hunter2")
    assert given.client.keychain.login() == Credentials("bob", "word")
    assert "hunter2" not in repr(found) + found._repr_html_()


def test_credentials_come_from_the_first_place_that_has_some(
    registry: Registry, docker_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def login(location: str = registry.url, **options: str) -> object:
        store = open_store(location, cache=False, **options)  # type: ignore[arg-type]
        assert isinstance(store, RegistryStore)
        assert "hunter" not in f"{store!r}{store._repr_html_()}{store.location}{vars(store.client)}"
        return store.client.keychain.login("base")

    assert login() is None
    podman = tmp_path / "auth.json"
    podman.write_text(json.dumps({"auths": {f"{registry.host}/base": {"username": "podman", "password": "hunter1"}}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(podman))
    assert login() == Credentials("podman", "hunter1")
    docker = {"auths": {registry.host: {"username": "docker", "password": "hunter2"}}}
    (docker_config / "config.json").write_text(json.dumps(docker))
    assert login() == Credentials("docker", "hunter2")
    monkeypatch.setenv("REGSCOPE_USERNAME", "env")
    monkeypatch.setenv("REGSCOPE_PASSWORD", "hunter3")
    assert login() == Credentials("env", "hunter3")
    in_address = f"http://url:hunter%2F4@{registry.host}"
    assert login(in_address) == Credentials("url", "hunter/4")
    assert login(in_address, username="hand", password="hunter5") == Credentials("hand", "hunter5")


@pytest.mark.parametrize("address", ["http://ann:hunter2@{host}", "ann:hunter2@{host}", "https://ann:hunter2@{host}"])
def test_a_password_in_the_address_never_shows(registry: Registry, address: str) -> None:
    store = open_store(address.format(host=registry.host), cache=False)
    with pytest.raises(RegscopeError) as caught:
        store.tags("no/such")
    assert "hunter2" not in f"{store!r}{store.location}{caught.value}{caught.value!r}{vars(caught.value)}"
    assert "ann" not in store.location


@pytest.mark.parametrize(
    ("location", "hint"),
    [
        ("", "Write registry.example.com"),
        ("   ", "Write registry.example.com"),
        ("two words", "Write registry.example.com"),
        ("host\n", "Write registry.example.com"),
        ("oci:", "oci:FOLDER"),
        ("docker-archive:", "docker-archive:FILE"),
        ("oci:~nobody-of-that-name/x", "oci:FOLDER"),
        ("localhost:99999", "localhost:5000"),
        ("localhost:port", "localhost:5000"),
        ("localhost:0", "localhost:5000"),
        ("http://", "localhost:5000"),
        ("https://[bad", "localhost:5000"),
        ("ftp://host", "Write registry.example.com"),
        ("docker://localhost:5000/app:1", "Write registry.example.com"),
        ("localhost:5000/team/app", "Open localhost:5000, and name 'team/app'"),
        ("http://localhost:5000/team/app", "Open http://localhost:5000, and name 'team/app'"),
        ("https://ann:hunter2@localhost:5000/team/app", "Open https://localhost:5000, and name 'team/app'"),
        ("https://ann:hunter2@localhost:99999", "localhost:5000"),
        ("ann:hunter2@localhost:port", "localhost:5000"),
        ("~nobody-of-that-name", ""),
        ("x" * 5000 + "/y", "Open x"),
    ],
)
def test_what_cannot_be_opened_is_said(location: str, hint: str) -> None:
    if not hint:
        with pytest.raises((InvalidLocation, UnknownHost)):
            open_store(location)
        return
    with pytest.raises(InvalidLocation) as caught:
        open_store(location)
    assert hint in caught.value.next_step
    assert "hunter2" not in str(caught.value)


def test_a_path_without_its_kind_is_told_what_to_write(layout: Path, archive: Path) -> None:
    with pytest.raises(InvalidLocation, match="is a folder") as caught:
        open_store(str(layout))
    assert f"oci:{layout}" in caught.value.next_step
    with pytest.raises(InvalidLocation, match="is a file") as caught:
        open_store(str(archive))
    assert f"docker-archive:{archive}" in caught.value.next_step


def test_what_is_not_what_it_was_called_is_said(layout: Path, archive: Path, tmp_path: Path) -> None:
    for location in (f"oci:{archive}", f"docker-archive:{layout}", f"oci:{tmp_path}", f"oci:{tmp_path / 'none'}"):
        with pytest.raises(NotAStore) as caught:
            open_store(location)
        assert caught.value.next_step


def test_an_unknown_host_is_said() -> None:
    with pytest.raises(UnknownHost):
        open_store("nope.invalid")
