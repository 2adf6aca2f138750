"""What the names in a layout or an archive mean: tags, manifests without one, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from regscope import text
from regscope.errors import RegscopeError, StoreError
from regscope.spec.digest import Digest
from regscope.spec.reference import split_image


class Fault(NamedTuple):
    """What is wrong with a name, though everything that it may mean can be read.

    Attributes:
        reference: the tag or the digest that it is about.
        what: whether it is the name of an image, or of one of its files.
    """

    reference: str
    what: Literal["name", "file name"]
    error: RegscopeError


class ImageName(NamedTuple):
    """A name as it was written: `repository:tag`, `repository@digest`, or with both.

    Attributes:
        tag: None where a digest stands in its place.
        stated: the digest in it; it may be none, or another than that of what bears the name.
    """

    repository: str
    tag: str | None
    stated: str | None

    @classmethod
    def parse(cls, name: str) -> ImageName:
        """Read a name; without tag and digest it means `latest`."""
        repository, tag, stated = split_image(name)
        if stated is not None and ":" not in stated:  # an @ like any other character
            stated = None
        return cls(repository, tag if tag or stated else "latest", stated)

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.stated}" if self.stated else "")


class StoredNames:
    """The names in a layout or an archive, in their order: of a name that stands twice the first counts, as in skopeo.

    What they name is told apart by its position in the list of all.

    Args:
        location: what faults call the store.
        digest_of: the digest of what is at a position; None where it cannot be read.

    Attributes:
        tagged: positions by repository and tag; a repository without tags is there, too.
    """

    def __init__(self, location: str, digest_of: Callable[[int], Digest | None]) -> None:
        self._location = location
        self._digest_of = digest_of
        self.tagged: dict[str, dict[str, int]] = {}
        self._untagged: dict[str, list[int]] = {}
        self._faults: dict[str, list[Fault]] = {}

    def add(self, name: ImageName, position: int) -> None:
        """Note that what is at `position` has this name."""
        digest = self._digest_of(position)
        if name.stated is not None and digest is not None and name.stated != digest:
            self._note(name, name.tag or digest, f"names {name}, and what has this name is {digest}")
        tags = self.tagged.setdefault(name.repository, {})
        if name.tag is None:
            self._untagged.setdefault(name.repository, []).append(position)
        elif name.tag not in tags:
            tags[name.tag] = position
        elif (first := tags[name.tag]) != position and (digest is None or self._digest_of(first) != digest):
            known, other = (self._digest_of(one) or "an image that cannot be read" for one in (first, position))
            named = f"{name.repository}:{name.tag}"
            self._note(name, name.tag, f"has the name {named} twice: it is {known}, which comes first, not {other}")
            self._untagged.setdefault(name.repository, []).append(position)

    def _note(self, name: ImageName, reference: str, what: str) -> None:
        error = StoreError(
            text.plain(f"{self._location} {what}", 500),
            next_step="Name what is meant by its digest: repository@sha256:….",
        )
        self._faults.setdefault(name.repository, []).append(Fault(reference, "name", error))

    def untagged(self, repository: str) -> list[int]:
        """Positions of what a repository has, and none of its tags leads to."""
        tagged = self.tagged.get(repository, {}).values()
        digests = {self._digest_of(position) for position in tagged} - {None}
        return [
            position
            for position in self._untagged.get(repository, [])
            if position not in tagged and self._digest_of(position) not in digests
        ]

    def faults(self, repository: str) -> list[Fault]:
        """What is wrong with the names in a repository."""
        return list(self._faults.get(repository, []))
