"""Which software a registry runs, as far as its address and its answers show; providers are known in `hosted`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from regscope.errors import AuthFailed, RequestError
from regscope.registry.challenge import parse_challenges
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.origin import origin
from regscope.registry.responses import read_bounded
from regscope.registry.tokens import TokenService

DISTRIBUTION, PULP, NEXUS, ARTIFACTORY, DIGITALOCEAN = "distribution", "Pulp", "Nexus", "Artifactory", "DigitalOcean"

_LONGEST = 4096  # bytes


class Greeted(NamedTuple):
    """The answer to an anonymous `GET /v2/`.

    Attributes:
        host: of the registry.
        headers: of the answer, by lower-case name.
        token_service: the one that its Bearer challenge names; its parts are empty without one.
        body: the beginning of the body.
    """

    host: str
    headers: Mapping[str, str]
    token_service: TokenService
    body: bytes


_TESTS: dict[str, Callable[[Greeted], bool]] = {
    DIGITALOCEAN: lambda seen: seen.host == "registry.digitalocean.com",
    PULP: lambda seen: "correlation-id" in seen.headers and _says_version_2(seen),
    NEXUS: lambda seen: seen.headers.get("server", "").startswith("Nexus/"),
    ARTIFACTORY: lambda seen: any(name.startswith(("x-artifactory-", "x-jfrog-")) for name in seen.headers),
    # Many registries send the header; distribution, and what imitates it, sends an empty object with it.
    DISTRIBUTION: lambda seen: _says_version_2(seen) and seen.body.strip() == b"{}",
}


def _says_version_2(seen: Greeted) -> bool:
    return seen.headers.get("docker-distribution-api-version", "").startswith("registry/2")


def product_of(seen: Greeted) -> str | None:
    """The registry's software: one of this module's names; None where nothing shows it."""
    return next((product for product, is_it in _TESTS.items() if is_it(seen)), None)


def greeted(client: DockerRegistryV2Client) -> Greeted:
    """The answer of a registry to an anonymous request, and to one with credentials where it wants them.

    Raises:
        RequestError: the registry does not answer.
    """
    headers, body = client.hello()
    named = {name.lower(): str(value) for name, value in headers.items()}
    try:
        challenge = parse_challenges(named.get("www-authenticate", "")).get("bearer")
    except AuthFailed:  # no challenge, or one that cannot be parsed
        challenge = None
    if "www-authenticate" in named:  # with credentials the answer is that of an open registry
        with suppress(RequestError):
            body = read_bounded(client.request("GET", client.url()), _LONGEST, "the answer of /v2/")
    service = TokenService.named_by(challenge.parameters if challenge else {})
    return Greeted(origin(client.api_base_url)[1], named, service, body)
