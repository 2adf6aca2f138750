"""Logging in and out, in docker's own places."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from regscope.registry.credentials import Credentials
from regscope.stores.open_store import open as open_store
from tests.cli.conftest import Run
from tests.servers.credential_helper import write_program
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Registry]:
    """A registry that wants a login."""
    with Registry(tmp_path / "private", htpasswd={"ann": "hunter2"}) as server:
        yield server


def test_a_login_is_kept_and_forgotten(run: Run, private: Registry, docker_config: Path) -> None:
    file = docker_config / "config.json"
    file.write_text(json.dumps({"detachKeys": "ctrl-e", "auths": {"other.example.com": {"auth": "eDp5"}}}))
    done = run("login", private.url, "--username", "ann", "--password-stdin", stdin="hunter2\n")
    assert (done.code, done.err) == (0, "")
    assert "hunter2" not in done.out
    kept = json.loads(file.read_text())
    assert kept["detachKeys"] == "ctrl-e"
    assert set(kept["auths"]) == {"other.example.com", private.host}
    assert base64.b64decode(kept["auths"][private.host]["auth"]) == b"ann:hunter2"
    assert file.stat().st_mode & 0o077 == 0
    assert open_store(private.url, cache=False).repositories() == []
    assert run("repo", "ls", private.url).code == 0
    assert "logged out" in run("logout", private.url).out
    assert set(json.loads(file.read_text())["auths"]) == {"other.example.com"}
    assert run("repo", "ls", private.url).code == 4
    assert "no saved login" in run("logout", private.url).out


def test_what_the_registry_refuses_is_not_kept(run: Run, private: Registry, docker_config: Path) -> None:
    done = run("login", private.url, "--username", "ann", "--password-stdin", stdin="wrong\n")
    assert done.code == 4
    assert "wrong" not in done.err
    assert not (docker_config / "config.json").exists()


@pytest.mark.parametrize("challenge", ["basic realm=zot", ""])
def test_a_login_at_a_registry_that_lets_everybody_in_is_looked_at(
    run: Run, registry: Registry, docker_config: Path, challenge: str
) -> None:
    """zot's challenge comes with its answer, and what a login sees is more than what strangers see."""

    def lets_in(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if (shown := request.headers.get("Authorization")) is None:
            answer = forward()
            if challenge:
                answer.set_header("WWW-Authenticate", challenge)
            return answer
        return None if shown == Credentials("ann", "hunter2").basic else ProxyResponse(401)

    with FaultProxy(registry.url) as proxy:
        proxy.rule(lets_in)
        assert run("login", proxy.url, "-u", "ann", "--password-stdin", stdin="wrong\n").code == 4
        assert not (docker_config / "config.json").exists()
        assert run("login", proxy.url, "-u", "ann", "--password-stdin", stdin="hunter2\n").code == 0
        assert proxy.host in (docker_config / "config.json").read_text()


def test_a_login_that_only_opens_the_catalog_is_looked_at(run: Run, registry: Registry, docker_config: Path) -> None:
    def asks(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        known = request.headers.get("Authorization") == Credentials("ann", "hunter2").basic
        if known or "_catalog" not in request.path:
            return None
        return ProxyResponse(401, [("WWW-Authenticate", 'Basic realm="x"')])

    with FaultProxy(registry.url) as proxy:
        proxy.rule(asks)
        assert run("login", proxy.url, "-u", "ann", "--password-stdin", stdin="wrong\n").code == 4
        assert not (docker_config / "config.json").exists()
        assert run("login", proxy.url, "-u", "ann", "--password-stdin", stdin="hunter2\n").code == 0


def test_a_login_that_nobody_looks_at_is_kept_with_a_warning(run: Run, registry: Registry, docker_config: Path) -> None:
    done = run("login", registry.url, "-u", "ann", "--password-stdin", stdin="any\n")
    assert done.code == 0
    assert "was not found out" in done.err
    assert registry.host in (docker_config / "config.json").read_text()


@pytest.mark.parametrize("token", ["opaque", "signed"])
def test_a_login_that_a_token_service_takes_for_nobodys_is_not_kept(
    run: Run, registry: Registry, docker_config: Path, tmp_path: Path, token: str
) -> None:
    """A token service that gives the tokens of strangers to wrong passwords."""
    with FaultProxy(registry.url) as proxy, TokenService(tmp_path / "tokens") as service:

        def serve(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            if not request.path.startswith("/token"):
                if "Authorization" in request.headers:
                    return None
                return ProxyResponse(401, [("WWW-Authenticate", f'Bearer realm="{proxy.url}/token",service="x"')])
            name = "ann" if request.headers.get("Authorization") == Credentials("ann", "hunter2").basic else ""
            given = service.sign(name, []) if token == "signed" else f"token-{name}"
            return ProxyResponse(200, body=b'{"token": "%s"}' % given.encode())

        proxy.rule(serve)
        done = run("login", proxy.url, "-u", "ann", "--password-stdin", stdin="wrong\n")
        assert done.code == 4
        assert "to nobody" in done.err
        assert not (docker_config / "config.json").exists()
        done = run("login", proxy.url, "-u", "ann", "--password-stdin", stdin="hunter2\n")
        assert (done.code, done.err) == (0, "")


def test_a_helper_keeps_it_where_one_is_named(run: Run, private: Registry, docker_config: Path, tmp_path: Path) -> None:
    (docker_config / "config.json").write_text(json.dumps({"credHelpers": {private.host: "own"}}))
    (tmp_path / "bin").mkdir()
    write_program(
        tmp_path / "bin",
        "own",
        "#!/bin/sh\nf=$(dirname $0)/kept\ncase $1 in store) cat >$f;; erase) rm $f;;\n"
        "get) [ -f $f ] && cat $f || { echo credentials not found in native keychain; exit 1; };; esac\n",
    )
    path = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = run("login", private.url, "-u", "ann", "--password-stdin", stdin="hunter2\n", **path)
    assert (done.code, done.err) == (0, "")
    assert "docker-credential-own" in done.out
    assert json.loads((tmp_path / "bin" / "kept").read_text()) == {
        "ServerURL": private.host,
        "Username": "ann",
        "Secret": "hunter2",
    }
    assert "hunter2" not in (docker_config / "config.json").read_text()
    assert run("repo", "ls", private.url, **path).code == 0
    assert run("logout", private.url, **path).code == 0
    assert not (tmp_path / "bin" / "kept").exists()


def test_wrong_arguments_are_said(run: Run, layout: Path, registry: Registry) -> None:
    for arguments in (("login", registry.url), ("login", f"oci:{layout}", "-u", "ann", "--password-stdin")):
        assert run(*arguments).code == 2
    assert run("logout", "http://").code == 2
