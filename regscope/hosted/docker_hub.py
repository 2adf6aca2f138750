"""Docker Hub: its own API at hub.docker.com (docs.docker.com/reference/api/hub), beside the registry at registry-1.

The API lists repositories and tags with their times, a hundred a call, and counts no pull; it removes tags. Manifests
are deleted at the registry, once no tag and no other manifest refers to them. Nothing lists manifests without a tag.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from regscope.errors import (
    AuthFailed,
    CapabilityWarning,
    ConnectionFailed,
    InvalidDigest,
    InvalidReference,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    Unsupported,
)
from regscope.hosted.hub_login import API, HubLogin
from regscope.hosted.json_values import size_in, text_in, time_in
from regscope.hosted.provider import ListedManifest, ListedTag, Listing, Provider
from regscope.hosted.rest_api import RestAnswer, RestAPI
from regscope.hosted.untagged_in_time import see_it_untagged
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.endpoint import full_name, is_docker_hub
from regscope.registry.manifests import ManifestRef
from regscope.registry.tag_list import read_tag_list
from regscope.registry.tokens import TokenService
from regscope.spec.digest import Digest
from regscope.spec.reference import check_repository

_PAGE = 100  # the most that a call gives


class DockerHub(Provider):
    """Docker Hub, read with the registry's own login."""

    name = "Docker Hub"
    locations = ("docker.io/NAMESPACE",)
    frees = (
        "Docker Hub frees the storage by itself, at a time of its own: nothing has to be done, and nothing brings "
        "deleted images back but a backup."
    )
    adds = ("repositories below a namespace", "push times", "pull times", "the removal of a tag alone")
    needs = "the registry's login, best with an access token: Read to read, Read, Write, Delete to clean up"
    lists_untagged = False
    lists_pulls = True
    counts_pulls = True
    untags = True

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client
        self._login = HubLogin(client)
        self._api = RestAPI(client, API, self._login)
        self._not_shown: set[str] = set()  # repositories; the empty name stands for all

    @classmethod
    def is_at(cls, host: str) -> bool:
        """All names of Docker Hub."""
        return is_docker_hub(f"https://{host}")

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        """False: a mirror that shows Docker Hub's challenge is not Docker Hub."""
        return False

    def is_partial(self, prefix: str) -> bool:
        """True: repositories of other namespaces share their layers."""
        return bool(prefix)

    def repositories(self, prefix: str) -> list[str]:
        """A namespace's by its list, which an anonymous request shows the public ones of; a single one as it is."""
        if not prefix:
            raise Unsupported(
                "Docker Hub lists repositories only below a namespace",
                next_step="Open docker.io/NAMESPACE, or name the repositories.",
            )
        if "/" in prefix:
            return [prefix]
        names: set[str] = set()
        for page in self._pages(f"v2/namespaces/{quote(prefix)}/repositories", f"the repositories of {prefix}"):
            names.update(filter(None, (_valid(prefix, entry) for entry in page)))
        return sorted(names)

    def manifests(self, repository: str) -> Listing | None:
        """The tags of a repository, by pages of a hundred, and the images that they point to.

        None where Docker Hub's API does not show the repository, or lacks tags that its registry has; the repository is
        then read as from any registry.

        Warns:
            CapabilityWarning: the result is None.
        """
        name = full_name(self._client.api_base_url, repository)
        if (entries := self._tags(name)) is None:
            return None
        there = self._tags_at_the_registry(name)
        if there - entries.keys() and (entries := self._tags(name)) is None:  # pushed between the two lists
            return None
        if unknown := sorted(there - entries.keys()):
            # What else it says may be as old (hub-feedback#2533): a tag may have been moved since.
            _say_not_listed(name, f"it lacks {len(unknown)} tags that the registry has, such as {unknown[0]}")
            return None
        rows: dict[Digest, ListedManifest] = {}
        for tag in sorted(entries.keys() & there):  # others were deleted at the registry (hub-feedback#2361)
            self._take(name, entries[tag], rows)
        return Listing(list(rows.values()), is_complete=False)

    def untag(self, repository: str, tag: str) -> None:
        """By `DELETE /v2/repositories/NAMESPACE/NAME/tags/TAG/`."""
        name = full_name(self._client.api_base_url, repository)
        tagged = ManifestRef(name, tag, self._client)
        self._login.require()
        try:
            self._api.send("DELETE", f"v2/repositories/{quote(name)}/tags/{quote(tag)}/")
        except ResourceNotFound:
            if tagged.get_metadata() is None:
                raise
            raise RequestError(
                f"Docker Hub's API does not know the tag {name}:{tag}, which its registry serves",
                next_step="Try again later, or push the tag again: the API lags behind the registry.",
            ) from None
        see_it_untagged(self._client, name, tag, "Docker Hub")

    def check_untags(self, repository: str) -> None:
        """Check that the API accepts the login."""
        self._login.require()

    def explained(self, error: RequestError, repository: str) -> RequestError:
        """The registry answers 403 both where something refers to a manifest, and where a right is missing."""
        if isinstance(error, PermissionDeny) and error.url and "/manifests/" in error.url:
            return PermissionDeny(
                f"{error.message}. Docker Hub keeps a manifest that a tag or another manifest refers to, which may be "
                "one without a tag that no list shows",
                error.status_code,
                error.response,
                code=error.code,
                url=error.url,
                next_step="Scan and plan again. If it is refused again, delete what refers to it on the web (My Hub, "
                "the repository, Image Management), or use an access token with Read, Write, Delete.",
            )
        if isinstance(error, PermissionDeny):
            error.next_step = "Use an access token with Read, Write, Delete, of a user who may delete its tags."
        return error

    def _tags(self, name: str) -> dict[str, dict[str, Any]] | None:
        """The API's entries of the tags, by name; None, with a warning, where it does not list them."""
        if not self._not_shown.isdisjoint(("", name)):
            return None
        namespace, _, rest = quote(name).partition("/")
        pages = self._pages(f"v2/namespaces/{namespace}/repositories/{rest}/tags", f"the tags of {name}")
        try:
            found = [entry for page in pages for entry in page if isinstance(entry, dict)]
        except RequestError as error:
            if isinstance(error, PermissionDeny | AuthFailed | ResourceNotFound):
                self._not_shown.add(name)
            elif isinstance(error, ConnectionFailed):  # as where only the registry can be reached
                self._not_shown.add("")
            _say_not_listed(name, error.message)
            return None
        return {entry["name"]: entry for entry in found if isinstance(entry.get("name"), str)}

    def _tags_at_the_registry(self, name: str) -> set[str]:
        try:
            return set(read_tag_list(self._client, name).tags)
        except ResourceNotFound:  # as it answers for a repository without tags
            return set()

    def _take(self, name: str, entry: dict[str, Any], rows: dict[Digest, ListedManifest]) -> None:
        """Add the rows of a tag: of the manifest that it points to, and of the images below that."""
        images = [image for image in entry.get("images") or () if isinstance(image, dict)]
        digest = _digest(entry) or self._asked_for(name, entry["name"])
        if digest is None:
            return
        for image in images:
            if (found := _digest(image)) is not None and found not in rows:
                size, pushed, pulled = (
                    image.get("size"),
                    time_in(image.get("last_pushed")),
                    time_in(image.get("last_pulled")),
                )
                size = size_in(size)
                rows[found] = ListedManifest(found, size=size, pushed=pushed, pulled=pulled)
        tag = ListedTag(entry["name"], time_in(entry.get("tag_last_pushed")), time_in(entry.get("tag_last_pulled")))
        row = rows.get(digest, ListedManifest(digest))
        kind = entry.get("media_type")
        rows[digest] = row._replace(
            tags=(*row.tags, tag),
            media_type=text_in(kind),
            # An index is pulled before one of its images.
            pulled=max(
                filter(None, [row.pulled, *(time_in(image.get("last_pulled")) for image in images)]), default=None
            ),
        )

    def _asked_for(self, name: str, tag: str) -> Digest | None:
        """The digest by a HEAD request, which is no pull: some entries have none (hub-feedback#2369)."""
        found = ManifestRef(name, tag, self._client).get_metadata()
        return found.digest if found else None

    def _pages(self, path: str, what: str) -> Iterator[list[Any]]:
        def following(url: str, answer: RestAnswer) -> str | None:
            page = answer.document if isinstance(answer.document, dict) else {}
            if not isinstance(page.get("results"), list):
                raise RequestErrorWithResponse(
                    f"{url} does not answer with {what}", 200, url=url, next_step="Try again later."
                )
            after = page.get("next")
            return text_in(after)

        return self._api.pages(f"{API}/{path}?page=1&page_size={_PAGE}", what, "results", following)


def _say_not_listed(repository: str, why: str) -> None:
    said = f"{repository}: when tags were pushed and pulled is not known, since Docker Hub's API does not say: {why}"
    warnings.warn(CapabilityWarning(said, "provider"), stacklevel=3)


def _valid(namespace: str, entry: Any) -> str:
    """The full name of a repository in a list; empty where it has no valid one."""
    name = entry.get("name") if isinstance(entry, dict) else None
    try:
        return check_repository(f"{namespace}/{name}") if isinstance(name, str) else ""
    except InvalidReference:
        return ""


def _digest(entry: Mapping[str, Any]) -> Digest | None:
    try:
        return Digest(str(entry.get("digest")))
    except InvalidDigest:
        return None
