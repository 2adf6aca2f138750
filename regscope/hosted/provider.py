"""The one protocol of providers: what stands beside a registry's API and tells what that does not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, NamedTuple, Protocol

from regscope.errors import RequestError
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.tokens import TokenService
from regscope.spec.digest import Digest


class ListedManifest(NamedTuple):
    """A manifest in a repository, as the provider lists it; None for what it does not say.

    Attributes:
        tags: those on it; empty for one without a tag, which an index or a subject may hold all the same.
        size: as the provider counts it (bytes): of an image with its layers.
        pushed: when it was uploaded, UTC.
        updated: when it or its tags changed last, UTC.
        pulled: when it was downloaded last, UTC.
        locked: whether the provider refuses to delete it, or to move one of its tags.
        native_id: what the provider's own API calls it.
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
    """Whoever runs a registry, and what its own API adds to that of the distribution-spec.

    A class is chosen by `is_at` or `is_named_by`, and made with the client of the registry. Others than regscope's are
    registered as entry points of the group `regscope.providers`; they may inherit from this class.

    Attributes:
        name: what people call it.
        frees: when and how storage is freed after a deletion: a sentence.
        adds: what it adds with the login that the registry takes itself, in words.
        needs: which rights that login needs for it, to read and to delete.
        would_add: by the credential that it takes, what more it offers; regscope does not ask for that yet.
        untags: whether it removes a tag in its own way; else that is done as at any registry.
        takes_tags_along: whether the deletion of a manifest by its digest takes its tags along, and needs no other.
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
        """Whether a host's name alone shows that the provider runs it; then a path after it is a prefix of names."""

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        """Whether the token service that the registry at `host` names is this provider's."""

    def is_partial(self, prefix: str) -> bool:
        """Whether a prefix leaves out what may share blobs with what is below it."""

    def repositories(self, prefix: str) -> list[str]:
        """The repositories at and below a prefix, or all where it is empty; sorted.

        Raises:
            PermissionDeny, Unsupported: they are not listed for these credentials.
        """

    def manifests(self, repository: str) -> list[ListedManifest] | None:
        """Every manifest of a repository, those without a tag too; None where this registry does not list them.

        Raises:
            ResourceNotFound: no such repository.
        """

    def untag(self, repository: str, tag: str) -> None:
        """Remove a tag; its manifest and the other tags on it stay. Only asked where `untags`.

        Raises:
            ResourceNotFound: no such tag.
            RequestError: it is refused.
        """

    def explained(self, error: RequestError, repository: str) -> RequestError:
        """The error for a change that was refused, with what the provider means by it and what is to be done."""
        return error
