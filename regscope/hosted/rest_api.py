"""A provider's JSON API, asked with the connections and the limits of the registry's client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from regscope.errors import AuthFailed, RequestErrorWithResponse, UnsafeRedirect
from regscope.registry.answer import Answer
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.links import next_link
from regscope.registry.list_growth import ListGrowth
from regscope.registry.origin import resolved, same_origin, without_secrets
from regscope.registry.responses import read_whole

_PAGE_LIMIT = 2**24


class APILogin(Protocol):
    """The credentials for a JSON API."""

    def headers(self) -> Mapping[str, str]:
        """The header fields that prove who asks; empty for an anonymous request.

        Raises:
            AuthFailed: there is no login that this API accepts.
        """

    def renew(self) -> bool:
        """Called after an answer 401: whether `headers` has other credentials now."""


class RestAnswer(NamedTuple):
    """An answer: its header fields, and the value of its JSON body; None for an empty body."""

    headers: Mapping[str, str]
    document: Any


class RestAPI:
    """Requests to the API at `address`, whose answers are JSON.

    Args:
        client: of the registry; its settings for connections and its limits are used.
        address: the API's, as https://api.example.com/v1.
        login: whose credentials are sent.
        headers: header fields of each request.
    """

    def __init__(
        self, client: DockerRegistryV2Client, address: str, login: APILogin, headers: Mapping[str, str] | None = None
    ) -> None:
        self.address = address.rstrip("/")
        self._client = client.beside(self.address)
        self._login = login
        self._headers = dict(headers or {})

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> RestAnswer:
        """The answer to a GET request.

        Args:
            path: below the address, quoted; or a whole URL on the same host.

        Raises:
            RequestError: there is no answer, or its status is 400 or above, or it is no JSON.
        """
        return self._exchange("GET", self._url(path, query))

    def send(self, method: str, path: str, document: Any = None, query: Mapping[str, Any] | None = None) -> RestAnswer:
        """The answer to another request; `document` is sent as JSON.

        Raises:
            As `get`.
        """
        return self._exchange(method, self._url(path, query), document)

    def linked_pages(self, path: str, query: Mapping[str, Any], what: str, key: str = "") -> Iterator[list[Any]]:
        """The entries of each page of a list, until one has no link to a next page (RFC 8288).

        Args:
            what: the list, for messages.
            key: of the entries in a page; empty where the page itself is an array.
        """

        def following(url: str, answer: RestAnswer) -> str | None:
            link = next_link(answer.headers.get("Link", ""))
            return resolved(url, link) if link else None

        return self.pages(self._url(path, query), what, key, following)

    def numbered_pages(self, path: str, query: Mapping[str, Any], what: str, key: str = "") -> Iterator[list[Any]]:
        """The entries of each page of a list, by the parameter `page` from 1, until one has none."""
        number = 1

        def following(url: str, answer: RestAnswer) -> str | None:
            nonlocal number
            number += 1
            return self._url(path, {**query, "page": number}) if entries_of(answer, key) else None

        return self.pages(self._url(path, {**query, "page": 1}), what, key, following)

    def pages(
        self, url: str, what: str, key: str, following: Callable[[str, RestAnswer], str | None]
    ) -> Iterator[list[Any]]:
        """The new entries of each page of a list; `following` has the address of the page after one, or None.

        Raises:
            UnsafeRedirect: a page is on another host.
            RequestError: the pages form a circle, or bring nothing new.
            TooLarge: the list has more entries than are read.
        """
        growth = ListGrowth(what, self._client.most_names)
        next_url: str | None = url
        while next_url is not None:
            if not same_origin(next_url, self.address):
                raise UnsafeRedirect(f"the next page of {what} is on another host: {without_secrets(next_url)}")
            growth.ask(next_url)
            answer = self.get(next_url)
            yield growth.take(entries_of(answer, key))
            next_url = following(next_url, answer)

    def _url(self, path: str, query: Mapping[str, Any] | None = None) -> str:
        url = path if "://" in path else f"{self.address}/{path.lstrip('/')}"
        return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}" if query else url

    def _exchange(self, method: str, url: str, document: Any = None) -> RestAnswer:
        body = None if document is None else json.dumps(document).encode()
        ask = partial(self._ask, method, url, body)
        try:
            response, found = read_whole(ask, _PAGE_LIMIT, f"the answer of {without_secrets(url)}")
        except AuthFailed as error:
            if not self._login.renew():
                raise error if error.url else _refused(method, url) from None
            response, found = read_whole(ask, _PAGE_LIMIT, f"the answer of {without_secrets(url)}")
        return RestAnswer(response.headers, _parsed(response, found) if found.strip() else None)

    def _ask(self, method: str, url: str, body: bytes | None) -> Answer:
        headers = {"Accept": "application/json", **self._headers, **self._login.headers()}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self._client.request(method, url, headers=headers, data=body)


def entries_of(answer: RestAnswer, key: str) -> list[Any]:
    """The entries of a page; empty where it has none."""
    found = answer.document
    if key:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, list) else []


def _refused(method: str, url: str) -> AuthFailed:
    """The error for a 401 without a challenge of the kind that registries send."""
    shown = without_secrets(url)
    return AuthFailed(f"{method} {shown}: 401 Unauthorized", 401, url=shown, next_step="Check the token for this API.")


def _parsed(response: Answer, body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RequestErrorWithResponse(
            f"the answer of {without_secrets(response.url)} is no JSON",
            response.status_code,
            url=without_secrets(response.url),
            next_step="Check that the address is that of the service's API.",
        ) from None
