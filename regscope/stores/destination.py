"""Where images can be written, whatever holds them."""

from __future__ import annotations

from typing import Literal, Protocol

from regscope.registry.manifests import RawManifest
from regscope.registry.request_body import Content
from regscope.spec.digest import Digest

Taken = Literal["sent", "mounted", "there"]
"""How a blob came: from the source, from another repository, or not at all, since it was there."""


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
