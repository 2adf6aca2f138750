"""What tests share: a registry and a layout that are filled once, a browser, and no settings of the user."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from regscope.registry.client import DockerRegistryV2Client
from regscope.settings import VARIABLES
from regscope.spec.descriptor import Descriptor
from tests.browser import base_url, browser_type_launch_args, jupyter_url, notebooks, window
from tests.lab.images import push, write_layout
from tests.servers.oci import OCIRegistry
from tests.servers.places import Places, places
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry

__all__ = ["base_url", "browser_type_launch_args", "jupyter_url", "notebooks", "window"]

settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # how fast it is says nothing
settings.load_profile("any machine")

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("DOCKER_CONFIG", str(home / "docker"))
        patch.setenv("REGISTRY_AUTH_FILE", str(home / "auth.json"))
        patch.setenv("REGSCOPE_CACHE_DIR", str(home / "cache"))
        for name in (*_PROXIES, *(name.upper() for name in _PROXIES)):
            patch.delenv(name, raising=False)
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", *VARIABLES):
            if name != "REGSCOPE_CACHE_DIR":
                patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cache of this test goes: no test finds what another one has read."""
    folder = tmp_path / "regscope-cache"
    monkeypatch.setenv("REGSCOPE_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for docker's `config.json`."""
    folder = tmp_path / "docker-config"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


@pytest.fixture(scope="session")
def _written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Descriptor]]:
    folder = tmp_path_factory.mktemp("images") / "layout"
    return folder, write_layout(folder)


@pytest.fixture(scope="session")
def layout(_written: tuple[Path, dict[str, Descriptor]]) -> Path:
    """The folder of the layout of `tests.lab.images`; not to be changed, see `own_layout`."""
    return _written[0]


@pytest.fixture(scope="session")
def images(_written: tuple[Path, dict[str, Descriptor]]) -> dict[str, Descriptor]:
    """What the layout and the registry hold, by `repository:tag`."""
    return _written[1]


@pytest.fixture
def own_layout(layout: Path, tmp_path: Path) -> Path:
    """A copy of the layout that a test may damage."""
    return Path(shutil.copytree(layout, tmp_path / "own"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, layout: Path) -> Iterator[Registry]:
    """A registry open to everybody that holds the layout; not to be changed."""
    if not (shutil.which("docker-registry") or shutil.which("registry")):
        pytest.skip("needs a registry program")
    with Registry(tmp_path_factory.mktemp("registry")) as server:
        push(layout, server)
        yield server


@pytest.fixture(scope="session")
def oci_registry(layout: Path) -> Iterator[OCIRegistry]:
    """A registry with the whole OCI API that holds the layout; not to be changed."""
    with OCIRegistry() as server:
        push(layout, server)
        yield server


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Places]:
    """Makes empty places for images."""
    with places(tmp_path) as make:
        yield make


@pytest.fixture
def proxy(registry: Registry) -> Iterator[FaultProxy]:
    """A proxy before the registry, without rules."""
    with FaultProxy(registry.url) as server:
        yield server


@pytest.fixture
def client(registry: Registry) -> Iterator[DockerRegistryV2Client]:
    """A client of the registry."""
    client = DockerRegistryV2Client(registry.url)
    with client:
        yield client


@pytest.fixture
def proxied(proxy: FaultProxy) -> Iterator[DockerRegistryV2Client]:
    """A client of the registry that goes through the proxy."""
    client = DockerRegistryV2Client(proxy.url)
    with client:
        yield client
