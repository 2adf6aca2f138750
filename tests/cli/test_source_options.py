"""How a registry is reached: options of every command that reads one, and the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.servers.certificates import CertificateAuthority
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry


def test_a_client_certificate_is_shown(run: Run, tmp_path: Path) -> None:
    servers, clients = CertificateAuthority(tmp_path / "servers"), CertificateAuthority(tmp_path / "clients")
    mine = clients.issue(["ann"])
    both = tmp_path / "both.pem"
    both.write_bytes(mine.cert.read_bytes() + mine.key.read_bytes())
    with Registry(tmp_path / "registry", tls=servers.issue(), client_ca=clients.ca) as server:
        assert (
            run("scan", server.url, "--ca", servers.ca, "--client-cert", mine.cert, "--client-key", mine.key).code == 0
        )
        assert run("scan", server.url, "--ca", servers.ca, "--client-cert", both).code == 0
        assert run("scan", server.url, REGSCOPE_CA=str(servers.ca), REGSCOPE_CLIENT_CERT=str(both)).code == 0
        without = run("scan", server.url, "--ca", servers.ca)
    assert without.code == 5
    assert "--client-cert" in without.err


def test_a_key_needs_its_certificate(run: Run, registry: Registry) -> None:
    done = run("scan", registry.url, "--client-key", __file__)
    assert done.code == 2
    assert "--client-cert" in done.err


def test_a_pace_may_be_set(run: Run, registry: Registry) -> None:
    assert run("scan", registry.url, "--concurrency", 2, "--rate", 1000).code == 0


@pytest.mark.parametrize("options", [("--concurrency", "0"), ("--concurrency", "x"), ("--rate", "0"), ("--rate", "-1")])
def test_a_pace_that_cannot_be_is_refused(run: Run, registry: Registry, options: tuple[str, str]) -> None:
    done = run("scan", registry.url, *options)
    assert done.code == 2
    assert options[0] in done.err


def test_a_setting_that_cannot_be_is_named(run: Run, registry: Registry) -> None:
    done = run("scan", registry.url, REGSCOPE_RATE="fast")
    assert done.code == 2
    assert "REGSCOPE_RATE" in done.err


def test_a_password_in_the_environment_or_the_address_opens_a_registry(run: Run, proxy: FaultProxy) -> None:
    def wants_a_password(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.headers.get("Authorization") == "Basic YW5uOmh1bnRlcjI=":
            return None
        return ProxyResponse(401, [("WWW-Authenticate", 'Basic realm="x"')])

    proxy.rule(wants_a_password)
    assert run("scan", proxy.url).code == 4
    assert run("scan", proxy.url, REGSCOPE_USERNAME="ann", REGSCOPE_PASSWORD="hunter2").code == 0
    in_address = proxy.url.replace("://", "://ann:hunter2@")
    done = run("scan", in_address)
    assert done.code == 0
    assert "hunter2" not in done.out + done.err
    wrong = run("scan", in_address.replace("hunter2", "hunter3"))
    assert wrong.code == 4
    assert "hunter3" not in wrong.out + wrong.err


def test_content_is_read_from_a_mirror(run: Run, registry: Registry, proxy: FaultProxy) -> None:
    done = run("scan", registry.url, "--mirror", proxy.url, "--no-cache")
    assert (done.code, done.err) == (0, "")
    assert any("/manifests/sha256:" in request.path for request in proxy.requests)
    host = registry.url.removeprefix("http://")
    proxy.clear()
    assert run("scan", registry.url, "--no-cache", REGSCOPE_MIRRORS=f"{host}={proxy.url}").code == 0
    assert proxy.requests


def test_what_is_no_mirror_is_a_wrong_argument(run: Run, registry: Registry) -> None:
    assert run("scan", registry.url, "--mirror", "http://").code == 2
    done = run("scan", registry.url, REGSCOPE_MIRRORS="mirror.example.com")
    assert done.code == 2
    assert "REGSCOPE_MIRRORS" in done.err
