"""Paged lists (distribution-spec, Content discovery: the `Link` header of RFC 8288)."""

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
_USUAL_SIZE = 50  # page sizes of registries are multiples of this
_MOST_DOCUMENTS = 100_000  # entries of a list of objects


def pages(
    client: DockerRegistryV2Client, url: str, what: str, key: str, timeout: AskTimeout = "default"
) -> Iterator[dict[str, Any]]:
    """The pages of a list, each a JSON object, until one has no link to a next page.

    Args:
        key: of a page's entries.

    Raises:
        UnsafeRedirect: a link is no valid URL, or leads to another list on another host.
        RequestError: the links form a circle, or the pages bring no new entries.
        TooLarge: the list has more entries than are read.
    """
    for page, _ in _pages(client, url, what, key, timeout, ListGrowth(what, _MOST_DOCUMENTS)):
        yield page


def _pages(
    client: DockerRegistryV2Client, url: str, what: str, key: str, timeout: AskTimeout, growth: ListGrowth
) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """As `pages`, each with its new entries."""
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
    """The names of a list with the parameters `n` and `last`, in the order of the pages, each once.

    Registries without `Link` (Gitea's older tag lists) do not say that a page is not the last one: where a page looks
    full, the names after its last one are requested. Where that is refused (Amazon wants no name there), the list is
    taken to be complete.

    Args:
        size: the names of a page to ask for (`n`); by default the registry's own page size.

    Raises:
        RequestError, TooLarge: as `pages`; the client's `most_names` bounds the list.
    """
    growth = ListGrowth(what, client.most_names)
    largest = 0  # names of the largest page so far
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
    """The error for a page; for a later page it adds that the registry's own link led there."""
    if number > 1:
        error.message = f"page {number} of {what}, which the registry's Link header names: {error.message}"
        error.next_step = "Ask whoever runs the registry to correct the Link header."
    return error


def _is_refusal(error: RequestErrorWithResponse) -> bool:
    status = error.status_code or 0
    return 400 <= status < 500 and status not in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


def _following(url: str, target: str, what: str) -> str:
    """The address of the next page, at the registry's own host, for the link `target` on the page `url`.

    Of a link to the same list only the query is used: Artifactory leaves out a part of the path, and registries behind
    a proxy state a wrong host.
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
    """The list of strings under `key`; some registries send null, or leave the key out, for an empty list."""
    return [item for item in _entries(page, key) if isinstance(item, str)]
