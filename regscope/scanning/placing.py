"""The manifests that each repository keeps, and by what: a tag, an index, a subject, or as untagged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from regscope.scanning.found_referrers import FoundReferrers
from regscope.spec.index_children import DEEPEST

Place = tuple[str, str]
"""A repository, and the digest of a manifest."""


class Placed(NamedTuple):
    """Attributes:
    how: the manifests that are kept, each with the first reason found: tag, untagged, index child or referrer.
    lacking: the manifests that are named in a repository where they were not found.
    too_deep: the manifests beyond the depth to which indexes and referrers are followed.
    """

    how: dict[Place, str]
    lacking: set[Place]
    too_deep: set[Place]


def place(
    tagged: Iterable[Place],
    untagged: Collection[Place],
    children: Mapping[str, Iterable[str]],
    referrers: FoundReferrers,
    is_there: Callable[[str, str], bool],
) -> Placed:
    """Follow tags, then untagged manifests, to children and referrers; a referrer is in its subject's repository.

    Args:
        children: for each index, the digests of the children to follow.
        is_there: tells whether a repository has a manifest and the manifest was read.
    """
    placed = Placed({}, set(), set())
    held = {
        (repository, other)
        for repository, digest in untagged
        for other in (*children.get(digest, ()), *referrers.of(repository, digest))
    }
    for roots in (
        [(repository, digest, "tag") for repository, digest in tagged],
        [(repository, digest, "untagged") for repository, digest in untagged if (repository, digest) not in held],
    ):
        _place_from(roots, placed, children, referrers, is_there)
    placed.too_deep.difference_update(placed.how)
    return placed


def _place_from(
    reached: list[tuple[str, str, str]],
    placed: Placed,
    children: Mapping[str, Iterable[str]],
    referrers: FoundReferrers,
    is_there: Callable[[str, str], bool],
) -> None:
    for _ in range(DEEPEST + 1):
        onward: list[tuple[str, str, str]] = []
        for repository, digest, how in sorted(reached):
            if (repository, digest) in placed.how:
                continue
            if not is_there(repository, digest):  # it may be in another repository
                placed.lacking.add((repository, digest))
                continue
            placed.how[repository, digest] = how
            onward += [(repository, child, "index child") for child in children[digest]]
            onward += [(repository, other, "referrer") for other in referrers.of(repository, digest)]
        reached = onward
    placed.too_deep.update((repository, digest) for repository, digest, _ in reached)
