"""Registries that want a client certificate, and authorities that the environment names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from regscope.errors import RequestError, TLSFailed
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.tags import Tags
from regscope.stores.open_store import open as open_store
from tests.servers.certificates import Certificate, CertificateAuthority
from tests.servers.registry import Registry


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """The authority that signs clients' certificates."""
    return CertificateAuthority(tmp_path_factory.mktemp("clients"), "clients")


@pytest.fixture(scope="module")
def mine(clients: CertificateAuthority) -> Certificate:
    """A client's certificate."""
    return clients.issue(["ann"])


@pytest.fixture(scope="module")
def strict(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate, clients: CertificateAuthority
) -> Iterator[Registry]:
    """An empty registry that answers nobody without a certificate."""
    with Registry(tmp_path_factory.mktemp("strict"), tls=certificate, client_ca=clients.ca) as server:
        yield server


@pytest.fixture
def both(mine: Certificate, tmp_path: Path) -> Path:
    """One file with the certificate and its key."""
    file = tmp_path / "both.pem"
    file.write_bytes(mine.cert.read_bytes() + mine.key.read_bytes())
    return file


def test_a_client_certificate_opens_a_strict_registry(
    strict: Registry, certificate: Certificate, mine: Certificate, both: Path
) -> None:
    for shown in (str(both), (str(mine.cert), str(mine.key))):
        for location in (strict.url, strict.host):
            store = open_store(location, verify=str(certificate.ca), client_certificate=shown, cache=False)
            assert store.location == strict.url
            assert store.repositories() == []


def test_the_environment_may_name_the_files(
    strict: Registry, certificate: Certificate, mine: Certificate, both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGSCOPE_CA", str(certificate.ca))
    monkeypatch.setenv("REGSCOPE_CLIENT_CERT", str(both))
    assert open_store(strict.url, cache=False).repositories() == []
    monkeypatch.setenv("REGSCOPE_CLIENT_CERT", str(mine.cert))
    monkeypatch.setenv("REGSCOPE_CLIENT_KEY", str(mine.key))
    assert open_store(strict.url, cache=False).repositories() == []


def test_without_a_certificate_one_is_asked_for(strict: Registry, certificate: Certificate) -> None:
    with pytest.raises(TLSFailed) as caught:
        open_store(strict.url, verify=str(certificate.ca), cache=False).repositories()
    assert "client_certificate=" in caught.value.next_step
    assert "--client-cert" in caught.value.next_step


def test_a_certificate_of_another_authority_is_refused(
    strict: Registry, certificate: Certificate, tmp_path: Path
) -> None:
    other = CertificateAuthority(tmp_path / "other", "others").issue(["ann"])
    shown = (str(other.cert), str(other.key))
    with pytest.raises(RequestError) as caught:
        open_store(strict.url, verify=str(certificate.ca), client_certificate=shown, cache=False).repositories()
    assert "client_certificate=" in caught.value.next_step


@pytest.mark.parametrize("damage", ["missing", "no certificate", "another key"])
def test_files_that_cannot_be_used_are_said(
    strict: Registry,
    certificate: Certificate,
    mine: Certificate,
    clients: CertificateAuthority,
    tmp_path: Path,
    damage: str,
) -> None:
    (tmp_path / "text.pem").write_text("hunter2")
    shown = {
        "missing": str(tmp_path / "missing.pem"),
        "no certificate": str(tmp_path / "text.pem"),
        "another key": (str(mine.cert), str(clients.issue(["bob"]).key)),
    }[damage]
    with pytest.raises(TLSFailed) as caught:
        open_store(strict.url, verify=str(certificate.ca), client_certificate=shown, cache=False).repositories()
    assert "client_certificate=" in caught.value.next_step
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_usual_variables_name_an_authority(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with Registry(tmp_path / "private", tls=certificate) as server:
        with pytest.raises(TLSFailed), DockerRegistryV2Client(server.url) as client:
            Tags("base", client).list()
        monkeypatch.setenv(variable, str(certificate.ca))
        assert open_store(server.url, cache=False).repositories() == []
        other = CertificateAuthority(tmp_path / "other").ca
        with pytest.raises(TLSFailed):  # what is given comes before them
            open_store(server.url, verify=str(other), cache=False).repositories()
        monkeypatch.setenv("REGSCOPE_CA", str(other))
        with pytest.raises(TLSFailed):
            open_store(server.url, cache=False).repositories()
