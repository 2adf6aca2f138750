"""GitHub's REST API for packages (docs.github.com/rest/packages): those of an owner, and their versions.

A version is a manifest, tagged or not. The API takes the token that the registry takes as a password.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from regscope.errors import (
    AuthFailed,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    TooManyRequests,
)
from regscope.hosted.github_tokens import DELETE, FINE_GRAINED, LOG_IN, OF_WORKFLOWS, Tokens
from regscope.hosted.json_values import time_in
from regscope.hosted.rest_api import RestAnswer, RestAPI
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.links import next_link
from regscope.registry.origin import resolved
from regscope.text import plain

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_PAGE = 100
_RESTORABLE = timedelta(days=30)

_Found = TypeVar("_Found")


class Version(NamedTuple):
    """A version of a package: a manifest, by its digest as the API words it."""

    id: int
    name: str
    tags: tuple[str, ...]
    created: datetime | None
    updated: datetime | None
    deleted: datetime | None


class Packages:
    """The container packages of one owner, an organisation or a user.

    Args:
        client: of the registry.
        address: the API's.
        owner: the first part of the repositories' names.
    """

    def __init__(self, client: DockerRegistryV2Client, address: str, owner: str) -> None:
        self.owner = owner
        self._tokens = Tokens(client, owner)
        self._api = RestAPI(client, address, self._tokens, _HEADERS)
        self._finding = threading.Lock()
        self._places: dict[str, str] = {}  # by token
        self._scopes: dict[str, frozenset[str]] = {}

    @property
    def were_open(self) -> bool:
        """Whether the API has accepted a token for them before."""
        return bool(self._places)

    def names(self) -> list[str]:
        """The names of the packages that the token can see, without the owner."""
        query = {"package_type": "container", "per_page": _PAGE}
        what = f"the packages of {self.owner}"

        def listed() -> list[str]:
            return [_text(entry, "name", what) for entry in self._pages(f"{self._place}/packages", query, what)]

        return self._with_a_token(listed)

    def versions(self, package: str) -> list[Version]:
        """The active versions of a package."""
        return self._with_a_token(lambda: list(self._versions(package, "active")))

    def restorable(self, package: str) -> list[Version]:
        """The versions that were deleted within the time in which they can be restored."""
        deleted = self._with_a_token(lambda: list(self._versions(package, "deleted")))
        oldest = datetime.now(UTC) - _RESTORABLE
        return [version for version in deleted if version.deleted is None or version.deleted > oldest]

    def version(self, package: str, digest: str) -> Version | None:
        """The active version with a digest: the pages are read until one has it."""

        def found() -> Version | None:
            return next((each for each in self._versions(package, "active") if each.name == digest), None)

        return self._with_a_token(found)

    def delete(self, package: str, number: int) -> None:
        """Delete a version, with all its tags.

        Raises:
            ResourceNotFound: there is none; or these credentials may not delete it.
        """
        self._with_a_token(lambda: self._api.send("DELETE", f"{self._path(package)}/versions/{number}"))

    def restore(self, package: str, number: int) -> bool:
        """Restore a deleted version; False where there is none with this id, or its name was used again."""
        try:
            self._with_a_token(lambda: self._api.send("POST", f"{self._path(package)}/versions/{number}/restore"))
        except (AuthFailed, PermissionDeny, TooManyRequests):
            raise
        except RequestErrorWithResponse as error:
            if error.status_code is not None and 400 <= error.status_code < 500:
                return False
            raise
        return True

    def check_deletes(self, package: str) -> None:
        """Check that the token sees the package, and has the scope to delete versions, as far as GitHub states scopes.

        Raises:
            AuthFailed, PermissionDeny, ResourceNotFound: it does not, or has not.
        """
        self._with_a_token(lambda: self._api.get(self._path(package)))
        if self.lacks(DELETE):
            scopes = ", ".join(sorted(self._scopes[self._tokens.current]))
            raise PermissionDeny(
                f"the token may not delete packages of {self.owner}: it has the scopes {scopes}", 403, next_step=LOG_IN
            )

    def lacks(self, scope: str) -> bool:
        """Whether GitHub has stated the scopes of the token, and this one is not among them.

        Tokens that have permissions in place of scopes state none.
        """
        scopes = self._scopes.get(self._tokens.current)
        return bool(scopes) and scope not in (scopes or ())

    def _versions(self, package: str, state: str) -> Iterator[Version]:
        what = f"the versions of {self.owner}/{package}"
        query = {"state": state, "per_page": _PAGE}
        for entry in self._pages(f"{self._path(package)}/versions", query, what):
            yield _version(entry, what)

    def _path(self, package: str) -> str:
        return f"{self._place}/packages/container/{quote(package, safe='')}"

    @property
    def _place(self) -> str:
        """The beginning of the paths: of an organisation, of a user, or of the token's own user."""
        token = self._tokens.current
        with self._finding:
            if token not in self._places:
                self._places[token] = self._found_place(token)
        return self._places[token]

    def _found_place(self, token: str) -> str:
        answer = self._api.get(f"users/{quote(self.owner)}")
        scopes = answer.headers.get("X-OAuth-Scopes", "")
        self._scopes[token] = frozenset(filter(None, (scope.strip() for scope in scopes.split(","))))
        kind = _text(answer.document, "type", f"the account {self.owner}")
        return self._place_of_user(token) if kind == "User" else f"orgs/{quote(self.owner)}"

    def _place_of_user(self, token: str) -> str:
        """A user's own private packages are below `user` alone."""
        if not token.startswith(OF_WORKFLOWS):
            try:
                me = self._api.get("user").document
                if _text(me, "login", "the token's own account").lower() == self.owner.lower():
                    return "user"
            except (PermissionDeny, ResourceNotFound):  # the token of an app, which is no user's
                pass
        return f"users/{quote(self.owner)}"

    def _pages(self, path: str, query: Mapping[str, Any], what: str) -> Iterator[Any]:
        def following(url: str, answer: RestAnswer) -> str | None:
            if not isinstance(answer.document, list):
                raise _unexpected(what)
            link = next_link(answer.headers.get("Link", ""))
            return resolved(url, link) if link else None

        parts = "&".join(f"{name}={value}" for name, value in query.items())
        for page in self._api.pages(f"{self._api.address}/{path}?{parts}", what, "", following):
            yield from page

    def _with_a_token(self, ask: Callable[[], _Found]) -> _Found:
        """The result of `ask`; where a token is refused, with the next one."""
        while True:
            token = self._tokens.current
            try:
                return ask()
            except (AuthFailed, PermissionDeny) as error:
                if self._tokens.next_after(token):
                    continue
                raise self._explained(error, token) from None

    def _explained(self, error: AuthFailed | PermissionDeny, token: str) -> RequestErrorWithResponse:
        if "secondary rate limit" in error.message:
            return TooManyRequests(
                error.message, error.status_code, url=error.url, next_step="Wait some minutes, and run it again."
            )
        if isinstance(error, AuthFailed):
            said = f"GitHub's API refuses the token for {self.owner}, or it has expired"
            return AuthFailed(said, 401, url=self._api.address, next_step=LOG_IN)
        error.next_step = LOG_IN
        if token.startswith(OF_WORKFLOWS):
            error.next_step = (
                "A workflow's token lists no packages: name the repositories. To read and delete their versions, give "
                "its repository the role Admin (Package settings, Manage Actions access), and the job packages: write."
            )
        elif token.startswith(FINE_GRAINED):
            error.next_step = f"Fine-grained tokens do not open the API of packages. {LOG_IN}"
        return error


def _version(entry: Any, what: str) -> Version:
    """A version, as the API lists it.

    Raises:
        RequestError: it has no id, or its tags are not stated: it would be taken for untagged.
    """
    metadata = entry.get("metadata") if isinstance(entry, dict) else None
    container = metadata.get("container") if isinstance(metadata, dict) else None
    tags = container.get("tags") if isinstance(container, dict) else None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise _unexpected(what)
    number = entry.get("id")
    if not isinstance(number, int):
        raise _unexpected(what)
    times = (time_in(entry.get(name)) for name in ("created_at", "updated_at", "deleted_at"))
    return Version(number, _text(entry, "name", what), tuple(tags), *times)


def _text(entry: Any, key: str, what: str) -> str:
    found = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(found, str):
        raise _unexpected(what)
    return found


def _unexpected(what: str) -> RequestError:
    return RequestError(
        f"GitHub's API answers in an unknown form to a request for {plain(what, 300)}",
        next_step="Report it to the developers of regscope, with the version of the API.",
    )
