"""Checks of a saved plan against its policy: images to keep are kept, and each removal names one of its rules."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterator
from itertools import starmap

import numpy as np
import pandas as pd

from regscope.analysis.stale import duration
from regscope.arrays import Ints
from regscope.images.image_names import named as image_name
from regscope.remediation.in_use import is_image
from regscope.remediation.keeping import ends_alike
from regscope.remediation.patterns import matching, named
from regscope.remediation.plan_data import PlanData
from regscope.remediation.policy import named_rules, names_in_use, names_protected
from regscope.remediation.retention import Retention
from regscope.remediation.tag_rules import first_words
from regscope.text import plain

_WITH_ITS_HOLDER = re.compile(r"it is (attached to|a child of the index) (\S+), which goes")
_WITH_ITS_WHOLE = re.compile(r"it is part of (.+), which goes", re.DOTALL)
_WITH_ITS_TAGS = "its other tags go"


def against_policy(plan: PlanData) -> Iterator[str]:
    """One sentence for each row that is removed although the policy keeps it, or by no rule of the policy."""
    yield from _protected(plan)
    yield from _in_use(plan)
    yield from _by_no_rule(plan)
    yield from _by_its_rules(plan)
    yield from _unknown(plan)


def _unknown(plan: PlanData) -> Iterator[str]:
    named_by_it = {*names_protected(plan.policy), *names_in_use(plan.policy)}
    for text in plan.unknown:
        if text not in named_by_it:
            yield f"{plain(text, 100)!r} is listed as unknown, but the policy does not name it"


def _protected(plan: PlanData) -> Iterator[str]:
    table, unknown = plan.table, set(plan.unknown)
    in_use, freed = set(names_in_use(plan.policy)), set(plan.blobs["digest"])
    repositories, tags = pd.Index(table["repository"]), pd.Index(table["tag"].fillna(""))
    for text in names_protected(plan.policy):
        name = named(text)
        rows = matching(repositories, [name.repository])
        if name.digest is not None:
            rows &= (table["digest"] == name.digest).to_numpy()
        elif name.tag != "*":
            rows &= table["tag"].notna().to_numpy() & matching(tags, [name.tag or ""])
        yield from _let_go(
            plan, np.flatnonzero(rows), f"protect={plain(text, 100)}", text in unknown and text not in in_use
        )
        if name.digest is not None and text not in unknown:
            yield from _blob_let_go(freed, name.digest, f"protect={plain(text, 100)}")


def _in_use(plan: PlanData) -> Iterator[str]:
    """Check the images in use; they may be many, and are looked up in dictionaries: see `Kept`."""
    table = plan.table
    tagged: dict[str, list[int]] = defaultdict(list)
    placed: dict[str, list[int]] = defaultdict(list)
    rows = zip(table["repository"], table["tag"].astype(object), table["digest"], strict=True)
    for row, (repository, tag, digest) in enumerate(rows):
        placed[digest].append(row)
        if isinstance(tag, str):
            tagged[f"{repository.rpartition('/')[2]}:{tag}"].append(row)
    repositories = table["repository"].tolist()
    unknown, protected = set(plan.unknown), set(names_protected(plan.policy))
    freed = set(plan.blobs["digest"])
    for text in filter(is_image, names_in_use(plan.policy)):
        repository, tag, digest = named(text)
        path = repository.removeprefix("library/")
        found = placed.get(digest, []) if digest is not None else [
            row for row in tagged.get(f"{path.rpartition('/')[2]}:{tag}", []) if ends_alike(repositories[row], path)
        ]  # fmt: skip
        is_unknown = text in unknown and text not in protected
        yield from _let_go(plan, np.array(found, dtype=np.int64), f"in use: {plain(text, 200)}", is_unknown)
        if digest is not None and text not in unknown:
            yield from _blob_let_go(freed, digest, f"in use: {plain(text, 200)}")


def _let_go(plan: PlanData, rows: Ints, why: str, is_unknown: bool) -> Iterator[str]:
    """One sentence for each of these rows that is removed although the policy keeps it."""
    goes = rows[np.asarray(plan.table["action"].array[rows] != "keep", dtype=np.bool_)]
    for name in _named(plan.table.iloc[goes]) if len(goes) else ():
        yield f"the policy keeps {name} ({why}), but the table removes it"
    if is_unknown and len(rows):
        yield f"{why} is listed as unknown, but the table has it"


def _blob_let_go(freed: Container[str], digest: str, why: str) -> Iterator[str]:
    """Check a digest in the policy that may be a config's: some clusters name images by it."""
    if digest in freed:
        yield f"the policy keeps {digest} ({why}), but blobs says that it is freed"


def _by_no_rule(plan: PlanData) -> Iterator[str]:
    """Each removal must name a rule of the policy, or a manifest that is deleted before it."""
    goes = plan.goes
    if goes["rule"].isna().any():
        yield "a removed row names no rule"
        return
    deletes = plan.steps[plan.steps["action"] == "delete"]
    place = {pair: at for at, pair in enumerate(zip(deletes["repository"], deletes["digest"], strict=True))}
    actions = dict(zip(zip(goes["repository"], goes["tag"].astype(object), strict=True), goes["action"], strict=True))
    by_itself = goes["rule"] != _WITH_ITS_TAGS
    led = set(zip(goes.loc[by_itself, "repository"], goes.loc[by_itself, "digest"], strict=True))
    known = tuple(words for name, rule in named_rules(plan.policy) for words in _beginnings(name, rule))
    rows = zip(_named(goes), goes["repository"], goes["digest"], goes["tag"].isna(), goes["rule"], strict=True)
    for name, repository, digest, is_untagged, rule in rows:
        if rule == _WITH_ITS_TAGS:
            if (repository, digest) not in led:
                yield f"{name} is deleted because its other tags go, but no other tag of it goes"
        elif holder := _WITH_ITS_HOLDER.fullmatch(rule):
            before, after = place.get((repository, holder[2])), place.get((repository, digest))
            has_order = is_untagged or holder[1] != "attached to"  # tags can attach manifests to each other in a ring
            if before is None:
                yield f"{name} is deleted with {holder[2]}, but no step deletes {holder[2]}"
            elif has_order and after is not None and after < before:
                yield f"{name} is deleted before {holder[2]}, which needs it"
        elif whole := _WITH_ITS_WHOLE.fullmatch(rule):
            if actions.get((repository, whole[1])) != "delete":
                yield f"{name} is removed as part of {whole[1]}, but {whole[1]} stays"
        elif not rule.startswith(known):
            yield f"{name} is removed by {plain(rule, 100)!r}, which is not a rule of the policy"


def _by_its_rules(plan: PlanData) -> Iterator[str]:
    """A tag that is removed by a rule about tags must match its patterns, and be as old as it requires."""
    tagged = plan.goes[plan.goes["tag"].notna()]
    for name, rule in named_rules(plan.policy):
        words = first_words(rule)
        rows = tagged[tagged["rule"].str.startswith(f"{name}{words}")] if words else tagged.head(0)
        repositories, tags = pd.Index(rows["repository"]), pd.Index(rows["tag"])
        fits = matching(repositories, rule.repositories) & ~matching(repositories, rule.exclude_repositories)
        fits &= ~matching(tags, rule.exclude_tags)
        fits &= matching(tags, rule.tags) if rule.tags else True
        for tag in _named(rows[~fits]):
            yield f"{tag} is removed by {name}{plain(words, 100)}, but does not match that rule"
        if rule.older_than is not None:
            age = plan.taken_at - rows["age_from"]
            for tag in _named(rows[~(age > duration(rule.older_than))]):
                yield f"{tag} is removed by older_than={rule.older_than}, but is younger"


def _named(rows: pd.DataFrame) -> Iterator[str]:
    return starmap(image_name, zip(rows["repository"], rows["tag"].fillna(rows["digest"]), strict=True))


def _beginnings(name: str, rule: Retention) -> Iterator[str]:
    """The possible beginnings of the column `rule` for removals by this rule."""
    if words := first_words(rule):
        yield f"{name}{words}"
    if rule.untagged:
        yield f"{name}untagged" if rule.untagged is True else f"{name}untagged={rule.untagged}: "
    if rule.orphans:
        yield f"{name}orphans: "
