"""Quay: quay.io, and Red Hat Quay on a host of one's own.

Its API below `/api/v1` on the registry's host (quay/quay, endpoints/api) lists tags with digests, sizes and times, and
restores what the time machine still keeps. It wants an OAuth token; the registry's login, a robot's too, does not open
it. Without a token it shows public repositories.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from regscope.errors import (
    AuthFailed,
    CapabilityWarning,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    Unsupported,
)
from regscope.hosted.provider import ListedManifest, ListedTag, Listing, Provider
from regscope.hosted.rest_api import RestAnswer, RestAPI
from regscope.registry.catalog import list_repositories
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.deletion import Deletion
from regscope.registry.eventually import eventually
from regscope.registry.manifests import ManifestRef
from regscope.registry.responses import discard
from regscope.registry.tokens import TokenService
from regscope.spec.digest import Digest

_HOST = "quay.io"
_TOKENS = "/v2/auth"
_PAGE = 100  # the most
_NOT_SHOWN = {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}  # OK: no JSON
_ASK_FOR_TOKEN = "Give an OAuth access token of an application of the organization with the scope {scope}: "
_BY = "api_token=…, REGSCOPE_API_TOKEN."


class _OAuthToken:
    """The client's own token for the API; without one requests are anonymous."""

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._client.api_token}"} if self._client.api_token else {}

    def renew(self) -> bool:
        return False


class Quay(Provider):
    """A registry that is run by Quay, read with the registry's own login and an OAuth token."""

    name = "Quay"
    frees = (
        "Quay deletes a manifest and frees its storage by itself when the last tag on it has left the time machine: "
        "two weeks after the tag was deleted or moved, or as set for the namespace (0 s to 4 weeks). Until then the "
        "tag can be restored: regscope undo with an OAuth token, or the tag history on the web."
    )
    adds = ("push times of tags", "sizes", "immutable tags", "the removal of a tag alone")
    needs = "the registry's login: read to read, write to delete; nothing for the API of public repositories"
    would_add: ClassVar[Mapping[str, str]] = {
        "an OAuth token with the scope repo:read": "all this for private repositories, and their names",
        "an OAuth token with the scope repo:write": "undo by the time machine",
    }
    lists_untagged = False
    untags = True
    deletes = True
    restores = True

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client
        self._api = RestAPI(client, f"{client.api_base_url}/api/v1", _OAuthToken(client))

    @classmethod
    def is_at(cls, host: str) -> bool:
        """`quay.io`."""
        return host.lower() == _HOST

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        """A registry whose tokens come from `/v2/auth` on its own host."""
        realm = urlsplit(service.realm)
        return realm.path == _TOKENS and realm.hostname == host

    def is_partial(self, prefix: str) -> bool:
        """True for every prefix: all repositories of a registry share their layers."""
        return bool(prefix)

    def repositories(self, prefix: str) -> list[str]:
        """The repositories of the prefix's namespace that the API shows, and those of the catalog, which has what the
        registry's login may read."""
        if not prefix:
            raise Unsupported(
                f"{self._client.api_base_url} lists repositories only for a login, or below a namespace",
                next_step=f"Name the namespace: {self._client.api_base_url.rpartition('/')[2]}/NAMESPACE.",
            )
        found = {*self._of_namespace(prefix.partition("/")[0])}
        if self._client.keychain:
            try:
                found.update(list_repositories(self._client))
            except (PermissionDeny, Unsupported):
                if not self._client.api_token:
                    raise
        return sorted(name for name in found if f"{name}/".startswith(f"{prefix}/"))

    def manifests(self, repository: str) -> Listing | None:
        """The manifests that have a tag; None where the API does not show the repository.

        Warns:
            CapabilityWarning: the result is None.
        """
        rows: dict[Digest, ListedManifest] = {}
        try:
            for row in map(_row, self._history(repository, {"onlyActiveTags": "true"})):
                before = rows.get(row.digest, row)
                tags = row.tags if before is row else before.tags + row.tags
                rows[row.digest] = row._replace(tags=tags, locked=row.locked or before.locked)
        except RequestErrorWithResponse as error:
            if error.status_code not in _NOT_SHOWN:
                raise
            step = f"{_ASK_FOR_TOKEN.format(scope='repo:read')}{_BY}"
            said = f"{repository}: push times, sizes and immutable tags are not shown: {error.message}. {step}"
            warnings.warn(CapabilityWarning(said, "provider"), stacklevel=2)
            return None
        return Listing(list(rows.values()), is_complete=False)

    def untag(self, repository: str, tag: str) -> None:
        """By the registry; a tag whose manifest would go with it is set again."""
        tagged = ManifestRef(repository, tag, self._client)
        original = tagged.fetch()
        discard(self._client.request("DELETE", self._client.url(repository, "manifests", tag)))
        if not eventually(lambda: tagged.get_metadata() is None, self._client.retry_policy.settling):
            raise RequestError(
                f"Quay accepted the deletion of the tag {repository}:{tag}, and still serves it",
                next_step="Check again later whether it is gone.",
            )
        if ManifestRef(repository, original.digest, self._client).get_metadata() is None:
            tagged.put(original.raw, original.media_type)
            raise RequestError(
                f"Quay deletes {original.digest} with its last tag, so the tag {repository}:{tag} was set again",
                next_step="Give the manifest another tag first, or delete it: regscope image delete.",
            )

    def delete(self, repository: str, digests: Sequence[Digest]) -> Mapping[Digest, RequestError]:
        """By the registry, with all tags. One without a tag is no longer there for Quay, even where it serves it for an
        hour after a push by its digest, or as the child of an index."""
        left: dict[Digest, RequestError] = {}
        for digest in digests:
            try:
                discard(self._client.request("DELETE", self._client.url(repository, "manifests", digest)))
            except ResourceNotFound as error:
                left[digest] = error
        return left

    def check_deletes(self, repository: str) -> None:
        """By a request to delete a manifest that cannot exist."""
        Deletion(self._client, repository).make_sure()

    def can_restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """Whether the tag history has a tag that pointed to it, which the token could restore."""
        try:
            return bool(self._client.api_token) and self._former_tag(repository, digest) is not None
        except RequestError:
            return False

    def restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """By the time machine, with one of the tags that pointed to it.

        Returns:
            Whether the registry serves it now; False without a token, and after the time machine.
        """
        if not self._client.api_token:
            return False
        try:
            tag = self._former_tag(repository, digest)
            if tag is None:
                return False
            path = f"{_path(repository)}/tag/{quote(tag)}/restore"
            self._api.send("POST", path, {"manifest_digest": digest})
        except ResourceNotFound:
            return False
        except (AuthFailed, PermissionDeny) as error:
            error.next_step = f"{_ASK_FOR_TOKEN.format(scope='repo:write')}{_BY} Or undo from a backup."
            raise
        return ManifestRef(repository, digest, self._client).get_metadata() is not None

    def explained(self, error: RequestError, repository: str) -> RequestError:
        """409 is the answer to a change of an immutable tag."""
        if not isinstance(error, RequestErrorWithResponse) or error.status_code != HTTPStatus.CONFLICT:
            return error
        return Unsupported(
            f"a tag in {repository} is immutable: {error.message}",
            error.status_code,
            error.response,
            code=error.code,
            url=error.url,
            next_step="Keep it by the policy; or let an administrator of the repository remove the immutability of the "
            "tag, or the policy of the organization that sets it.",
        )

    def _of_namespace(self, namespace: str) -> Iterator[str]:
        """The names that the API shows: with a token all that it may read, else the public ones.

        Raises:
            PermissionDeny: the API refuses the token.
        """
        query = urlencode({"namespace": namespace, "public": "true"})
        url, what = f"{self._api.address}/repository?{query}", f"the repositories of {namespace}"
        try:
            for page in self._api.pages(url, what, "repositories", _by_token):
                for said in page:
                    if isinstance(said, dict) and isinstance(said.get("name"), str):
                        yield f"{said.get('namespace', namespace)}/{said['name']}"
        except (AuthFailed, PermissionDeny) as error:
            raise PermissionDeny(
                f"{what} are not shown: {error.message}",
                error.status_code,
                url=error.url,
                next_step=f"{_ASK_FOR_TOKEN.format(scope='repo:read')}{_BY}",
            ) from None

    def _former_tag(self, repository: str, digest: Digest) -> str | None:
        """The tag that pointed to a manifest last, of those that point to nothing now."""
        active: set[str] = set()
        former: list[tuple[float, str]] = []
        for said in self._history(repository, {}):
            name, ended = str(said.get("name")), said.get("end_ts")
            if not isinstance(ended, int) or datetime.fromtimestamp(ended, UTC) > datetime.now(UTC):
                active.add(name)
            elif said.get("manifest_digest") == digest:
                former.append((ended, name))
        return next((name for _, name in sorted(former, reverse=True) if name not in active), None)

    def _history(self, repository: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The entries of the tag history, those of dead tags too unless the query leaves them out."""
        more = {"limit": _PAGE, "page": 1, **query}
        url = f"{self._api.address}/{_path(repository)}/tag/?{urlencode(more)}"
        for page in self._api.pages(url, f"the tags of {repository}", "tags", _by_number):
            yield from (entry for entry in page if isinstance(entry, dict))


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


def _path(repository: str) -> str:
    return f"repository/{quote(repository)}"


def _row(said: Mapping[str, Any]) -> ListedManifest:
    """The manifest of one tag.

    Raises:
        InvalidDigest: the entry has no valid digest.
    """
    size = said.get("size")
    return ListedManifest(
        Digest(str(said.get("manifest_digest"))),
        tags=(ListedTag(str(said.get("name")), _time(said.get("start_ts"))),),
        size=size if isinstance(size, int) and not isinstance(size, bool) else None,
        locked=said.get("immutable") is True,
    )


def _time(said: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(said, UTC) if isinstance(said, int) and not isinstance(said, bool) else None
    except (ValueError, OverflowError, OSError):
        return None
