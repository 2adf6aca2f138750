"""GitLab's REST API below `/api/v4`: the repositories of projects and groups, and the deletion of a tag.

It is on the host of the registry's token service, which is GitLab itself (docs.gitlab.com/api/container_registry).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from regscope.errors import AuthFailed, PermissionDeny, RequestError, RequestErrorWithResponse, ResourceNotFound
from regscope.hosted.rest_api import RestAnswer, RestAPI
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credentials import Credentials

TOKENS = "/jwt/auth"
_PAGE = 100  # the most (docs.gitlab.com/api/rest, Pagination)
_AT_ONCE = 8
_GONE_SOON = {"delete_scheduled", "delete_ongoing"}
_JOB = "gitlab-ci-token"
_DEPLOY = "gitlab+deploy-token-"
_ACCESS_TOKEN = re.compile(r"glpat-\S+|[A-Za-z0-9_-]{20}")  # before GitLab 14.5 without `glpat-`


class GitLabLogin:
    """The token for the API: the client's own, else the password of the registry's login where it is one.

    Without a token requests are anonymous, and show what is public.
    """

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client

    def headers(self) -> Mapping[str, str]:
        """`PRIVATE-TOKEN` with a personal access token; in a CI job `JOB-TOKEN`, which the API accepts for the job's
        own project."""
        if self._client.api_token:
            return {"PRIVATE-TOKEN": self._client.api_token}
        login = self._client.keychain.login("")
        if not isinstance(login, Credentials) or login.username.startswith(_DEPLOY):
            return {}
        if login.username == _JOB:
            return {"JOB-TOKEN": login.password}
        return {"PRIVATE-TOKEN": login.password} if _ACCESS_TOKEN.fullmatch(login.password) else {}

    def renew(self) -> bool:
        """False: there is one token."""
        return False


class GitLabAPI:
    """The API of the GitLab whose registry `client` reads."""

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client
        self._login = GitLabLogin(client)
        self._rest: RestAPI | None = None

    def repositories(self, prefix: str) -> list[str]:
        """The repositories of the project or the group `prefix`; where it is empty, of all projects of the user.

        Raises:
            PermissionDeny: the API shows them not without another token.
        """
        if not prefix:
            return self._of_all_projects()
        above = [prefix.rsplit("/", count)[0] for count in range(1, prefix.count("/"))]  # a project has two parts
        for kind, path in (("projects", prefix), ("groups", prefix), *(("projects", path) for path in above)):
            with suppress(ResourceNotFound):
                paths = [str(entry.get("path")) for entry in self._entries(kind, path)]
                return sorted({path for path in paths if f"{path}/".startswith(f"{prefix}/")})
        raise self._lacks(f"{self.address} shows neither a project nor a group {prefix}", 404)

    def delete_tag(self, repository: str, tag: str) -> None:
        """Delete a tag by its name.

        Raises:
            PermissionDeny: the token has no right to do so, the tag is protected, or there is no such repository.
            ResourceNotFound: there is no such tag.
        """
        entry = self._entry(repository)
        path = f"projects/{entry['project_id']}/registry/repositories/{entry['id']}/tags/{quote(tag, safe='')}"
        self._api().send("DELETE", path)

    @property
    def address(self) -> str:
        """The API's, below the address of the token service that the registry has named."""
        if self._client.token_service is None:
            with suppress(RequestError):
                self._client.ping()
        service = self._client.token_service
        home = service.realm.partition("?")[0].removesuffix(TOKENS) if service is not None else ""
        if not home:
            raise RequestErrorWithResponse(
                f"{self._client.api_base_url} names no GitLab whose API could be asked",
                next_step="Name the repositories yourself: scan(store, repositories=['group/project']).",
            )
        return f"{home}/api/v4"

    def _api(self) -> RestAPI:
        if self._rest is None:
            self._rest = RestAPI(self._client, self.address, self._login)
        return self._rest

    def _of_all_projects(self) -> list[str]:
        if not self._login.headers():
            raise self._lacks(f"{self._client.api_base_url} does not list its repositories without a GitLab token", 401)
        query = {"membership": "true", "simple": "true", "archived": "false"}
        projects = [str(found.get("id")) for found in self._pages("projects", query, "the projects of the user")]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            entries = pool.map(self._of_project, projects)
            return sorted({str(entry.get("path")) for found in entries for entry in found})

    def _of_project(self, project: str) -> list[dict[str, Any]]:
        """The repositories of one project of many: none where its registry is disabled, or not shown to the user."""
        try:
            return self._entries("projects", project)
        except (PermissionDeny, ResourceNotFound):
            return []

    def _entry(self, repository: str) -> dict[str, Any]:
        """The entry of a repository, whose first parts are the project's path."""
        parts = repository.split("/")
        for count in range(len(parts), 1, -1):
            with suppress(ResourceNotFound):
                for entry in self._entries("projects", "/".join(parts[:count])):
                    if entry.get("path") == repository and {"id", "project_id"} <= entry.keys():
                        return entry
        raise self._lacks(f"{self.address} shows no repository {repository}", 404)

    def _entries(self, kind: str, path: str) -> list[dict[str, Any]]:
        """The repositories of a project or a group, without those that are being deleted."""
        what = f"the repositories of {path}"
        entries = self._pages(f"{kind}/{quote(path, safe='')}/registry/repositories", {}, what)
        return [entry for entry in entries if entry.get("status") not in _GONE_SOON]

    def _pages(self, path: str, query: Mapping[str, str], what: str) -> Iterator[dict[str, Any]]:
        api = self._api()
        url = f"{api.address}/{path}?{urlencode({**query, 'per_page': _PAGE})}"
        try:
            for page in api.pages(url, what, "", _following):
                yield from (entry for entry in page if isinstance(entry, dict))
        except (AuthFailed, PermissionDeny) as error:
            raise self._lacks(f"{what} are not shown: {error.message}", error.status_code) from None

    def _lacks(self, message: str, status: int | None) -> PermissionDeny:
        return PermissionDeny(
            message,
            status,
            next_step="Give a personal, group or project access token with the scope read_api (api to delete tags): "
            "api_token=…, REGSCOPE_API_TOKEN.",
        )


def _following(url: str, answer: RestAnswer) -> str | None:
    """The address of the next page, by `X-Next-Page`, which is empty on the last one."""
    number = answer.headers.get("X-Next-Page", "").strip()
    if not number.isdigit():
        return None
    query = {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
    return f"{url.partition('?')[0]}?{urlencode({**query, 'page': number})}"
