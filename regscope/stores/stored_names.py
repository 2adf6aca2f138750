"""The names in a layout or an archive: tags, untagged manifests, and faults of names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from regscope import text
from regscope.errors import RegscopeError, StoreError
from regscope.spec.digest import Digest
from regscope.spec.reference import split_image


class Fault(NamedTuple):
    """An ambiguous or wrong name; all manifests that it may mean can be read.

    Attributes:
        reference: the tag or the digest concerned.
        what: whether it is the name of an image, or of one of its files.
    """

    reference: str
    what: Literal["name", "file name"]
    error: RegscopeError


class ImageName(NamedTuple):
    """A name as it was written: `repository:tag`, `repository@digest`, or with both.

    Attributes:
        tag: the tag; None where the name has a digest instead.
        stated: the digest in the name, or None; it may differ from that of the named manifest.
    """

    repository: str
    tag: str | None
    stated: str | None

    @classmethod
    def parse(cls, name: str) -> ImageName:
        """Read a name; without tag and digest it means `latest`."""
        repository, tag, stated = split_image(name)
        if stated is not None and ":" not in stated:  # an @ that begins no digest
            stated = None
        return cls(repository, tag if tag or stated else "latest", stated)

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.stated}" if self.stated else "")


class StoredNames:
    """The names in a layout or an archive, in order; of a duplicate name the first counts, as in skopeo.

    Manifests are identified by their position in the store's list.

    Args:
        location: the store's location, for faults.
        digest_of: returns the digest of the manifest at a position; None where it cannot be read.

    Attributes:
        tagged: positions by repository and tag; repositories without tags are included.
    """

    def __init__(self, location: str, digest_of: Callable[[int], Digest | None]) -> None:
        self._location = location
        self._digest_of = digest_of
        self.tagged: dict[str, dict[str, int]] = {}
        self._untagged: dict[str, list[int]] = {}
        self._faults: dict[str, list[Fault]] = {}

    def add(self, name: ImageName, position: int) -> None:
        """Add the name of the manifest at `position`."""
        digest = self._digest_of(position)
        if name.stated is not None and digest is not None and name.stated != digest:
            self._note(name, name.tag or digest, f"has the name {name} for {digest}")
        tags = self.tagged.setdefault(name.repository, {})
        if name.tag is None:
            self._untagged.setdefault(name.repository, []).append(position)
        elif name.tag not in tags:
            tags[name.tag] = position
        elif (first := tags[name.tag]) != position and (digest is None or self._digest_of(first) != digest):
            known, other = (self._digest_of(one) or "an image that cannot be read" for one in (first, position))
            named = f"{name.repository}:{name.tag}"
            self._note(name, name.tag, f"has the name {named} twice: the first, {known}, is used, not {other}")
            self._untagged.setdefault(name.repository, []).append(position)

    def _note(self, name: ImageName, reference: str, what: str) -> None:
        error = StoreError(
            text.plain(f"{self._location} {what}", 500),
            next_step="Use the digest instead of the name: repository@sha256:….",
        )
        self._faults.setdefault(name.repository, []).append(Fault(reference, "name", error))

    def untagged(self, repository: str) -> list[int]:
        """The positions of a repository's untagged manifests."""
        tagged = self.tagged.get(repository, {}).values()
        digests = {self._digest_of(position) for position in tagged} - {None}
        return [
            position
            for position in self._untagged.get(repository, [])
            if position not in tagged and self._digest_of(position) not in digests
        ]

    def faults(self, repository: str) -> list[Fault]:
        """The faults of the names in a repository."""
        return list(self._faults.get(repository, []))
