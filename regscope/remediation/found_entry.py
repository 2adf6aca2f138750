"""`FoundEntry`: an entry of a journal, as undo finds the registry."""

from __future__ import annotations

from dataclasses import dataclass, field

from regscope.remediation.journal import Entry
from regscope.spec.digest import Digest


@dataclass
class FoundEntry:
    """What must be done to restore an entry of the journal.

    Attributes:
        is_there: whether the registry has the manifest.
        missing: blobs that must be copied from the backup or from another repository.
        lost: those of them that are nowhere.
        impossible: why the manifest and its tags cannot be restored; empty where they can.
        tags: the tags to set.
        others: tags that point to another manifest now, with its digest.
        blobs_from: where its blobs are: `registry`, `backup` or `another repository`; empty where none is needed.
        stand_ins: tags that point to a temporary manifest of a run that was killed, with its digest.
        is_kept: whether the provider says that it can restore the manifest.
        is_restored: whether the provider has restored it.
    """

    entry: Entry
    is_there: bool
    missing: list[Digest] = field(default_factory=list)
    lost: list[Digest] = field(default_factory=list)
    impossible: str = ""
    tags: list[str] = field(default_factory=list)
    others: dict[str, Digest] = field(default_factory=dict)
    stand_ins: dict[str, Digest] = field(default_factory=dict)
    blobs_from: tuple[str, ...] = ()
    is_kept: bool = False
    is_restored: bool = False
