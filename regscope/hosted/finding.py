"""Which provider runs a registry: by its host's name, else by the token service that it has named already.

Nothing is asked for it: a registry that nobody hosts costs no request more.
"""

from __future__ import annotations

import functools
import warnings
from importlib.metadata import entry_points
from urllib.parse import urlsplit

from regscope.errors import InvalidLocation, InvalidReference, RegscopeWarning
from regscope.hosted.azure import Azure
from regscope.hosted.google import Google
from regscope.hosted.provider import Provider
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.origin import without_secrets
from regscope.spec.reference import check_repository
from regscope.text import plain

GROUP = "regscope.providers"
"""The entry points that name further providers."""

_OWN: tuple[type[Provider], ...] = (Google, Azure)


@functools.cache
def providers() -> tuple[type[Provider], ...]:
    """Those that are registered by others, which come first, and regscope's own.

    Warns:
        RegscopeWarning: one that is registered cannot be loaded; it is left out.
    """
    found: list[type[Provider]] = []
    for entry in entry_points(group=GROUP):
        try:
            found.append(entry.load())
        except Exception as error:  # whatever somebody else's module does when it is imported
            said = plain(f"the provider {entry.name} ({entry.value}) is left out: {error!r}", 500)
            warnings.warn(RegscopeWarning(said), stacklevel=2)
    return (*found, *_OWN)


def provider_of(client: DockerRegistryV2Client) -> Provider | None:
    """The provider of a client's registry; None where nothing that is known so far names one."""
    host, service = _host(client.api_base_url), client.token_service
    for kind in providers():
        if kind.is_at(host) or (service is not None and kind.is_named_by(service, host)):
            return kind(client)
    return None


def without_prefix(location: str) -> tuple[str, str]:
    """A registry's address, and the prefix of names that follows it where its host alone shows who runs it.

    `gcr.io/project` is one registry's address, and `project` the beginning of names; elsewhere a path may be a part of
    the address, and stays.

    Raises:
        InvalidLocation: what follows is no beginning of a repository's name.
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
            f"{without_secrets(location)!r}: what follows the registry is no beginning of a repository's name: "
            f"{error.message}",
            next_step=f"Write {place.rpartition('@')[2]}/PROJECT, without a tag.",
        ) from None
    return f"{scheme}{separator}{place}", prefix


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # no address: whoever opens it will say so
        return ""
