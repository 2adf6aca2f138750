"""Registries that want a client certificate, and authorities that the environment names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regscope.errors import RequestError, TLSFailed
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.tags import Tags
from regscope.spec.digest import Digest
from regscope.stores.open_store import open as open_store
from tests.servers import faults
from tests.servers.certificates import Certificate, CertificateAuthority
from tests.servers.proxy import FaultProxy
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


@pytest.fixture
def home(registry: Registry, certificate: Certificate) -> Iterator[FaultProxy]:
    """The registry, over TLS."""
    with FaultProxy(registry.url, tls=certificate) as server:
        yield server


def blob_at(home: FaultProxy, layer: tuple[Digest, bytes], **options: Any) -> bytes:
    """A blob that is read by way of `home`."""
    with DockerRegistryV2Client(home.url, **options) as client:
        return Blob("base", layer[0], client=client).read(2**20)


def test_a_client_certificate_is_not_shown_elsewhere(
    home: FaultProxy, strict: Registry, certificate: Certificate, both: Path, layer: tuple[Digest, bytes]
) -> None:
    home.rule(faults.redirect("/blobs/", lambda request: strict.url + request.path))
    with pytest.raises(TLSFailed) as caught:
        blob_at(home, layer, verify_certificate=str(certificate.ca), client_certificate=str(both))
    assert strict.host in str(caught.value)


def test_the_authority_that_is_named_is_the_only_one_at_home(
    home: FaultProxy, clients: CertificateAuthority, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.ca))  # would do, if none were named
    with pytest.raises(TLSFailed):
        Tags("base", DockerRegistryV2Client(home.url, verify_certificate=str(clients.ca))).list()
    assert Tags("base", DockerRegistryV2Client(home.url)).list() == ["1", "stable"]


@pytest.mark.parametrize("signed_by", ["the authority that is named", "one of the usual ones", "nobody known"])
def test_elsewhere_the_usual_authorities_count_too(
    home: FaultProxy,
    registry: Registry,
    authority: CertificateAuthority,
    certificate: Certificate,
    layer: tuple[Digest, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    signed_by: str,
) -> None:
    other = CertificateAuthority(tmp_path / "other", "other")
    if signed_by == "one of the usual ones":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other.ca))
    tls = (authority if signed_by == "the authority that is named" else other).issue()
    with FaultProxy(registry.url, tls=tls) as storage:
        home.rule(faults.redirect("/blobs/", lambda request: storage.url + request.path))
        if signed_by == "nobody known":
            with pytest.raises(TLSFailed):
                blob_at(home, layer, verify_certificate=str(certificate.ca))
        else:
            assert blob_at(home, layer, verify_certificate=str(certificate.ca)) == layer[1]
