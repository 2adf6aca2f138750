"""Gitea's own lists of packages: the tests of the profile that the gate runs, against the real one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

import pytest
import requests

from tests.field.kinds import chosen
from tests.field.servers.gitea import Gitea
from tests.field.servers.server import FieldServer
from tests.field.wire import to_the_token_service_through
from tests.hosted.gitea_place import Place
from tests.hosted.gitea_statements import *  # noqa: F403
from tests.servers.proxy import FaultProxy

SERVERS = chosen(lambda kind: kind is Gitea)


@pytest.fixture
def place(server: FieldServer) -> Iterator[Place]:
    def token(*scopes: str) -> str:
        said = {"name": secrets.token_hex(8), "scopes": scopes}
        url = f"{server.url}/api/v1/users/{server.username}/tokens"
        made = requests.post(url, json=said, auth=(server.username or "", server.password or ""), timeout=60)
        assert made.status_code == 201, made.text
        return str(made.json()["sha1"])

    def blobs() -> dict[str, int]:
        stored = server.folder / "data" / "packages"
        return {f"sha256:{file.name}": file.stat().st_size for file in stored.rglob("*") if len(file.name) == 64}

    def collect() -> None:
        time.sleep(2.1)  # it leaves what is younger than OLDER_THAN, one second in the tests
        server.collect()

    with FaultProxy(server.url) as proxy:
        proxy.rule(to_the_token_service_through(proxy))
        yield Place(proxy, proxy.url, {}, server.password or "", token, blobs, collect)
