"""`Plan`: what is deleted, what stays, why, and how many bytes are freed. Nothing changes before `Plan.apply`."""

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
    """What a policy deletes and keeps of a registry, as computed from a snapshot.

    Attributes:
        location: the location of the store.
        fingerprint: the snapshot's, see `Snapshot.fingerprint`.
        taken_at: when the snapshot was taken, UTC.
        policy: the policy: one `Retention`, or a tuple of them.
        table: one row for each tag, and for each manifest without one: `repository`, `tag`, `digest` (str), `kind`
            (category: image, index, artifact or schema1), `action` (category: delete, untag or keep), `rule` (str: the
            rule that matched it; with its number where the policy is a list), `reason` (str: why it stays),
            `created` (UTC), `age_from` (UTC: the time from which the policy computes its age) and `age_by` (category:
            pushed, created, label, annotation, first seen or unknown; see `Retention`), `size` (Int64, bytes of
            the image's config and distinct layers as stored; absent for other manifests), `frees` (int64, bytes that
            its deletion frees; each blob is counted once, with the last manifest that needs it, at the first of that
            manifest's tags; the sum is `freed_bytes`).
        steps: the steps in the order in which they are run: `repository` (str), `action` (category: untag or delete),
            `tag` (str), `digest` (str), `kind` (category), `frees` (int64, bytes that the next garbage collection
            frees in addition once this step and all before it are done).
        tags: the tags of the repositories concerned, at the snapshot: `repository`, `tag`, `digest` (str), `goes`
            (bool: whether the plan removes it).
        blobs: the blobs and manifests that are freed, largest first: `digest` (str), `kind` (category), `size` (int64,
            bytes), `needed_by` (int64: the number of deleted manifests that need it).
        shared: layers and configs of deleted manifests that stay: `digest` (str), `size` (int64, bytes), `repository`,
            `needed_by` (str: a manifest of that repository that stays and needs the blob).
        lacking: manifests and blobs that the scan found missing or damaged (all of them only with `scan(check=True)`):
            `repository`, `digest` (str), `what` (category), `error` (str), `stays` (bool: whether a manifest that stays
            needs it).
        freed_bytes: bytes that are freed: the sum of the sizes in `blobs`.
        at_most: whether `freed_bytes` is an upper bound: manifests that the scan did not see may need some blobs.
        orphaned_bytes: bytes of blobs that no manifest needs: the next garbage collection frees them in any case.
        unknown: names in `protect` and `in_use` that are not in the snapshot.
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
        """Run the plan's steps; nothing is changed without `dry_run=False`.

        Before each deletion the registry is asked again: a tag that was moved since the snapshot is skipped, and so is
        a manifest that a new manifest needs. Tags are removed first; an index is deleted before its children. Before
        each step the manifest and its tags are written to the journal on disk. The first unexpected answer ends the
        run: the result says which steps were done. Applied again with the same journal, the plan continues there.

        Args:
            store: the plan's store, or its location; for a plan of a registry's `storage:` the registry itself.
            dry_run: ask the registry again, and try to delete and to put content that cannot exist, without a change:
                this shows what the registry would refuse, such as the deletion of tags.
            concurrency: the number of deletions that run at once.
            max_deletes: the largest number of steps of this run; the other steps are left for the next run.
            max_bytes: stop before this run frees more bytes than this.
            rate: the largest number of steps a second.
            backup: `oci:FOLDER`: a layout into which the manifests to be deleted and their blobs are copied, and
                verified, before the first deletion; the journal records its location. Without a backup the run stops
                after the first manifest whose blobs the registry deletes at once (Gitea, Pulp): no undo could restore
                them. Layers that a manifest that stays needs (`Plan.shared`) are not copied: undo reads them from the
                registry.
            backup_all: copy these layers, too, so that the backup is complete by itself.
            journal: the path of the journal; by default a new file beside the cache.
            progress: show a progress bar; by default if the output is a terminal or a notebook.
            watch: called after each step, from any thread, with the number of finished steps and the number of all.
            stop: once it is set, from any thread, no further step starts; the rest is left for the next run.

        Raises:
            InvalidInput: `store` is no store, another store than the plan's, or read only; the backup's location is no
                layout, or `backup_all` was given without `backup`; nothing was changed.
            Unsupported, PermissionDeny, AuthFailed: the registry refuses deletions, or refuses them to this account;
                nothing was changed.
            StoreError: the journal belongs to another plan, or cannot be written; nothing was changed.
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
        """Ask by HEAD for the manifests and blobs of this plan, as `apply` does first; nothing is changed.

        Args:
            store: the plan's store, or its location.
            concurrency: the number of requests that run at once.
            progress: show a progress bar; by default if the output is a terminal or a notebook.

        Raises:
            InvalidInput: `store` is neither a store nor a location.
            RegscopeError: the store cannot be opened.
        """
        return check_plan(self, store, concurrency=concurrency, progress=progress)

    def compare(self, other: Plan) -> pd.DataFrame:
        """The tags and manifests for which `other` has another action.

        Returns:
            `repository`, `tag`, `digest` (str), `action` (str: in this plan), `other_action` (str: in `other`; either
            is absent where its plan has no such row), `rule`, `other_rule` (str).
        """
        key = ["repository", "tag", "digest"]
        columns = [*key, "action", "rule"]
        ours, theirs = (one.table[columns].astype("str") for one in (self, other))
        both = ours.merge(theirs.rename(columns={"action": "other_action", "rule": "other_rule"}), how="outer", on=key)
        differs = both["action"].fillna("") != both["other_action"].fillna("")
        order = [*key, "action", "other_action", "rule", "other_rule"]
        return both.loc[differs, order].sort_values(key, ignore_index=True)

    def save(self, path: Path | str) -> Path:
        """Write the plan as JSON; returns the path.

        Raises:
            StoreError: the file cannot be written.
        """
        write_plan(self, Path(path))
        return Path(path)

    @classmethod
    def load(cls, path: Path | str) -> Plan:
        """Read a plan that `save` wrote, and check that it is consistent.

        Its steps and tags must match its table, its byte counts must add up, and no step may delete an image that the
        policy protects or lists as in use. A file that was changed consistently passes: read `plan.steps` before
        applying it. `apply` asks the registry again in any case.

        Raises:
            NotAStore: the file is not a plan.
            StoreError: the plan is damaged, contradicts itself, or is of another version.
        """
        read = cls(**read_plan(Path(path)))
        for fault in contradictions(read):
            raise StoreError(
                f"the plan in {path} contradicts itself: {text.plain(fault, 500)}",
                next_step="Make a new plan: regscope plan SOURCE --save FILE.",
            )
        return read

    def facts(self) -> dict[str, str]:
        """The figures of the plan, by their labels."""
        actions = self.table["action"].value_counts()
        tagged = self.table["tag"].notna()
        deleted = (self.table["action"] == "delete") & tagged
        bound = "at most " if self.at_most else ""
        found = {
            "freed": f"{bound}{text.size(self.freed_bytes)} ({self.freed_bytes:,} bytes)",
            "tags removed": f"{int(deleted.sum() + actions.get('untag', 0)):,} of {int(tagged.sum()):,}",
            "manifests deleted": f"{int((self.steps['action'] == 'delete').sum()):,}",
            "matched, but kept": f"{len(self.spared):,}",
            "policy": in_words(self.policy),
        }
        if self.in_use:
            here = len(set(self.in_use) - set(self.unknown))
            many = text.count(len(self.in_use), "image")
            found["in use"] = f"{many} by name or digest, {here:,} of them in this registry"
        if self.orphaned_bytes:
            found["freed in any case"] = f"{text.size(self.orphaned_bytes)}: no manifest needs it"
        return found

    def notes(self) -> list[str]:
        """Notes on the plan: when bytes are freed, its bounds, and warnings."""
        return ["Nothing has been changed: plan.apply(store, dry_run=False) runs the plan.", *plan_notes(self)]

    @property
    def title(self) -> str:
        """The heading: the store, and the time of the snapshot."""
        return f"Plan for {self.location}, as of {self.taken_at:%Y-%m-%d %H:%M} UTC"

    def _sample(self) -> tuple[Sequence[str], list[tuple[object, ...]]]:
        """Columns and first rows of the tags and manifests that are removed, or that matched and are kept."""
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
        """One line for each of the first steps, and one with the number of the other steps."""
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
