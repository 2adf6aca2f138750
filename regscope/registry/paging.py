"""Lists that come in pages (distribution-spec, Content discovery: the `Link` header of RFC 5988)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from regscope.errors import RequestError, UnsafeRedirect
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.origin import resolved, same_origin, without_secrets
from regscope.registry.responses import parse_json, read_whole

_MOST_PAGES = 100_000
_PAGE_LIMIT = 64 * 2**20


def pages(
    client: DockerRegistryV2Client, url: str, what: str, timeout: AskTimeout = "default"
) -> Iterator[dict[str, Any]]:
    """The pages of a list, each a JSON object, as long as the registry links to a next one.

    Raises:
        UnsafeRedirect: a link that leaves the registry.
        RequestError: links that go round in a circle.
    """
    seen: set[str] = set()
    while True:
        seen.add(url)
        response, body = read_whole(partial(client.get, url, timeout=timeout), _PAGE_LIMIT, what)
        yield parse_json(response, body, what)
        link = response.links.get("next", {}).get("url")
        if not link:
            return
        url = resolved(response.url, link)
        if not same_origin(url, client.api_base_url):
            raise UnsafeRedirect(
                f"{what} goes on at {without_secrets(url)}, which is not the registry: not followed",
                url=without_secrets(url),
                next_step="Ask whoever runs the registry to correct the Link header.",
            )
        if url in seen or len(seen) >= _MOST_PAGES:
            raise RequestError(f"{what} never ends: its pages link in a circle", url=without_secrets(url))


def strings(page: dict[str, Any], key: str) -> list[str]:
    """The list of strings under `key`; registries also say null, or leave it out, for an empty one."""
    found = page.get(key)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []
