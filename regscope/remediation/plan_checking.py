"""Whether the parts of a saved plan follow from one another: its steps and tags from its table, its bytes from both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from regscope.analysis.stale import FIRST_IMAGES
from regscope.errors import RegscopeError
from regscope.images.image_names import named
from regscope.registry.origin import without_secrets
from regscope.remediation.ages import BY
from regscope.remediation.plan_policy import against_policy
from regscope.spec.digest import Digest
from regscope.spec.reference import check_repository, check_tag
from regscope.text import plain

if TYPE_CHECKING:
    from regscope.remediation.plan import Plan

_KINDS = {"http", "https", "oci", "oci-archive", "docker-archive", "storage"}
_CHECKED = {"http", "https", "storage"}  # names in a layout are whatever its writer chose
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


def contradictions(plan: Plan) -> Iterator[str]:
    """What of a plan does not follow from the rest of it, or from what its policy protects, in words.

    A plan whose every part was rewritten to fit the others cannot be told from one that a policy gave. What it would
    do is therefore shown before it is done, and looked up again then.
    """
    yield from _about(plan)
    yield from _words(plan)
    yield from _names(plan)
    yield from _steps(plan)
    yield from _tags(plan)
    yield from _bytes(plan)
    yield from against_policy(plan)


def _about(plan: Plan) -> Iterator[str]:
    kind, colon, _ = plan.location.partition(":")
    if colon and kind not in _KINDS:
        yield f"its location {plain(plan.location, 100)} is of no kind that there is"
    if kind in ("http", "https") and without_secrets(plan.location) != plan.location:
        yield f"its location has more than an address: {without_secrets(plan.location)}"
    if not _FINGERPRINT.fullmatch(plan.fingerprint):
        yield "its fingerprint is none"
    if not FIRST_IMAGES <= plan.taken_at <= datetime.now(UTC) + timedelta(days=1):
        yield f"its snapshot was taken at {plan.taken_at:%Y-%m-%d}, when there was no such registry, or not yet"


def _words(plan: Plan) -> Iterator[str]:
    for name, columns in _WORDS.items():
        for column, words in columns.items():
            others = set(getattr(plan, name)[column].dropna()) - words
            if others:
                yield f"{name}.{column} says {plain(min(others), 100)!r}, and only {', '.join(sorted(words))} are known"


def _names(plan: Plan) -> Iterator[str]:
    """Of a registry only names that can be asked for; digests everywhere."""
    tables = {"table": plan.table, "steps": plan.steps, "tags": plan.tags}
    if plan.location.partition(":")[0] in _CHECKED:
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


def _steps(plan: Plan) -> Iterator[str]:
    """Each change of the table is one step, and no step is about anything else; tags go first."""
    table, steps = plan.table, plan.steps
    deletes, untags = steps[steps["action"] == "delete"], steps[steps["action"] == "untag"]
    without = untags["tag"].isna().any() or (table["tag"].isna() & (table["action"] == "untag")).any()
    if without or deletes["tag"].notna().any():
        yield "a step removes a tag and names none, or deletes a manifest and names a tag"
        return
    going = table["action"] == "delete"
    gone, stays = set(_pairs(table[going])), set(_pairs(table[~going]))
    for repository, digest in sorted(gone & stays):
        yield f"{named(repository, digest)} goes and stays: one of its tags is not deleted"
    yield from _differ(_pairs(deletes), gone, "deletes")
    leaving = table[(table["action"] == "untag") & table["tag"].notna()]
    yield from _differ(_triples(untags), set(_triples(leaving)), "untags")
    if (steps["action"].eq("untag") & steps["action"].eq("delete").cummax()).any():
        yield "a tag is removed after a manifest is deleted"
    kinds = dict(zip(_pairs(table), table["kind"].astype(object), strict=True))
    for pair, kind in zip(_pairs(steps), steps["kind"].astype(object), strict=True):
        known = kinds.get(pair)
        if known != kind and not (pd.isna(known) and pd.isna(kind)):
            yield f"{named(*pair)} is another kind of manifest in its step than in its table"


def _differ(steps: list[tuple[str, ...]], table: set[tuple[str, ...]], verb: str) -> Iterator[str]:
    for name, many in Counter(steps).items():
        if many > 1:
            yield f"{many} steps are about {_said(name)}"
        if name not in table:
            yield f"a step {verb} {_said(name)}, which the table does not let go"
    for name in sorted(table.difference(steps)):
        yield f"the table lets {_said(name)} go, and no step {verb} it"


def _tags(plan: Plan) -> Iterator[str]:
    """The tags are those of the table, in the repositories in which something changes."""
    table, changed = plan.table, set(plan.steps["repository"])
    tagged = table[table["tag"].notna()]
    for rows, where in ((tagged, "table"), (plan.tags, "tags")):
        for name, many in Counter(_pairs(rows, "tag")).items():
            if many > 1:
                yield f"{_said((*name, ''))} stands {many} times in its {where}"
    ours = tagged[tagged["repository"].isin(changed)]
    expected = dict(zip(_triples(ours), ours["action"] != "keep", strict=True))
    found = dict(zip(_triples(plan.tags), plan.tags["goes"], strict=True))
    for name in sorted(expected.keys() ^ found.keys()):
        yield f"{_said(name)} is not the same in its tags and in its table"
    for name, goes in found.items():
        if name in expected and expected[name] != goes:
            yield f"{_said(name)} goes by its tags or by its table, and stays by the other"


def _bytes(plan: Plan) -> Iterator[str]:
    """What comes back is counted alike in all tables, and no blob both comes back and stays."""
    table, steps = plan.table, plan.steps
    for what, numbers in (("steps", steps["frees"]), ("table", table["frees"]), ("blobs", plan.blobs["size"])):
        total = sum(numbers.tolist())
        if total != plan.freed_bytes:
            yield f"{total:,} bytes come back by its {what}, and {plan.freed_bytes:,} are said to"
    by_table: Counter[tuple[str, ...]] = Counter()
    for pair, frees in zip(_pairs(table), table["frees"].tolist(), strict=True):
        by_table[pair] += frees
    deletes = steps["action"] == "delete"
    by_steps = Counter(dict(zip(_pairs(steps[deletes]), steps.loc[deletes, "frees"].tolist(), strict=True)))
    for pair in sorted(by_table.keys() | by_steps.keys()):
        if by_table[pair] != by_steps[pair]:
            yield f"{named(*pair)} frees {by_table[pair]:,} bytes by its table, and {by_steps[pair]:,} by its step"
    for where in ("blobs", "shared"):
        for digest, many in Counter(getattr(plan, where)["digest"]).items():
            if many > 1:
                yield f"{digest} stands {many} times in its {where}"
    for digest in sorted(set(plan.blobs["digest"]) & set(plan.shared["digest"])):
        yield f"{digest} comes back by its blobs, and stays by its shared"
    if not plan.blobs["needed_by"].between(1, int(deletes.sum())).all():
        yield "a blob comes back that no step, or more than there are, must free"
    staying = set(_pairs(table[table["action"] != "delete"]))
    for pair in sorted(set(_pairs(plan.shared, "needed_by")) - staying):
        yield f"{named(*pair)} is to stay and to need a blob, and the table does not keep it"


def _pairs(rows: pd.DataFrame, column: str = "digest") -> list[tuple[str, ...]]:
    return list(zip(rows["repository"], rows[column], strict=True))


def _triples(rows: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(zip(rows["repository"], rows["tag"], rows["digest"], strict=True))


def _said(name: Iterable[str]) -> str:
    repository, which, *_ = name
    return named(repository, which)
