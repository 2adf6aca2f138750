"""Which tags a policy is about, which of these its rules match, and why the others stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from regscope.analysis.columns import Words, numbered
from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Bools, Ints, distinct
from regscope.analysis.stale import duration
from regscope.remediation.ages import BY, FIRST_SEEN, UNKNOWN, Age, Ages, versions
from regscope.remediation.parts import NO_PARTS, Parts, parts_among
from regscope.remediation.patterns import compiled, matching
from regscope.remediation.retention import Retention
from regscope.spec.platform import Platform

_DAY = 86_400_000_000


class Judged(NamedTuple):
    """What rules say about things in order.

    Attributes:
        matched: whether every rule lets each of them go.
        rule: the rules that do, in words; empty where one does not.
        reason: why it stays where one does not; else empty.
        parts: the tags that are matched because they stay and go with another one.
    """

    matched: Bools
    rule: Words
    reason: Words
    parts: Parts = NO_PARTS


class _Rule(NamedTuple):
    """One rule about candidates: which it matches, and for each why or why not."""

    matched: Bools
    words: Words


def judge_tags(held: Holdings, ages: Ages, policy: Retention) -> Judged:
    """Every row of `tags`."""
    total = len(held.snap.tags)
    matched, rule = np.zeros(total, dtype=np.bool_), np.full(total, "", dtype=object)
    reason = np.full(total, "the policy is not about it", dtype=object)
    reason[held.snap.tags["subject"].notna()] = "it goes with what it is attached to, and stays with it"
    rows = _candidates(held, policy)
    parts = NO_PARTS if policy.keep_last is None else parts_among(held, rows)
    matched[parts.row], reason[parts.row] = True, ""
    rows = rows[~matched[rows]]
    rules = list(_rules(held, ages, policy, rows))
    if not rules:
        reason[rows] = "no rule is about tags"
        return Judged(matched, rule, reason)
    fits = np.stack([each.matched for each in rules])
    words = np.stack([each.words for each in rules])
    fit = fits.all(axis=0)
    matched[rows] = fit
    rule[rows[fit]] = [" and ".join(said) for said in zip(*words[:, fit], strict=True)]
    reason[rows] = words[fits.argmin(axis=0), np.arange(len(rows))]
    reason[rows[fit]] = ""
    return Judged(matched, rule, reason, parts)


def judged_ages(ages: Ages, policy: Retention) -> Age:
    """When each row of `tags` is from, as the policy's rules take it."""
    rows = np.arange(len(ages.pushed.at), dtype=np.int64)
    if policy.keep_last is None or policy.older_than is not None or policy.keep_last_by == "version":
        return ages.last_active(rows)
    return ages.pushed if policy.keep_last_by == "pushed" else ages.built_or_pushed(rows)


def _candidates(held: Holdings, policy: Retention) -> Ints:
    """The rows of `tags` that the policy looks at."""
    tags = held.snap.tags
    repositories = matching(held.repositories, policy.repositories)
    repositories &= ~matching(held.repositories, policy.exclude_repositories)
    wanted = np.append(repositories, False)[held.tag_repository]
    wanted &= tags["subject"].isna().to_numpy() & (held.tag_node >= 0)
    rows = np.flatnonzero(wanted)
    texts = pd.Index(tags["tag"].array[rows])
    chosen = matching(texts, policy.tags) if policy.tags else np.ones(len(rows), dtype=np.bool_)
    return rows[chosen & ~matching(texts, policy.exclude_tags)]


def _rules(held: Holdings, ages: Ages, policy: Retention, rows: Ints) -> Iterator[_Rule]:
    if policy.tags:
        name = f"tags={_listed(policy.tags)}"
        yield _Rule(np.ones(len(rows), dtype=np.bool_), np.full(len(rows), name, dtype=object))
    if policy.keep_last is not None:
        yield _beyond_the_last(held, ages, policy, rows, policy.keep_last)
    if policy.older_than is not None:
        yield older_than(held, ages.last_active(rows), str(policy.older_than), f"older_than={policy.older_than}")
    if policy.platforms:
        yield _for_platforms(held, policy, rows)
    if policy.labels:
        yield _with_labels(held, policy, rows)


def _beyond_the_last(held: Holdings, ages: Ages, policy: Retention, rows: Ints, keep: int) -> _Rule:
    """Images as new as the last that is kept are kept: which of them is the newer is not known."""
    nodes = held.tag_node[rows]
    at_least = np.zeros(held.n_nodes, dtype=np.bool_)
    if policy.keep_last_by == "version":
        value = versions(pd.Index(held.snap.tags["tag"].array[rows]))
    elif policy.keep_last_by == "pushed":
        value = ages.pushed.at[rows]
    else:
        value = ages.built_or_pushed(rows).at
        at_least = ages.is_at_least
    newest = np.full(held.n_nodes, UNKNOWN)
    np.maximum.at(newest, nodes, value)
    places = np.zeros(held.n_nodes, dtype=np.int64)  # 0: not known
    # What may be older than it looks comes after what is newer, and puts nothing but its like behind itself.
    for counted in (newest > UNKNOWN, (newest > UNKNOWN) & ~at_least):
        known = np.flatnonzero(counted)
        places[known] = _places(held.node_repository[known], newest[known])
    place = places[nodes]
    what = {"created": "age", "pushed": "time of push", "version": "semantic version"}[policy.keep_last_by]
    unknown = "it has no semantic version" if policy.keep_last_by == "version" else f"its {what} is unknown"
    known_words = [f"number {at} of its repository by {what}" for at in range(1, places.max(initial=0) + 1)]
    words = np.array([f"keep_last={keep}: {said}" for said in (unknown, *known_words)], dtype=object)
    return _Rule(place > keep, words[place])


def _places(groups: Ints, values: Ints) -> Ints:
    """The place of each value in its group, from 1 for the largest; equal ones have the same."""
    order = np.lexsort([-values, groups])
    groups, values = groups[order], values[order]
    at = np.arange(len(order), dtype=np.int64)
    is_first = np.diff(groups, prepend=-1) > 0
    is_less = is_first | (np.diff(values, prepend=0) < 0)
    place = np.empty_like(at)
    place[order] = _last(at, is_less) - _last(at, is_first) + 1
    return place


def _last(at: Ints, marked: Bools) -> Ints:
    """For each position the last marked one up to it."""
    return np.maximum.accumulate(np.where(marked, at, 0))


def older_than(held: Holdings, active: Age, limit: str, name: str) -> _Rule:
    """What was `active` longer ago than `limit` before the snapshot was taken."""
    taken = pd.Timestamp(held.snap.taken_at).value // 1000
    known = active.at > UNKNOWN
    age = np.maximum(np.where(known, taken - active.at, 0), 0)
    days, at = np.unique(age // _DAY, return_inverse=True)
    old = [f"{many} {'day' if many == 1 else 'days'} old" for many in days.tolist()]
    words = np.array([[f"{name}: {said}", f"{name}: at least {said}"] for said in old], dtype=object).reshape(-1, 2)
    said = words[at, (active.by == BY.index(FIRST_SEEN)).astype(np.int64)]
    return _Rule(known & (age > duration(limit).value // 1000), np.where(known, said, f"{name}: its age is unknown"))


def _for_platforms(held: Holdings, policy: Retention, rows: Ints) -> _Rule:
    wanted = [Platform.parse(text) for text in policy.platforms]
    manifests = held.snap.manifests[["os", "architecture", "variant"]].astype("str").fillna("")
    of = [
        any(one.covers(Platform(os=os, architecture=architecture, variant=variant or None)) for one in wanted)
        for os, architecture, variant in manifests.itertuples(index=False)
    ]
    name = f"platforms={_listed(policy.platforms)}"
    fits = _all_images(held, rows, np.array(of, dtype=np.bool_))
    return _Rule(fits, _either(fits, name, f"{name}: it is for another platform, or for none"))


def _with_labels(held: Holdings, policy: Retention, rows: Ints) -> _Rule:
    labels = held.snap.labels
    number, *_ = numbered(held.manifests, labels["digest"])
    has = np.ones(len(held.manifests), dtype=np.bool_)
    for key, pattern in policy.labels.items():
        ours = (labels["key"] == key).to_numpy() & (number >= 0)
        test = compiled(pattern).fullmatch
        values = [value is not None and bool(test(value)) for value in labels["value"].array[ours]]
        has &= np.isin(np.arange(len(has)), number[ours][np.array(values, dtype=np.bool_)])
    name = f"labels={_listed(f'{key}={pattern}' for key, pattern in policy.labels.items())}"
    fits = _all_images(held, rows, has)
    return _Rule(fits, _either(fits, name, f"{name}: not all of its images have them"))


def _either(fits: Bools, yes: str, no: str) -> Words:
    return np.array([no, yes], dtype=object)[fits.astype(np.int64)]


def _all_images(held: Holdings, rows: Ints, fits: Bools) -> Bools:
    """Whether all images of each tag, of which there must be one, are among the manifests that `fits` says."""
    images = held.snap.is_image.to_numpy()
    position, node = held.children.closure(held.tag_node[rows])
    manifest = held.node_manifest[node]
    position, manifest = position[images[manifest]], manifest[images[manifest]]
    there = np.isin(np.arange(len(rows)), distinct(position))
    return there & ~np.isin(np.arange(len(rows)), position[~fits[manifest]])


def _listed(names: Iterable[str]) -> str:
    return ",".join(names)
