"""Gitea's and Forgejo's REST API of packages: the versions of a container package, and the files of each.

A version is a tag or a digest. One that is pushed again gets a new id: what an id stands for never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from regscope.errors import AuthFailed, PermissionDeny, RequestError, ResourceNotFound
from regscope.hosted.json_values import time_in
from regscope.hosted.rest_api import RestAnswer, RestAPI, entries_of
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credentials import Credentials, is_bearer_token
from regscope.spec.digest import Digest

TOKENS = "/v2/token"
READ, WRITE = "read:package", "write:package"
LOG_IN = (
    f"Log in with a user's name, and as the password a token with the scope {READ}, to clean up {WRITE}. Or give such "
    "a token: api_token=…, REGSCOPE_API_TOKEN."
)
_PAGE = 50  # a larger limit is lowered to this (MAX_RESPONSE_ITEMS)
_READINGS = 3  # of a list that changes meanwhile
_MANIFEST = "manifest.json"

_Found = TypeVar("_Found")


class Version(NamedTuple):
    """A version of a package: a tag or a digest, with the time of its push."""

    id: int
    package: str
    name: str
    created: datetime | None

    @property
    def digest(self) -> Digest | None:
        """The digest that it is named by; None for a tag, which has no colon.

        Raises:
            InvalidDigest: the name is neither.
        """
        return Digest(self.name) if ":" in self.name else None


class Content(NamedTuple):
    """What a version holds: the manifest's digest, and the bytes of manifest, config and layers together."""

    digest: Digest
    size: int | None


class Login:
    """The registry's own login; `api_token` where there is none, or the API has refused it."""

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client
        self.is_token = False

    def headers(self) -> Mapping[str, str]:
        """A user's name and password, or a token.

        Raises:
            AuthFailed: there is neither.
        """
        login, token = self._client.keychain.login(""), self._client.api_token
        if isinstance(login, Credentials) and not self.is_token:
            return {"Authorization": login.basic}
        if is_bearer_token(token):
            return {"Authorization": f"token {token}"}
        raise AuthFailed("the list of packages wants a login", 401, next_step=LOG_IN)

    def renew(self) -> bool:
        """False: `Packages` changes to the token, also where the login lacks a scope (403)."""
        return False

    def change_to_token(self) -> bool:
        """Use `api_token` from now on; False where there is none."""
        self.is_token = is_bearer_token(self._client.api_token)
        return self.is_token


class Packages:
    """The packages at the registry of `client`.

    The path below which the server is installed stands in the address of its token service, in older versions.
    """

    def __init__(self, client: DockerRegistryV2Client) -> None:
        below = urlsplit(client.token_service.realm).path.removesuffix(TOKENS) if client.token_service else ""
        self._login = Login(client)
        self._api = RestAPI(client, f"{client.api_base_url}{below}/api/v1", self._login)
        self._lists_one_package = True  # until a request shows the opposite

    def is_administrator(self) -> bool:
        """Whether the login is a site administrator's, who sees all packages; False where that is not shown."""
        try:
            found = self._asked(lambda: self._api.get("user")).document
        except RequestError:
            return False
        return isinstance(found, dict) and found.get("is_admin") is True

    def of_owner(self, owner: str, named: str = "") -> list[Version]:
        """The versions of an owner's container packages, whose names contain `named`.

        Raises:
            ResourceNotFound: there is no such owner, or this login does not see it.
            AuthFailed, PermissionDeny: this login may not list them.
        """
        query = {"type": "container", "q": named} if named else {"type": "container"}
        return self._versions(f"packages/{quote(owner)}", query, f"the packages of {owner}")[0]

    def of_package(self, owner: str, name: str) -> tuple[list[Version], bool]:
        """The versions of one package, the newest first, and whether they are all: it may change meanwhile.

        Raises:
            ResourceNotFound: there is no such package, or this login does not see it.
            AuthFailed, PermissionDeny: this login may not list them.
        """
        what = f"the versions of {owner}/{name}"
        if self._lists_one_package:
            with suppress(ResourceNotFound):
                return self._versions(_package(owner, name), {}, what)
        versions, are_all = self._versions(f"packages/{quote(owner)}", {"type": "container", "q": name}, what)
        found = [version for version in versions if version.package == name]
        if not found:
            raise ResourceNotFound(f"{owner} has no container package {name}, or hides it from this login", 404)
        self._lists_one_package = False  # Gitea before 1.24, Forgejo, or a proxy that resolves %2F
        return found, are_all

    def content(self, owner: str, version: Version) -> Content | None:
        """What a version holds; None where it is gone.

        Raises:
            RequestError: the answer names no manifest.
        """
        path = f"{_package(owner, version.package)}/{quote(version.name, safe='')}/files"
        try:
            files = entries_of(self._asked(lambda: self._api.get(path)), "")
        except ResourceNotFound:
            return None
        files = [file for file in files if isinstance(file, dict)]
        digest = next((file.get("sha256") for file in files if file.get("name") == _MANIFEST), None)
        if not isinstance(digest, str):
            raise RequestError(
                f"the files of {owner}/{version.package}:{version.name} have no manifest",
                next_step="Push the tag again, or delete it on the package's page.",
            )
        sizes = [file.get("size") for file in files]
        return Content(Digest(f"sha256:{digest}"), sum(sizes) if all(type(size) is int for size in sizes) else None)

    def _versions(self, path: str, query: Mapping[str, Any], what: str) -> tuple[list[Version], bool]:
        """All entries of a list, and whether they are all: read again where it has changed between two pages."""
        for _ in range(_READINGS):
            pages = _NumberedPages(f"{self._api.address}/{path}", query)
            found = [_version(entry) for entry in self._asked(partial(self._entries, pages, what))]
            if are_all := pages.have_brought(len({version.id for version in found})):
                break
        return found, are_all

    def _entries(self, pages: _NumberedPages, what: str) -> list[Any]:
        return [entry for page in self._api.pages(pages.first(), what, "", pages.following) for entry in page]

    def _asked(self, ask: Callable[[], _Found]) -> _Found:
        """The answer; with `api_token` where the registry's own login is refused, or lacks the scope."""
        was_token = self._login.is_token
        try:
            return ask()
        except (AuthFailed, PermissionDeny):
            if was_token or not self._login.change_to_token():
                raise
            return ask()


class _NumberedPages:
    """The addresses of a list's pages, as many as its total number of entries needs.

    The links to next pages are not used: they lead to the server's own idea of its address.
    """

    def __init__(self, url: str, query: Mapping[str, Any]) -> None:
        self._url, self._query = url, query
        self._number, self._read = 1, 0
        self._totals: set[int | None] = set()

    def first(self) -> str:
        """The address of the first page; what was read before is forgotten."""
        self._number, self._read = 1, 0
        self._totals.clear()
        return self._page()

    def following(self, url: str, answer: RestAnswer) -> str | None:
        """The address of the page after this answer; None where all have been read."""
        entries = entries_of(answer, "")
        total = _number(answer.headers.get("X-Total-Count", ""))
        self._totals.add(total)
        self._read += len(entries)
        self._number += 1
        return self._page() if entries and (total is None or self._read < total) else None

    def have_brought(self, distinct: int) -> bool:
        """Whether so many different entries are as many as each page has said that there are."""
        return self._totals <= {None, distinct} and len(self._totals) == 1

    def _page(self) -> str:
        return f"{self._url}?{urlencode({**self._query, 'limit': _PAGE, 'page': self._number})}"


def _package(owner: str, name: str) -> str:
    return f"packages/{quote(owner)}/container/{quote(name, safe='')}"


def _version(entry: Any) -> Version:
    """A version, as an entry of a list states it.

    Raises:
        RequestError: the entry has no id, no package or no name.
    """
    said = entry if isinstance(entry, dict) else {}
    number, package, name = said.get("id"), said.get("name"), said.get("version")
    if type(number) is not int or not isinstance(package, str) or not isinstance(name, str) or not name:
        raise RequestError(
            "the list of packages has an entry without an id, a name or a version",
            next_step="Check that the address is that of a Gitea or Forgejo.",
        )
    return Version(number, package, name, time_in(said.get("created_at")))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
