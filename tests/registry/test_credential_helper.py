"""Credential helpers: asked once, believed only where they make sense, and never repeated."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from regscope.errors import AuthFailed, RegscopeError
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credential_helper import CredentialHelper
from regscope.registry.credentials import Credentials, IdentityToken, Keychain
from regscope.registry.docker_config import find_logins
from regscope.registry.tags import Tags
from tests.servers.credential_helper import OwnHelper, write_program
from tests.servers.proxy import FaultProxy, ProxyRequest, ProxyResponse

SECRET = "hunter2"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for helpers, first on the PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def failure(helper: CredentialHelper) -> RegscopeError:
    with pytest.raises(RegscopeError) as caught:
        helper.login()
    error = caught.value
    assert SECRET not in f"{error}{error!r}{pickle.dumps(error)!r}{helper!r}"
    assert "open the registry again" in error.next_step
    return error


def test_a_helper_is_asked_once_however_many_need_it(programs: Path) -> None:
    own = OwnHelper(programs, "own", {"a.test": ("ann", SECRET)})
    helper = CredentialHelper("own", "a.test")
    assert own.asked == []
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(helper.login, [f"team/{number}" for number in range(16)]))
    assert found == {Credentials("ann", SECRET)}
    assert own.asked == ["get a.test"]
    assert SECRET not in repr(helper)


def test_an_identity_token_comes_under_the_name_of_token(programs: Path) -> None:
    OwnHelper(programs, "own", {"a.test": ("<token>", SECRET)})
    assert CredentialHelper("own", "a.test").login() == IdentityToken(SECRET)


def test_a_helper_that_has_nothing_is_no_error(programs: Path) -> None:
    OwnHelper(programs, "own", {"a.test": ("ann", SECRET)})
    assert CredentialHelper("own", "b.test").login() is None
    write_program(programs, "empty", """#!/bin/sh\necho '{"ServerURL":"","Username":"","Secret":""}'\n""")
    assert CredentialHelper("empty", "a.test").login() is None


@pytest.mark.parametrize("name", ["missing", "", "../own", "/bin/own", "a/b", "..", "-x", "own\n", "o wn", "x\0y"])
def test_what_is_not_on_the_path_is_not_run(programs: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for folder, program in (("docker-credential-..", "own"), ("docker-credential-a", "b")):
        (programs / folder).mkdir()
        write_program(programs, "x", f"#!/bin/sh\ntouch {programs}/was-run\n").rename(programs / folder / program)
    monkeypatch.chdir(programs)
    error = failure(CredentialHelper(name, "a.test"))
    assert "is not a program on the PATH" in error.message
    assert error.message.isprintable()
    assert not (programs / "was-run").exists()


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (f"echo {SECRET}; exit 1", "failed with exit code 1"),
        (f"echo {SECRET} >&2; exit 3", "failed with exit code 3"),
        ("kill -9 $$", "failed with exit code -9"),
        (f"echo {SECRET}", "something else than a login"),
        ("true", "something else than a login"),
        (f"echo '[\"{SECRET}\"]'", "something else than a login"),
        (f"""echo '{{"Username":7,"Secret":"{SECRET}"}}'""", "something else than a login"),
        (f"""echo '{{"Username":"","Secret":"{SECRET}"}}'""", "something else than a login"),
        ("""echo '{"Username":"ann"}'""", "something else than a login"),
        ("head -c 100000 /dev/zero | tr '\\0' '['", "answered with more than"),
        ("yes hunter2", "answered with more than"),
        ("printf '\\377\\376'", "something else than a login"),
    ],
)
def test_a_helper_that_fails_is_named_and_not_quoted(programs: Path, script: str, what: str) -> None:
    write_program(programs, "bad", f"#!/bin/sh\n{script}\n")
    error = failure(CredentialHelper("bad", "a.test"))
    assert "docker-credential-bad" in error.message
    assert what in error.message
    assert "echo a.test | docker-credential-bad get" in error.next_step


def test_a_helper_that_is_no_program_is_named(programs: Path) -> None:
    write_program(programs, "bad", "#!/no/such/interpreter\n")
    assert "cannot be run" in failure(CredentialHelper("bad", "a.test")).message


@pytest.mark.parametrize("script", ["sleep 60", "sleep 60 & wait", "exec >&-; sleep 60"])
def test_a_helper_that_hangs_is_ended_with_all_it_started(programs: Path, script: str) -> None:
    write_program(programs, "slow", f"#!/bin/sh\n{script}\n")
    start = time.monotonic()
    assert "did not answer within 0.3 s" in failure(CredentialHelper("slow", "a.test", timeout=0.3)).message
    assert time.monotonic() - start < 5
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_a_failure_is_not_repeated(programs: Path) -> None:
    write_program(programs, "bad", f"#!/bin/sh\necho x >> {programs}/asked; exit 1\n")
    helper = CredentialHelper("bad", "a.test")
    for _ in range(3):
        failure(helper)
    assert (programs / "asked").read_text() == "x\n"


def test_what_a_helper_said_travels_to_another_machine(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = OwnHelper(programs, "own", {"a.test": ("ann", SECRET)})
    travelled = pickle.dumps(Keychain([CredentialHelper("own", "a.test")]))
    monkeypatch.setenv("PATH", "")
    assert pickle.loads(travelled).login() == Credentials("ann", SECRET)
    assert own.asked == ["get a.test"]
    failure(pickle.loads(pickle.dumps(CredentialHelper("own", "a.test"))))


# Through the client


def _asks_for_a_password(request: ProxyRequest, forward: object) -> ProxyResponse | None:
    if "Authorization" in request.headers:
        return None
    return ProxyResponse(401, [("WWW-Authenticate", 'Basic realm="x"')])


def test_a_helper_is_asked_only_when_the_registry_asks(programs: Path, proxy: FaultProxy, docker_config: Path) -> None:
    own = OwnHelper(programs, "own", {proxy.host: ("ann", SECRET)})
    (docker_config / "config.json").write_text(json.dumps({"credsStore": "own"}))
    client = DockerRegistryV2Client(proxy.url, keychain=find_logins(proxy.host))
    assert Tags("base", client).list()
    assert own.asked == []
    proxy.rule(_asks_for_a_password)
    assert Tags("base", client).list()
    assert Tags("tool", client).list()
    assert own.asked == [f"get {proxy.host}"]


def test_a_broken_helper_is_no_matter_where_nobody_asks(proxy: FaultProxy) -> None:
    client = DockerRegistryV2Client(proxy.url, keychain=Keychain([CredentialHelper("missing", proxy.host)]))
    assert Tags("base", client).list()
    proxy.rule(_asks_for_a_password)
    with pytest.raises(RegscopeError, match="docker-credential-missing"):
        Tags("base", client).list()


def test_a_broken_helper_is_no_matter_on_an_open_registry_without_encryption(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    proxy.rule(lambda request, forward: ProxyResponse(200, body=b'{"tags": ["read"]}'))
    keychain = Keychain([CredentialHelper("missing", "registry.example.test")])
    client = DockerRegistryV2Client("http://registry.example.test", keychain=keychain)
    assert Tags("base", client).list() == ["read"]


def test_a_helper_without_a_login_leaves_an_anonymous_user(programs: Path, proxy: FaultProxy) -> None:
    OwnHelper(programs, "own", {})
    proxy.rule(_asks_for_a_password)
    client = DockerRegistryV2Client(proxy.url, keychain=Keychain([CredentialHelper("own", proxy.host)]))
    with pytest.raises(AuthFailed, match="wants a user name and password"):
        Tags("base", client).list()


# A real one


@pytest.fixture
def password_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty store of `pass`, with a key of its own."""
    for program in ("docker-credential-pass", "pass", "gpg", "gpgconf"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    keys = tmp_path / "gnupg"
    keys.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(keys))
    monkeypatch.setenv("PASSWORD_STORE_DIR", str(tmp_path / "store"))
    key = ["--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", "tests <tests@example.test>"]
    subprocess.run(["gpg", "--batch", "--quiet", *key, "default", "default"], check=True, capture_output=True)
    try:
        subprocess.run(["pass", "init", "tests@example.test"], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], check=True, capture_output=True)


@pytest.mark.usefixtures("password_store")
def test_the_helper_of_pass_gives_what_docker_login_put_there() -> None:
    login = {"ServerURL": "a.test:5000", "Username": "ann", "Secret": f"{SECRET} ü"}
    subprocess.run(["docker-credential-pass", "store"], input=json.dumps(login).encode(), check=True)
    assert CredentialHelper("pass", "a.test:5000").login() == Credentials("ann", f"{SECRET} ü")
    assert CredentialHelper("pass", "b.test").login() is None
