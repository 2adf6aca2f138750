"""`plan`: what a policy means for a snapshot."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from regscope.analysis.columns import strings
from regscope.analysis.freed import blob_table, freed_blobs
from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Bools, Ints, distinct
from regscope.analysis.staying import held_by, why_they_stay
from regscope.errors import InvalidInput
from regscope.remediation.ages import UNKNOWN, built
from regscope.remediation.keeping import Kept
from regscope.remediation.leftovers import matched_leftovers
from regscope.remediation.plan import Plan
from regscope.remediation.plan_tables import BLOBS, STEPS, TABLE, TAGS, settled
from regscope.remediation.retention import Retention
from regscope.remediation.steps import deletion_order, freed_by_each, kinds
from regscope.remediation.tag_rules import judge_tags
from regscope.tables import Snapshot


def plan(snap: Snapshot, policy: Retention | Path | str) -> Plan:
    """What a policy would do to the registry that `snap` was taken of: nothing is changed.

    Args:
        snap: of the whole registry, or of whole repositories.
        policy: see `Retention`; or the path of a YAML or TOML file with one.

    Returns:
        The plan, with what happens to every tag, manifest and referrer, and why; see `Plan`.

    Raises:
        InvalidInput: the policy can't be read, or only some tags or platforms were scanned: the others might need what
            goes, or be left behind.
    """
    if not isinstance(policy, Retention):
        policy = Retention.from_file(policy)
    return Planner(snap).plan(policy)


class Planner:
    """Plans for one snapshot: what is the same for every policy is found once."""

    def __init__(self, snap: Snapshot) -> None:
        self._held = Holdings(snap)

    def plan(self, policy: Retention) -> Plan:
        """See `regscope.plan`."""
        held, snap = self._held, self._held.snap
        for what in ("tags", "platforms"):
            if what in snap.filtered:
                raise InvalidInput(
                    f"only some {what} were scanned, and the others may need what would go, or be left behind",
                    next_step=f"Scan whole repositories, and let the policy choose the {what}.",
                )
        fate = _decide(held, policy)
        freed = freed_blobs(held, fate.gone)
        return Plan(
            location=snap.location,
            fingerprint=snap.fingerprint,
            taken_at=snap.taken_at,
            policy=policy,
            table=_table(held, fate, self._rows),
            steps=_steps(held, fate, freed),
            tags=_tags(held, fate),
            blobs=settled(BLOBS, blob_table(held, freed)),
            freed_bytes=int(held.blob_size[freed].sum()),
            at_most=not snap.sees_everything,
            orphaned_bytes=int(snap.orphans["size"].sum()),
            unknown=tuple(fate.kept.unknown),
        )

    @cached_property
    def _rows(self) -> _Rows:
        return _rows(self._held)


class _Rows(NamedTuple):
    """What the rows of `Plan.table` are about.

    Attributes:
        nodes: the placement of each, tags first; -1 for a tag whose manifest could not be read.
        order: in which they are shown.
        about: what no policy changes about them, in that order.
    """

    nodes: Ints
    order: Ints
    about: pd.DataFrame


def _rows(held: Holdings) -> _Rows:
    tags, node = held.snap.tags, held.tag_node
    tagged = np.zeros(held.n_nodes, dtype=np.bool_)
    tagged[node[node >= 0]] = True
    alone = np.flatnonzero(~tagged)
    nodes = np.concatenate([node, alone])
    manifest = held.node_manifest[nodes]
    about = pd.DataFrame(
        {
            "repository": strings(tags["repository"]).append(held.repositories[held.node_repository[alone]]),
            "tag": pd.Index(tags["tag"]).append(pd.Index([None] * len(alone), dtype="str")),
            "digest": strings(tags["digest"]).append(held.manifests[held.node_manifest[alone]]),
            "kind": pd.Categorical(strings(held.snap.manifests["kind"])[manifest].where(nodes >= 0)),
            "created": held.snap.manifests["created"].array[manifest],
            "size": held.snap.manifests["image_size"].array[manifest],
        }
    ).sort_values(["repository", "tag", "digest"], kind="stable")
    return _Rows(nodes, about.index.to_numpy(), about.reset_index(drop=True))


_ACTIONS = pd.Index(["delete", "keep", "untag"], dtype="str")
_DELETE, _KEEP, _UNTAG = 0, 1, 2


class _Fate(NamedTuple):
    """What becomes of everything.

    Attributes:
        kept: what must stay.
        tag_rule, tag_reason: by row of `tags`: the rule that matched it, and why it stays all the same; empty if none.
        node_rule: by placement: the rule that matched it.
        leaves: which tags go.
        gone, stays: which placements go, and which are held by something that stays.
    """

    kept: Kept
    tag_rule: list[str]
    tag_reason: list[str]
    node_rule: dict[int, str]
    leaves: Bools
    gone: Bools
    stays: Bools


def _decide(held: Holdings, policy: Retention) -> _Fate:
    kept, judged = Kept(held, policy), judge_tags(held, policy)
    leftover_tags, leftover_nodes = matched_leftovers(held, policy)
    rule, reason = list(judged.rule), list(judged.reason)
    for row, words in leftover_tags.items():
        rule[row], reason[row] = words, ""
    for row, why in kept.tags.items():
        reason[row] = why
    matched = np.array([bool(words) for words in rule], dtype=np.bool_)
    leaves = matched & np.array([not words for words in reason], dtype=np.bool_)
    named = np.zeros(held.n_nodes, dtype=np.bool_)
    named[list(leftover_nodes)] = True
    named[list(kept.nodes)] = False
    standing = np.zeros(held.n_nodes, dtype=np.bool_)
    standing[held.tag_node[held.tag_is_root & ~leaves]] = True
    standing[list(kept.nodes)] = True
    stays = held.onward.reached(np.flatnonzero(standing | (held.is_untagged & ~named)))
    roots = np.concatenate([held.tag_node[leaves & held.tag_is_root], np.flatnonzero(named)])
    gone = held.onward.reached(roots) & ~stays
    # What an attachment's tag names goes with its subject, by that tag or another.
    leaves |= np.append(gone, False)[held.tag_node]
    return _Fate(kept, rule, reason, leftover_nodes, leaves, gone, stays)


def _table(held: Holdings, fate: _Fate, rows: _Rows) -> pd.DataFrame:
    nodes, order = rows.nodes, rows.order
    goes = np.append(fate.gone, False)[nodes]
    n_alone = len(nodes) - len(fate.leaves)
    actions = np.where(goes, _DELETE, np.append(np.where(fate.leaves, _UNTAG, _KEEP), np.repeat(_KEEP, n_alone)))
    rules = np.array(_rules(held, fate, nodes, goes), dtype=object)
    reasons = np.array(_reasons(held, fate, nodes, actions), dtype=object)
    decided = {
        "action": pd.Categorical.from_codes(actions[order], _ACTIONS).remove_unused_categories(),
        "rule": pd.array(rules[order], dtype="str"),
        "reason": pd.array(reasons[order], dtype="str"),
    }
    return settled(TABLE, rows.about.assign(**decided)[[column.name for column in TABLE]])


def _rules(held: Holdings, fate: _Fate, nodes: Ints, goes: Bools) -> list[str | None]:
    """The rule for each row; for what goes without one of its own: with what it goes."""
    rules: list[str | None] = [*fate.tag_rule, *(fate.node_rule.get(node, "") for node in nodes[len(fate.tag_rule) :])]
    rest = np.array([row for row in np.flatnonzero(goes).tolist() if not rules[row]], dtype=np.int64)
    for row, holder in zip(rest.tolist(), held_by(held, nodes[rest], fate.gone).tolist(), strict=True):
        rules[row] = f"it is {holder}, which goes" if isinstance(holder, str) else "its other tags go"
    return [rule or None for rule in rules]


def _reasons(held: Holdings, fate: _Fate, nodes: Ints, actions: Any) -> list[str | None]:
    """Why each row, or the manifest that a tag is taken from, stays."""
    alone = (fate.kept.nodes.get(node, "") for node in nodes[len(fate.tag_reason) :].tolist())
    reasons: list[str | None] = [*fate.tag_reason, *alone]
    reasons = [None if action == _DELETE else reason for reason, action in zip(reasons, actions, strict=True)]
    rest = np.flatnonzero([reason == "" and node >= 0 for reason, node in zip(reasons, nodes, strict=True)])
    words = why_they_stay(held, nodes[rest], fate.leaves, fate.stays).tolist()
    for row, why in zip(rest.tolist(), words, strict=True):
        reasons[row] = fate.kept.nodes.get(int(nodes[row]), why)
    return reasons


def _steps(held: Holdings, fate: _Fate, freed: Ints) -> pd.DataFrame:
    untagged = np.flatnonzero(fate.leaves & ~np.append(fate.gone, False)[held.tag_node] & (held.tag_node >= 0))
    first = distinct(held.tag_node[fate.leaves & (held.tag_node >= 0)])
    age = built(held, first)
    first = first[np.argsort(np.where(age == UNKNOWN, np.iinfo(np.int64).max, age), kind="stable")]
    order = deletion_order(held, fate.gone, first)
    tags, nodes = held.snap.tags, np.concatenate([held.tag_node[untagged], order])
    found = pd.DataFrame(
        {
            "repository": held.repositories[held.node_repository[nodes]],
            "action": ["untag"] * len(untagged) + ["delete"] * len(order),
            "tag": pd.Index(tags["tag"])[untagged].append(pd.Index([None] * len(order), dtype="str")),
            "digest": held.manifests[held.node_manifest[nodes]],
            "kind": kinds(held, nodes),
            "frees": np.concatenate([np.zeros(len(untagged), dtype=np.int64), freed_by_each(held, order, freed)]),
        }
    )
    return settled(STEPS, found)


def _tags(held: Holdings, fate: _Fate) -> pd.DataFrame:
    changed = np.zeros(len(held.repositories), dtype=np.bool_)
    changed[held.node_repository[fate.gone]] = True
    changed[held.tag_repository[fate.leaves & (held.tag_repository >= 0)]] = True
    rows = np.flatnonzero(np.append(changed, False)[held.tag_repository])
    tags = held.snap.tags
    found = {
        "repository": strings(tags["repository"])[rows],
        "tag": tags["tag"].array[rows],
        "digest": strings(tags["digest"])[rows],
        "goes": fate.leaves[rows],
    }
    return settled(TAGS, pd.DataFrame(found))
