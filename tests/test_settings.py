"""The environment's settings: read in one place, documented in one table, and never believed blindly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import regscope
from regscope.errors import InvalidInput
from regscope.registry.credentials import Credentials
from regscope.settings import VARIABLES, Settings, cache_folder, read_settings, zstd_window
from regscope.stores.open_store import open as open_store
from regscope.stores.registry_store import RegistryStore
from tests.servers.registry import Registry

PACKAGE = Path(regscope.__file__).parent
README = PACKAGE.parent / "README.md"


def test_the_readme_and_the_code_know_the_same_settings() -> None:
    rows = re.findall(r"^\| `(REGSCOPE_\w+)` \| (.+) \|$", README.read_text(), re.MULTILINE)
    assert dict(rows) == VARIABLES
    assert len(rows) == len(VARIABLES)


def test_settings_are_read_in_one_place() -> None:
    reading = re.compile(r"""(?:environ|getenv)[^\n]*["']REGSCOPE_""")
    assert [path for path in PACKAGE.rglob("*.py") if reading.search(path.read_text())] == []
    named = {name for path in PACKAGE.rglob("*.py") for name in re.findall(r"REGSCOPE_[A-Z_]+", path.read_text())}
    assert named == set(VARIABLES)


def test_nothing_is_set_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings() == Settings()
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    assert read_settings() == Settings()
    assert cache_folder() is None


def test_all_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    values = {
        "REGSCOPE_CACHE_DIR": "/cache",
        "REGSCOPE_USERNAME": "ann",
        "REGSCOPE_PASSWORD": " hunter2 ",
        "REGSCOPE_API_TOKEN": "glpat-1",
        "REGSCOPE_CA": str(tmp_path / "ca.pem"),
        "REGSCOPE_CLIENT_CERT": "~/cert.pem",
        "REGSCOPE_CLIENT_KEY": "~/key.pem",
        "REGSCOPE_INSECURE": "Registry.lan:5000, 10.0.0.1,,[fd00::1]:5000 ",
        "REGSCOPE_MIRRORS": "docker.io=mirror.lan:5000, quay.io = https://harbor.lan/quay,",
        "REGSCOPE_CONCURRENCY": "8",
        "REGSCOPE_RATE": "2.5",
        "REGSCOPE_SLOWEST": "0",
        "REGSCOPE_MOST_NAMES": "1000000",
        "REGSCOPE_ZSTD_WINDOW": "1000000",
    }
    assert set(values) == set(VARIABLES)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert settings == Settings(
        username="ann",
        password=" hunter2 ",
        api_token="glpat-1",
        ca=str(tmp_path / "ca.pem"),
        client_certificate=(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")),
        insecure=frozenset({"registry.lan:5000", "10.0.0.1", "[fd00::1]:5000"}),
        mirrors=(("docker.io", "mirror.lan:5000"), ("quay.io", "https://harbor.lan/quay")),
        concurrency=8,
        rate=2.5,
        slowest=0,
        most_names=1_000_000,
    )
    assert cache_folder() == Path("/cache")
    assert zstd_window() == 1_000_000
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REGSCOPE_CA", "/no/such.pem"),
        ("REGSCOPE_CA", "~nobody-of-that-name/x"),
        ("REGSCOPE_CA", "x" * 5000),
        ("REGSCOPE_CLIENT_CERT", "/no/such.pem"),
        ("REGSCOPE_CLIENT_KEY", "/no/such.pem"),
        ("REGSCOPE_INSECURE", "https://registry.lan"),
        ("REGSCOPE_INSECURE", "a.test, b c"),
        ("REGSCOPE_INSECURE", "*"),
        ("REGSCOPE_CONCURRENCY", "0"),
        ("REGSCOPE_CONCURRENCY", "-1"),
        ("REGSCOPE_CONCURRENCY", "2.5"),
        ("REGSCOPE_CONCURRENCY", "many"),
        ("REGSCOPE_RATE", "0"),
        ("REGSCOPE_RATE", "nan"),
        ("REGSCOPE_RATE", "inf"),
        ("REGSCOPE_RATE", "fast\x1b[31m"),
        ("REGSCOPE_SLOWEST", "-1"),
        ("REGSCOPE_SLOWEST", "inf"),
        ("REGSCOPE_MOST_NAMES", "0"),
        ("REGSCOPE_MOST_NAMES", "1e6"),
    ],
)
def test_a_value_that_cannot_be_is_named(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput) as caught:
        open_store(registry.url)
    assert name in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("alone", "missing"),
    [
        ("REGSCOPE_USERNAME", "REGSCOPE_PASSWORD"),
        ("REGSCOPE_PASSWORD", "REGSCOPE_USERNAME"),
        ("REGSCOPE_CLIENT_KEY", "REGSCOPE_CLIENT_CERT"),
    ],
)
def test_a_setting_that_misses_its_other_half_is_named(
    monkeypatch: pytest.MonkeyPatch, alone: str, missing: str
) -> None:
    monkeypatch.setenv(alone, __file__)
    with pytest.raises(InvalidInput, match=missing) as caught:
        read_settings()
    assert __file__ not in str(caught.value)


# On a store


def opened(registry: Registry, **options: object) -> RegistryStore:
    store = open_store(registry.url, cache=False, **options)  # type: ignore[arg-type]
    assert isinstance(store, RegistryStore)
    return store


def test_arguments_win_over_the_environment(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGSCOPE_USERNAME", "ann")
    monkeypatch.setenv("REGSCOPE_PASSWORD", "hunter2")
    monkeypatch.setenv("REGSCOPE_CONCURRENCY", "3")
    monkeypatch.setenv("REGSCOPE_RATE", "70")
    monkeypatch.setenv("REGSCOPE_CA", __file__)
    monkeypatch.setenv("REGSCOPE_CLIENT_CERT", __file__)
    client = opened(registry).client
    assert (client.concurrency, client.rate) == (3, 70)
    assert (client.verify_certificate, client.client_certificate) == (__file__, __file__)
    assert client.keychain.login("base") == Credentials("ann", "hunter2")
    given = {"concurrency": 5, "rate": 9.5, "verify": False, "client_certificate": "mine.pem"}
    client = opened(registry, username="bob", password="word", **given).client
    assert (client.concurrency, client.rate) == (5, 9.5)
    assert (client.verify_certificate, client.client_certificate) == (False, "mine.pem")
    assert client.keychain.login("base") == Credentials("bob", "word")


@pytest.mark.parametrize(("hosts", "insecure"), [("{host}", True), ("a.test, {host}", True), ("127.0.0.1", False)])
def test_only_the_hosts_that_are_named_are_insecure(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, hosts: str, insecure: bool
) -> None:
    monkeypatch.setenv("REGSCOPE_INSECURE", hosts.format(host=registry.host))
    client = opened(registry).client
    assert client.insecure is insecure
    assert client.verify_certificate is True
    assert opened(registry, insecure=True).client.insecure
