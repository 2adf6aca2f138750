"""Consistency checks of a saved plan: its steps and tags must match its table, and its byte counts must add up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd

from regscope.analysis.stale import FIRST_IMAGES
from regscope.errors import RegscopeError
from regscope.images.image_names import named
from regscope.registry.origin import without_secrets
from regscope.remediation.ages import BY
from regscope.remediation.plan_data import PlanData
from regscope.remediation.plan_policy import against_policy
from regscope.spec.digest import Digest
from regscope.spec.reference import check_repository, check_tag
from regscope.stores.kinds import REGISTRY, stated_kind
from regscope.text import plain

_FINGERPRINT = re.compile("[0-9a-f]{64}")
_WORDS = {
    "table": {
        "action": {"delete", "untag", "keep"},
        "kind": {"image", "index", "artifact", "schema1"},
        "age_by": {*BY},
    },
    "steps": {"action": {"untag", "delete"}, "kind": {"image", "index", "artifact", "schema1"}},
    "blobs": {"kind": {"layer", "config", "manifest"}},
}
_DIGESTS = {"table": ["digest"], "steps": ["digest"], "blobs": ["digest"], "shared": ["digest", "needed_by"]}


def contradictions(plan: PlanData) -> Iterator[str]:
    """One sentence for each place where a plan contradicts itself or its policy; none for a consistent plan.

    A plan in which every part was rewritten consistently cannot be told from one that a policy produced. The steps
    are therefore shown before they are run, and each is checked against the registry then.
    """
    yield from _about(plan)
    yield from _words(plan)
    yield from _names(plan)
    yield from _steps(plan)
    yield from _tags(plan)
    yield from _bytes(plan)
    yield from against_policy(plan)


def _about(plan: PlanData) -> Iterator[str]:
    kind = stated_kind(plan.location)
    if kind is None and ":" in plan.location:
        yield f"its location {plain(plan.location, 100)} is of an unknown kind"
    if kind == REGISTRY and without_secrets(plan.location) != plan.location:
        yield f"its location holds credentials or a query besides the address: {without_secrets(plan.location)}"
    if not _FINGERPRINT.fullmatch(plan.fingerprint):
        yield "its fingerprint is not 64 hexadecimal digits"
    if not FIRST_IMAGES <= plan.taken_at <= datetime.now(UTC) + timedelta(days=1):
        yield f"its snapshot was taken at {plan.taken_at:%Y-%m-%d}, in the future or before registries existed"


def _words(plan: PlanData) -> Iterator[str]:
    for name, columns in _WORDS.items():
        for column, words in columns.items():
            others = set(getattr(plan, name)[column].dropna()) - words
            if others:
                yield f"{name}.{column} is {plain(min(others), 100)!r}, not one of {', '.join(sorted(words))}"


def _names(plan: PlanData) -> Iterator[str]:
    """Repository names and tags must be valid for a registry; digests must be valid for every store."""
    tables = {"table": plan.table, "steps": plan.steps, "tags": plan.tags}
    # Any tool can write names into a layout, and a folder in `storage:` can have any name.
    if stated_kind(plan.location) == REGISTRY:
        for name, table in tables.items():
            yield from _refused(f"{name}.repository", table["repository"], check_repository)
            yield from _refused(f"{name}.tag", table["tag"], check_tag)
    for name, columns in _DIGESTS.items():
        for column in columns:
            yield from _refused(f"{name}.{column}", getattr(plan, name)[column], Digest)


def _refused(where: str, cells: pd.Series[str], check: Callable[[str], object]) -> Iterator[str]:
    for name in cells.dropna().unique():
        try:
            check(name)
        except RegscopeError as error:
            yield f"{where}: {plain(error.message, 300)}"


def _steps(plan: PlanData) -> Iterator[str]:
    """Each change in the table must have exactly one step, and each step one change; tags are removed first."""
    table, steps = plan.table, plan.steps
    deletes, untags = steps[steps["action"] == "delete"], steps[steps["action"] == "untag"]
    without = untags["tag"].isna().any() or (table["tag"].isna() & (table["action"] == "untag")).any()
    if without or deletes["tag"].notna().any():
        yield "an untag step names no tag, or a delete step names one"
        return
    going = table["action"] == "delete"
    gone, stays = set(_pairs(table[going])), set(_pairs(table[~going]))
    for repository, digest in sorted(gone & stays):
        yield f"{named(repository, digest)} is both deleted and kept: one of its tags stays"
    yield from _differ(_pairs(deletes), gone, "deletes")
    leaving = table[(table["action"] == "untag") & table["tag"].notna()]
    yield from _differ(_triples(untags), set(_triples(leaving)), "untags")
    if (steps["action"].eq("untag") & steps["action"].eq("delete").cummax()).any():
        yield "an untag step comes after a delete step"
    kinds = dict(zip(_pairs(table), table["kind"].astype(object), strict=True))
    for pair, kind in zip(_pairs(steps), steps["kind"].astype(object), strict=True):
        known = kinds.get(pair)
        if known != kind and not (pd.isna(known) and pd.isna(kind)):
            yield f"{named(*pair)} is {kind} in its step and {known} in the table"


def _differ(steps: list[tuple[str, ...]], table: set[tuple[str, ...]], verb: str) -> Iterator[str]:
    for name, many in Counter(steps).items():
        if many > 1:
            yield f"{many} steps change {_said(name)}"
        if name not in table:
            yield f"a step {verb} {_said(name)}, but the table does not say so"
    for name in sorted(table.difference(steps)):
        yield f"the table says that {_said(name)} goes, but no step {verb} it"


def _tags(plan: PlanData) -> Iterator[str]:
    """`tags` must have the same tags as the table, for the repositories in which something changes."""
    table, changed = plan.table, set(plan.steps["repository"])
    tagged = table[table["tag"].notna()]
    for rows, where in ((tagged, "table"), (plan.tags, "tags")):
        for name, many in Counter(_pairs(rows, "tag")).items():
            if many > 1:
                yield f"{_said((*name, ''))} is listed {many} times in {where}"
    ours = tagged[tagged["repository"].isin(changed)]
    expected = dict(zip(_triples(ours), ours["action"] != "keep", strict=True))
    found = dict(zip(_triples(plan.tags), plan.tags["goes"], strict=True))
    for name in sorted(expected.keys() ^ found.keys()):
        yield f"{_said(name)} differs between tags and table, or is only in one of them"
    for name, goes in found.items():
        if name in expected and expected[name] != goes:
            yield f"{_said(name)} is removed according to one of tags and table, and stays according to the other"


def _bytes(plan: PlanData) -> Iterator[str]:
    """All tables must give the same number of freed bytes, and no blob may be both freed and kept."""
    table, steps = plan.table, plan.steps
    for what, numbers in (("steps", steps["frees"]), ("table", table["frees"]), ("blobs", plan.blobs["size"])):
        total = sum(numbers.tolist())
        if total != plan.freed_bytes:
            yield f"{what} adds up to {total:,} freed bytes, and freed_bytes says {plan.freed_bytes:,}"
    by_table: Counter[tuple[str, ...]] = Counter()
    for pair, frees in zip(_pairs(table), table["frees"].tolist(), strict=True):
        by_table[pair] += frees
    deletes = steps["action"] == "delete"
    by_steps = Counter(dict(zip(_pairs(steps[deletes]), steps.loc[deletes, "frees"].tolist(), strict=True)))
    for pair in sorted(by_table.keys() | by_steps.keys()):
        if by_table[pair] != by_steps[pair]:
            yield f"{named(*pair)} frees {by_table[pair]:,} bytes in the table and {by_steps[pair]:,} in its step"
    for where in ("blobs", "shared"):
        for digest, many in Counter(getattr(plan, where)["digest"]).items():
            if many > 1:
                yield f"{digest} is listed {many} times in {where}"
    for digest in sorted(set(plan.blobs["digest"]) & set(plan.shared["digest"])):
        yield f"{digest} is freed according to blobs, and kept according to shared"
    if not plan.blobs["needed_by"].between(1, int(deletes.sum())).all():
        yield "needed_by of a freed blob is not between 1 and the number of delete steps"
    staying = set(_pairs(table[table["action"] != "delete"]))
    for pair in sorted(set(_pairs(plan.shared, "needed_by")) - staying):
        yield f"{named(*pair)} keeps a blob according to shared, but the table does not keep it"


def _pairs(rows: pd.DataFrame, column: str = "digest") -> list[tuple[str, ...]]:
    return list(zip(rows["repository"], rows[column], strict=True))


def _triples(rows: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(zip(rows["repository"], rows["tag"], rows["digest"], strict=True))


def _said(name: Iterable[str]) -> str:
    repository, which, *_ = name
    return named(repository, which)
