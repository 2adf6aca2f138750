"""`Plan`: what goes, what stays, why, and what comes back. It changes nothing until it is applied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from regscope import text
from regscope.errors import StoreError
from regscope.images.image_names import named
from regscope.remediation.in_use import is_image
from regscope.remediation.plan_checking import contradictions
from regscope.remediation.plan_files import FORMAT, read_plan
from regscope.remediation.plan_surprises import surprises
from regscope.remediation.plan_tables import TABLES, as_rows
from regscope.remediation.policy import (
    Policy,
    each_rule,
    in_words,
    names_in_use,
    overruled,
    policy_as_json,
)
from regscope.stores.kinds import LAYOUT, REGISTRY, stated_kind
from regscope.version import __version__

if TYPE_CHECKING:
    from regscope.remediation.applied import Applied
    from regscope.remediation.lacking import Lacking
    from regscope.stores.content_store import ContentStore

_SHOWN = 10  # rows


@dataclass(frozen=True, repr=False, eq=False)
class Plan:
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
            `frees` (int64, bytes: what comes back by it; each blob is counted once, with the last manifest that needs
            it, and at the first of its tags, so that this adds up to `freed_bytes`).
        steps: what is to be done, in this order: `repository` (str), `action` (category: untag or delete), `tag` (str),
            `digest` (str), `kind` (category), `frees` (int64, bytes: what the next garbage collection takes once this
            and all before it are done).
        tags: what the tags of the repositories concerned were: `repository`, `tag`, `digest` (str), `goes` (bool).
        blobs: what comes back, largest first: `digest` (str), `kind` (category), `size` (int64, bytes), `needed_by`
            (int64: how many of the manifests that are deleted need it).
        shared: layers and configs of what is deleted that stay: `digest` (str), `size` (int64, bytes), `repository`,
            `needed_by` (str: a manifest that stays there and needs it).
        lacking: what the scan found missing or damaged (everything only with `scan(check=True)`):
            `repository`, `digest` (str), `what` (category), `error` (str), `stays` (bool: whether what stays needs it).
        freed_bytes: bytes that come back: the sum of `blobs`.
        at_most: whether it is an upper bound: something that was not seen may still need some of it.
        orphaned_bytes: what the next garbage collection takes besides, whatever is done: no manifest needs it.
        unknown: names in `protect` and `in_use` that the snapshot does not have.
    """

    location: str
    fingerprint: str
    taken_at: datetime
    policy: Policy
    table: pd.DataFrame
    steps: pd.DataFrame
    tags: pd.DataFrame
    blobs: pd.DataFrame
    shared: pd.DataFrame
    lacking: pd.DataFrame
    freed_bytes: int
    at_most: bool
    orphaned_bytes: int
    unknown: tuple[str, ...]

    @property
    def identity(self) -> str:
        """A digest of what is to be done, and of the snapshot that it was planned on."""
        written = json.dumps([self.location, self.fingerprint, as_rows(self.steps), as_rows(self.tags)])
        return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def tags_by_manifest(self) -> dict[tuple[str, str], list[str]]:
        """The tags that go, by the repository and the digest of their manifest."""
        found: dict[tuple[str, str], list[str]] = {}
        goes = self.tags[self.tags["goes"]]
        for repository, digest, tag in zip(goes["repository"], goes["digest"], goes["tag"], strict=True):
            found.setdefault((repository, digest), []).append(tag)
        return found

    @property
    def goes(self) -> pd.DataFrame:
        """The rows of `table` that change anything."""
        return self.table[self.table["action"] != "keep"].reset_index(drop=True)

    @property
    def by_repository(self) -> pd.DataFrame:
        """The steps counted: `repository` (str), `untag`, `delete` (int64: steps) and `frees` (int64, bytes)."""
        actions = {action: (self.steps["action"] == action).astype("int64") for action in ("untag", "delete")}
        counted = self.steps[["repository", "frees"]].assign(**actions)
        found = counted.groupby("repository", sort=True, as_index=False)[["untag", "delete", "frees"]].sum()
        return found[["repository", "untag", "delete", "frees"]]

    @property
    def spared(self) -> pd.DataFrame:
        """The rows of `table` that a rule matched, and that stay all the same."""
        rows = (self.table["action"] == "keep") & self.table["rule"].notna()
        return self.table[rows].reset_index(drop=True)

    @property
    def in_use(self) -> tuple[str, ...]:
        """The images that the policy says are in use; those in `unknown` are not in this registry."""
        return tuple(filter(is_image, names_in_use(self.policy)))

    @property
    def not_understood(self) -> tuple[str, ...]:
        """What the policy says is in use, and that is no image reference: nothing is kept for it."""
        return tuple(name for name in names_in_use(self.policy) if not is_image(name))

    def apply(self, store: ContentStore | str, *, dry_run: bool = True, **options: Any) -> Applied:
        """Do what is planned; see `regscope.remediation.applying.apply_plan` for all that can be said."""
        from regscope.remediation.applying import apply_plan

        return apply_plan(self, store, dry_run=dry_run, **options)

    def check(self, store: ContentStore | str) -> Lacking:
        """What the store already lacks of what this plan concerns; see `regscope.remediation.lacking.check_plan`."""
        from regscope.remediation.lacking import check_plan

        return check_plan(self, store)

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
        path = Path(path)
        about = {
            "regscope_plan": FORMAT,
            "regscope": __version__,
            "location": self.location,
            "fingerprint": self.fingerprint,
            "taken_at": self.taken_at.isoformat(),
            "policy": policy_as_json(self.policy),
            "freed_bytes": self.freed_bytes,
            "at_most": self.at_most,
            "orphaned_bytes": self.orphaned_bytes,
            "unknown": self.unknown,
        }
        tables = {name: as_rows(getattr(self, name)) for name in TABLES}
        content = json.dumps(about | tables, indent=None, separators=(",", ":")) + "\n"
        try:
            path.write_text(content, encoding="utf-8")
        except OSError as error:
            raise StoreError(
                f"the plan cannot be written to {path}: {text.plain(error.strerror or error, 200)}",
                next_step="Make room for it, or name another place.",
            ) from None
        return path

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
        found = ["Nothing has been changed: plan.apply(store, dry_run=False) does it."]
        if len(self.steps):
            found.append(when_bytes_come_back(self.location))
        if self.at_most:
            found.append("An upper bound: something that could not be seen may still need some of these blobs.")
        if len(self.lacking):
            lost = text.count(len(self.lacking), "manifest or blob is", "manifests and blobs are")
            found.append(f"{lost} already missing or damaged in the store: see plan.lacking.")
        found += surprises(self.table, self.policy)
        found += self._judged_otherwise()
        for number, earlier in overruled(self.policy):
            found.append(
                f"Rule {number} decides for no tag: rule {earlier} is about all of them, and stands before it."
            )
        if self.in_use and set(self.in_use) <= set(self.unknown):
            found.append("None of the images in use is in this registry: is in_use of another one?")
        if self.not_understood:
            some = ", ".join(map(repr, self.not_understood[:5])) + (" …" if len(self.not_understood) > 5 else "")
            found.append(f"In use, and no image references, so nothing is kept for them: {some}")
        if self.unknown:
            some = ", ".join(self.unknown[:5]) + (" …" if len(self.unknown) > 5 else "")
            found.append(f"To be kept, and not in this snapshot: {some}")
        return found

    def _judged_otherwise(self) -> list[str]:
        """Where the registry's own files would tell the policy another time: no registry's API says when a tag came."""
        if stated_kind(self.location) != REGISTRY:
            return []
        by = self.table.loc[self.table["tag"].notna(), "age_by"]
        rules = each_rule(self.policy)
        by_age = any(rule.older_than is not None for rule in rules)
        if by_age or any(rule.keep_last_by == "pushed" for rule in rules):
            rule, judged = "older_than" if by_age else "keep_last_by=pushed", by[by != "pushed"]
        elif any(rule.keep_last is not None and rule.keep_last_by == "created" for rule in rules):
            rule, judged = "keep_last", by[by.isin(["first seen", "unknown"])]
        else:
            return []
        if not len(judged):
            return []
        ways = ", ".join(f"{many:,} {way}" for way, many in judged.astype("str").value_counts().sort_index().items())
        later = ", if that was later" if by_age else ""
        tags = text.count(len(judged), "tag")
        where = "On the registry's own files (storage:)"
        return [f"{where} {rule} would judge {tags} by when they were pushed{later}; here: {ways}."]

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


def when_bytes_come_back(location: str) -> str:
    """A word on that: a layout is its own garbage collector."""
    if stated_kind(location) == LAYOUT:
        return "A layout gives the bytes back at once: only a backup undoes that."
    return "The bytes come back when the registry collects its garbage."
