"""`collected`: which of the blobs that a run freed the garbage collection has deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from regscope import text
from regscope.concurrency import READS_AT_ONCE
from regscope.errors import InvalidInput, StoreError
from regscope.remediation.journal import Entry, JournalRecord, Predicted
from regscope.remediation.journal_names import find_journal
from regscope.remediation.journal_reader import read_journal
from regscope.remediation.links import links_of
from regscope.remediation.planned_step import DELETE
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.kinds import REGISTRY, STORAGE
from regscope.stores.open_store import as_it_is_now
from regscope.stores.presence import has_blob, resolved

GONE, THERE, UNSEEN = "gone", "still there", "not seen"
_SHOWN = 10


@dataclass(frozen=True, repr=False, eq=False)
class Collected:
    """Which of the blobs that a run's journal lists as freed are gone from the store.

    Attributes:
        location: the location of the store that was asked.
        table: one row for each blob, largest first: `digest` (str), `size` (int64, bytes), `repository` (str: one in
            which it was needed), `state` (category: gone, still there, not seen). A registry's API does not show a
            deleted manifest whose bytes are still stored: a manifest counts as gone once a blob that only it needed is
            gone, since one garbage collection deletes both; without such a blob, once all other blobs are gone.
        advice: how this store frees the bytes, in sentences; empty where all are gone.
    """

    location: str
    table: pd.DataFrame
    advice: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all blobs of the table are gone."""
        return bool((self.table["state"] == GONE).all())

    @property
    def predicted_bytes(self) -> int:
        """Bytes of all blobs of the table: those that the steps of the run free."""
        return int(self.table["size"].sum())

    @property
    def gone_bytes(self) -> int:
        """Bytes of the blobs that are gone."""
        return self._bytes(GONE)

    @property
    def still_there(self) -> pd.DataFrame:
        """The rows of `table` whose state is `still there` or `not seen`."""
        return self.table[self.table["state"] != GONE].reset_index(drop=True)

    def _bytes(self, state: str) -> int:
        return int(self.table.loc[self.table["state"] == state, "size"].sum())

    def summary(self) -> dict[str, Any]:
        """The result as JSON values, for programs."""
        states = self.table["state"].value_counts()
        return {
            "location": self.location,
            "ok": self.ok,
            "predicted_bytes": self.predicted_bytes,
            "gone_bytes": self.gone_bytes,
            "predicted_blobs": len(self.table),
            "gone_blobs": int(states.get(GONE, 0)),
            "advice": list(self.advice),
            "still_there": self.still_there.astype(object).to_dict("records"),
        }

    def facts(self) -> dict[str, str]:
        """The figures of the result, by their labels."""
        found = {"to be freed": self._worded(self.table)}
        for state in (GONE, THERE, UNSEEN):
            rows = self.table[self.table["state"] == state]
            if len(rows) or state == GONE:
                found[state] = self._worded(rows)
        return found

    def _worded(self, rows: pd.DataFrame) -> str:
        size = int(rows["size"].sum())
        return f"{text.count(len(rows), 'blob')}, {text.size(size)} ({size:,} bytes)"

    def notes(self) -> list[str]:
        """The blobs that are still there, and how this store frees them."""
        rows = self.still_there
        lines = [
            f"{row['state']}: {row['digest']}, {text.size(row['size'])}, of {text.plain(row['repository'], 200)}"
            for row in rows.head(_SHOWN).to_dict("records")
        ]
        more = [f"{len(rows) - _SHOWN:,} more in .still_there"] if len(rows) > _SHOWN else []
        return [*lines, *more, *self.advice]

    @property
    def _title(self) -> str:
        return f"Bytes freed on {self.location}"

    def __repr__(self) -> str:
        return text.facts(self._title, self.facts(), self.notes())

    def _repr_html_(self) -> str:
        return text.card(self._title, self.facts(), self.notes())


def collected(journal: Path | str | JournalRecord, store: ContentStore | str) -> Collected:
    """Ask a store for each blob that the done steps of a journal free; nothing is changed.

    A registry is asked by a HEAD request for each blob, and by a GET of one byte where HEAD does not find it. In a
    registry's files (`storage:`) manifests are found as well.

    Args:
        journal: the path of the journal, or its short name; see `regscope.remediation.journal_names.find_journal`.
        store: the store that was changed, or for a registry its `storage:`.

    Raises:
        InvalidInput: the journal is of another store.
        NotAStore: the file is no journal.
        StoreError: the journal does not list the freed blobs: an older version of regscope wrote it.
        RegscopeError: the store cannot be read.
    """
    store = as_it_is_now(store)  # a cache may have blobs that the registry has no more
    record = journal if isinstance(journal, JournalRecord) else read_journal(find_journal(journal, store.location))
    if store.location != record.location and store.kind != STORAGE:
        raise InvalidInput(f"the journal is of {record.location}, not of {store.location}")
    if record.predicted is None:
        raise StoreError(
            f"{record.path} does not list the freed blobs: an older version of regscope wrote it",
            next_step="Compare two scans of `storage:` instead.",
        )
    deleted = [entry for entry in record.entries if entry.is_done and entry.action == DELETE]
    needed_in = _needed_in(deleted)
    expected = [blob for blob in record.predicted if len(needed_in.get(blob.digest, ())) == blob.needed_by]
    states = _asked(store, expected, needed_in, {entry.digest for entry in deleted})
    if store.kind == REGISTRY:
        _infer_manifests(states, deleted, partial(_serves, store))
    table = pd.DataFrame(
        {
            "digest": pd.array([str(blob.digest) for blob in expected], dtype="str"),
            "size": pd.array([blob.size for blob in expected], dtype="int64"),
            "repository": pd.array([needed_in[blob.digest][0] for blob in expected], dtype="str"),
            "state": pd.Categorical([states[blob.digest] for blob in expected], categories=[GONE, THERE, UNSEEN]),
        }
    )
    found = Collected(store.location, table)
    return found if found.ok else Collected(store.location, table, how_space_is_freed(store))


def _needed_in(deleted: Iterable[Entry]) -> dict[Digest, list[str]]:
    """For each blob, the repositories of the deleted manifests that needed it; an index needs its children."""
    found: dict[Digest, list[str]] = {}
    for entry in deleted:
        links = links_of(entry.manifest)
        for digest in {entry.digest, *links.blobs, *links.children}:
            found.setdefault(digest, []).append(entry.repository)
    return found


def _asked(
    store: ContentStore, expected: list[Predicted], needed_in: dict[Digest, list[str]], manifests: set[Digest]
) -> dict[Digest, str]:
    """The state of each blob: whether any of the repositories that needed it still has it."""
    by_api = store.kind == REGISTRY

    def state(blob: Predicted) -> str:
        if by_api and blob.digest in manifests:
            return UNSEEN
        return THERE if any(has_blob(store, repository, blob.digest) for repository in places(blob)) else GONE

    def places(blob: Predicted) -> list[str]:
        return list(dict.fromkeys(needed_in[blob.digest])) if by_api else [""]

    with ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="regscope-collected") as pool:
        return dict(zip((blob.digest for blob in expected), pool.map(state, expected), strict=True))


def _serves(store: ContentStore, entry: Entry) -> bool:
    """Whether a registry serves a deleted manifest again."""
    return resolved(store, entry.repository, entry.digest) is not None


def _infer_manifests(states: dict[Digest, str], deleted: Sequence[Entry], serves: Callable[[Entry], bool]) -> None:
    """Set the states of deleted manifests, which a registry no longer shows, by their blobs; children first."""
    asked = {state for state in states.values() if state != UNSEEN}
    by_all = next(iter(asked)) if len(asked) == 1 else UNSEEN
    unseen = [entry for entry in reversed(deleted) if states.get(entry.digest) == UNSEEN]
    with ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="regscope-collected") as pool:
        served = {entry.digest for entry, is_served in zip(unseen, pool.map(serves, unseen), strict=True) if is_served}
    for entry in unseen:
        links = links_of(entry.manifest)
        own = {states[digest] for digest in (*links.blobs, *links.children) if digest in states} - {UNSEEN}
        if entry.digest in served:
            states[entry.digest] = THERE
        else:
            states[entry.digest] = GONE if GONE in own else THERE if own else by_all
