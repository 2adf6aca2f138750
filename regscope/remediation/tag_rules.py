"""The tags that a policy includes, those that its rules match, and why the others stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from regscope.analysis.columns import Words, numbered
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.stale import duration
from regscope.analysis.version_order import semantic_order
from regscope.arrays import Bools, Ints, begins_run, distinct, greatest, looked_up
from regscope.remediation.ages import BY, FIRST_SEEN, UNKNOWN, Age, Ages
from regscope.remediation.patterns import compiled, grouping, matching
from regscope.remediation.platform_tags import NO_PLATFORM_TAGS, PlatformTags, joined, platform_tags_among
from regscope.remediation.policy import Policy, each_rule, named_rules
from regscope.remediation.retention import Retention
from regscope.spec.platform import Platform
from regscope.text import count

PULLS_UNKNOWN = "it is not known when it was pulled"
"""The end of `Judged.reason` for a tag that `not_pulled_for` does not match since its last use is not known."""

_DAY = 86_400_000_000


class Judged(NamedTuple):
    """The result of the rules for each tag.

    Attributes:
        matched: whether all rules match the tag.
        rule: the matching rules, in words; empty where not all rules match.
        reason: why the tag stays where a rule does not match; else empty.
        parts: the tags that are matched as parts: they are kept or removed with another tag.
    """

    matched: Bools
    rule: Words
    reason: Words
    parts: PlatformTags = NO_PLATFORM_TAGS


class _Rule(NamedTuple):
    """The result of one rule for the candidates: which it matches, and for each why or why not."""

    matched: Bools
    words: Words


def judge_tags(graph: ReferenceGraph, ages: Ages, policy: Policy) -> Judged:
    """The result for every row of `tags`; in a list of rules the first that includes a tag decides."""
    total = len(graph.snap.tags)
    judged = Judged(np.zeros(total, dtype=np.bool_), np.full(total, "", dtype=object), np.full(total, "", dtype=object))
    judged.reason[:] = "excluded from this policy"
    judged.reason[graph.snap.tags["subject"].notna()] = "it is kept or deleted with its subject"
    parts: list[PlatformTags] = []
    for name, rule, rows in _decided(graph, policy):
        if not rule.is_about_tags:
            judged.reason[rows] = "the policy has no rule about tags"
            continue
        found = NO_PLATFORM_TAGS if rule.keep_last is None else platform_tags_among(graph, rows)
        judged.matched[found.row], judged.reason[found.row] = True, ""
        whole = rows[~judged.matched[rows]]
        _judge(judged, whole, list(_rules(graph, ages, rule, whole)), name)
        parts.append(found)
    return judged._replace(parts=joined(parts))


def _decided(graph: ReferenceGraph, policy: Policy) -> Iterator[tuple[str, Retention, Ints]]:
    """Each rule, its prefix, and the rows of `tags` about which it decides: those that no earlier rule includes."""
    is_left = np.ones(len(graph.snap.tags), dtype=np.bool_)
    for name, rule in named_rules(policy):
        rows = _candidates(graph, rule)
        rows = rows[is_left[rows]]
        is_left[rows] &= not rule.is_about_tags
        yield name, rule, rows


def _judge(judged: Judged, rows: Ints, rules: list[_Rule], name: str) -> None:
    """Record the results of rules for some rows of `tags`."""
    fits = np.stack([each.matched for each in rules])
    words = np.stack([each.words for each in rules])
    fit = fits.all(axis=0)
    judged.matched[rows] = fit
    judged.rule[rows[fit]] = [name + " and ".join(said) for said in zip(*words[:, fit], strict=True)]
    judged.reason[rows] = name + words[fits.argmin(axis=0), np.arange(len(rows))]
    judged.reason[rows[fit]] = ""


def judged_ages(graph: ReferenceGraph, ages: Ages, policy: Policy) -> Age:
    """The time of each row of `tags` from which the deciding rule computes its age."""
    first, *others = each_rule(policy)
    if not others:
        return _taken(ages, first)
    found = ages.last_active(np.arange(len(ages.pushed.at), dtype=np.int64))
    at, by = found.at.copy(), found.by.copy()
    for _, rule, rows in _decided(graph, policy):
        taken = _taken(ages, rule)
        at[rows], by[rows] = taken.at[rows], taken.by[rows]
    return Age(at, by)


def _taken(ages: Ages, rule: Retention) -> Age:
    rows = np.arange(len(ages.pushed.at), dtype=np.int64)
    if rule.keep_last is None or rule.older_than is not None or rule.keep_last_by == "version":
        return ages.last_active(rows)
    return ages.pushed if rule.keep_last_by == "pushed" else ages.built_or_pushed(rows)


def _candidates(graph: ReferenceGraph, policy: Retention) -> Ints:
    """The rows of `tags` that the policy includes."""
    tags = graph.snap.tags
    repositories = matching(graph.repositories, policy.repositories)
    repositories &= ~matching(graph.repositories, policy.exclude_repositories)
    wanted = looked_up(repositories, graph.tag_repository, absent=False)
    wanted &= tags["subject"].isna().to_numpy() & (graph.tag_node >= 0)
    rows = np.flatnonzero(wanted)
    texts = pd.Index(tags["tag"].array[rows])
    chosen = matching(texts, policy.tags) if policy.tags else np.ones(len(rows), dtype=np.bool_)
    return rows[chosen & ~matching(texts, policy.exclude_tags)]


def first_words(policy: Retention) -> str:
    """The beginning of `Judged.rule` for matched tags; empty for a policy without rules about tags."""
    said = {
        f"tags={_listed(policy.tags)}": bool(policy.tags),
        f"keep_last={policy.keep_last}: ": policy.keep_last is not None,
        f"older_than={policy.older_than}: ": policy.older_than is not None,
        f"not_pulled_for={policy.not_pulled_for}: ": policy.not_pulled_for is not None,
        f"platforms={_listed(policy.platforms)}": bool(policy.platforms),
        f"labels={_listed(_labels(policy))}": bool(policy.labels),
    }
    return next((words for words, is_said in said.items() if is_said), "")


def _rules(graph: ReferenceGraph, ages: Ages, policy: Retention, rows: Ints) -> Iterator[_Rule]:
    if policy.tags:
        name = f"tags={_listed(policy.tags)}"
        yield _Rule(np.ones(len(rows), dtype=np.bool_), np.full(len(rows), name, dtype=object))
    if policy.keep_last is not None:
        yield _beyond_the_last(graph, ages, policy, rows, policy.keep_last)
    if policy.older_than is not None:
        yield older_than(graph, ages.last_active(rows), str(policy.older_than), f"older_than={policy.older_than}")
    if policy.not_pulled_for is not None:
        yield _not_pulled_for(graph, ages.last_used(rows), policy.not_pulled_for)
    if policy.platforms:
        yield _for_platforms(graph, policy, rows)
    if policy.labels:
        yield _with_labels(graph, policy, rows)


def _beyond_the_last(graph: ReferenceGraph, ages: Ages, policy: Retention, rows: Ints, keep: int) -> _Rule:
    """The rule `keep_last`. Images as old as the last one that is kept are kept, too, since their order is not known.

    For example, `keep_last=2` with six tags in one repository; `latest` and `3` are on one image, which counts once:

        tag     built    place | matched
        latest  March    1     | no
        3       March    1     | no
        2       January  2     | no
        1       January  2     | no
        0       unknown  0     | no, its age is unknown
        old     2025     4     | yes
    """
    nodes = graph.tag_node[rows]
    tags = pd.Index(graph.snap.tags["tag"].array[rows])
    at_least = np.zeros(graph.n_nodes, dtype=np.bool_)
    if policy.keep_last_by == "version":
        value = semantic_order(tags)
    elif policy.keep_last_by == "pushed":
        value = ages.pushed.at[rows]
    else:
        value = ages.built_or_pushed(rows).at
        at_least = ages.is_at_least
    group, names = _groups(tags, policy.keep_last_per)
    place = np.zeros(len(rows), dtype=np.int64)  # 0: not known
    counted = np.flatnonzero(group >= 0)
    # Images in a group are counted; `images` has each image once.
    images, image = np.unique(nodes[counted] * len(names) + group[counted], return_inverse=True)
    newest = greatest(image, value[counted], len(images), absent=UNKNOWN)
    node, of_group = np.divmod(images, len(names))
    places = np.zeros(len(images), dtype=np.int64)
    # Images with only a minimum age come after newer ones, and are counted only before others of their kind.
    for ranked in (newest > UNKNOWN, (newest > UNKNOWN) & ~at_least[node]):
        known = np.flatnonzero(ranked)
        places[known] = _places(graph.node_repository[node[known]] * len(names) + of_group[known], newest[known])
    place[counted] = places[image]
    return _Rule(place > keep, _words_on_places(policy, keep, place, group, names))


def _groups(tags: pd.Index[str], pattern: str | None) -> tuple[Ints, list[str]]:
    """For each tag the number of its group, -1 where the pattern does not match, and the groups' names."""
    if pattern is None:
        return np.zeros(len(tags), dtype=np.int64), [""]
    numbers, distinct = pd.factorize(tags)
    match = grouping(pattern).match
    found = [match(tag) for tag in distinct.tolist()]
    keys: dict[tuple[str, ...], int] = {}
    of = [-1 if one is None else keys.setdefault(one.groups(""), len(keys)) for one in found]
    return np.array([*of, -1], dtype=np.int64)[numbers], [", ".join(key) for key in keys] or [""]


def _words_on_places(policy: Retention, keep: int, place: Ints, group: Ints, names: list[str]) -> Words:
    what = {"created": "age", "pushed": "time of push", "version": "semantic version"}[policy.keep_last_by]
    unknown = "it has no semantic version" if policy.keep_last_by == "version" else f"its {what} is unknown"
    pairs, at = np.unique(np.stack([place, group]), axis=1, return_inverse=True)
    said = []
    for number, one in pairs.T.tolist():
        if one < 0:
            said.append(f"keep_last={keep}: keep_last_per={policy.keep_last_per} does not match it")
        elif number == 0:
            said.append(f"keep_last={keep}: {unknown}")
        else:
            of = f"{names[one]!r} in its repository" if policy.keep_last_per else "its repository"
            said.append(f"keep_last={keep}: number {number} of {of} by {what}")
    return np.array(said, dtype=object)[at.reshape(-1)]


def _places(groups: Ints, values: Ints) -> Ints:
    """The place of each value in its group, from 1 for the largest; equal values have the same place.

    >>> _places(np.array([0, 0, 0, 0, 1]), np.array([20, 30, 30, 10, 5]))
    array([3, 1, 1, 4, 1])
    """
    order = np.lexsort([-values, groups])
    groups, values = groups[order], values[order]
    at = np.arange(len(order), dtype=np.int64)
    is_first, is_less = begins_run(groups), begins_run(groups, values)
    place = np.empty_like(at)
    place[order] = _last(at, is_less) - _last(at, is_first) + 1
    return place


def _last(at: Ints, marked: Bools) -> Ints:
    """For each position, the last marked position up to it; the first position is marked.

    >>> _last(np.arange(5), np.array([True, False, False, True, False]))
    array([0, 0, 0, 3, 3])
    """
    return np.maximum.accumulate(np.where(marked, at, 0))


def older_than(graph: ReferenceGraph, active: Age, limit: str, name: str) -> _Rule:
    """The rule `older_than`: tags that were `active` longer ago than `limit` before the snapshot was taken."""
    known, age = _age_of(graph, active.at)
    days, at = np.unique(age // _DAY, return_inverse=True)
    old = [f"{many} {'day' if many == 1 else 'days'} old" for many in days.tolist()]
    words = np.array([[f"{name}: {said}", f"{name}: at least {said}"] for said in old], dtype=object).reshape(-1, 2)
    said = words[at, (active.by == BY.index(FIRST_SEEN)).astype(np.int64)]
    return _Rule(known & (age > duration(limit).value // 1000), np.where(known, said, f"{name}: its age is unknown"))


def _not_pulled_for(graph: ReferenceGraph, used: Ints, limit: str) -> _Rule:
    """The rule `not_pulled_for`: tags that were `used` longer ago than `limit` before the snapshot was taken."""
    known, age = _age_of(graph, used)
    name = f"not_pulled_for={limit}"
    days, at = np.unique(age // _DAY, return_inverse=True)
    ago = [f"{name}: not pulled or pushed for {count(many, 'day')}" for many in days.tolist()]
    return _Rule(
        known & (age > duration(limit).value // 1000),
        np.where(known, np.array(ago, dtype=object)[at], f"{name}: {PULLS_UNKNOWN}"),
    )


def _age_of(graph: ReferenceGraph, at: Ints) -> tuple[Bools, Ints]:
    """Which times are known, and how long before the snapshot they were (microseconds)."""
    known = at > UNKNOWN
    taken = pd.Timestamp(graph.snap.taken_at).value // 1000
    return known, np.maximum(np.where(known, taken - at, 0), 0)


def _for_platforms(graph: ReferenceGraph, policy: Retention, rows: Ints) -> _Rule:
    wanted = [Platform.parse(text) for text in policy.platforms]
    manifests = graph.snap.manifests[["os", "architecture", "variant"]].astype("str").fillna("")
    of = [
        any(one.covers(Platform(os=os, architecture=architecture, variant=variant or None)) for one in wanted)
        for os, architecture, variant in manifests.itertuples(index=False)
    ]
    name = f"platforms={_listed(policy.platforms)}"
    fits = _all_images(graph, rows, np.array(of, dtype=np.bool_))
    return _Rule(fits, _either(fits, name, f"{name}: it is for another platform, or for none"))


def _with_labels(graph: ReferenceGraph, policy: Retention, rows: Ints) -> _Rule:
    labels = graph.snap.labels
    number, *_ = numbered(graph.manifests, labels["digest"])
    has = np.ones(len(graph.manifests), dtype=np.bool_)
    for key, pattern in policy.labels.items():
        ours = (labels["key"] == key).to_numpy() & (number >= 0)
        test = compiled(pattern).fullmatch
        values = [value is not None and bool(test(value)) for value in labels["value"].array[ours]]
        has &= np.isin(np.arange(len(has)), number[ours][np.array(values, dtype=np.bool_)])
    name = f"labels={_listed(_labels(policy))}"
    fits = _all_images(graph, rows, has)
    return _Rule(fits, _either(fits, name, f"{name}: not all of its images have them"))


def _labels(policy: Retention) -> Iterator[str]:
    return (f"{key}={pattern}" for key, pattern in policy.labels.items())


def _either(fits: Bools, yes: str, no: str) -> Words:
    return np.array([no, yes], dtype=object)[fits.astype(np.int64)]


def _all_images(graph: ReferenceGraph, rows: Ints, fits: Bools) -> Bools:
    """Whether each tag has images, and all of them are among the manifests marked in `fits`."""
    images = graph.snap.is_image.to_numpy()
    position, node = graph.children.closure(graph.tag_node[rows])
    manifest = graph.node_manifest[node]
    position, manifest = position[images[manifest]], manifest[images[manifest]]
    there = np.isin(np.arange(len(rows)), distinct(position))
    return there & ~np.isin(np.arange(len(rows)), position[~fits[manifest]])


def _listed(names: Iterable[str]) -> str:
    return ",".join(names)
