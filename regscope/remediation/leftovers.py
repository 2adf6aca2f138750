"""The rules `untagged` and `orphans`: unneeded manifests, referrers without a subject, indexes without children."""

from __future__ import annotations

import numpy as np

from regscope.analysis.columns import Words, numbered
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.arrays import Bools, looked_up, marked
from regscope.remediation.ages import Ages
from regscope.remediation.patterns import matching
from regscope.remediation.policy import Policy, named_rules
from regscope.remediation.retention import Retention
from regscope.remediation.tag_rules import older_than
from regscope.schema import BLOCKING, SUBJECT
from regscope.tables import Snapshot


def matched_leftovers(graph: ReferenceGraph, ages: Ages, policy: Policy) -> tuple[Words, Words]:
    """By row of `tags` and by placement, the words of the rule `untagged` or `orphans` that matches; else empty."""
    nodes, judged = np.full(graph.n_nodes, "", dtype=object), np.zeros(graph.n_nodes, dtype=np.bool_)
    for name, rule in named_rules(policy):
        found, within = _of_rule(graph, ages, rule, ~judged)
        if rule.untagged:
            judged |= within
        is_new = (nodes == "") & (found != "")
        nodes[is_new] = name + found[is_new]
    return looked_up(nodes, graph.tag_node, absent=""), nodes


def _of_rule(graph: ReferenceGraph, ages: Ages, policy: Retention, left: Bools) -> tuple[Words, Bools]:
    """The words of one rule by placement, and the placements that it includes; `untagged` decides only about `left`."""
    repositories = matching(graph.repositories, policy.repositories)
    repositories &= ~matching(graph.repositories, policy.exclude_repositories)
    within = repositories[graph.node_repository]
    attached = _Attached(graph)
    nodes = _untagged(graph, ages, policy, within & left & ~attached.may_be_kept)
    if policy.orphans and not graph.snap.filtered:  # a filtered scan may have left subjects out
        gone = attached.is_lost & graph.is_root & within
        empty = _without_children(graph) & within
        nodes[gone] = "orphans: its subject is missing"
        nodes[empty] = "orphans: all of its children are missing"
    return nodes, within


def _untagged(graph: ReferenceGraph, ages: Ages, policy: Retention, within: Bools) -> Words:
    words = np.full(graph.n_nodes, "", dtype=object)
    found = np.flatnonzero(graph.is_untagged & within)
    if policy.untagged is True:
        words[found] = "untagged"
    elif policy.untagged:
        rule = older_than(graph, ages.last_active_without_tag(found), policy.untagged, f"untagged={policy.untagged}")
        words[found[rule.matched]] = rule.words[rule.matched]
    return words


class _Attached:
    """The placements that are attached to a subject, and whether the subject is missing.

    cosign can store the signatures of all repositories in one (`COSIGN_REPOSITORY`): a subject may be in any of them.

    Attributes:
        is_lost: the placements that are attached, and whose subjects are all missing.
        may_be_kept: the placements whose subject is in another repository, or may not have been seen by the scan.
    """

    def __init__(self, graph: ReferenceGraph) -> None:
        snap = graph.snap
        referrer, *subjects = numbered(
            graph.manifests, snap.referrers["digest"], snap.referrers["subject"], snap.tags["subject"]
        )
        is_there = marked(graph.node_manifest, len(graph.manifests))
        by_referrer, by_tag = (looked_up(is_there, subject, absent=False) for subject in subjects)
        named = snap.tags["subject"].notna().to_numpy() & (graph.tag_node >= 0)

        def placements(rows: Bools, tags: Bools) -> Bools:
            manifests = marked(referrer[rows & (referrer >= 0)], len(graph.manifests))
            return manifests[graph.node_manifest] | marked(graph.tag_node[tags], graph.n_nodes)

        attached, kept = placements(referrer >= 0, named), placements(by_referrer, named & by_tag)
        unseen = attached & _is_unseen(snap) & _stands_among(attached, graph)
        self.is_lost: Bools = attached & ~kept & ~unseen
        self.may_be_kept: Bools = kept | unseen


def _stands_among(attached: Bools, graph: ReferenceGraph) -> Bools:
    """Which placements are in a repository that has nothing but attachments."""
    others = graph.node_repository[graph.is_root & ~attached]
    return ~marked(others, len(graph.repositories))[graph.node_repository]


def _is_unseen(snap: Snapshot) -> bool:
    """Whether a part of the registry was left out or could not be read: a subject may be there."""
    return bool(snap.filtered) or bool(snap.problems["what"].isin([*BLOCKING, SUBJECT]).any())


def _without_children(graph: ReferenceGraph) -> Bools:
    index = numbered(graph.manifests, graph.snap.platforms["index_digest"])[0]
    names = marked(index[index >= 0], len(graph.manifests))
    has = marked(graph.children.left, graph.n_nodes)
    return names[graph.node_manifest] & ~has & graph.is_root
