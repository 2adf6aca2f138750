"""How one registry deletes, as far as was seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class DeletionBehaviour:
    """What a client has found out about a registry's deletions.

    Attributes:
        by_tag: whether a tag is deleted by its name; None before it was asked.
        keeps_untagged: a manifest stayed when its tag was removed.
        takes_tags_along: a tag went with its manifest.
        forgets_tags: the tag of a deleted manifest was not listed any more.
    """

    by_tag: bool | None = None
    keeps_untagged: bool = False
    takes_tags_along: bool = False
    forgets_tags: bool = False
