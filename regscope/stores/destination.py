"""The protocol of stores to which images can be copied."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, Protocol

from regscope import text
from regscope.errors import AuthFailed, InvalidInput, PermissionDeny
from regscope.registry.manifests import RawManifest
from regscope.registry.request_body import Content
from regscope.spec.digest import Digest

Taken = Literal["sent", "mounted", "there"]
"""How a blob was taken: copied from the source, mounted from another repository, or not at all, as it existed."""


_NAMED = 5


class Name(NamedTuple):
    """The name that a manifest is to get.

    Attributes:
        reference: the tag; the digest where the manifest gets no tag.
    """

    repository: str
    reference: str
    digest: Digest

    @property
    def is_tag(self) -> bool:
        """Whether the name is a tag, which may point to another manifest already."""
        return ":" not in self.reference


class Destination(Protocol):
    """A store that images are copied to: blobs first, then the manifests that name them, children before their index.

    Content in it is complete and verified; an interrupted transfer is continued by the next run.
    """

    @property
    def location(self) -> str:
        """The location as users write it, without secrets."""

    def check(self, repository: str, reference: str, manifest: RawManifest) -> None:
        """Make sure, before anything is written, that the destination can take a manifest under this name.

        Raises:
            InvalidInput: the destination cannot have manifests of this kind.
            InvalidReference: the destination cannot have this name.
        """

    def in_the_way(self, names: Iterable[Name]) -> dict[str, Digest]:
        """The names that would be moved to another manifest, and content that would be replaced.

        Args:
            names: all names that are to be written.

        Returns:
            The present digest by `repository:tag` or `repository@digest`; names that keep their digest are left out.
        """

    def has_manifest(self, repository: str, digest: Digest) -> bool:
        """Whether the destination has a manifest, and with it all that it names."""

    def take_blob(self, repository: str, digest: Digest, content: Content, nearby: str | None) -> Taken:
        """Take a blob from `content`, or mount it from the repository `nearby`, unless it exists.

        Raises:
            DigestMismatch: the content is not what `digest` names.
        """

    def take_manifest(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """Take a manifest byte for byte.

        Args:
            reference: the tag; the digest of an untagged manifest; None for one that another manifest names.
        """

    def take_back(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """As `take_manifest`, without a change of the subject's list of referrers, which undo restores separately."""

    def close(self) -> None:
        """Finish: write what can only be written after all content."""


def check_names(place: Destination, names: Iterable[Name], overwrite: bool) -> None:
    """Make sure, before anything is written, that no tag at `place` is moved to another manifest without `overwrite`.

    Raises:
        InvalidInput: a name would be moved or content replaced, and `overwrite` is False.
        AuthFailed, PermissionDeny: the credentials do not allow to read, and `overwrite` is False.
    """
    if overwrite:
        return
    try:
        found = place.in_the_way(names)
    except (AuthFailed, PermissionDeny) as error:  # with push permission alone it cannot be found out
        error.next_step = f"{error.next_step}\nTo write without this check: overwrite=True, or --overwrite.".strip()
        raise
    if not found:
        return
    some = ", ".join(f"{name} ({text.short_digest(digest)})" for name, digest in list(found.items())[:_NAMED])
    rest = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    told = text.plain(some, 1000) + rest
    raise InvalidInput(
        f"{place.location} has content already that would be replaced: {told}; nothing was written",
        next_step="Choose other names, or replace these: overwrite=True, or --overwrite.",
    )
