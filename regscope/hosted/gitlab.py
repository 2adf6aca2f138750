"""GitLab's container registry: gitlab.com, and GitLab on a host of one's own.

The registry's own API below `/gitlab/v1` lists tags with digests, sizes and times, by the registry's own login
(container-registry, docs/spec/gitlab/api.md). Repositories are also listed by GitLab's REST API: see `gitlab_api`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from regscope.errors import (
    AuthFailed,
    CapabilityWarning,
    InvalidDigest,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    Unsupported,
)
from regscope.hosted.gitlab_api import TOKENS, GitLabAPI
from regscope.hosted.json_values import size_in, text_in, time_in
from regscope.hosted.provider import ListedManifest, ListedTag, Listing, Provider
from regscope.hosted.untagged_in_time import see_it_untagged
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.links import next_link
from regscope.registry.list_growth import ListGrowth
from regscope.registry.responses import discard, read_whole
from regscope.registry.scopes import Need
from regscope.registry.tokens import TokenService
from regscope.spec.digest import Digest

_HOST = "registry.gitlab.com"
_SERVICE = "container_registry"
_RIGHTS = "the scope write_registry, or its user a role that may delete images"
_PAGE = 1000  # the most; 400 above it
_PAGE_LIMIT = 2**24


class GitLab(Provider):
    """A registry that belongs to a GitLab, read with the registry's own login."""

    name = "GitLab"
    locations = ("registry.gitlab.com/GROUP", "a GitLab's registry host")
    frees = (
        "GitLab frees the storage by itself where its registry has the metadata database, as gitlab.com: a manifest "
        "without a tag is deleted after a day, and its blobs after that. Elsewhere an administrator runs "
        "`gitlab-ctl registry-garbage-collect`. Nothing restores what was deleted but undo."
    )
    adds = ("push times of tags", "sizes", "digests without a request for each tag", "the removal of a tag alone")
    needs = "the registry's login: read_registry to read, write_registry and a role that may delete images to delete"
    would_add: ClassVar[Mapping[str, str]] = {
        "an access token with the scope read_api": "the repositories of a group, and of all projects of the user",
        "an access token with the scope api": "the removal of tags at registries that delete none by name",
    }
    lists_untagged = False
    untags = True
    takes_tags_along = True

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client
        self._api = GitLabAPI(client)
        self._lists_tags = True  # until an answer shows the opposite
        self._deletes_by_name = True  # as well

    @classmethod
    def is_at(cls, host: str) -> bool:
        """`registry.gitlab.com`."""
        return host.lower() == _HOST

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        """A registry whose tokens are for `container_registry`, and come from `/jwt/auth` of a GitLab."""
        return service.service == _SERVICE and urlsplit(service.realm).path.endswith(TOKENS)

    @classmethod
    def is_shown_by(cls, headers: Mapping[str, str]) -> bool:
        """Each answer of its registry has its version (lib/container_registry/client.rb)."""
        return "gitlab-container-registry-version" in headers

    def is_partial(self, prefix: str) -> bool:
        """True: all repositories of a registry share their layers, and those of others are not shown."""
        return True

    def repositories(self, prefix: str) -> list[str]:
        """By the registry itself below a project; by the REST API below a group, and of all projects."""
        if prefix:
            path, need = (
                f"gitlab/v1/repository-paths/{quote(prefix)}/repositories/list/",
                Need(prefix, "", _pull(prefix)),
            )
            try:
                pages = self._pages(path, need, f"the repositories below {prefix}")
                return sorted({str(entry["path"]) for page in pages for entry in page if "path" in entry})
            except (AuthFailed, PermissionDeny, ResourceNotFound, _NoList):
                pass  # tokens are given for projects alone, and the list needs the metadata database
        return self._api.repositories(prefix)

    def manifests(self, repository: str) -> Listing | None:
        """The manifests that have a tag, by pages of a thousand tags.

        None where the registry has no metadata database, or a proxy forwards requests below `/v2` only.

        Raises:
            InvalidDigest: an entry of the list has no valid digest.

        Warns:
            CapabilityWarning: the result is None, for the first time.
        """
        if not self._lists_tags:
            return None
        path = f"gitlab/v1/repositories/{quote(repository)}/tags/list/"
        need = Need(repository, "tags", _pull(repository))
        rows: dict[Digest, ListedManifest] = {}
        try:
            for page in self._pages(path, need, f"the tags of {repository}"):
                for row in map(_row, page):
                    before = rows.get(row.digest)
                    rows[row.digest] = row if before is None else before._replace(tags=before.tags + row.tags)
        except (ResourceNotFound, _NoList) as error:
            if error.code:
                raise
            is_first, self._lists_tags = self._lists_tags, False
            if is_first:
                said = f"{self._client.api_base_url}: push times and sizes are not shown: {error.message}. "
                said += "The registry has no metadata database, or a proxy before it does not let /gitlab/v1 through."
                warnings.warn(CapabilityWarning(said, "provider"), stacklevel=2)
            return None
        return Listing(list(rows.values()), is_complete=False)

    def untag(self, repository: str, tag: str) -> None:
        """By the registry, which deletes a tag by its name; by the REST API where it does not."""
        if self._deletes_by_name:
            try:
                discard(self._client.request("DELETE", self._client.url(repository, "manifests", tag)))
            except RequestErrorWithResponse as error:
                if not _knows_no_tags(error):
                    raise
                self._deletes_by_name = False
        if not self._deletes_by_name:
            self._api.delete_tag(repository, tag)
        see_it_untagged(self._client, repository, tag, "GitLab")

    def explained(self, error: RequestError, repository: str) -> RequestError:
        """Protected tags are refused with 403, manifests that an index refers to with 409."""
        if not isinstance(error, RequestErrorWithResponse):
            return error
        if isinstance(error, PermissionDeny) and error.status_code == HTTPStatus.UNAUTHORIZED:
            error.next_step = f"The login lacks {_RIGHTS}."
        if error.status_code == HTTPStatus.FORBIDDEN:
            return PermissionDeny(
                f"{repository}: GitLab refuses this: {error.message}",
                error.status_code,
                error.response,
                code=error.code,
                url=error.url,
                next_step="The tag is protected or immutable (Settings > Packages and registries > Container registry "
                "> Protected container tags): keep it by the policy, or remove the rule. Otherwise the login lacks "
                f"{_RIGHTS}.",
            )
        if error.status_code == HTTPStatus.CONFLICT:
            return Unsupported(
                f"{repository}: an index without a tag, which GitLab does not list, refers to it: {error.message}",
                error.status_code,
                error.response,
                code=error.code,
                url=error.url,
                next_step="Leave it to GitLab, which deletes such an index after a day and then what it refers to; or "
                "scan and plan again after that.",
            )
        return error

    def _pages(self, path: str, need: Need, what: str) -> Iterator[list[dict[str, Any]]]:
        """The pages of a list, until one has no link to a next page.

        Raises:
            _NoList: the answer is no list: something other than the registry has answered.
        """
        growth = ListGrowth(what, self._client.most_names)
        own = f"{self._client.api_base_url}/{path}"
        query: str | None = urlencode({"n": _PAGE})
        while query:
            url = f"{own}?{query}"
            growth.ask(url)
            response, body = read_whole(partial(self._client.request, "GET", url, need=need), _PAGE_LIMIT, what)
            try:
                found = json.loads(body)
            except (ValueError, RecursionError):
                found = None
            if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
                raise _NoList(f"{what} at {url} are no JSON list", response.status_code, url=url)
            yield growth.take(found)
            # Of the link only the query is used: behind a proxy a registry may name a wrong host.
            query = urlsplit(next_link(response.headers.get("Link", "")) or "").query


class _NoList(RequestErrorWithResponse):
    """An answer of something other than this API."""


def _pull(repository: str) -> frozenset[str]:
    return frozenset({f"repository:{repository}:pull"})


def _knows_no_tags(error: RequestErrorWithResponse) -> bool:
    """Whether the answer means that the registry deletes no tag by its name: 400 for an invalid digest, 405, or 404
    without a registry's error code."""
    if isinstance(error, ResourceNotFound):
        return not error.code
    return isinstance(error, Unsupported) or error.status_code == HTTPStatus.BAD_REQUEST


def _row(said: Mapping[str, Any]) -> ListedManifest:
    """The manifest of one tag.

    Raises:
        InvalidDigest: the entry has no valid digest, or no name.
    """
    name, kind, size = said.get("name"), said.get("media_type"), said.get("size_bytes")
    if not isinstance(name, str):
        raise InvalidDigest(
            "an entry of GitLab's tag list has no name", next_step="Report it to whoever runs the registry."
        )
    pushed = next(filter(None, (time_in(said.get(key)) for key in ("published_at", "updated_at", "created_at"))), None)
    return ListedManifest(
        Digest(str(said.get("digest"))),
        tags=(ListedTag(name, pushed),),
        media_type=text_in(kind),
        size=size_in(size),
    )
