"""Quay: quay.io, and Red Hat Quay on a host of one's own.

A manifest is served as long as a tag is on it, or on an index that has it; what lost its last tag is kept for the time
machine, served to nobody, and then deleted (quay/quay, data/model/oci). So nothing without a tag is listed.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlsplit

from regscope.errors import (
    CapabilityWarning,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    Unsupported,
)
from regscope.hosted.json_values import size_in
from regscope.hosted.provider import ListedManifest, ListedTag, Listing, Provider
from regscope.hosted.quay_api import QuayAPI, give_token, time_of
from regscope.hosted.untagged_in_time import see_it_untagged
from regscope.registry.catalog import list_repositories
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.deletion import Deletion
from regscope.registry.manifests import ManifestRef
from regscope.registry.responses import discard
from regscope.registry.tokens import TokenService
from regscope.spec.digest import Digest

_HOST = "quay.io"
_TOKENS = "/v2/auth"
_NOT_SHOWN = {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}  # OK: no JSON


class Quay(Provider):
    """A registry that is run by Quay, read with the registry's own login and an OAuth token."""

    name = "Quay"
    locations = ("quay.io/NAMESPACE", "a Quay's host")
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
        self._api = QuayAPI(client)

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
        """True: all repositories of a registry share their layers, and those of others are not shown."""
        return True

    def repositories(self, prefix: str) -> list[str]:
        """The repositories of the prefix's namespace that the API shows, and those of the catalog, which has what the
        registry's login may read; where the prefix is empty, those of the catalog."""
        if not prefix and self._client.keychain:
            return list_repositories(self._client)
        if not prefix:
            raise Unsupported(
                f"{self._client.api_base_url} lists repositories only for a login, or below a namespace",
                next_step=f"Name the namespace: {self._client.api_base_url.rpartition('/')[2]}/NAMESPACE.",
            )
        found = {*self._api.repositories(prefix.partition("/")[0])}
        if self._client.keychain:
            try:
                found.update(list_repositories(self._client))
            except (PermissionDeny, Unsupported):
                if not self._api.has_token:
                    raise
        return sorted(name for name in found if f"{name}/".startswith(f"{prefix}/"))

    def manifests(self, repository: str) -> Listing | None:
        """The manifests that have a tag; None where the API does not show the repository.

        Warns:
            CapabilityWarning: the result is None.
        """
        rows: dict[Digest, ListedManifest] = {}
        try:
            for row in map(_row, self._api.tags(repository, active=True)):
                before = rows.get(row.digest, row)
                tags = row.tags if before is row else before.tags + row.tags
                rows[row.digest] = row._replace(tags=tags, locked=row.locked or before.locked)
        except RequestErrorWithResponse as error:
            if error.status_code not in _NOT_SHOWN:
                raise
            said = f"{repository}: push times, sizes and immutable tags are not shown: {error.message}. "
            said += give_token("repo:read")
            warnings.warn(CapabilityWarning(said, "provider"), stacklevel=2)
            return None
        return Listing(list(rows.values()), is_complete=False)

    def untag(self, repository: str, tag: str) -> None:
        """By the registry; by the API where it deletes no tag by its name. A tag whose manifest goes with it is set
        again."""
        tagged = ManifestRef(repository, tag, self._client)
        original = tagged.fetch()
        try:
            discard(self._client.request("DELETE", self._client.url(repository, "manifests", tag)))
        except Unsupported as error:  # before Quay 3.13
            if not self._api.has_token:
                error.next_step = give_token("repo:write")
                raise
            self._api.delete_tag(repository, tag)
        see_it_untagged(self._client, repository, tag, "Quay")
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
            return self._api.has_token and self._api.former_tag(repository, digest) is not None
        except RequestError:
            return False

    def restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """By the time machine, with one of the tags that pointed to it.

        Returns:
            Whether the registry serves it now; False without a token, and after the time machine.
        """
        if not (self._api.has_token and self._api.restore(repository, digest)):
            return False
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


def _row(said: Mapping[str, Any]) -> ListedManifest:
    """The manifest of one tag.

    Raises:
        InvalidDigest: the entry has no valid digest.
    """
    size = said.get("size")
    return ListedManifest(
        Digest(str(said.get("manifest_digest"))),
        tags=(ListedTag(str(said.get("name")), time_of(said.get("start_ts"))),),
        size=size_in(size),
        locked=said.get("immutable") is True,
    )
