"""What `docker login` left behind is found, and never shown."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from regscope.errors import RegscopeError
from regscope.registry.credentials import Credentials, docker_config_path, find_credentials


def auth(username: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def write(folder: Path, document: Any) -> Path:
    path = folder / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.mark.parametrize(
    "key", ["localhost:5000", "https://localhost:5000", "http://localhost:5000/", "https://localhost:5000/v2/"]
)
def test_a_host_is_found_under_every_form_of_its_key(docker_config: Path, key: str) -> None:
    write(docker_config, {"auths": {"other": auth("x", "y"), key: auth("ann", "se:cret")}})
    assert find_credentials("localhost:5000") == Credentials("ann", "se:cret")
    assert find_credentials("localhost:5001") is None


def test_docker_hub_is_filed_under_its_old_address(docker_config: Path) -> None:
    write(docker_config, {"auths": {"https://index.docker.io/v1/": auth("ann", "secret")}})
    assert find_credentials("registry-1.docker.io") == Credentials("ann", "secret")


def test_plain_fields_are_taken_as_well(docker_config: Path) -> None:
    write(docker_config, {"auths": {"a.test": {"username": "ann", "password": "secret"}}})
    assert find_credentials("a.test") == Credentials("ann", "secret")


@pytest.mark.parametrize(
    "entry", [{}, {"auth": "é"}, {"auth": "%%"}, {"auth": 7}, {"auth": "/////w=="}, {"auth": "bm9jb2xvbg=="}, None, "x"]
)
def test_an_entry_that_holds_no_credentials_counts_for_nothing(docker_config: Path, entry: object) -> None:
    write(docker_config, {"auths": {"a.test": entry}})
    assert find_credentials("a.test") is None


def test_a_missing_file_holds_nothing(docker_config: Path, tmp_path: Path) -> None:
    assert docker_config_path() == docker_config / "config.json"
    assert find_credentials("a.test") is None
    (tmp_path / "file").write_text("")
    assert find_credentials("a.test", tmp_path / "file" / "config.json") is None


@pytest.mark.parametrize("document", ["{", "[]", '{"auths": [1]}', '{"auths": "x"}', "[" * 100_000, "\udcff"])
def test_a_file_that_cannot_be_read_is_named(docker_config: Path, document: str) -> None:
    path = docker_config / "config.json"
    path.write_bytes(document.encode("utf-8", "surrogateescape"))
    with pytest.raises(RegscopeError) as caught:
        find_credentials("a.test")
    assert str(path) in caught.value.message
    assert caught.value.next_step


def test_a_file_without_logins_holds_nothing(docker_config: Path) -> None:
    write(docker_config, {"auths": None, "credsStore": "pass"})
    assert find_credentials("a.test") is None


def test_credentials_do_not_show(docker_config: Path) -> None:
    credentials = Credentials("ann", "hunter2")
    assert "hunter2" not in repr(credentials) + str(credentials)
    assert "ann" not in repr(credentials)
    assert credentials.basic == "Basic " + base64.b64encode(b"ann:hunter2").decode()
