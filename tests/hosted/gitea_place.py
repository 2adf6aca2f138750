"""A Gitea, real or played, as the tests see it that are about both."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import regscope as rs
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.spec.digest import Digest
from regscope.stores.registry_store import client_of
from tests.lab.drawn_registries import Pushed
from tests.servers.proxy import FaultProxy


@dataclass
class Place:
    """Where the user `team` has packages.

    Attributes:
        proxy: all requests go through it.
        options: to open it with, the login apart.
        password: of the user.
        token: makes a token of the user that has these scopes.
        blobs: the sizes of all stored blobs, by digest.
        collect: runs the task that frees the storage.
    """

    proxy: FaultProxy
    location: str
    options: Mapping[str, Any]
    password: str
    token: Callable[..., str]
    blobs: Callable[[], Mapping[str, int]]
    collect: Callable[[], None]

    def open(self, password: str | None = None, **options: Any) -> rs.ContentStore:
        """As the user, with a password or token; with `username=None` as nobody."""
        login = {"username": "team", "password": password or self.password, **options}
        return rs.open(self.location, **{"cache": False, **self.options, **login})

    def push(self, repository: str, pushed: Pushed, *tags: str, by_digest: bool = True) -> None:
        """Push a manifest with all below it under its tags, and under its digest unless that is unwanted."""
        client = client_of(self.open())
        assert client is not None
        with client:
            _push(client, repository, pushed, *([pushed.digest] if by_digest or not tags else []), *tags)

    def asked(self) -> list[str]:
        """The requests since the last look, each as "METHOD path", without queries, and without those for tokens."""
        found = [f"{each.method} {each.path.partition('?')[0]}" for each in self.proxy.requests]
        self.proxy.requests.clear()
        return [line for line in found if not line.endswith(("/v2/", "/v2/token"))]


def _push(client: DockerRegistryV2Client, repository: str, pushed: Pushed, *references: str) -> None:
    for blob in pushed.blobs:
        Blob(repository, Digest.of(blob), fileobj=io.BytesIO(blob), client=client).upload()
    for child in pushed.children:
        _push(client, repository, child, child.digest)
    for reference in references:
        ManifestRef(repository, reference, client).put(pushed.raw, pushed.media_type)
