"""Which tags a policy is about, which of these its rules match, and why the others stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from regscope.analysis.columns import numbered
from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Bools, Ints, distinct
from regscope.analysis.stale import duration
from regscope.remediation.ages import UNKNOWN, built, last_active, pushed, versions
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
    """

    matched: Bools
    rule: list[str]
    reason: list[str]


class _Rule(NamedTuple):
    """One rule about candidates: which it matches, and for each why or why not."""

    matched: Bools
    words: list[str]


def judge_tags(held: Holdings, policy: Retention) -> Judged:
    """Every row of `tags`."""
    total = len(held.snap.tags)
    matched, rule, reason = np.zeros(total, dtype=np.bool_), [""] * total, ["the policy is not about it"] * total
    for row in np.flatnonzero(held.snap.tags["subject"].notna().to_numpy()).tolist():
        reason[row] = "it goes with what it is attached to, and stays with it"
    rows = _candidates(held, policy)
    rules = list(_rules(held, policy, rows))
    fits = np.logical_and.reduce([each.matched for each in rules]) if rules else np.zeros(len(rows), dtype=np.bool_)
    matched[rows] = fits
    against = np.argmin([each.matched for each in rules], axis=0).tolist() if rules else [0] * len(rows)
    for at, (row, fit, first) in enumerate(zip(rows.tolist(), fits.tolist(), against, strict=True)):
        if fit:
            rule[row], reason[row] = " and ".join([each.words[at] for each in rules]), ""
        else:
            reason[row] = rules[first].words[at] if rules else "no rule is about tags"
    return Judged(matched, rule, reason)


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


def _rules(held: Holdings, policy: Retention, rows: Ints) -> Iterator[_Rule]:
    if policy.tags:
        yield _Rule(np.ones(len(rows), dtype=np.bool_), [f"tags={_listed(policy.tags)}"] * len(rows))
    if policy.keep_last is not None:
        yield _beyond_the_last(held, policy, rows, policy.keep_last)
    if policy.older_than is not None:
        yield older_than(held, last_active(held, rows), str(policy.older_than), f"older_than={policy.older_than}")
    if policy.platforms:
        yield _for_platforms(held, policy, rows)
    if policy.labels:
        yield _with_labels(held, policy, rows)


def _beyond_the_last(held: Holdings, policy: Retention, rows: Ints, keep: int) -> _Rule:
    """Images as new as the last that is kept are kept: which of them is the newer is not known."""
    nodes = held.tag_node[rows]
    if policy.keep_last_by == "version":
        value = versions(pd.Index(held.snap.tags["tag"].array[rows]))
    else:
        value = built(held, nodes) if policy.keep_last_by == "created" else pushed(held, rows)
    images = pd.DataFrame({"node": nodes, "value": value}).groupby("node")["value"].max()
    known = images[images > UNKNOWN]
    repository = held.node_repository[known.index.to_numpy(dtype=np.int64)]
    ranks = known.groupby(repository).rank(method="min", ascending=False).astype("int64")
    place = ranks.reindex(nodes).fillna(0).to_numpy(dtype=np.int64)  # 0: not known
    what = {"created": "age", "pushed": "time of push", "version": "semantic version"}[policy.keep_last_by]
    unknown = "it has no semantic version" if policy.keep_last_by == "version" else f"its {what} is unknown"
    words = [
        f"keep_last={keep}: {unknown}" if not at else f"keep_last={keep}: number {at} of its repository by {what}"
        for at in place.tolist()
    ]
    return _Rule(place > keep, words)


def older_than(held: Holdings, active: Ints, limit: str, name: str) -> _Rule:
    """What was `active` longer ago than `limit` before the snapshot was taken."""
    taken = pd.Timestamp(held.snap.taken_at).value // 1000
    age = np.where(active == UNKNOWN, 0, taken - active)
    words = [
        f"{name}: its age is unknown" if known == UNKNOWN else f"{name}: {days} {'day' if days == 1 else 'days'} old"
        for known, days in zip(active.tolist(), (np.maximum(age, 0) // _DAY).tolist(), strict=True)
    ]
    return _Rule((active > UNKNOWN) & (age > duration(limit).value // 1000), words)


def _for_platforms(held: Holdings, policy: Retention, rows: Ints) -> _Rule:
    wanted = [Platform.parse(text) for text in policy.platforms]
    manifests = held.snap.manifests[["os", "architecture", "variant"]].astype("str").fillna("")
    of = [
        any(one.covers(Platform(os=os, architecture=architecture, variant=variant or None)) for one in wanted)
        for os, architecture, variant in manifests.itertuples(index=False)
    ]
    name = f"platforms={_listed(policy.platforms)}"
    fits = _all_images(held, rows, np.array(of, dtype=np.bool_))
    return _Rule(fits, [name if fit else f"{name}: it is for another platform, or for none" for fit in fits])


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
    return _Rule(fits, [name if fit else f"{name}: not all of its images have them" for fit in fits])


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
