"""Where images can be written, whatever holds them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, Protocol

from regscope import text
from regscope.errors import AuthFailed, InvalidInput, PermissionDeny
from regscope.registry.manifests import RawManifest
from regscope.registry.request_body import Content
from regscope.spec.digest import Digest

Taken = Literal["sent", "mounted", "there"]
"""How a blob came: from the source, from another repository, or not at all, since it was there."""


_NAMED = 5


class Name(NamedTuple):
    """A name that a manifest is to have.

    Attributes:
        reference: a tag; its digest where it gets none.
    """

    repository: str
    reference: str
    digest: Digest

    @property
    def is_tag(self) -> bool:
        """Whether it can mean something else already."""
        return ":" not in self.reference


class Destination(Protocol):
    """A store that takes images: blobs first, then the manifests that name them, children before their index.

    What it has is there whole and verified; what it was given in part it goes on with the next time.
    """

    @property
    def location(self) -> str:
        """How a user names it, without secrets."""

    def check(self, repository: str, reference: str, manifest: RawManifest) -> None:
        """Make sure that a manifest has a place here under this name, before anything is written.

        Raises:
            InvalidInput: its kind has none.
            InvalidReference: the name has none.
        """

    def in_the_way(self, names: Iterable[Name]) -> dict[str, Digest]:
        """What is here by a name that is to get another meaning, and what of it would be lost for good.

        Args:
            names: those that are to come, all at once.

        Returns:
            By `repository:tag` or `repository@digest` what each means here now. What means the same now is in no way.
        """

    def has_manifest(self, repository: str, digest: Digest) -> bool:
        """Whether a manifest is there already, and so all that it names."""

    def take_blob(self, repository: str, digest: Digest, content: Content, nearby: str | None) -> Taken:
        """Take a blob from `content`, or over from the repository `nearby`, unless it is there.

        Raises:
            DigestMismatch: the content is not what `digest` names.
        """

    def take_manifest(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """Take a manifest byte for byte.

        Args:
            reference: the tag that it gets; its digest where it gets none; None for what another manifest names.
        """

    def take_back(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """As `take_manifest`, and change nothing else: a list of referrers is brought back by itself."""

    def close(self) -> None:
        """Write what can only be written at the end."""


def check_names(place: Destination, names: Iterable[Name], overwrite: bool) -> None:
    """Make sure, before anything is written, that no name at `place` is given another meaning without being told to.

    Raises:
        InvalidInput: one would be, and `overwrite` is False.
        AuthFailed, PermissionDeny: nothing may be read there, and `overwrite` is False.
    """
    if overwrite:
        return
    try:
        found = place.in_the_way(names)
    except (AuthFailed, PermissionDeny) as error:  # who may only push cannot find out
        error.next_step = f"{error.next_step}\nTo write without looking: overwrite=True, or --overwrite.".strip()
        raise
    if not found:
        return
    some = ", ".join(f"{name} ({text.short_digest(digest)})" for name, digest in list(found.items())[:_NAMED])
    rest = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    told = text.plain(some, 1000) + rest
    raise InvalidInput(
        f"{place.location} has content already that would be replaced: {told}; nothing was written",
        next_step="Choose other names, or let these be replaced: overwrite=True, or --overwrite.",
    )
