"""Which images a copy is about, and what they are called where they go."""

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
        repository, reference: where it is: a tag or a digest.
        to_repository, to_reference: where it goes: a tag, or None where it gets none.
    """

    repository: str
    reference: str
    to_repository: str
    to_reference: str | None

    @property
    def name(self) -> str:
        """What it is called where it is."""
        return named(self.repository, self.reference)


def split_name(name: str) -> tuple[str, str]:
    """The repository of an image, and its digest or tag; `latest` where neither is given.

    Raises:
        InvalidInput: it is no image's name.
    """
    repository, tag, digest = split_image(name)
    if not repository or name.endswith((":", "@")):
        raise InvalidInput(f"{name!r} is no image", next_step="Write repository:tag or repository@sha256:….")
    return repository, Digest(digest) if digest else tag or "latest"


def named(repository: str, reference: str) -> str:
    """`repository:tag` or `repository@digest`."""
    return f"{repository}{'@' if ':' in reference else ':'}{reference}"


def wanted_images(store: ContentStore, images: Sequence[str], to: str | None) -> list[Wanted]:
    """What `images` mean in `store`, and what each is to be called; see `regscope.copy`.

    Raises:
        InvalidInput: they cannot all be called `to`, or one of them is no image.
        ContentMissing: nothing is like one of them.
    """
    found = list(dict.fromkeys(pair for image in images for pair in _meant(store, image)))
    if not found:
        raise InvalidInput("no image was named", next_step="Name one: repository:tag.")
    prefix, repository, tag = _new_name(to)
    if tag is not None and len(found) > 1:
        raise InvalidInput(f"{len(found)} images cannot all be called {to}", next_step="Leave the tag out.")
    if repository is not None and len({name for name, _ in found}) > 1:
        raise InvalidInput(f"images of several repositories cannot all go to {to}", next_step=f"Write {to}/.")
    return [
        Wanted(name, reference, prefix + (repository or name), tag or (None if ":" in reference else reference))
        for name, reference in found
    ]


def _new_name(to: str | None) -> tuple[str, str | None, str | None]:
    """A prefix, a repository and a tag."""
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
        raise ContentMissing(
            f"{store.location} has nothing like {image}", next_step="`regscope tags` lists what it has."
        )
    return found
