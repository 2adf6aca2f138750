"""Gitea and Forgejo: container packages, whose versions are tags and digests, by their REST API on the same host."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from regscope.concurrency import READS_AT_ONCE
from regscope.errors import (
    AuthFailed,
    CapabilityWarning,
    PermissionDeny,
    RequestError,
    ResourceNotFound,
)
from regscope.hosted.gitea_packages import LOG_IN, READ, TOKENS, WRITE, Content, Packages, Version
from regscope.hosted.provider import ListedManifest, ListedTag, Listing, Provider
from regscope.registry.catalog import list_repositories
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.tag_list import read_tag_list
from regscope.registry.tokens import TokenService
from regscope.spec.digest import Digest

_HOST = "codeberg.org"
_SERVICE = "container_registry"  # of GitLab too, whose tokens come from /jwt/auth


class Gitea(Provider):
    """The registry of a Gitea or Forgejo, read with the registry's own login or with `api_token`."""

    name = "Gitea or Forgejo"
    locations = ("codeberg.org/OWNER", "a Gitea's or Forgejo's host")
    frees = (
        "Gitea and Forgejo free the storage by a task of the server, cleanup_packages, at midnight by default: it "
        "deletes the blobs that no version has any more and that were uploaded more than 24 hours ago (OLDER_THAN in "
        "[cron.cleanup_packages]). An administrator can start it on the page of the site's administration, or by "
        "POST /api/v1/admin/cron/cleanup_packages."
    )
    adds = ("manifests without a tag", "push times", "sizes")
    needs = f"a login with a token as its password: {READ} to read, {WRITE} to delete and to undo"
    counts_pulls = True
    drops_blobs = True

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client
        self._packages = Packages(client)
        self._contents: dict[str, dict[Version, Content]] = {}  # of tags, by repository, as they were listed last
        self._sees_all: bool | None = None

    @classmethod
    def is_at(cls, host: str) -> bool:
        """`codeberg.org`; others are known by their token service."""
        return host.lower() == _HOST

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        """Tokens come from `/v2/token`, for `container_registry`, or in older versions for no service."""
        realm = urlsplit(service.realm)
        return realm.path.endswith(TOKENS) and (
            service.service == _SERVICE or (not service.service and realm.hostname == host)
        )

    def is_partial(self, prefix: str) -> bool:
        """True for every prefix, and for all but site administrators: blobs are shared with owners who are not seen."""
        if not prefix and self._sees_all is None:
            self._sees_all = self._packages.is_administrator()
        return bool(prefix) or not self._sees_all

    def repositories(self, prefix: str) -> list[str]:
        """The container packages of the owner, which is the first part of the prefix."""
        owner, _, below = prefix.partition("/")
        if not owner:  # the catalog was refused, and there is no other list of all owners
            return list_repositories(self._client)
        names = {f"{owner}/{version.package}" for version in self._packages.of_owner(owner, below)}
        return sorted(name for name in names if f"{name}/".startswith(f"{prefix}/"))

    def manifests(self, repository: str) -> Listing | None:
        """By pages of fifty versions, and a request for each tag that is new or was pushed again since the last call.

        None where this login may not list them, or the server has no such API.

        Warns:
            CapabilityWarning: the result is None.
        """
        try:
            return self._listed(repository)
        except (AuthFailed, PermissionDeny) as error:
            why = f"are not shown to these credentials: {error.message}. {LOG_IN}"
        except ResourceNotFound as error:
            read_tag_list(self._client, repository)  # raises where the registry has no such repository
            why = f"are not shown: {error.message}"
        said = f"{repository}: manifests without a tag and push times {why}"
        warnings.warn(CapabilityWarning(said, "provider"), stacklevel=2)
        return None

    def _listed(self, repository: str) -> Listing:
        owner, _, name = repository.partition("/")
        versions, are_all = self._packages.of_package(owner, name)
        contents = self._contents_of(repository, [version for version in versions if not version.digest])
        found: dict[Digest, list[Version]] = {}
        for version in versions:
            digest = version.digest or (contents[version].digest if version in contents else None)
            if digest is not None:  # otherwise the tag was deleted since it was listed
                found.setdefault(digest, []).append(version)
        sizes = {content.digest: content.size for content in contents.values()}
        return Listing([_row(digest, of, sizes.get(digest)) for digest, of in found.items()], are_all)

    def _contents_of(self, repository: str, tags: Sequence[Version]) -> dict[Version, Content]:
        """What the tags hold: asked for where it is not known. One that was pushed again is another version."""
        owner, known = repository.partition("/")[0], self._contents.get(repository, {})
        new = [tag for tag in tags if tag not in known]
        with ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="regscope-tags") as pool:
            asked = zip(new, pool.map(lambda tag: self._packages.content(owner, tag), new), strict=True)
            fresh = {tag: content for tag, content in asked if content is not None}
        found = {tag: content for tag in tags if (content := known.get(tag) or fresh.get(tag)) is not None}
        self._contents[repository] = found
        return found

    def explained(self, error: RequestError, repository: str) -> RequestError:
        """The registry answers 401 where a token or a user may only read."""
        if isinstance(error, AuthFailed | PermissionDeny):
            owner = repository.partition("/")[0]
            error.next_step = (
                f"Log in as a user who may write the packages of {owner}, with a token with the scope {WRITE}."
            )
        return error


def _row(digest: Digest, versions: Sequence[Version], size: int | None) -> ListedManifest:
    """A manifest with the versions that hold it: its tags, and its digest where it was pushed by that."""
    times = sorted(version.created for version in versions if version.created is not None)
    tags = [version for version in versions if not version.digest]
    return ListedManifest(
        digest,
        tags=tuple(ListedTag(version.name, version.created) for version in sorted(tags, key=lambda tag: tag.name)),
        size=size,
        pushed=times[0] if times else None,
        updated=times[-1] if times else None,
        native_id=str(min(version.id for version in versions)),
    )
