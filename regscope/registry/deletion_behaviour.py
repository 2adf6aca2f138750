"""How one registry deletes, as observed so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class DeletionBehaviour:
    """What a client has observed of a registry's deletions.

    Attributes:
        by_tag: whether it deletes a tag by its name; None before that was tried.
        keeps_untagged: whether a manifest remained when its last tag was removed.
        takes_tags_along: whether the deletion of a manifest removed its tags.
        forgets_tags: whether the tag list left out the tag of a deleted manifest.
        untag: removes a tag of a repository by the own API of whoever runs the registry; None where its API does it.
    """

    by_tag: bool | None = None
    keeps_untagged: bool = False
    takes_tags_along: bool = False
    forgets_tags: bool = False
    untag: Callable[[str, str], None] | None = None
