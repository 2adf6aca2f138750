"""The protocol of providers: what a hosted registry's own API offers in addition to the distribution API."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple, Protocol

from regscope.errors import RequestError
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credentials import LoginSource
from regscope.registry.tokens import TokenService
from regscope.spec.digest import Digest


class ListedTag(NamedTuple):
    """A tag, as the provider lists it; None for what the provider does not state.

    Attributes:
        pushed: when the tag was set last, UTC.
        pulled: when an image was downloaded by this tag last, UTC.
    """

    name: str
    pushed: datetime | None = None
    pulled: datetime | None = None


class ListedManifest(NamedTuple):
    """A manifest in a repository, as the provider lists it; None for what the provider does not state.

    Attributes:
        tags: the tags on it; an untagged one may still be a child of an index, or a referrer.
        size: bytes as the provider counts them: of an image with its layers.
        pushed: when it was uploaded, UTC.
        updated: when it or its tags changed last, UTC.
        pulled: when it was downloaded last, UTC.
        locked: whether the provider refuses to delete it, or to move one of its tags.
        native_id: its id in the provider's own API.
        archived: whether it is stored, but cannot be read until somebody restores it.
    """

    digest: Digest
    tags: tuple[ListedTag, ...] = ()
    media_type: str | None = None
    size: int | None = None
    pushed: datetime | None = None
    updated: datetime | None = None
    pulled: datetime | None = None
    locked: bool = False
    native_id: str | None = None
    archived: bool = False

    @property
    def tag_names(self) -> tuple[str, ...]:
        """The names of its tags."""
        return tuple(tag.name for tag in self.tags)

    def pushed_as(self, tag: str) -> datetime | None:
        """When the tag was set last; where the provider does not state that, when the manifest was uploaded."""
        return next((each.pushed for each in self.tags if each.name == tag and each.pushed), self.pushed)

    def pulled_as(self, tag: str) -> datetime | None:
        """When an image was downloaded by the tag last; where the provider does not state that, the manifest."""
        return next((each.pulled for each in self.tags if each.name == tag and each.pulled), self.pulled)


class Listing(NamedTuple):
    """The manifests of a repository, as a provider lists them.

    Attributes:
        is_complete: whether these are all its manifests, untagged ones too: others do not exist. Otherwise all its tags
            are there, and manifests without a tag may exist that are not.
    """

    manifests: Sequence[ListedManifest]
    is_complete: bool = True


class Provider(Protocol):
    """A service that runs registries, and what its own API adds to the distribution API.

    A class is chosen by `is_at` or `is_named_by`, and instantiated with the client of the registry. Classes of other
    packages are registered as entry points of the group `regscope.providers`; they may inherit from this class.

    Attributes:
        name: of the service.
        locations: what to open, for example: `gcr.io/PROJECT`.
        frees: when and how storage is freed after a deletion: a sentence.
        adds: what it adds with the registry's own login, in words.
        needs: the rights that this login needs to read and to delete.
        would_add: what it would add with another credential, by the kind of credential; regscope does not use that yet.
        lists_all: whether it lists all repositories, where no prefix is given.
        lists_untagged: whether it lists manifests without a tag.
        lists_pulls: whether it states when manifests or tags were downloaded; one without a time never was.
        counts_pulls: whether the provider counts a GET of a manifest as a download.
        untags: whether `untag` removes a tag; otherwise a tag is removed as at any registry.
        deletes: whether `delete` deletes manifests; otherwise they are deleted as at any registry.
        restores: whether `restore` restores deleted manifests.
        takes_tags_along: whether the deletion of a manifest by its digest deletes its tags too.
        takes_referrers_along: whether the deletion of a manifest deletes its referrers, also those with a tag.
        drops_blobs: whether a blob is served no longer once the last manifest that names it in a repository is deleted.
    """

    name: ClassVar[str]
    locations: ClassVar[tuple[str, ...]]
    frees: ClassVar[str]
    adds: ClassVar[tuple[str, ...]]
    needs: ClassVar[str]
    would_add: ClassVar[Mapping[str, str]] = {}
    lists_all: ClassVar[bool] = False
    lists_untagged: ClassVar[bool] = True
    lists_pulls: ClassVar[bool] = False
    counts_pulls: ClassVar[bool] = False
    untags: ClassVar[bool] = False
    deletes: ClassVar[bool] = False
    restores: ClassVar[bool] = False
    takes_tags_along: ClassVar[bool] = False
    takes_referrers_along: ClassVar[bool] = False
    drops_blobs: ClassVar[bool] = False

    def __init__(self, client: DockerRegistryV2Client) -> None: ...

    @classmethod
    def is_at(cls, host: str) -> bool:
        """Whether the provider runs this host, by its name; a path after it is then a prefix of repository names."""

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        """Whether the token service in a challenge of `host` is this provider's."""

    @classmethod
    def is_shown_by(cls, headers: Mapping[str, str]) -> bool:
        """Whether the header fields of an answer of `/v2/`, by lower-case name, show this provider."""
        return False

    @classmethod
    def of(cls, client: DockerRegistryV2Client) -> Provider:
        """The registry's provider, of this class or of one that does less where its own API cannot be asked."""
        return cls(client)

    @classmethod
    def login_source(cls, host: str) -> LoginSource | None:
        """A source of logins for a host of this provider, used where none is saved; None where it has none."""
        return None

    def is_partial(self, prefix: str) -> bool:
        """Whether others, outside the prefix or not shown to this login, may share blobs with repositories below it."""

    def repositories(self, prefix: str) -> list[str]:
        """The repositories at and below a prefix, or all where it is empty; sorted.

        Raises:
            PermissionDeny, Unsupported: these credentials may not list them.
        """

    def manifests(self, repository: str) -> Listing | None:
        """The manifests of a repository; None where this registry does not list them.

        Raises:
            ResourceNotFound: no such repository.
        """

    def untag(self, repository: str, tag: str) -> None:
        """Remove a tag; its manifest and the other tags on it stay. Called only where `untags` is True.

        Raises:
            ResourceNotFound: no such tag.
            RequestError: the provider refused.
        """

    def check_untags(self, repository: str) -> None:
        """Check that `untag` can remove tags, without changing anything; called only where `untags` is True.

        Raises:
            PermissionDeny, AuthFailed, Unsupported: it cannot.
        """

    def untags_alone(self, repository: str, tag: str) -> bool:
        """Whether `untag` keeps the manifest of this tag; otherwise the tag is removed as at any registry.

        Raises:
            ResourceNotFound: no such tag.
        """
        return True

    def delete(self, repository: str, digests: Sequence[Digest]) -> Mapping[Digest, RequestError]:
        """Delete manifests with their tags, in the given order; called only where `deletes` is True.

        Returns:
            Why each manifest that stays was not deleted: `ResourceNotFound` where there was none.

        Raises:
            RequestError: none of them could be deleted.
        """
        raise NotImplementedError

    def check_deletes(self, repository: str) -> None:
        """Check that manifests can be deleted, without changing anything; called only where `deletes` is True.

        Raises:
            PermissionDeny, AuthFailed, Unsupported: they cannot.
        """

    def taken_along(self, repository: str, digest: Digest) -> Collection[Digest]:
        """Other manifests that the server deletes with this one, such as its referrers.

        Children are left out whose only use is that they are its children: a plan deletes them, too.
        """
        return ()

    def can_restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """Whether the provider says that it still has a deleted manifest; called only where `restores` is True.

        Args:
            native_id: the id of the manifest before its deletion, where it is known; see `ListedManifest`.
        """
        return False

    def restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """Restore a deleted manifest, with its tags if the provider does so; called only where `restores` is True.

        Args:
            native_id: as in `can_restore`.

        Returns:
            Whether the registry serves it now; False where the provider has it no longer, or may not restore it.

        Raises:
            RequestError: the provider failed.
        """
        raise NotImplementedError

    def explained(self, error: RequestError, repository: str) -> RequestError:
        """The error for a refused change, with the provider's reason and what to do next."""
        return error
