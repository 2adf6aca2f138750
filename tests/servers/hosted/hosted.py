"""A registry under a provider's own names, with TLS: a profile before a real registry, and the way to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..certificates import CertificateAuthority
from ..forward_proxy import ForwardProxy
from ..proxy import FaultProxy, ProxyRequest, ProxyResponse
from ..registry import Registry
from .upstream import Upstream


class Profile(FaultProxy):
    """What a provider does otherwise than the registry behind it.

    `hosts` are the names under which it is reached, `login` has the arguments of `rs.open` that it needs at least, and
    `environment` the variables that its users have set.
    """

    hosts: tuple[str, ...] = ()
    login: Mapping[str, str] = {}

    def __init__(self, registry: Registry, authority: CertificateAuthority) -> None:
        super().__init__(registry.url, tls=authority.issue([*self.hosts, "localhost"]))
        self.upstream_files = Upstream(registry)
        self.ca = str(authority.ca)
        self.environment: dict[str, str] = {}

    def time_passes(self) -> None:
        """Let the provider delete what it deletes by itself after a while."""

    def asked(self) -> list[str]:
        """The requests since the last look, each as "METHOD path status", without those for tokens and of /v2/."""
        found = [f"{each.method} {each.path} {each.status}" for each in self.requests]
        self.requests.clear()
        return [
            line
            for line in found
            if not any(f" {path}" in line for path in ("/v2/ ", "/v2/token", "/oauth2/", "/token?"))
        ]


@contextmanager
def reached(profile: Profile) -> Iterator[Profile]:
    """A profile that is running, by its own names: whoever asks for these hosts comes to it."""
    names = {f"{host}:443": f"127.0.0.1:{profile.port}" for host in profile.hosts}
    with profile, ForwardProxy(names) as border, pytest.MonkeyPatch.context() as patch:
        for name, value in {"HTTPS_PROXY": border.url, **profile.environment}.items():
            patch.setenv(name, value)
        yield profile


@contextmanager
def upstream(folder: Path) -> Iterator[Registry]:
    """The registry behind: its addresses for uploads are those of whoever is before it."""
    with Registry(folder, env={"REGISTRY_HTTP_RELATIVEURLS": "true"}) as registry:
        yield registry


def answered(document: Any, *headers: tuple[str, str], status: int = 200) -> ProxyResponse:
    """A JSON document."""
    return ProxyResponse(status, [("Content-Type", "application/json"), *headers], json.dumps(document).encode())


def error(status: int, code: str, message: str, *headers: tuple[str, str]) -> ProxyResponse:
    """An error as registries word it."""
    return answered({"errors": [{"code": code, "message": message}]}, *headers, status=status)


def authorization(request: ProxyRequest) -> str:
    return request.headers.get("Authorization", "")
