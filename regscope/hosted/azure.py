"""Azure Container Registry: its own API below `/acr/v1` on the registry's host (Azure/acr-cli, docs/swagger.yaml).

It lists all manifests, untagged ones too, with their tags, times and locks. It accepts the registry's own login; the
token needs one more right: `metadata_read`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from regscope.errors import (
    AuthFailed,
    CapabilityWarning,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    Unsupported,
)
from regscope.hosted.json_values import size_in, text_in, time_in
from regscope.hosted.provider import ListedManifest, ListedTag, Listing, Provider
from regscope.hosted.untagged_in_time import see_it_untagged
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.list_growth import ListGrowth
from regscope.registry.paging import strings
from regscope.registry.referrers import list_referrers
from regscope.registry.responses import discard, parse_json, read_whole
from regscope.registry.scopes import Need
from regscope.registry.tokens import TokenService
from regscope.spec.digest import Digest

_HOSTS = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.azurecr\.(io|cn|us)", re.IGNORECASE)
_TOKENS = "/oauth2/token"
_PAGE = 100  # larger ones time out (acr-cli, README)
_PAGE_LIMIT = 2**24
_METHOD_NOT_ALLOWED = 405


class Azure(Provider):
    """A registry at Azure, read with the registry's own login."""

    name = "Azure Container Registry"
    locations = ("NAME.azurecr.io",)
    frees = (
        "Azure Container Registry frees the storage by itself: deleted bytes are no longer billed, and freed later. "
        "Where soft delete is enabled, deleted manifests are stored and billed for 7 days, or for the number of days "
        "that is set (1 to 90); until then `az acr manifest list-deleted` and `az acr manifest restore` restore them."
    )
    adds = ("manifests without a tag", "push times", "locks", "sizes", "the removal of a tag alone")
    needs = "the registry's login: pull and metadata_read to read, delete to delete"
    would_add: ClassVar[Mapping[str, str]] = {
        "an Azure login with a right to manage the registry": "soft delete, its restore, and retention policies",
    }
    untags = True
    takes_tags_along = True
    takes_referrers_along = True

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client

    @classmethod
    def is_at(cls, host: str) -> bool:
        """`NAME.azurecr.io`, `.cn` and `.us`."""
        return _HOSTS.fullmatch(host) is not None

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        """A custom domain, whose tokens are for `NAME.azurecr.io`, and come from `/oauth2/token`."""
        return _HOSTS.fullmatch(service.service) is not None and urlsplit(service.realm).path == _TOKENS

    def is_partial(self, prefix: str) -> bool:
        """True for every prefix: all repositories of a registry share their layers."""
        return bool(prefix)

    def repositories(self, prefix: str) -> list[str]:
        """By the catalog of `/acr/v1`."""
        names: set[str] = set()
        need = Need("", "_catalog", frozenset({"registry:catalog:*"}))
        for page in self._pages("_catalog", "repositories", need, "the catalog"):
            names.update(strings(page, "repositories"))
        return sorted(name for name in names if not prefix or f"{name}/".startswith(f"{prefix}/"))

    def manifests(self, repository: str) -> Listing | None:
        """By pages of a hundred manifests, and of a hundred tags, since manifests and tags have locks of their own.

        None where the token service does not grant `metadata_read`, or a proxy forwards requests below `/v2` only.

        Warns:
            CapabilityWarning: the result is None.
        """
        try:
            return self._listed(repository)
        except (PermissionDeny, AuthFailed) as error:
            why = f"are not shown to these credentials: {error.message}. Give the token metadata/read."
        except ResourceNotFound as error:
            if error.code:
                raise
            why = f"are not shown: {error.message}"
        said = f"{repository}: manifests without a tag, times and locks {why}"
        warnings.warn(CapabilityWarning(said, "provider"), stacklevel=2)
        return None

    def _listed(self, repository: str) -> Listing:
        name, need = quote(repository), _need(repository, "metadata_read")
        on: dict[str, list[Mapping[str, Any]]] = {}
        for page in self._pages(f"{name}/_tags", "tags", need, f"the tags of {repository}"):
            for tag in _entries(page, "tags"):
                on.setdefault(str(tag.get("digest")), []).append(tag)
        found: dict[Digest, ListedManifest] = {}
        for page in self._pages(f"{name}/_manifests", "manifests", need, f"the manifests of {repository}"):
            for said in _entries(page, "manifests"):
                row = _row(said, on.pop(str(said.get("digest")), []))
                found[row.digest] = row
        for digest, tags in on.items():  # pushed between the two lists
            found[Digest(digest)] = _row({"digest": digest}, tags)
        return Listing(list(found.values()), self._count(repository) <= len(found))

    def _count(self, repository: str) -> int:
        """The number of manifests, of which those with `listEnabled: false` are in no list."""
        url = f"{self._client.api_base_url}/acr/v1/{quote(repository)}"
        what = f"the attributes of {repository}"
        need = _need(repository, "metadata_read")
        response, body = read_whole(partial(self._client.request, "GET", url, need=need), _PAGE_LIMIT, what)
        count = parse_json(response, body, what).get("manifestCount")
        return count if isinstance(count, int) else 0

    def untag(self, repository: str, tag: str) -> None:
        """By `DELETE /acr/v1/NAME/_tags/TAG`."""
        url = f"{self._client.api_base_url}/acr/v1/{quote(repository)}/_tags/{quote(tag)}"
        discard(self._client.request("DELETE", url, need=_need(repository, "delete")))
        see_it_untagged(self._client, repository, tag, "the registry")

    def taken_along(self, repository: str, digest: Digest) -> Collection[Digest]:
        """Its referrers, also those with a tag (acr-cli cmd/repository/image_functions.go)."""
        return [each.digest for each in list_referrers(self._client, repository, digest) or ()]

    def explained(self, error: RequestError, repository: str) -> RequestError:
        """The registry answers 405 to the deletion of what is locked."""
        if not isinstance(error, RequestErrorWithResponse) or error.status_code != _METHOD_NOT_ALLOWED:
            return error
        return Unsupported(
            f"a manifest or tag in {repository} is locked (deleteEnabled or writeEnabled is false): {error.message}",
            error.status_code,
            error.response,
            code=error.code,
            url=error.url,
            next_step="Keep it, or unlock it: az acr repository update --name REGISTRY --image NAME@DIGEST "
            "--delete-enabled true --write-enabled true, and the same for its tags.",
        )

    def _pages(self, path: str, key: str, need: Need, what: str) -> Iterator[dict[str, Any]]:
        """The pages of a list until an empty one: each request asks for the entries after the last one so far."""
        growth, last = ListGrowth(what, self._client.most_names), ""
        while True:
            query = urlencode({"n": _PAGE, **({"last": last} if last else {})})
            url = f"{self._client.api_base_url}/acr/v1/{path}?{query}"
            growth.ask(url)
            response, body = read_whole(partial(self._client.request, "GET", url, need=need), _PAGE_LIMIT, what)
            page = parse_json(response, body, what)
            entries = page.get(key)
            if not isinstance(entries, list) or not growth.take(entries):
                return
            yield page
            last = _name(entries[-1])


def _need(repository: str, action: str) -> Need:
    return Need(repository, f"acr/v1 {action}", frozenset({f"repository:{repository}:{action}"}))


def _name(entry: Any) -> str:
    """The value of `last` for the page after this entry."""
    said = entry.get("digest" if "name" not in entry else "name") if isinstance(entry, dict) else entry
    return str(said)


def _entries(page: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [entry for entry in page[key] if isinstance(entry, dict)]


def _row(said: dict[str, Any], tags: list[Mapping[str, Any]]) -> ListedManifest:
    """A manifest of a list, with the entries of its tags.

    Raises:
        InvalidDigest: the entry has no valid digest.
    """
    kind, size = said.get("mediaType"), said.get("imageSize")
    names: dict[str, datetime | None] = dict.fromkeys(strings(said, "tags"))
    names |= {str(tag.get("name")): time_in(tag.get("lastUpdateTime")) for tag in tags}
    return ListedManifest(
        Digest(str(said.get("digest"))),
        tags=tuple(ListedTag(name, pushed) for name, pushed in sorted(names.items())),
        media_type=text_in(kind),
        size=size_in(size),
        pushed=time_in(said.get("createdTime")),
        updated=time_in(said.get("lastUpdateTime")),
        locked=any(map(_is_locked, (said, *tags))),
    )


def _is_locked(said: Mapping[str, Any]) -> bool:
    attributes = said.get("changeableAttributes")
    return isinstance(attributes, dict) and False in (attributes.get("deleteEnabled"), attributes.get("writeEnabled"))
