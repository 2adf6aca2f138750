"""The server that a test is run against, and ways to it. No test is here without FIELD_SERVERS, which `.ci/field` sets.

A test module names its servers in SERVERS.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.registry.client import DockerRegistryV2Client
from tests.field.kinds import ASKED_FOR, KINDS
from tests.field.results import Results
from tests.field.servers.server import FieldServer
from tests.field.wire import Wire

_FOLDER = Path(__file__).parent
collect_ignore_glob = [] if ASKED_FOR else ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    """With FIELD_RESULTS what comes out is written into RESULTS.md."""
    if os.environ.get("FIELD_RESULTS"):
        config.pluginmanager.register(Results(Path(__file__).with_name("RESULTS.md")))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test against each of its module's servers."""
    if "server" in metafunc.fixturenames:
        metafunc.parametrize("server", metafunc.module.SERVERS, indirect=True, scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say in each report which test of which server it is about."""
    about = {item: item.callspec for item in items if item.path.parent == _FOLDER and hasattr(item, "callspec")}
    # A module whose servers were not asked for is left with tests of no server.
    items[:] = [item for item in items if item not in about or about[item].params.get("server") in KINDS]
    for item in items:
        if item in about:
            name = about[item].params["server"]
            item.user_properties.append(("server", KINDS[name].name))
            item.user_properties.append(("test", _statement(item, about[item].id, name)))


def _statement(item: pytest.Item, parameters: str, server: str) -> str:
    """What a test says, behind what its module is about."""
    about = item.path.stem.removeprefix("test_").replace("_", " ")
    words = item.name.partition("[")[0].removeprefix("test_").replace("_", " ")
    form = re.sub(rf"(^|-){re.escape(server)}(-|$)", "", parameters).replace("_", " ")
    return f"{about} – {words} ({form})" if form else f"{about} – {words}"


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FieldServer]:
    """A server, started once for all of its tests."""
    with KINDS[request.param](tmp_path_factory.mktemp(request.param) / "server") as running:
        yield running


@pytest.fixture
def repository(server: FieldServer) -> str:
    """The name of a repository of this test alone."""
    return f"{server.prefix}app-{secrets.token_hex(4)}"


@pytest.fixture
def wire(server: FieldServer) -> Iterator[Wire]:
    """Plain HTTP to the server."""
    with Wire(server) as made:
        yield made


@pytest.fixture
def filling(server: FieldServer) -> Iterator[Wire]:
    """Plain HTTP to where what the server shows is pushed to."""
    with Wire(server.origin) as made:
        yield made


@pytest.fixture
def client(server: FieldServer) -> Iterator[DockerRegistryV2Client]:
    """Our client of the server."""
    with DockerRegistryV2Client(server.url, **server.login()) as made:
        yield made


@pytest.fixture
def store(server: FieldServer) -> Iterator[rs.ContentStore]:
    """The server as a store, without a cache."""
    opened = rs.open(server.url, cache=False, **server.login())
    with opened.client:
        yield opened
