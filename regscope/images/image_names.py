"""The names of images to copy, in the source and in the target."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from regscope.errors import ContentMissing, InvalidInput
from regscope.spec.digest import Digest
from regscope.spec.reference import split_image
from regscope.stores.content_store import ContentStore

_GLOB = re.compile(r"[*?\[]")
_UNTAGGED = "@*"


class Wanted(NamedTuple):
    """An image to copy.

    Attributes:
        repository, reference: its name in the source; the reference is a tag or a digest.
        to_repository, to_reference: its name in the target; the reference is a tag, or None for no tag.
    """

    repository: str
    reference: str
    to_repository: str
    to_reference: str | None

    @property
    def name(self) -> str:
        """Its name in the source, `repository:tag` or `repository@digest`."""
        return named(self.repository, self.reference)


def split_name(name: str) -> tuple[str, str]:
    """The repository of an image, and its digest or tag; `latest` where neither is given.

    Raises:
        InvalidInput: the name is no image's.
    """
    repository, tag, digest = split_image(name)
    if not repository or name.endswith((":", "@")):
        raise InvalidInput(f"{name!r} is no image name", next_step="Write repository:tag or repository@sha256:….")
    return repository, Digest(digest) if digest else tag or "latest"


def named(repository: str, reference: str) -> str:
    """`repository:tag` or `repository@digest`."""
    return f"{repository}{'@' if ':' in reference else ':'}{reference}"


def wanted_images(store: ContentStore, images: Sequence[str], to: str | None) -> list[Wanted]:
    """The images of `store` that match the names `images`, each with its new name; see `regscope.copy`.

    Raises:
        InvalidInput: `to` would give several images one name, or a name is no image's.
        ContentMissing: no image matches a name.
    """
    found = list(dict.fromkeys(pair for image in images for pair in _meant(store, image)))
    if not found:
        raise InvalidInput("no image was named", next_step="Name one: repository:tag.")
    prefix, repository, tag = _new_name(to)
    if tag is not None and len(found) > 1:
        raise InvalidInput(f"{len(found)} images cannot all be called {to}", next_step=f"Give {to} without the tag.")
    if repository is not None and len({name for name, _ in found}) > 1:
        raise InvalidInput(f"images of several repositories cannot all go to {to}", next_step=f"Write {to}/.")
    return [
        Wanted(name, reference, prefix + (repository or name), tag or (None if ":" in reference else reference))
        for name, reference in found
    ]


def _new_name(to: str | None) -> tuple[str, str | None, str | None]:
    """The prefix, the repository and the tag of a new name; one of prefix and repository is None."""
    if to is None:
        return "", None, None
    if to.endswith("/") and to.strip("/"):
        return to, None, None
    repository, tag, digest = split_image(to)
    if not repository or digest or to.endswith(":"):
        raise InvalidInput(f"{to!r} is no name for an image", next_step="Write repository:tag, repository or prefix/.")
    return "", repository, tag


def _meant(store: ContentStore, image: str) -> list[tuple[str, str]]:
    untagged = image.endswith(_UNTAGGED)
    repository, tag = (image.removesuffix(_UNTAGGED), "*") if untagged else split_name(image)
    if not _GLOB.search(repository + tag):
        return [(repository, tag)]
    names = [name for name in store.repositories() if fnmatchcase(name, repository)]
    listing: Callable[[str], Sequence[str]] = store.untagged if untagged else store.tags
    found = [
        (name, listed)
        for name in (names if _GLOB.search(repository) else [repository])
        for listed in (listing(name) if _GLOB.search(tag) else [tag])
        if fnmatchcase(listed, tag)
    ]
    if not found:
        raise ContentMissing(f"{store.location} has no image {image}", next_step="List its tags with `regscope tags`.")
    return found
