"""GitHub Container Registry: packages and their versions by GitHub's REST API.

The registry itself lists no repositories and no untagged manifests, and deletes nothing (405).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from regscope.errors import (
    AuthFailed,
    CapabilityWarning,
    InvalidDigest,
    InvalidReference,
    PermissionDeny,
    RegscopeWarning,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    UnknownHost,
    Unsupported,
)
from regscope.hosted.github_packages import Packages, Version
from regscope.hosted.github_tokens import DELETE, READ, WRITE
from regscope.hosted.provider import ListedManifest, ListedTag, Listing, Provider
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.eventually import eventually
from regscope.registry.manifests import ManifestRef
from regscope.registry.tokens import TokenService
from regscope.spec.digest import Digest
from regscope.spec.reference import check_repository

_HOST = "ghcr.io"
_OF_ENTERPRISE = re.compile(r"containers\.(?P<name>[a-z0-9-]+\.ghe\.com)", re.IGNORECASE)
_SOON = 5  # seconds
_BAD_REQUEST = 400
_KEPT = {  # by the words of a refusal: what GitHub does, and what to do
    "5000 downloads": (
        "keeps public versions with more than 5,000 downloads",
        "Name its tags in the policy (protect): no API states the downloads. Or make the package private before.",
    ),
    "last tagged version": (
        "deletes the last tagged version of a package only with the package",
        "Let the policy keep one tag of it, or delete the whole package in its settings.",
    ),
}


class GHCR(Provider):
    """The container registry of github.com, or of an enterprise at ghe.com."""

    name = "GitHub Container Registry"
    locations = ("ghcr.io/OWNER", "containers.NAME.ghe.com/OWNER")
    frees = (
        "GitHub Container Registry frees the storage by itself: nothing has to be done. For 30 days a deleted version "
        "can be restored: `regscope undo` does so, and needs no backup until then."
    )
    adds = ("packages of an owner", "manifests without a tag", "push times", "deletion", "undo by restoring")
    needs = f"a login with a classic personal access token: {READ} to read, {WRITE} and {DELETE} to delete and to undo"
    counts_pulls = True
    deletes = True
    restores = True
    takes_tags_along = True

    def __init__(self, client: DockerRegistryV2Client) -> None:
        # It answers 404, or redirects to a page of github.com that allows few requests (NVIDIA/aicr#1957,
        # artifacthub/hub#4785). All manifests are listed: a referrer is found by its subject.
        client.has_referrers_api = False
        self._client = client
        self._owners: dict[str, Packages] = {}
        self._ids: dict[str, dict[Digest, int]] = {}  # of active versions, by repository
        self._deleted: dict[str, dict[Digest, list[int]]] = {}

    def __reduce__(self) -> tuple[type[GHCR], tuple[DockerRegistryV2Client]]:
        return GHCR, (self._client,)

    @classmethod
    def is_at(cls, host: str) -> bool:
        """`ghcr.io`, and `containers.NAME.ghe.com` (cosign-installer#214)."""
        return host.lower() == _HOST or _OF_ENTERPRISE.fullmatch(host) is not None

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        """False: names at a host before it may be those of other packages at GitHub."""
        return False

    def is_partial(self, prefix: str) -> bool:
        """True below an owner: other packages of the same owner may share blobs."""
        return "/" in prefix

    def repositories(self, prefix: str) -> list[str]:
        """The packages of the owner, which is the first part of the prefix, as far as the token can see them."""
        owner = prefix.partition("/")[0]
        if not owner:
            host = self._client.api_base_url.rpartition("/")[2]
            raise Unsupported(
                f"{host} lists repositories only below their owner", next_step=f"Name the owner: {host}/OWNER."
            )
        names = (_valid(f"{owner}/{name}") for name in self._packages(owner).names())
        return sorted({name for name in names if f"{name}/".startswith(f"{prefix}/")})

    def manifests(self, repository: str) -> Listing | None:
        """By pages of a hundred versions; None where there is no token that GitHub's API shows the package to.

        Raises:
            AuthFailed: the token has expired since an earlier request.

        Warns:
            CapabilityWarning: the result is None.
        """
        try:
            return self._listed(repository)
        except (AuthFailed, PermissionDeny, UnknownHost) as error:
            if isinstance(error, AuthFailed) and self._at(repository)[0].were_open:
                raise
            why = f"{error.message}. {error.next_step}"
        except ResourceNotFound as error:
            why = f"GitHub's API has no such package, or hides it from this token: {error.message}"
        said = f"{repository}: manifests without a tag and push times are not shown: {why}"
        warnings.warn(CapabilityWarning(said, "provider"), stacklevel=2)
        return None

    def _listed(self, repository: str) -> Listing:
        packages, name = self._at(repository)
        versions = packages.versions(name)
        found: dict[Digest, ListedManifest] = {}
        ids: dict[Digest, int] = {}
        for version in versions:
            try:
                row = _row(version)
            except InvalidDigest:
                continue
            found[row.digest], ids[row.digest] = row, version.id
        self._ids[repository] = ids
        return Listing(list(found.values()), is_complete=len(found) == len({version.name for version in versions}))

    def delete(self, repository: str, digests: Sequence[Digest]) -> Mapping[Digest, RequestError]:
        """By one request for each version, and a HEAD request to see that it is gone."""
        failed: dict[Digest, RequestError] = {}
        for digest in digests:
            try:
                self._delete(repository, digest)
            except RequestError as error:
                failed[digest] = error
        return failed

    def _delete(self, repository: str, digest: Digest) -> None:
        packages, name = self._at(repository)
        number = self._id(repository, digest)
        self._ids.get(repository, {}).pop(digest, None)
        self._deleted.pop(repository, None)
        try:
            packages.delete(name, number)
        except ResourceNotFound as error:
            if self._is_gone(repository, digest, _SOON):  # the list was older than the deletion
                raise _absent(repository, digest) from None
            raise PermissionDeny(
                f"GitHub answers 404 to the deletion of {repository}@{digest}, which it has: {error.message}",
                404,
                url=error.url,
                next_step="Ask for the role Admin for this package (Package settings, Manage access).",
            ) from None
        if not self._is_gone(repository, digest):
            raise RequestError(
                f"GitHub accepted the deletion of {repository}@{digest}, and still serves it",
                next_step="Check again later whether it is gone.",
            )

    def _id(self, repository: str, digest: Digest) -> int:
        """The id of the version; one that was pushed since the last list, as a stand-in, is looked up.

        Raises:
            ResourceNotFound: there is no such version.
            RequestError: it is served, and not listed within the time that changes take.
        """
        packages, name = self._at(repository)
        known = self._ids.get(repository, {})

        def is_listed() -> bool:
            if digest not in known and (found := packages.version(name, digest)) is not None:
                known[digest] = found.id
            return digest in known

        if not is_listed():
            if self._now(repository, digest) is None:
                raise _absent(repository, digest)
            if not eventually(is_listed, self._client.retry_policy.settling):
                raise RequestError(
                    f"{repository} has {digest}, but GitHub's API does not list it, so it cannot be deleted",
                    next_step="Try again later.",
                )
        return known[digest]

    def check_deletes(self, repository: str) -> None:
        """By one request for the package, whose answers state the scopes of the token."""
        packages, name = self._at(repository)
        packages.check_deletes(name)

    def can_restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """Whether GitHub lists it among the versions that were deleted in the last 30 days, and the token may write."""
        return digest in self._restorable(repository) and not self._at(repository)[0].lacks(WRITE)

    def restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """By its id, as it was listed or as it is among the deleted versions.

        Warns:
            RegscopeWarning: these credentials may not restore it.
        """
        packages, name = self._at(repository)
        deleted = self._restorable(repository).get(digest, [])
        known = int(native_id) if native_id and native_id.isascii() and native_id.isdigit() else None
        number = known if known in deleted or not deleted else max(deleted)
        try:
            if number is None or not packages.restore(name, number):
                return False
        except (AuthFailed, PermissionDeny) as error:
            said = f"{repository}: GitHub does not restore its versions: {error.message}. {error.next_step}"
            warnings.warn(RegscopeWarning(said), stacklevel=2)
            return False
        self._deleted.pop(repository, None)
        return eventually(lambda: self._now(repository, digest) is not None, self._client.retry_policy.settling)

    def _restorable(self, repository: str) -> dict[Digest, list[int]]:
        """The ids of deleted versions, by digest."""
        if repository not in self._deleted:
            packages, name = self._at(repository)
            found: dict[Digest, list[int]] = {}
            try:
                for version in packages.restorable(name):
                    found.setdefault(Digest(version.name), []).append(version.id)
            except (AuthFailed, PermissionDeny, ResourceNotFound, InvalidDigest):
                pass
            self._deleted[repository] = found
        return self._deleted[repository]

    def explained(self, error: RequestError, repository: str) -> RequestError:
        """GitHub keeps public versions with many downloads, and the last tagged version of a package."""
        if isinstance(error, RequestErrorWithResponse) and error.status_code == _BAD_REQUEST:
            for words, (what, step) in _KEPT.items():
                if words in error.message:
                    said = f"{repository}: GitHub {what}: {error.message}"
                    return Unsupported(
                        said, _BAD_REQUEST, error.response, code=error.code, url=error.url, next_step=step
                    )
        return error

    def _at(self, repository: str) -> tuple[Packages, str]:
        """The packages of the owner, and the name of the package."""
        owner, _, name = repository.partition("/")
        return self._packages(owner), name

    def _packages(self, owner: str) -> Packages:
        if owner not in self._owners:
            host = urlsplit(self._client.api_base_url).hostname or ""
            at_enterprise = _OF_ENTERPRISE.fullmatch(host)
            # cli/go-gh, pkg/api/rest_client.go
            address = f"https://api.{at_enterprise['name'] if at_enterprise else 'github.com'}"
            self._owners.setdefault(owner, Packages(self._client, address, owner))
        return self._owners[owner]

    def _is_gone(self, repository: str, digest: Digest, within: float | None = None) -> bool:
        settling = self._client.retry_policy.settling
        seconds = settling if within is None else min(within, settling)
        return eventually(lambda: self._now(repository, digest) is None, seconds)

    def _now(self, repository: str, digest: Digest) -> Digest | None:
        """The digest, where the registry serves the manifest: by HEAD, since a GET counts as a download."""
        found = ManifestRef(repository, digest, self._client).get_metadata()
        return found.digest if found is not None else None


def _row(version: Version) -> ListedManifest:
    """A version as a manifest.

    Raises:
        InvalidDigest: its name is no digest.
    """
    return ListedManifest(
        Digest(version.name),
        tags=tuple(ListedTag(tag) for tag in sorted(version.tags)),
        pushed=version.created,
        updated=version.updated,
        native_id=str(version.id),
    )


def _absent(repository: str, digest: Digest) -> ResourceNotFound:
    return ResourceNotFound(f"{repository} has no {digest}", 404, code="MANIFEST_UNKNOWN")


def _valid(name: str) -> str:
    try:
        return check_repository(name)
    except InvalidReference:
        return ""
