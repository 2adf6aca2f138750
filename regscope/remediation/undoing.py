"""`undo`: restores the manifests and tags that a journal lists as deleted, byte for byte."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from regscope.errors import ContentMissing, InvalidInput, ResourceNotFound
from regscope.progress import is_interactive
from regscope.registry.eventually import eventually
from regscope.remediation.backup import check_backup
from regscope.remediation.found_entry import FoundEntry
from regscope.remediation.journal import Entry, JournalRecord
from regscope.remediation.journal_names import find_journal
from regscope.remediation.journal_reader import read_journal
from regscope.remediation.links import links_of
from regscope.remediation.planned_step import DELETE
from regscope.remediation.undone import (
    ANOTHER,
    BACKUP,
    IMPOSSIBLE,
    LEFT_ALONE,
    PROVIDER,
    REGISTRY,
    RESTORED,
    THERE,
    WOULD,
    Undone,
)
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

_NOT_THERE = "the registry accepted it, but does not have it: run undo again later"
_COMES_WITHIN = 30  # seconds


def undo(
    journal: Path | str | JournalRecord,
    store: ContentStore | str,
    *,
    backup: str | None = None,
    dry_run: bool = True,
    progress: bool | None = None,
) -> Undone:
    """Restore the manifests and tags that a journal lists as deleted; nothing is changed without `dry_run=False`.

    First the registry is asked for each manifest, tag and blob: what is there, what can be restored, and what cannot,
    since one of its blobs is neither in the registry nor in a backup. Then manifests are restored, children before
    their index: by the provider that runs the registry, where it keeps what was deleted; else they are pushed byte for
    byte. Then tags are set. A tag that points to another manifest now is skipped. What is there already is not changed:
    undo can be run again. Afterwards the registry is asked for what was restored.

    Args:
        journal: the path in `Applied.journal`; or, of the journals beside the cache, `latest` or the beginning of a
            name.
        store: the store that was changed, or its location.
        backup: `oci:FOLDER`, the layout that `apply` filled: for blobs that were collected since. By default the one
            that the journal names, if it still exists. Blobs that were not copied into it, since another manifest needs
            them, are mounted or copied from that manifest's repository.
        dry_run: report what would be restored, from where, and what cannot be; change nothing.

    Raises:
        InvalidInput: the journal is of another store, or the backup's location is invalid.
        NotAStore: the file is no journal, or the backup is no layout.
        RegscopeError: the store cannot be read or written; what was restored before stays.
    """
    store = as_it_is_now(store)
    record = journal if isinstance(journal, JournalRecord) else read_journal(find_journal(journal, store.location))
    if store.location != record.location:
        raise InvalidInput(f"the journal is of {record.location}, not of {store.location}")
    if backup is not None:
        check_backup(backup)
    elif record.backup is not None and path_in(record.backup).is_dir():
        backup = record.backup
    run = _Undoing(store, open_destination(store), None if backup is None else open(backup, cache=False), record)
    show = is_interactive() if progress is None else progress
    with tqdm(total=len(record.entries), desc="undo", disable=dry_run or not show) as bar:
        found = run.look(record.entries)
        if not dry_run:
            run.bring_back(found, bar)
    return Undone(store.location, dry_run, run.table(found, dry_run), run.lacking(found))


class _Undoing:
    def __init__(
        self, store: ContentStore, place: Destination, backup: ContentStore | None, record: JournalRecord
    ) -> None:
        self._store, self._place, self._backup = store, place, backup
        self._removal = open_removal(store)
        self._shared = record.shared
        self._lacked = {(lacked.repository, lacked.digest) for lacked in record.lacked if lacked.what in LOST}
        self._sizes = {blob.digest: blob.size for blob in (*(record.predicted or ()), *record.shared.values())}
        self._blobs: dict[tuple[str, str, Digest], bool] = {}
        self._not_there: set[tuple[str, str]] = set()  # accepted by the registry, but not served

    def look(self, entries: Sequence[Entry]) -> list[FoundEntry]:
        """What must be done for each entry, in the order of restoring: children first, since they were deleted last."""
        found: list[FoundEntry] = []
        coming: dict[tuple[str, str], bool] = {}
        for entry in reversed(entries):
            is_there = self._resolved(entry.repository, entry.digest) is not None
            one = FoundEntry(entry, is_there)
            for tag in entry.tags:
                self._look_at_tag(one, tag)
            one.is_kept = not is_there and self._removal.can_restore(entry.repository, entry.digest, entry.native_id)
            # On the push of a tag a registry checks all that the manifest names, even if it has the manifest.
            if one.is_kept:
                one.blobs_from = (PROVIDER,)
            elif not is_there or one.tags:
                self._look_at_needs(one, coming)
            coming[entry.repository, entry.digest] = is_there or not one.impossible
            found.append(one)
        return found

    def _look_at_needs(self, one: FoundEntry, coming: dict[tuple[str, str], bool]) -> None:
        """Find out which blobs a push of the manifest needs, and whether anything of it is nowhere."""
        entry, links = one.entry, links_of(one.entry.manifest)
        one.missing = [blob for blob in links.blobs if not self._has_blob(self._store, entry.repository, blob)]
        one.lost = [blob for blob in one.missing if not self._is_in_backup(blob) and self._stayed_in(blob) is None]
        one.impossible = self._why_not(one, coming)
        one.blobs_from = () if one.impossible else self._sources(entry, one.missing)

    def _why_not(self, one: FoundEntry, coming: dict[tuple[str, str], bool]) -> str:
        """Why the manifest cannot be pushed; empty where it can."""
        entry, lost = one.entry, one.lost
        if lost:
            where = "" if self._backup is None else " and not in the backup"
            more = f"; {len(lost) - 1} more are missing as well" if len(lost) > 1 else ""
            return f"its blob {lost[0]} {self._gone(entry, lost[0])}{where}{more}"
        for child in links_of(entry.manifest).children:
            there = coming.get((entry.repository, child), False) or self._resolved(entry.repository, child) is not None
            if not there:
                return f"its child {child} {self._gone(entry, child)}"
        return ""

    def _sources(self, entry: Entry, missing: Collection[Digest]) -> tuple[str, ...]:
        """Where the blobs of a manifest are; empty for a manifest without blobs."""
        found = {
            REGISTRY if blob not in missing else BACKUP if self._stayed_in(blob) is None else ANOTHER
            for blob in links_of(entry.manifest).blobs
        }
        return tuple(source for source in (REGISTRY, ANOTHER, BACKUP) if source in found)

    def _gone(self, entry: Entry, digest: Digest) -> str:
        """Since when content is gone, as far as the journal records it."""
        return "was gone before the run" if (entry.repository, digest) in self._lacked else "is gone"

    def _is_in_backup(self, blob: Digest) -> bool:
        return self._backup is not None and self._has_blob(self._backup, "", blob)

    def _stayed_in(self, blob: Digest) -> str | None:
        """The repository in which a shared blob was to stay, if it is still there; None otherwise."""
        shared = self._shared.get(blob)
        if shared is None or not self._has_blob(self._store, shared.repository, blob):
            return None
        return shared.repository

    def lacking(self, found: Sequence[FoundEntry]) -> pd.DataFrame:
        """The rows of `Undone.lacking`: needed blobs that are neither in the registry nor in the backup."""
        lost = dict.fromkeys((one.entry.repository, blob) for one in found for blob in one.lost)
        rows = [(repository, str(blob), self._sizes.get(blob)) for repository, blob in lost]
        table = pd.DataFrame(rows, columns=["repository", "digest", "size"])
        return table.astype({"repository": "str", "digest": "str", "size": "Int64"})

    def _look_at_tag(self, found: FoundEntry, tag: str) -> None:
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

    def bring_back(self, found: Sequence[FoundEntry], bar: tqdm[Any]) -> None:
        """Have the manifests restored by the provider, or push them with their blobs; then set the tags."""
        below = {child for one in found for child in links_of(one.entry.manifest).children}
        sent: set[tuple[str, Digest]] = set()
        for one in found:
            entry = one.entry
            if not one.is_there:
                self._ask_provider(one)
            for blob in one.missing if not one.impossible else ():
                if (entry.repository, blob) not in sent:
                    self._restore_blob(entry.repository, blob)
                    sent.add((entry.repository, blob))
            if not (one.is_there or one.is_restored or one.impossible):
                reference = None if entry.digest in below else entry.digest
                self._place.take_back(entry.repository, reference, entry.manifest)
            bar.update()
        for one in found:
            for tag in one.tags if not one.impossible else ():
                if one.is_restored and self._resolved(one.entry.repository, tag) == one.entry.digest:
                    continue  # it was restored with the manifest
                self._place.take_back(one.entry.repository, tag, one.entry.manifest)
                if tag in one.stand_ins:
                    self._forget(one.entry.repository, one.stand_ins[tag])
        self._place.close()
        for one in (one for one in found if not one.impossible):
            for tag in one.tags:
                self._look_at_restored(one.entry.repository, tag, one.entry.digest)
            if not one.is_there:
                self._look_at_restored(one.entry.repository, one.entry.digest, one.entry.digest)

    def _ask_provider(self, one: FoundEntry) -> None:
        """Have the manifest restored by whoever runs the registry; otherwise find out what a push of it needs."""
        entry = one.entry
        one.is_restored = self._removal.restore(entry.repository, entry.digest, entry.native_id)
        if one.is_restored:
            one.missing, one.lost, one.impossible, one.blobs_from = [], [], "", (PROVIDER,)
            for tag, other in one.others.items():
                if self._resolved(entry.repository, tag) == entry.digest:  # the tag has come back, too
                    self._place.take_back(entry.repository, tag, self._store.manifest(entry.repository, other))
        elif one.is_kept:
            self._look_at_needs(one, {})  # its children are there by now, or cannot be restored

    def _look_at_restored(self, repository: str, reference: str, digest: Digest) -> None:
        """Wait until the registry serves what it accepted: in Pulp an earlier deletion may still be running."""
        if not eventually(lambda: self._resolved(repository, reference) == digest, _COMES_WITHIN):
            self._not_there.add((repository, reference))

    def _forget(self, repository: str, stand_in: Digest) -> None:
        """Delete the temporary manifest of a tag that points to its own manifest again."""
        with contextlib.suppress(ResourceNotFound, ContentMissing):
            self._removal.forget_manifest(repository, stand_in, ())

    def _restore_blob(self, repository: str, digest: Digest) -> None:
        nearby = self._stayed_in(digest)
        source, place = (self._store, nearby) if nearby is not None else (self._backup, "")
        assert source is not None
        size = source.blob_size(place, digest)
        blob = Descriptor(mediaType="application/octet-stream", digest=digest, size=size)
        self._place.take_blob(repository, digest, StoredContent(source, place, blob), nearby)

    def table(self, found: Sequence[FoundEntry], dry_run: bool) -> pd.DataFrame:
        """The rows of `Undone.table`, in the order of the journal."""
        rows: list[tuple[str, str | None, str, str, str | None, str | None]] = []
        will = WOULD if dry_run else RESTORED
        for one in reversed(found):
            entry = one.entry
            blobs_from = ", ".join(one.blobs_from) or None
            lost = one.impossible or (_NOT_THERE if (entry.repository, entry.digest) in self._not_there else None)
            state = THERE if one.is_there else IMPOSSIBLE if lost else will
            if entry.action == DELETE:
                rows.append((entry.repository, None, entry.digest, state, lost, blobs_from if state == will else None))
            for tag in entry.tags:
                outcome, reason = THERE, None
                if tag in one.others:
                    outcome, reason = LEFT_ALONE, f"it points to {one.others[tag]} now"
                elif tag in one.tags:
                    reason = one.impossible or (_NOT_THERE if (entry.repository, tag) in self._not_there else None)
                    outcome = IMPOSSIBLE if reason else will
                source = blobs_from if outcome == will else None
                rows.append((entry.repository, tag, entry.digest, outcome, reason, source))
        texts = {"repository": "str", "tag": "str", "digest": "str", "reason": "str", "blobs_from": "str"}
        table = pd.DataFrame(rows, columns=["repository", "tag", "digest", "outcome", "reason", "blobs_from"])
        table["outcome"] = pd.Categorical(table["outcome"], categories=[RESTORED, THERE, LEFT_ALONE, IMPOSSIBLE, WOULD])
        return table.astype(texts)

    def _resolved(self, repository: str, reference: str) -> Digest | None:
        return resolved(self._store, repository, reference)

    def _has_blob(self, store: ContentStore, repository: str, digest: Digest) -> bool:
        """Whether a repository has a blob; each is asked for once, before anything is written."""
        key = (store.location, repository, digest)
        if key not in self._blobs:
            self._blobs[key] = has_blob(store, repository, digest)
        return self._blobs[key]
