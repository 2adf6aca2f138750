"""`Plan`: what goes, what stays, why, and how many bytes are freed. It changes nothing until it is applied."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from regscope import text
from regscope.concurrency import CHANGES_AT_ONCE
from regscope.errors import StoreError
from regscope.images.image_names import named
from regscope.remediation.applied import Applied
from regscope.remediation.applying import apply_plan
from regscope.remediation.lacking import Lacking, check_plan
from regscope.remediation.plan_checking import contradictions
from regscope.remediation.plan_data import PlanData
from regscope.remediation.plan_files import read_plan, write_plan
from regscope.remediation.plan_notes import plan_notes
from regscope.remediation.policy import in_words
from regscope.remediation.run_options import RunOptions
from regscope.stores.content_store import ContentStore

_SHOWN = 10  # rows


class Plan(PlanData):
    """What a policy means for a registry as a snapshot saw it.

    Attributes:
        location: the store.
        fingerprint: of the snapshot, see `Snapshot.fingerprint`.
        taken_at: when the snapshot was taken, UTC.
        policy: the policy: one `Retention`, or a tuple of them.
        table: one row for each tag, and for each manifest without one: `repository`, `tag`, `digest` (str), `kind`
            (category: image, index, artifact or schema1), `action` (category: delete, untag or keep), `rule` (str: by
            which it goes, or was to go; of a list of rules with the number of that rule), `reason` (str: why it stays),
            `created` (UTC), `age_from` (UTC: when the policy takes it to be from) and `age_by` (category: pushed,
            created, label, annotation, first seen or unknown; see `Retention`), `size` (Int64, bytes: what it weighs),
            `frees` (int64, bytes: what it frees; each blob is counted once, with the last manifest that needs
            it, and at the first of its tags, so that this adds up to `freed_bytes`).
        steps: what is to be done, in this order: `repository` (str), `action` (category: untag or delete), `tag` (str),
            `digest` (str), `kind` (category), `frees` (int64, bytes: what the next garbage collection takes once this
            and all before it are done).
        tags: what the tags of the repositories concerned were: `repository`, `tag`, `digest` (str), `goes` (bool).
        blobs: what is freed, largest first: `digest` (str), `kind` (category), `size` (int64, bytes), `needed_by`
            (int64: how many of the manifests that are deleted need it).
        shared: layers and configs of what is deleted that stay: `digest` (str), `size` (int64, bytes), `repository`,
            `needed_by` (str: a manifest that stays there and needs it).
        lacking: what the scan found missing or damaged (everything only with `scan(check=True)`):
            `repository`, `digest` (str), `what` (category), `error` (str), `stays` (bool: whether what stays needs it).
        freed_bytes: bytes that are freed: the sum of `blobs`.
        at_most: whether it is an upper bound: something that was not seen may still need some of it.
        orphaned_bytes: what the next garbage collection takes besides, whatever is done: no manifest needs it.
        unknown: names in `protect` and `in_use` that the snapshot does not have.
    """

    def apply(
        self,
        store: ContentStore | str,
        *,
        dry_run: bool = True,
        concurrency: int = 4,
        max_deletes: int | None = None,
        max_bytes: int | None = None,
        rate: float | None = None,
        backup: str | None = None,
        backup_all: bool = False,
        journal: Path | str | None = None,
        progress: bool | None = None,
        watch: Callable[[int, int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Applied:
        """Do what is planned; nothing is changed without `dry_run=False`.

        Right before, everything is looked up again: a tag that has moved is left alone, and so is a manifest that
        something new needs. Untagging comes first; what holds is deleted before what it holds. Before each step the
        manifest and its tags are written to the journal, on the disk. The first surprise ends the run: the result says
        what was done, and applied again with the same journal, the plan goes on from there.

        Args:
            store: the one that was planned for, or its location; for a plan of a registry's `storage:` that registry.
            dry_run: look everything up again, ask to delete and to put what cannot be there, and change nothing: what a
                run would be refused, such as the deletion of tags, is found out.
            concurrency: deletions at once.
            max_deletes: steps to do at most; the others are left for the next time.
            max_bytes: stop before more bytes than this would be freed.
            rate: steps a second at most.
            backup: `oci:FOLDER`: a layout into which what goes is copied, and verified, before the first deletion; the
                journal remembers it. Without one the run stops after the first manifest whose blobs the registry
                forgets with it (Gitea, Pulp): no undo could bring them back. Layers that stay in the registry, since
                something that stays needs them (`Plan.shared`), are not copied: undo takes them from there.
            backup_all: copy these, too, so that the backup is whole by itself.
            journal: the file; by default a new one beside the cache.
            progress: show a progress bar; by default where somebody is watching.
            watch: called after each step with the number of steps that are settled, and of all; from any thread.
            stop: once it is set, from any thread, no further step begins, and the rest is left for the next time.

        Raises:
            InvalidInput: `store` is none, or another than the plan's, or read only; the backup's place is no layout, or
                there is none to copy all to; nothing was changed.
            Unsupported, PermissionDeny, AuthFailed: the registry does not delete, or not for you; nothing was changed.
            StoreError: the journal is another plan's, or cannot be written; nothing was changed.
            RegscopeError: the backup failed; nothing was deleted.
        """
        options = RunOptions(
            dry_run=dry_run,
            concurrency=concurrency,
            max_deletes=max_deletes,
            max_bytes=max_bytes,
            rate=rate,
            backup=backup,
            backup_all=backup_all,
            journal=journal,
            progress=progress,
            watch=watch,
            stop=stop or threading.Event(),
        )
        return apply_plan(self, store, options)

    def check(
        self, store: ContentStore | str, *, concurrency: int = CHANGES_AT_ONCE, progress: bool | None = None
    ) -> Lacking:
        """Ask by HEAD for what this plan concerns, as `apply` does before its first change; nothing is changed.

        Args:
            store: the one that was planned for, or its location.
            concurrency: requests at once.
            progress: show a progress bar; by default where somebody is watching.

        Raises:
            InvalidInput: `store` is neither a store nor a location.
            RegscopeError: the store cannot be opened.
        """
        return check_plan(self, store, concurrency=concurrency, progress=progress)

    def compare(self, other: Plan) -> pd.DataFrame:
        """Where `other` decides otherwise.

        Returns:
            `repository`, `tag`, `digest` (str), `action` (str: here), `other_action` (str: there; absent where one of
            them does not know it), `rule`, `other_rule` (str).
        """
        key = ["repository", "tag", "digest"]
        columns = [*key, "action", "rule"]
        ours, theirs = (one.table[columns].astype("str") for one in (self, other))
        both = ours.merge(theirs.rename(columns={"action": "other_action", "rule": "other_rule"}), how="outer", on=key)
        differs = both["action"].fillna("") != both["other_action"].fillna("")
        order = [*key, "action", "other_action", "rule", "other_rule"]
        return both.loc[differs, order].sort_values(key, ignore_index=True)

    def save(self, path: Path | str) -> Path:
        """Write it as JSON.

        Raises:
            StoreError: the file cannot be written.
        """
        write_plan(self, Path(path))
        return Path(path)

    @classmethod
    def load(cls, path: Path | str) -> Plan:
        """Read what `save` wrote, and check that it is consistent.

        Its steps and tags must match its table, its byte counts must add up, and nothing may go that its policy
        protects or lists as in use. A plan that was rewritten consistently passes: look at `plan.steps` before
        applying it. `apply` looks up everything again, whatever the plan says.

        Raises:
            NotAStore: the file is not a plan.
            StoreError: the plan is damaged, contradicts itself, or is of another version.
        """
        read = cls(**read_plan(Path(path)))
        for fault in contradictions(read):
            raise StoreError(
                f"the plan in {path} contradicts itself: {text.plain(fault, 500)}",
                next_step="Plan anew: regscope plan SOURCE --save FILE.",
            )
        return read

    def facts(self) -> dict[str, str]:
        """The plan in words."""
        actions = self.table["action"].value_counts()
        tagged = self.table["tag"].notna()
        deleted = (self.table["action"] == "delete") & tagged
        bound = "at most " if self.at_most else ""
        found = {
            "comes back": f"{bound}{text.size(self.freed_bytes)} ({self.freed_bytes:,} bytes)",
            "tags that go": f"{int(deleted.sum() + actions.get('untag', 0)):,} of {int(tagged.sum()):,}",
            "manifests deleted": f"{int((self.steps['action'] == 'delete').sum()):,}",
            "matched, and stay": f"{len(self.spared):,}",
            "policy": in_words(self.policy),
        }
        if self.in_use:
            here = len(set(self.in_use) - set(self.unknown))
            many = text.count(len(self.in_use), "image")
            found["in use"] = f"{many} by name or digest, {here:,} of them in this registry"
        if self.orphaned_bytes:
            found["comes back anyway"] = f"{text.size(self.orphaned_bytes)}: no manifest needs it"
        return found

    def notes(self) -> list[str]:
        """What a reader of the plan must know."""
        return ["Nothing has been changed: plan.apply(store, dry_run=False) does it.", *plan_notes(self)]

    @property
    def title(self) -> str:
        """What it is about."""
        return f"Plan for {self.location}, as of {self.taken_at:%Y-%m-%d %H:%M} UTC"

    def _sample(self) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """The first rows that change anything, or that were spared."""
        columns = ["repository", "tag", "digest", "action", "frees", "why"]
        rows = pd.concat([self.goes, self.spared]).head(_SHOWN)
        shown = rows.assign(
            digest=[text.short_digest(digest) for digest in rows["digest"]],
            tag=rows["tag"].fillna(text.ABSENT),
            frees=[text.size(size) for size in rows["frees"]],
            why=rows["rule"].where(rows["action"] != "keep", rows["reason"]),
        )
        return columns, list(shown[columns].astype(object).itertuples(index=False, name=None))

    def _first_steps(self) -> list[str]:
        """One line for each of the first steps, and one for the number of the others."""
        first = self.steps.head(_SHOWN)
        names = map(named, first["repository"], first["tag"].fillna(first["digest"]))
        rest = len(self.steps) - len(first)
        told = [f"{action} {name}" for action, name in zip(first["action"], names, strict=True)]
        return [*told, *([f"… {rest:,} more in plan.steps"] if rest else [])]

    def __repr__(self) -> str:
        return text.facts(self.title, self.facts(), [*self.notes(), *self._first_steps()])

    def _repr_html_(self) -> str:
        columns, rows = self._sample()
        rest = len(self.goes) + len(self.spared) - len(rows)
        notes = self.notes() + ([f"{rest:,} more in plan.goes and plan.spared."] if rest > 0 else [])
        return text.card(self.title, self.facts(), notes, columns if rows else (), rows)
