"""Which provider runs a registry: by the host name, else by the token service that a challenge has named.

This sends no request of its own: other registries get the same requests as before.
"""

from __future__ import annotations

import functools
import warnings
from importlib.metadata import entry_points
from urllib.parse import urlsplit

from regscope.errors import InvalidLocation, InvalidReference, RegscopeWarning
from regscope.hosted.azure import Azure
from regscope.hosted.docker_hub import DockerHub
from regscope.hosted.ecr import ECR
from regscope.hosted.ecr_public import ECRPublic
from regscope.hosted.ghcr import GHCR
from regscope.hosted.gitea import Gitea
from regscope.hosted.gitlab import GitLab
from regscope.hosted.google import Google
from regscope.hosted.harbor import Harbor
from regscope.hosted.provider import Provider
from regscope.hosted.quay import Quay
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credentials import LoginSource
from regscope.registry.origin import without_secrets
from regscope.registry.product import Greeted
from regscope.spec.reference import check_repository
from regscope.text import plain

GROUP = "regscope.providers"
"""The entry points that name further providers."""

_OWN: tuple[type[Provider], ...] = (Google, Azure, GHCR, DockerHub, GitLab, ECR, ECRPublic, Quay, Harbor, Gitea)


@functools.cache
def providers() -> tuple[type[Provider], ...]:
    """The providers of other packages, which come first, and those of regscope.

    Warns:
        RegscopeWarning: a registered provider cannot be loaded; it is not used.
    """
    found: list[type[Provider]] = []
    for entry in entry_points(group=GROUP):
        try:
            found.append(entry.load())
        except Exception as error:  # another package's module may raise anything when it is imported
            said = plain(f"the provider {entry.name} ({entry.value}) is left out: {error!r}", 500)
            warnings.warn(RegscopeWarning(said), stacklevel=2)
    return (*found, *_OWN)


def provider_of(client: DockerRegistryV2Client) -> Provider | None:
    """The provider of a client's registry; None where the host and the challenges so far show none."""
    host, service = _host(client.api_base_url), client.token_service
    for kind in providers():
        if kind.is_at(host) or (service is not None and kind.is_named_by(service, host)):
            return kind.of(client)
    return None


def kind_of(seen: Greeted) -> type[Provider] | None:
    """The provider that an answer to an anonymous request shows; None where it shows none."""
    for kind in providers():
        if kind.is_at(seen.host) or kind.is_named_by(seen.token_service, seen.host) or kind.is_shown_by(seen.headers):
            return kind
    return None


def without_prefix(location: str) -> tuple[str, str]:
    """A registry's address and the prefix of repository names after it, where the host name shows the provider.

    `gcr.io/project` has the address `gcr.io` and the prefix `project`. After other hosts a path may belong to the
    address, and is not removed.

    Raises:
        InvalidLocation: the path is no prefix of a repository's name.
    """
    scheme, separator, rest = location.rpartition("://")
    place, _, path = rest.partition("/")
    prefix = path.strip("/")
    host = _host(f"https://{place}")
    if not prefix or not any(kind.is_at(host) for kind in providers()):
        return location, ""
    try:
        check_repository(prefix)
    except InvalidReference as error:
        raise InvalidLocation(
            f"{without_secrets(location)!r}: the path after the registry is no prefix of a repository's name: "
            f"{error.message}",
            next_step=f"Write {place.rpartition('@')[2]}/PROJECT, without a tag.",
        ) from None
    return f"{scheme}{separator}{place}", prefix


def login_sources(host: str) -> list[LoginSource]:
    """Where the providers of a host have logins for it, which are used after those that are saved."""
    found = (kind.login_source(_host(f"https://{host}")) for kind in providers())
    return [source for source in found if source is not None]


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # no valid address: opening it raises the error
        return ""
