"""What lies around: manifests that nothing keeps, attachments of what is gone, indexes whose children are all gone."""

from __future__ import annotations

import numpy as np

from regscope.analysis.columns import numbered
from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Bools
from regscope.remediation.ages import built
from regscope.remediation.patterns import matching
from regscope.remediation.retention import Retention
from regscope.remediation.tag_rules import older_than


def matched_leftovers(held: Holdings, policy: Retention) -> tuple[dict[int, str], dict[int, str]]:
    """The rows of `tags` and the placements that `untagged` and `orphans` match, with the rule in words."""
    repositories = matching(held.repositories, policy.repositories)
    repositories &= ~matching(held.repositories, policy.exclude_repositories)
    within = repositories[held.node_repository]
    nodes = _untagged(held, policy, within)
    if policy.orphans and not held.snap.filtered:  # else what is not there may only not have been looked for
        gone = _about_nothing(held) & within
        empty = _without_children(held) & within
        nodes |= dict.fromkeys(np.flatnonzero(gone).tolist(), "orphans: what it is attached to is gone")
        nodes |= dict.fromkeys(np.flatnonzero(empty).tolist(), "orphans: not one of its children is left")
    tags = {row: nodes[node] for row, node in enumerate(held.tag_node.tolist()) if node in nodes}
    return tags, nodes


def _untagged(held: Holdings, policy: Retention, within: Bools) -> dict[int, str]:
    found = np.flatnonzero(held.is_untagged & within)
    if not policy.untagged:
        return {}
    if policy.untagged is True:
        return dict.fromkeys(found.tolist(), "untagged")
    rule = older_than(held, built(held, found), policy.untagged, f"untagged={policy.untagged}")
    return {node: words for node, words, old in zip(found.tolist(), rule.words, rule.matched, strict=True) if old}


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
