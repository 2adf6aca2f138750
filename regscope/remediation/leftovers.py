"""What lies around: manifests that nothing keeps, attachments of what is gone, indexes whose children are all gone."""

from __future__ import annotations

import numpy as np

from regscope.analysis.columns import Words, numbered
from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Bools
from regscope.remediation.ages import Ages
from regscope.remediation.patterns import matching
from regscope.remediation.policy import Policy, named_rules
from regscope.remediation.retention import Retention
from regscope.remediation.tag_rules import older_than


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
    nodes = _untagged(held, ages, policy, within & left)
    if policy.orphans and not held.snap.filtered:  # else what is not there may only not have been looked for
        gone = _about_nothing(held) & within
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
        rule = older_than(held, ages.built[found], policy.untagged, f"untagged={policy.untagged}")
        words[found[rule.matched]] = rule.words[rule.matched]
    return words


def _about_nothing(held: Holdings) -> Bools:
    """Placements that refer to something, and to nothing that is in their repository."""
    referring = numbered(held.manifests, held.snap.referrers["digest"])[0]
    refers = np.zeros(len(held.manifests), dtype=np.bool_)
    refers[referring[referring >= 0]] = True
    has_subject = np.zeros(held.n_nodes, dtype=np.bool_)
    has_subject[held.referring.right] = True
    lost = refers[held.node_manifest] & ~has_subject
    about = held.snap.tags["subject"].notna().to_numpy() & (held.tag_subject < 0)
    lost[held.tag_node[about & (held.tag_node >= 0)]] = True
    return lost & held.is_root


def _without_children(held: Holdings) -> Bools:
    index = numbered(held.manifests, held.snap.platforms["index_digest"])[0]
    names = np.zeros(len(held.manifests), dtype=np.bool_)
    names[index[index >= 0]] = True
    has = np.zeros(held.n_nodes, dtype=np.bool_)
    has[held.children.left] = True
    return names[held.node_manifest] & ~has & held.is_root
