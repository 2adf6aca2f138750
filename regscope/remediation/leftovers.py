"""What lies around: manifests that nothing keeps, attachments of what is gone, indexes whose children are all gone."""

from __future__ import annotations

import numpy as np

from regscope.analysis.columns import Words, numbered
from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Bools, Ints
from regscope.remediation.ages import Ages
from regscope.remediation.patterns import matching
from regscope.remediation.policy import Policy, named_rules
from regscope.remediation.retention import Retention
from regscope.remediation.tag_rules import older_than
from regscope.schema import BLOCKING, SUBJECT
from regscope.tables import Snapshot


def matched_leftovers(held: Holdings, ages: Ages, policy: Policy) -> tuple[Words, Words]:
    """By row of `tags` and by placement, which of `untagged` and `orphans` matches it; empty where none does."""
    nodes, judged = np.full(held.n_nodes, "", dtype=object), np.zeros(held.n_nodes, dtype=np.bool_)
    for name, rule in named_rules(policy):
        found, within = _of_rule(held, ages, rule, ~judged)
        if rule.untagged:
            judged |= within
        is_new = (nodes == "") & (found != "")
        nodes[is_new] = name + found[is_new]
    return np.append(nodes, "")[held.tag_node], nodes


def _of_rule(held: Holdings, ages: Ages, policy: Retention, left: Bools) -> tuple[Words, Bools]:
    """What one rule matches by placement, and which it looks at; of `untagged` only what is left by those before."""
    repositories = matching(held.repositories, policy.repositories)
    repositories &= ~matching(held.repositories, policy.exclude_repositories)
    within = repositories[held.node_repository]
    attached = _Attached(held)
    nodes = _untagged(held, ages, policy, within & left & ~attached.may_be_kept)
    if policy.orphans and not held.snap.filtered:  # else what is not there may only not have been looked for
        gone = attached.is_lost & held.is_root & within
        empty = _without_children(held) & within
        nodes[gone] = "orphans: what it is attached to is gone"
        nodes[empty] = "orphans: not one of its children is left"
    return nodes, within


def _untagged(held: Holdings, ages: Ages, policy: Retention, within: Bools) -> Words:
    words = np.full(held.n_nodes, "", dtype=object)
    found = np.flatnonzero(held.is_untagged & within)
    if policy.untagged is True:
        words[found] = "untagged"
    elif policy.untagged:
        rule = older_than(held, ages.built.of(found), policy.untagged, f"untagged={policy.untagged}")
        words[found[rule.matched]] = rule.words[rule.matched]
    return words


class _Attached:
    """Which placements are attached to something, and whether that is still there.

    cosign can keep the signatures of all repositories in one (`COSIGN_REPOSITORY`): a subject may be in any of them.

    Attributes:
        is_lost: what is attached, and to nothing that is there.
        may_be_kept: what is attached to something in another repository, or to something that may not have been seen.
    """

    def __init__(self, held: Holdings) -> None:
        snap = held.snap
        referrer, *subjects = numbered(
            held.manifests, snap.referrers["digest"], snap.referrers["subject"], snap.tags["subject"]
        )
        is_there = np.append(_marked(len(held.manifests), held.node_manifest), False)
        by_referrer, by_tag = (is_there[subject] for subject in subjects)
        named = snap.tags["subject"].notna().to_numpy() & (held.tag_node >= 0)

        def placements(rows: Bools, tags: Bools) -> Bools:
            manifests = _marked(len(held.manifests), referrer[rows & (referrer >= 0)])
            return manifests[held.node_manifest] | _marked(held.n_nodes, held.tag_node[tags])

        attached, kept = placements(referrer >= 0, named), placements(by_referrer, named & by_tag)
        unseen = attached & _is_unseen(snap) & _stands_among(attached, held)
        self.is_lost: Bools = attached & ~kept & ~unseen
        self.may_be_kept: Bools = kept | unseen


def _stands_among(attached: Bools, held: Holdings) -> Bools:
    """Which placements are in a repository that holds nothing by itself but what is attached to something."""
    others = held.node_repository[held.is_root & ~attached]
    return ~_marked(len(held.repositories), others)[held.node_repository]


def _is_unseen(snap: Snapshot) -> bool:
    """Whether something of the registry was not seen, or not asked for: a subject may be there."""
    return bool(snap.filtered) or bool(snap.problems["what"].isin([*BLOCKING, SUBJECT]).any())


def _marked(total: int, positions: Ints) -> Bools:
    found = np.zeros(total, dtype=np.bool_)
    found[positions] = True
    return found


def _without_children(held: Holdings) -> Bools:
    index = numbered(held.manifests, held.snap.platforms["index_digest"])[0]
    names = np.zeros(len(held.manifests), dtype=np.bool_)
    names[index[index >= 0]] = True
    has = np.zeros(held.n_nodes, dtype=np.bool_)
    has[held.children.left] = True
    return names[held.node_manifest] & ~has & held.is_root
