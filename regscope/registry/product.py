"""Which software a registry runs, or which service it is, as far as its address and its answers show."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from regscope.errors import AuthFailed, RequestError
from regscope.registry.challenge import parse_challenges
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.endpoint import is_docker_hub
from regscope.registry.origin import origin
from regscope.registry.responses import read_bounded

DISTRIBUTION, HARBOR, GITLAB, GITEA, PULP = "distribution", "Harbor", "GitLab", "Gitea", "Pulp"
QUAY, NEXUS, ARTIFACTORY, DIGITALOCEAN = "Quay", "Nexus", "Artifactory", "DigitalOcean"
DOCKER_HUB, GHCR, ECR = "Docker Hub", "GitHub Packages", "Amazon ECR"

_LONGEST = 4096  # bytes


class _Seen(NamedTuple):
    """The answer to an anonymous `GET /v2/`.

    Attributes:
        host: of the registry.
        headers: of the answer, by lower-case name.
        realm, service: of the Bearer challenge; empty without one.
        body: the beginning of the body.
    """

    host: str
    headers: Mapping[str, str]
    realm: str
    service: str
    body: bytes

    @property
    def realm_path(self) -> str:
        return urlsplit(self.realm).path


def _host(pattern: str) -> Callable[[_Seen], bool]:
    found = re.compile(pattern)
    return lambda seen: found.fullmatch(seen.host) is not None


_HOSTS = {
    GHCR: _host(r"ghcr\.io|containers\.[^.]+\.ghe\.com"),
    ECR: _host(r"public\.ecr\.aws|\d+\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|on\.aws)"),
    DIGITALOCEAN: _host(r"registry\.digitalocean\.com"),
    QUAY: _host(r"quay\.io"),
    GITLAB: _host(r"registry\.gitlab\.com"),
}
_ANSWERS: dict[str, Callable[[_Seen], bool]] = {
    GITLAB: lambda seen: "gitlab-container-registry-version" in seen.headers or seen.realm_path.endswith("/jwt/auth"),
    HARBOR: lambda seen: seen.service == "harbor-registry" and seen.realm_path.endswith("/service/token"),
    # GitLab's token service has this name too.
    GITEA: lambda seen: seen.service == "container_registry" and seen.realm_path.endswith("/v2/token"),
    QUAY: lambda seen: seen.realm_path == "/v2/auth" and urlsplit(seen.realm).netloc == seen.service,
    PULP: lambda seen: "correlation-id" in seen.headers and _says_version_2(seen),
    NEXUS: lambda seen: seen.headers.get("server", "").startswith("Nexus/"),
    ARTIFACTORY: lambda seen: any(name.startswith(("x-artifactory-", "x-jfrog-")) for name in seen.headers),
    # Many registries send the header; distribution, and what imitates it, sends an empty object with it.
    DISTRIBUTION: lambda seen: _says_version_2(seen) and seen.body.strip() == b"{}",
}


def _says_version_2(seen: _Seen) -> bool:
    return seen.headers.get("docker-distribution-api-version", "").startswith("registry/2")


def product_of(client: DockerRegistryV2Client) -> str | None:
    """The registry's software or service: one of this module's names; None where nothing shows it.

    Found by the host name, then by the answer to an anonymous `GET /v2/`.

    Raises:
        RequestError: the registry does not answer.
    """
    if is_docker_hub(client.api_base_url):
        return DOCKER_HUB
    host = origin(client.api_base_url)[1]
    headers, body = client.hello()
    named = {name.lower(): str(value) for name, value in headers.items()}
    try:
        challenge = parse_challenges(named.get("www-authenticate", "")).get("bearer")
    except AuthFailed:  # no challenge, or one that cannot be parsed
        challenge = None
    asked = challenge.parameters if challenge else {}
    if "www-authenticate" in named:  # with credentials the answer is that of an open registry
        with suppress(RequestError):
            body = read_bounded(client.request("GET", client.url()), _LONGEST, "the answer of /v2/")
    seen = _Seen(host, named, asked.get("realm", ""), asked.get("service", ""), body)
    tests = [*_HOSTS.items(), *_ANSWERS.items()]
    return next((product for product, is_it in tests if is_it(seen)), None)
