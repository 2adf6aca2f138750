"""The protocol of providers: what a hosted registry's own API offers in addition to the distribution API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, NamedTuple, Protocol

from regscope.errors import RequestError
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.tokens import TokenService
from regscope.spec.digest import Digest


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
    """

    digest: Digest
    tags: tuple[str, ...] = ()
    media_type: str | None = None
    size: int | None = None
    pushed: datetime | None = None
    updated: datetime | None = None
    pulled: datetime | None = None
    locked: bool = False
    native_id: str | None = None


class Provider(Protocol):
    """A service that runs registries, and what its own API adds to the distribution API.

    A class is chosen by `is_at` or `is_named_by`, and instantiated with the client of the registry. Classes of other
    packages are registered as entry points of the group `regscope.providers`; they may inherit from this class.

    Attributes:
        name: of the service.
        frees: when and how storage is freed after a deletion: a sentence.
        adds: what it adds with the registry's own login, in words.
        needs: the rights that this login needs to read and to delete.
        would_add: what it would add with another credential, by the kind of credential; regscope does not use that yet.
        untags: whether `untag` removes a tag; otherwise a tag is removed as at any registry.
        takes_tags_along: whether the deletion of a manifest by its digest deletes its tags too.
    """

    name: ClassVar[str]
    frees: ClassVar[str]
    adds: ClassVar[tuple[str, ...]]
    needs: ClassVar[str]
    would_add: ClassVar[Mapping[str, str]] = {}
    untags: ClassVar[bool] = False
    takes_tags_along: ClassVar[bool] = False

    def __init__(self, client: DockerRegistryV2Client) -> None: ...

    @classmethod
    def is_at(cls, host: str) -> bool:
        """Whether the provider runs this host, by its name; a path after it is then a prefix of repository names."""

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        """Whether the token service in a challenge of `host` is this provider's."""

    def is_partial(self, prefix: str) -> bool:
        """Whether repositories outside the prefix may share blobs with those below it."""

    def repositories(self, prefix: str) -> list[str]:
        """The repositories at and below a prefix, or all where it is empty; sorted.

        Raises:
            PermissionDeny, Unsupported: these credentials may not list them.
        """

    def manifests(self, repository: str) -> list[ListedManifest] | None:
        """Every manifest of a repository, untagged ones too; None where this registry does not list them.

        Raises:
            ResourceNotFound: no such repository.
        """

    def untag(self, repository: str, tag: str) -> None:
        """Remove a tag; its manifest and the other tags on it stay. Called only where `untags` is True.

        Raises:
            ResourceNotFound: no such tag.
            RequestError: the provider refused.
        """

    def explained(self, error: RequestError, repository: str) -> RequestError:
        """The error for a refused change, with the provider's reason and what to do next."""
        return error
