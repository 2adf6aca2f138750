"""Lists that come in pages (distribution-spec, Content discovery: the `Link` header of RFC 8288)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from requests.utils import requote_uri

from regscope.errors import RequestErrorWithResponse, UnsafeRedirect
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.links import next_link
from regscope.registry.list_growth import ListGrowth
from regscope.registry.origin import resolved, same_origin, without_secrets
from regscope.registry.responses import parse_json, read_whole

_PAGE_LIMIT = 64 * 2**20
_USUAL_SIZE = 50  # the largest pages of registries are multiples of this
_MOST_DOCUMENTS = 100_000  # entries of a list that are more than a name


def pages(
    client: DockerRegistryV2Client, url: str, what: str, key: str, timeout: AskTimeout = "default"
) -> Iterator[dict[str, Any]]:
    """The pages of a list, each a JSON object, as long as the registry links to a next one.

    Args:
        key: under which a page has its entries.

    Raises:
        UnsafeRedirect: a link that is no address, or leads to something else on another host.
        RequestError: links that go round in a circle, or pages that only repeat themselves.
        TooLarge: more entries than anybody means.
    """
    for page, _ in _pages(client, url, what, key, timeout, ListGrowth(what, _MOST_DOCUMENTS)):
        yield page


def _pages(
    client: DockerRegistryV2Client, url: str, what: str, key: str, timeout: AskTimeout, growth: ListGrowth
) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """As `pages`, each with those of its entries that are new."""
    number = growth.ask(url)
    while True:
        try:
            response, body = read_whole(partial(client.request, "GET", url, timeout=timeout), _PAGE_LIMIT, what)
        except RequestErrorWithResponse as error:
            raise _of_page(error, number, what) from None
        page = parse_json(response, body, what)
        yield page, growth.take(_entries(page, key))
        link = next_link(response.headers.get("Link", ""))
        if not link:
            return
        url = _following(url, resolved(response.url, link), what)
        number = growth.ask(url)


def named_pages(
    client: DockerRegistryV2Client, url: str, what: str, key: str, size: int = 0, timeout: AskTimeout = "default"
) -> Iterator[str]:
    """The names of a list that can be asked for what follows a name (`n` and `last`), as they come, each once.

    Registries without `Link` (Gitea's older tag lists) end a page without a word: where one looks full, what follows
    its last name is asked for. Those that take no name there (Amazon's) refuse that, and then it was the end.

    Args:
        size: of the largest pages (names); by default the registry's own.

    Raises:
        RequestError, TooLarge: as `pages`; the client says how many names there may be.
    """
    growth = ListGrowth(what, client.most_names)
    largest = 0  # page so far
    following = url + (f"?{urlencode({'n': size})}" if size else "")
    while True:
        read = brought = 0
        names: list[str] = []
        try:
            for page, fresh in _pages(client, following, what, key, timeout, growth):
                read += 1
                names = strings(page, key)
                new = [name for name in fresh if isinstance(name, str)]
                brought += len(new)
                yield from new
        except RequestErrorWithResponse as error:
            if largest and read == 0 and _is_refusal(error):
                return
            raise
        largest = max(largest, len(names))
        looks_full = len(names) == size or (len(names) == largest and largest % _USUAL_SIZE == 0)
        if read > 1 or not brought or not looks_full:
            return
        following = f"{url}?{urlencode({'n': size or len(names), 'last': names[-1]})}"


def _of_page(error: RequestErrorWithResponse, number: int, what: str) -> RequestErrorWithResponse:
    """The error of a page; of one that follows, that the registry itself has named it."""
    if number > 1:
        error.message = f"page {number} of {what}, which the registry's Link header names: {error.message}"
        error.next_step = "Ask whoever runs the registry to correct the Link header."
    return error


def _is_refusal(error: RequestErrorWithResponse) -> bool:
    status = error.status_code or 0
    return 400 <= status < 500 and status not in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


def _following(url: str, target: str, what: str) -> str:
    """The address that a page at `url` means by `target`, at the registry's own host.

    A link to the same list counts by its query alone: Artifactory leaves out the path under which it was reached, and
    registries behind a proxy name hosts that are not theirs.
    """
    own, linked = urlsplit(url), urlsplit(target)
    if _last_part(own.path) == _last_part(linked.path):
        return requote_uri(urlunsplit((own.scheme, own.netloc, own.path, linked.query, "")))
    if not same_origin(url, target):
        raise UnsafeRedirect(
            f"{what} goes on at {without_secrets(target)}, which is not the registry: not followed",
            url=without_secrets(target),
            next_step="Ask whoever runs the registry to correct the Link header.",
        )
    return target


def _last_part(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _entries(page: dict[str, Any], key: str) -> list[Any]:
    found = page.get(key)
    return found if isinstance(found, list) else []


def strings(page: dict[str, Any], key: str) -> list[str]:
    """The list of strings under `key`; registries also say null, or leave it out, for an empty one."""
    return [item for item in _entries(page, key) if isinstance(item, str)]
