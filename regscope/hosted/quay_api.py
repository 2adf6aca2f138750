"""Quay's API below `/api/v1` on the registry's host: repositories, tags and their history, and the time machine.

It wants an OAuth token; the registry's login, a robot's too, does not open it. Without a token it shows public
repositories (quay/quay, endpoints/api).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from regscope.errors import AuthFailed, PermissionDeny, RequestErrorWithResponse, ResourceNotFound
from regscope.hosted.rest_api import RestAnswer, RestAPI
from regscope.registry.client import DockerRegistryV2Client
from regscope.spec.digest import Digest

_PAGE = 100  # the most


class _OAuthToken:
    """The client's own token for the API; without one requests are anonymous."""

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._client.api_token}"} if self._client.api_token else {}

    def renew(self) -> bool:
        return False


class QuayAPI:
    """The API of the Quay whose registry `client` reads."""

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client
        self._rest = RestAPI(client, f"{client.api_base_url}/api/v1", _OAuthToken(client))

    @property
    def has_token(self) -> bool:
        """Whether requests are sent with an OAuth token."""
        return bool(self._client.api_token)

    def repositories(self, namespace: str) -> Iterator[str]:
        """The names below a namespace: with a token all that it may read, else the public ones.

        Raises:
            PermissionDeny: the API refuses the token.
        """
        url = f"{self._rest.address}/repository?{urlencode({'namespace': namespace, 'public': 'true'})}"
        what = f"the repositories of {namespace}"
        try:
            for page in self._rest.pages(url, what, "repositories", _by_token):
                for said in page:
                    if isinstance(said, dict) and isinstance(said.get("name"), str):
                        yield f"{said.get('namespace', namespace)}/{said['name']}"
        except (AuthFailed, PermissionDeny) as error:
            said = f"{what} are not shown: {error.message}"
            raise PermissionDeny(said, error.status_code, url=error.url, next_step=give_token("repo:read")) from None

    def tags(self, repository: str, active: bool) -> Iterator[dict[str, Any]]:
        """The entries of the tag history, newest first: those of tags that point to a manifest now, or all."""
        query = {"limit": _PAGE, "page": 1, **({"onlyActiveTags": "true"} if active else {})}
        url = f"{self._rest.address}/repository/{quote(repository)}/tag/?{urlencode(query)}"
        for page in self._rest.pages(url, f"the tags of {repository}", "tags", _by_number):
            yield from (entry for entry in page if isinstance(entry, dict))

    def former_tag(self, repository: str, digest: Digest) -> str | None:
        """The tag that pointed to a manifest last, of those that point to nothing now."""
        active: set[str] = set()
        former: list[tuple[datetime, str]] = []
        now = datetime.now(UTC)
        for said in self.tags(repository, active=False):
            name, ended = str(said.get("name")), time_of(said.get("end_ts"))
            if ended is None or ended > now:
                active.add(name)
            elif said.get("manifest_digest") == digest:
                former.append((ended, name))
        return next((name for _, name in sorted(former, reverse=True) if name not in active), None)

    def restore(self, repository: str, digest: Digest) -> bool:
        """Have the time machine set the former tag of a manifest again; False where it has neither any longer.

        Raises:
            AuthFailed, PermissionDeny: the token has no right to do so.
        """
        tag = self.former_tag(repository, digest)
        if tag is None:
            return False
        try:
            self._write("POST", f"{_tag_path(repository, tag)}/restore", {"manifest_digest": digest})
        except ResourceNotFound:
            return False
        return True

    def delete_tag(self, repository: str, tag: str) -> None:
        """Delete a tag by its name.

        Raises:
            ResourceNotFound: there is no such tag.
            AuthFailed, PermissionDeny: the token has no right to do so.
        """
        self._write("DELETE", _tag_path(repository, tag))

    def _write(self, method: str, path: str, document: Any = None) -> None:
        try:
            self._rest.send(method, path, document)
        except (AuthFailed, PermissionDeny) as error:
            error.next_step = give_token("repo:write")
            raise


def give_token(scope: str) -> str:
    """The next step where the API wants a token."""
    return (
        f"Give an OAuth access token of an application of the organization with the scope {scope}: api_token=…, "
        "REGSCOPE_API_TOKEN."
    )


def time_of(said: Any) -> datetime | None:
    """The time of seconds since 1970; None for any other value."""
    try:
        return datetime.fromtimestamp(said, UTC) if isinstance(said, int) and not isinstance(said, bool) else None
    except (ValueError, OverflowError, OSError):
        return None


def _tag_path(repository: str, tag: str) -> str:
    return f"repository/{quote(repository)}/tag/{quote(tag)}"


def _by_number(url: str, answer: RestAnswer) -> str | None:
    """The address of the next page of tags, where `has_additional` says that there is one."""
    found = _document(url, answer, "tags")
    return _with(url, page=int(parse_qs(urlsplit(url).query)["page"][0]) + 1) if found.get("has_additional") else None


def _by_token(url: str, answer: RestAnswer) -> str | None:
    """The address of the next page of repositories, by the token `next_page`."""
    found = _document(url, answer, "repositories")
    return _with(url, next_page=found["next_page"]) if found.get("next_page") else None


def _document(url: str, answer: RestAnswer, key: str) -> dict[str, Any]:
    """The page of a list.

    Raises:
        RequestErrorWithResponse: something other than this API has answered.
    """
    found = answer.document
    if isinstance(found, dict) and isinstance(found.get(key), list):
        return found
    step = "Check that the address is that of a Quay."
    raise RequestErrorWithResponse(f"the answer of {url} has no {key}", HTTPStatus.OK, url=url, next_step=step)


def _with(url: str, **more: Any) -> str:
    query = {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
    return f"{url.partition('?')[0]}?{urlencode({**query, **more})}"
