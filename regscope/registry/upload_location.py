"""The address of an upload, from the `Location` of an answer (distribution-spec, Pushing blobs)."""

from __future__ import annotations

from urllib.parse import quote, urldefrag, urlsplit

from regscope.errors import AuthFailed, ConnectionFailed, RequestError, UnsafeRedirect
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.origin import check_hop, origin, resolved, same_origin
from regscope.registry.responses import discard

_PROBE = 5.0  # seconds
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def upload_location(client: DockerRegistryV2Client, asked: str, stated: str) -> str:
    """The address that the `Location` `stated` means in an answer to the request `asked`.

    A registry behind a proxy may state another host, port or scheme for itself. An address under the API's own path
    that must not be followed, or that does not answer without credentials, is replaced by the same path at the
    registry's own origin, the only one that gets credentials. Other addresses, such as an object storage's, are used
    unchanged.

    Raises:
        UnsafeRedirect: the address must not be followed.
    """
    location = urldefrag(quote(resolved(asked, stated), safe=_PRINTABLE)).url
    if same_origin(location, client.api_base_url):
        return location
    at_home = _at_home(client, location)
    try:
        check_hop(client.api_base_url, location)
    except UnsafeRedirect:
        if at_home is None:
            raise
        return at_home
    return location if at_home is None or _answers(client, location) else at_home


def _at_home(client: DockerRegistryV2Client, location: str) -> str | None:
    """The same path at the registry's own origin; None where it is no path of the API."""
    there, home = urlsplit(location), urlsplit(client.url())
    if not there.path.startswith(home.path):
        return None
    return there._replace(scheme=home.scheme, netloc=home.netloc).geturl()


def _answers(client: DockerRegistryV2Client, location: str) -> bool:
    """Whether an origin answers without credentials; requested once for each, by an upload's status."""
    known, there = client.uploads.elsewhere, origin(location)
    if there not in known:
        try:
            discard(client.request("GET", location, timeout=_PROBE))
            known[there] = True
        except (AuthFailed, ConnectionFailed):
            known[there] = False
        except RequestError:
            known[there] = True
    return known[there]
