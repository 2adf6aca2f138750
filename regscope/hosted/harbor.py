"""Harbor: its own API below `/api/v2.0` on the registry's host (goharbor/harbor, api/v2.0/swagger.yaml).

It lists all manifests, untagged ones too, with their tags, times, immutable tags and accessories, and removes tags.
It takes the registry's own login, by Basic.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

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
from regscope.hosted.json_values import size_in, text_in, time_in
from regscope.hosted.provider import ListedManifest, ListedTag, Listing, Provider
from regscope.hosted.rest_api import RestAnswer, RestAPI
from regscope.hosted.untagged_in_time import see_it_untagged
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credentials import Credentials
from regscope.registry.links import next_link
from regscope.registry.manifests import ManifestRef
from regscope.registry.origin import resolved
from regscope.registry.tag_list import read_tag_list
from regscope.registry.tokens import TokenService
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.media_types import INDEXES

_SERVICE, _TOKENS = "harbor-registry", "/service/token"
_PAGE = 100  # the most that a call gives
_PRECONDITION = 412
# base=* adds the children of indexes (src/pkg/artifact/dao/dao.go); immutable tags are only named when asked for.
_ATTACHED = {"with_tag": "true", "with_accessory": "true", "with_immutable_status": "true"}
_ARTIFACTS = {"q": "base=*", "page": 1, "page_size": _PAGE, **_ATTACHED}


class Harbor(Provider):
    """A registry run by Harbor, read with the registry's own login."""

    name = "Harbor"
    locations = ("a Harbor's host",)
    frees = (
        "Harbor frees the bytes at its next garbage collection: Administration, Clean Up, Garbage Collection; or as an "
        'administrator `POST /api/v2.0/system/gc/schedule` with {"schedule": {"type": "Manual"}, "parameters": '
        '{"delete_untagged": false}}, whose entry in `GET /api/v2.0/system/gc` states freed_space when it is done. '
        "Harbor can be used meanwhile; blobs that were pushed less than 2 hours before are not deleted."
    )
    adds = (
        "manifests without a tag",
        "push times",
        "pull times",
        "immutable tags",
        "sizes",
        "the removal of a tag alone",
    )
    needs = (
        "the registry's login; a robot account: List Repository, List and Read Artifact, List Tag, Pull Repository to "
        "read, Delete Artifact and Delete Tag to clean up"
    )
    would_add: ClassVar[Mapping[str, str]] = {"an administrator's login": "the start of a garbage collection"}
    lists_all = True
    lists_pulls = True
    counts_pulls = True
    untags = True
    takes_tags_along = True
    takes_referrers_along = True

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client
        self._api = RestAPI(client, f"{client.api_base_url}/api/v2.0", _Login(client))
        self._not_shown: set[str] = set()  # repositories; the empty name stands for all
        self._lists_what_is_seen = False
        self._attached: dict[str, dict[str, str]] = {}  # the subject of each accessory, by repository
        self._children: dict[str, dict[Digest, list[str]]] = {}  # those of each index, by repository

    @classmethod
    def is_at(cls, host: str) -> bool:
        """False: it is installed by its users, at any host."""
        return False

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        """Its token service is `harbor-registry`, at `/service/token` (src/server/middleware/v2auth/auth.go)."""
        return service.service == _SERVICE and urlsplit(service.realm).path.endswith(_TOKENS)

    def is_partial(self, prefix: str) -> bool:
        """True for every prefix, and where the login does not see all projects: they share their layers."""
        return bool(prefix) or self._lists_what_is_seen

    def repositories(self, prefix: str) -> list[str]:
        """By the list of all repositories that these credentials may see; `_catalog` is for administrators."""
        self._lists_what_is_seen = True
        names: set[str] = set()
        for page in self._pages("repositories", {"page": 1, "page_size": _PAGE}, "the repositories"):
            names.update(each["name"] for each in page if isinstance(each, dict) and isinstance(each.get("name"), str))
        return sorted(name for name in names if not prefix or f"{name}/".startswith(f"{prefix}/"))

    def manifests(self, repository: str) -> Listing | None:
        """By pages of a hundred manifests.

        None where these credentials may not list them, or the host has no such API, as other services that name the
        same token service.

        Warns:
            CapabilityWarning: the result is None.
        """
        if not self._not_shown.isdisjoint(("", repository)):
            return None
        try:
            return Listing(list(self._listed(repository).values()))
        except (PermissionDeny, AuthFailed) as error:
            self._not_shown.add(repository)
            why = f"are not shown to these credentials: {error.message}. A robot account needs List Artifact."
        except ResourceNotFound as error:
            if error.code:
                raise
            self._not_shown.add("")
            why = f"are not shown: {error.message}"
        said = f"{repository}: manifests without a tag, times and immutable tags {why}"
        warnings.warn(CapabilityWarning(said, "provider"), stacklevel=2)
        return None

    def _listed(self, repository: str) -> dict[Digest, ListedManifest]:
        found: dict[Digest, ListedManifest] = {}
        attached = self._attached[repository] = {}
        children = self._children[repository] = {}
        for page in self._pages(f"{_place(repository)}/artifacts", _ARTIFACTS, f"the artifacts of {repository}"):
            for entry in page:
                row = _row(entry)
                found[row.digest] = row
                children[row.digest] = _children(entry)
                for each in _accessories(entry):
                    attached[str(each["digest"])] = row.digest
        if not found:  # the list of an unknown repository is empty
            self._api.get(_place(repository))
        for digest in list(attached):  # accessories are in no list of artifacts, and may have accessories of their own
            self._take_attached(repository, digest, found)
        on_tags = {tag for row in found.values() for tag in row.tag_names}
        for tag in read_tag_list(self._client, repository).tags:
            if tag not in on_tags:  # of an accessory whose subject is not there
                self._take_attached(repository, tag, found)
        return found

    def _take_attached(self, repository: str, reference: str, found: dict[Digest, ListedManifest]) -> None:
        """Add the row of an accessory, and those of its own accessories; nothing where it is gone meanwhile."""
        if reference in found:
            return
        try:
            entry = self._api.get(f"{_place(repository)}/artifacts/{quote(reference, safe=':')}", _ATTACHED).document
        except ResourceNotFound:
            return
        row = _row(entry)
        found[row.digest] = row
        for each in _accessories(entry):
            self._attached[repository][str(each["digest"])] = row.digest
            self._take_attached(repository, str(each["digest"]), found)

    def untag(self, repository: str, tag: str) -> None:
        """By `DELETE …/artifacts/TAG/tags/TAG`; the registry's API deletes no tag."""
        self._api.send("DELETE", f"{_place(repository)}/artifacts/{quote(tag)}/tags/{quote(tag)}")
        see_it_untagged(self._client, repository, tag, "Harbor")

    def taken_along(self, repository: str, digest: Digest) -> Collection[Digest]:
        """What is attached to it, also if it has a tag; and children that are attached to another artifact
        (src/controller/artifact/controller.go, deleteDeeply)."""
        attached = self._attached.get(repository, {})
        found = {Digest(each) for each, subject in attached.items() if subject == digest}
        if attached:
            found |= {child for child in self._below(repository, digest) if child in attached}
        found |= self._attestations_alone(repository, digest)
        return sorted(each for each in found if self._is_there(repository, each))

    def _attestations_alone(self, repository: str, digest: Digest) -> set[Digest]:
        """The attestations in an index that no other index names: their images may be in other indexes, and stay."""
        children = self._children.get(repository, {})
        if not children.get(digest):
            return set()
        others = [index for index, named in children.items() if named and index != digest]
        return {
            each.digest
            for each in self._entries(repository, digest)
            if each.is_attestation
            and not any(each.digest in children[index] and self._is_there(repository, index) for index in others)
        }

    def _is_there(self, repository: str, digest: Digest) -> bool:
        return ManifestRef(repository, digest, self._client).get_metadata() is not None

    def _below(self, repository: str, digest: str) -> Iterator[Digest]:
        """The children of an index, and theirs."""
        for child in self._entries(repository, digest):
            yield child.digest
            if child.mediaType in INDEXES:
                yield from self._below(repository, child.digest)

    def _entries(self, repository: str, digest: str) -> Sequence[Descriptor]:
        """The entries of an index; none where it is gone."""
        try:
            return ManifestRef(repository, digest, self._client).fetch().parse().children
        except ResourceNotFound:
            return ()

    def explained(self, error: RequestError, repository: str) -> RequestError:
        """Harbor answers 412 to the deletion of a child of an index, and of what has an immutable tag."""
        if isinstance(error, PermissionDeny):
            error.next_step = "Use a login that may delete artifacts and tags: a maintainer's, or such a robot account."
        if not isinstance(error, RequestErrorWithResponse) or error.status_code != _PRECONDITION:
            return error
        is_immutable = "immutable" in error.message
        return Unsupported(
            f"{repository}: {error.message}",
            error.status_code,
            error.response,
            code=error.code,
            url=error.url,
            next_step="Keep it, or change the project's rule: Policy, Tag Immutability."
            if is_immutable
            else "Scan and plan again: an index has come to refer to it. Delete that first.",
        )

    def _pages(self, path: str, query: Mapping[str, Any], what: str) -> Iterator[list[Any]]:
        """The entries of each page, until one has no link to a next one."""

        def following(url: str, answer: RestAnswer) -> str | None:
            if not isinstance(answer.document, list):
                raise self._no_list(what)
            link = next_link(answer.headers.get("Link", ""))
            return resolved(url, link) if link else None

        url = f"{self._api.address}/{path}?{'&'.join(f'{name}={quote(str(said))}' for name, said in query.items())}"
        return self._api.pages(url, what, "", following)

    def _no_list(self, what: str) -> RequestErrorWithResponse:
        address = self._api.address
        said = f"{address} does not answer with {what}"
        return RequestErrorWithResponse(said, 200, url=address, next_step="Report it to whoever runs the registry.")


class _Login:
    """The registry's own login, by Basic; nobody's without one (src/server/middleware/security)."""

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client

    def headers(self) -> Mapping[str, str]:
        login = self._client.keychain.login("")
        return {"Authorization": login.basic} if isinstance(login, Credentials) else {}

    def renew(self) -> bool:
        return False


def _place(repository: str) -> str:
    """The path of a repository, in which a slash is encoded twice (swagger: `a/b -> a%252Fb`)."""
    project, _, name = repository.partition("/")
    return f"projects/{quote(project)}/repositories/{quote(quote(name, safe=''), safe='')}"


def _accessories(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = entry.get("accessories")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _children(entry: Mapping[str, Any]) -> list[str]:
    found = entry.get("references")
    listed = found if isinstance(found, list) else []
    return [str(each.get("child_digest")) for each in listed if isinstance(each, dict)]


def _row(entry: Any) -> ListedManifest:
    """The row of an artifact.

    Raises:
        InvalidDigest: it has no valid digest.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("digest"), str):
        raise InvalidDigest(
            "an artifact in Harbor's list has no digest", next_step="Report it to whoever runs the registry."
        )
    listed = entry.get("tags")
    tags = [tag for tag in listed if isinstance(tag, dict)] if isinstance(listed, list) else []
    tags = [tag for tag in tags if isinstance(tag.get("name"), str)]
    kind, size, number = entry.get("manifest_media_type"), entry.get("size"), entry.get("id")
    return ListedManifest(
        Digest(entry["digest"]),
        tags=tuple(
            ListedTag(tag["name"], time_in(tag.get("push_time")), time_in(tag.get("pull_time")))
            for tag in sorted(tags, key=lambda tag: str(tag["name"]))
        ),
        media_type=text_in(kind),
        size=size_in(size),
        pushed=time_in(entry.get("push_time")),
        pulled=time_in(entry.get("pull_time")),
        locked=any(tag.get("immutable") is True for tag in tags),
        native_id=str(number) if number is not None else None,
    )
