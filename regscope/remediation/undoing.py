"""Bringing back what a journal says was deleted, byte for byte."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from regscope import text
from regscope.errors import ContentMissing, InvalidInput, ResourceNotFound
from regscope.progress import is_interactive
from regscope.registry.eventually import eventually
from regscope.remediation.applied import told_lines
from regscope.remediation.backup import check_backup
from regscope.remediation.journal import Entry, JournalRecord, read_journal
from regscope.remediation.journal_names import find_journal
from regscope.remediation.links import links_of
from regscope.schema import LOST
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.destination import Destination
from regscope.stores.kinds import path_in
from regscope.stores.open_destination import open_destination
from regscope.stores.open_store import as_it_is_now, open
from regscope.stores.presence import has_blob, resolved
from regscope.stores.removal import open_removal
from regscope.stores.stored_content import StoredContent

RESTORED, THERE, LEFT_ALONE, IMPOSSIBLE, WOULD = (
    "restored", "there already", "left alone", "impossible", "would be restored",
)  # fmt: skip
_NOT_THERE = "the registry accepted it and does not have it: undo again later"
_COMES_WITHIN = 30  # seconds
_SHOWN = 10


@dataclass(frozen=True, repr=False, eq=False)
class Undone:
    """What was brought back, and what could not be.

    Attributes:
        location: the store.
        dry_run: whether nothing was written, and this is only what would be.
        table: one row for each manifest, and for each tag: `repository`, `tag` (absent for a manifest), `digest` (str),
            `outcome` (category: restored, there already, left alone, impossible, would be restored), `reason` (str).
        lacking: the blobs that are neither in the registry nor in the backup, and are needed: `repository`, `digest`
            (str), `size` (Int64, bytes; absent where the journal does not say it).
    """

    location: str
    dry_run: bool
    table: pd.DataFrame
    lacking: pd.DataFrame

    @property
    def ok(self) -> bool:
        """Whether all is as it was."""
        return not self.table["outcome"].isin([LEFT_ALONE, IMPOSSIBLE]).any()

    def summary(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        rows = self.table.astype(object).where(self.table.notna(), None)
        lacking = self.lacking.astype(object).where(self.lacking.notna(), None)
        return {
            "location": self.location,
            "dry_run": self.dry_run,
            "ok": self.ok,
            "counts": self.counts(),
            "lacking": lacking.to_dict("records"),
            "rows": rows.to_dict("records"),
        }

    def counts(self) -> dict[str, dict[str, int]]:
        """How many manifests, and how many tags, had each outcome; only those that there are."""
        is_tag = self.table["tag"].notna()
        found: dict[str, dict[str, int]] = {}
        for outcome in self.table["outcome"].cat.categories:
            rows = self.table["outcome"] == outcome
            if rows.any():
                found[outcome] = {"manifests": int((rows & ~is_tag).sum()), "tags": int((rows & is_tag).sum())}
        return found

    def facts(self) -> dict[str, str]:
        """The result in words."""
        found = {
            outcome: f"{text.count(number['manifests'], 'manifest')}, {text.count(number['tags'], 'tag')}"
            for outcome, number in self.counts().items()
        }
        if len(self.lacking):
            blobs, size = text.count(self.lacking["digest"].nunique(), "blob"), self.lacking.drop_duplicates("digest")
            found["lacking"] = f"{blobs}, {text.size(size['size'].sum())}: neither in the registry nor in a backup"
        return found

    def _notes(self) -> list[str]:
        told = self.table[self.table["outcome"].isin([LEFT_ALONE, IMPOSSIBLE])].head(_SHOWN)
        return [*(["Nothing has been changed."] if self.dry_run else []), *told_lines(told)]

    @property
    def _title(self) -> str:
        return f"{'What undoing would bring back' if self.dry_run else 'Undone'} on {self.location}"

    def __repr__(self) -> str:
        return text.facts(self._title, self.facts(), self._notes())

    def _repr_html_(self) -> str:
        return text.card(self._title, self.facts(), self._notes())


def undo(
    journal: Path | str | JournalRecord,
    store: ContentStore | str,
    *,
    backup: str | None = None,
    dry_run: bool = False,
    progress: bool | None = None,
) -> Undone:
    """Bring back the manifests and tags that a journal says were deleted.

    First everything is looked at: what is there, what can be brought back, and what cannot, since a blob of it is gone
    and in no backup. Then manifests are pushed byte for byte, children before what holds them, and then tags. A tag
    that points to something else by now is left alone. What is there already is not touched: it can be done again. What
    was brought back is looked at afterwards.

    Args:
        journal: as `Applied.journal` names it, or of those beside the cache `latest`, or the beginning of one's name.
        store: the one that was changed, or its location.
        backup: `oci:FOLDER`, the layout that `apply` filled: for blobs that were collected since. By default the one
            that the journal names, if it is still there. What it was not given, since it was to stay, is taken from the
            repository in which it stayed.
        dry_run: look, and change nothing.

    Raises:
        InvalidInput: the journal is another store's, or the backup's place is none.
        NotAStore: it is no journal, or the backup is no layout.
        RegscopeError: something cannot be read or written; what was brought back stays.
    """
    store = as_it_is_now(store)
    record = journal if isinstance(journal, JournalRecord) else read_journal(find_journal(journal, store.location))
    if store.location != record.location:
        raise InvalidInput(f"the journal is of {record.location}, and this is {store.location}")
    if backup is not None:
        check_backup(backup)
    elif record.backup is not None and path_in(record.backup).is_dir():
        backup = record.backup
    run = _Undoing(store, open_destination(store), None if backup is None else open(backup, cache=False), record)
    show = is_interactive() if progress is None else progress
    with tqdm(total=len(record.entries), desc="undo", disable=not show) as bar:
        found = run.look(record.entries)
        if not dry_run:
            run.bring_back(found, bar)
    return Undone(store.location, dry_run, run.table(found, dry_run), run.lacking())


@dataclass
class _Found:
    """What is to be done about an entry.

    Attributes:
        is_there: whether the manifest is.
        missing: blobs that must come from the backup, or from another repository.
        impossible: why it, or a tag of it, can't be brought back; empty where it can.
        tags: those to set.
        others: tags that point elsewhere, and where.
        stand_ins: tags that point to what a killed run left.
    """

    entry: Entry
    is_there: bool
    missing: list[Digest]
    impossible: str
    tags: list[str]
    others: dict[str, Digest]
    stand_ins: dict[str, Digest]


class _Undoing:
    def __init__(
        self, store: ContentStore, place: Destination, backup: ContentStore | None, record: JournalRecord
    ) -> None:
        self._store, self._place, self._backup = store, place, backup
        self._shared = record.shared
        self._lacked = {(lacked.repository, lacked.digest) for lacked in record.lacked if lacked.what in LOST}
        self._sizes = {blob.digest: blob.size for blob in (*(record.predicted or ()), *record.shared.values())}
        self._lacking: dict[tuple[str, Digest], None] = {}
        self._blobs: dict[tuple[str, str, Digest], bool] = {}
        self._not_there: set[tuple[str, str]] = set()  # what was brought back, and did not come

    def look(self, entries: Sequence[Entry]) -> list[_Found]:
        """What can be done, in the order in which it is to be: children first, as they were deleted last."""
        found: list[_Found] = []
        coming: dict[tuple[str, str], bool] = {}
        for entry in reversed(entries):
            is_there = self._resolved(entry.repository, entry.digest) is not None
            one = _Found(entry, is_there, [], "", [], {}, {})
            for tag in entry.tags:
                self._look_at_tag(one, tag)
            # A registry that is given a tag looks for all that the manifest names, whether it has the manifest or not.
            if not is_there or one.tags:
                one.missing, one.impossible = self._needs(entry, coming)
            coming[entry.repository, entry.digest] = is_there or not one.impossible
            found.append(one)
        return found

    def _needs(self, entry: Entry, coming: dict[tuple[str, str], bool]) -> tuple[list[Digest], str]:
        """The blobs that are not there; and why it can't be brought back, where something is nowhere."""
        links = links_of(entry.manifest)
        missing = [blob for blob in links.blobs if not self._has_blob(self._store, entry.repository, blob)]
        lost = [blob for blob in missing if not self._is_in_backup(blob) and self._stayed_in(blob) is None]
        self._lacking |= dict.fromkeys((entry.repository, blob) for blob in lost)
        if lost:
            where = "" if self._backup is None else ", and not in the backup"
            more = f", and so are {len(lost) - 1} more" if len(lost) > 1 else ""
            return missing, f"its blob {lost[0]} {self._gone(entry, lost[0])}{where}{more}"
        for child in links.children:
            there = coming.get((entry.repository, child), False) or self._resolved(entry.repository, child) is not None
            if not there:
                return missing, f"its child {child} {self._gone(entry, child)}"
        return missing, ""

    def _gone(self, entry: Entry, digest: Digest) -> str:
        """Since when something is, as far as the journal says."""
        return "was gone before the run" if (entry.repository, digest) in self._lacked else "is gone"

    def _is_in_backup(self, blob: Digest) -> bool:
        return self._backup is not None and self._has_blob(self._backup, "", blob)

    def _stayed_in(self, blob: Digest) -> str | None:
        """The repository in which a blob was to stay, if it is there still: a registry may have it there alone."""
        shared = self._shared.get(blob)
        if shared is None or not self._has_blob(self._store, shared.repository, blob):
            return None
        return shared.repository

    def lacking(self) -> pd.DataFrame:
        """What is needed, and nowhere to be found."""
        rows = [(repository, str(blob), self._sizes.get(blob)) for repository, blob in self._lacking]
        table = pd.DataFrame(rows, columns=["repository", "digest", "size"])
        return table.astype({"repository": "str", "digest": "str", "size": "Int64"})

    def _look_at_tag(self, found: _Found, tag: str) -> None:
        entry = found.entry
        now = self._resolved(entry.repository, tag)
        if now is None:
            found.tags.append(tag)
        elif now == entry.digest:
            return
        elif now in entry.stand_ins:
            found.tags.append(tag)
            found.stand_ins[tag] = now
        else:
            found.others[tag] = now

    def bring_back(self, found: Sequence[_Found], bar: tqdm[Any]) -> None:
        """Manifests, then tags."""
        below = {child for one in found for child in links_of(one.entry.manifest).children}
        sent: set[tuple[str, Digest]] = set()
        for one in found:
            entry = one.entry
            for blob in one.missing if not one.impossible else ():
                if (entry.repository, blob) not in sent:
                    self._restore_blob(entry.repository, blob)
                    sent.add((entry.repository, blob))
            if not one.is_there and not one.impossible:
                reference = None if entry.digest in below else entry.digest
                self._place.take_back(entry.repository, reference, entry.manifest)
            bar.update()
        for one in found:
            for tag in one.tags if not one.impossible else ():
                self._place.take_back(one.entry.repository, tag, one.entry.manifest)
                if tag in one.stand_ins:
                    self._forget(one.entry.repository, one.stand_ins[tag])
        self._place.close()
        for one in (one for one in found if not one.impossible):
            for tag in one.tags:
                self._look_at_restored(one.entry.repository, tag, one.entry.digest)
            if not one.is_there:
                self._look_at_restored(one.entry.repository, one.entry.digest, one.entry.digest)

    def _look_at_restored(self, repository: str, reference: str, digest: Digest) -> None:
        """A registry may accept what it never has: Pulp's earlier deletion may still be under way."""
        if not eventually(lambda: self._resolved(repository, reference) == digest, _COMES_WITHIN):
            self._not_there.add((repository, reference))

    def _forget(self, repository: str, stand_in: Digest) -> None:
        """Delete what stood in for the tag, which points to its own manifest again."""
        with contextlib.suppress(ResourceNotFound, ContentMissing):
            open_removal(self._store).forget_manifest(repository, stand_in, ())

    def _restore_blob(self, repository: str, digest: Digest) -> None:
        nearby = self._stayed_in(digest)
        source, place = (self._store, nearby) if nearby is not None else (self._backup, "")
        assert source is not None
        size = source.blob_size(place, digest)
        blob = Descriptor(mediaType="application/octet-stream", digest=digest, size=size)
        self._place.take_blob(repository, digest, StoredContent(source, place, blob), nearby)

    def table(self, found: Sequence[_Found], dry_run: bool) -> pd.DataFrame:
        """What became of each manifest and tag, in the order of the journal."""
        rows: list[tuple[str, str | None, str, str, str | None]] = []
        will = WOULD if dry_run else RESTORED
        for one in reversed(found):
            entry = one.entry
            lost = one.impossible or (_NOT_THERE if (entry.repository, entry.digest) in self._not_there else None)
            state = THERE if one.is_there else IMPOSSIBLE if lost else will
            if entry.action == "delete":
                rows.append((entry.repository, None, entry.digest, state, lost))
            for tag in entry.tags:
                outcome, reason = THERE, None
                if tag in one.others:
                    outcome, reason = LEFT_ALONE, f"it points to {one.others[tag]} by now"
                elif tag in one.tags:
                    reason = one.impossible or (_NOT_THERE if (entry.repository, tag) in self._not_there else None)
                    outcome = IMPOSSIBLE if reason else will
                rows.append((entry.repository, tag, entry.digest, outcome, reason))
        table = pd.DataFrame(rows, columns=["repository", "tag", "digest", "outcome", "reason"])
        table["outcome"] = pd.Categorical(table["outcome"], categories=[RESTORED, THERE, LEFT_ALONE, IMPOSSIBLE, WOULD])
        return table.astype({"repository": "str", "tag": "str", "digest": "str", "reason": "str"})

    def _resolved(self, repository: str, reference: str) -> Digest | None:
        return resolved(self._store, repository, reference)

    def _has_blob(self, store: ContentStore, repository: str, digest: Digest) -> bool:
        """Asked once of each, before anything is written: images share blobs, and tags share images."""
        key = (store.location, repository, digest)
        if key not in self._blobs:
            self._blobs[key] = has_blob(store, repository, digest)
        return self._blobs[key]
