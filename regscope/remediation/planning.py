"""`plan`: computes from a snapshot and a policy what would be deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from regscope.analysis.columns import Words, strings, taken
from regscope.analysis.freed import blob_table, freed_blobs, largest_first
from regscope.analysis.keep_reasons import held_by, keep_reasons
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.arrays import Bools, Ints, distinct, looked_up, marked, scattered, sums
from regscope.errors import InvalidInput
from regscope.remediation.ages import BY, UNKNOWN, Ages
from regscope.remediation.keeping import Kept
from regscope.remediation.leftovers import matched_leftovers
from regscope.remediation.plan import Plan
from regscope.remediation.plan_tables import BLOBS, LACKING, SHARED, STEPS, TABLE, TAGS, settled
from regscope.remediation.policy import Policy, as_policy
from regscope.remediation.retention import Retention
from regscope.remediation.steps import deletion_order, freed_by_each, users_of_each
from regscope.remediation.tag_rules import Judged, judge_tags, judged_ages
from regscope.scanning.named_content import named_blobs, named_manifests
from regscope.schema import LOST, TIME
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot


@takes_snapshot
def plan(snap: Snapshot, policy: Retention | Sequence[Retention] | Path | str) -> Plan:
    """Compute what a policy would delete in the registry of a snapshot; nothing is changed.

    Args:
        snap: a snapshot of the whole registry, or of whole repositories.
        policy: a `Retention`; a list of them, of which the first that includes a tag decides about it; or the path of a
            YAML or TOML file with one or several.

    Returns:
        The plan: the action for each tag, manifest and referrer, and the reason; see `Plan`.

    Raises:
        InvalidInput: the policy cannot be read, or only some tags or platforms were scanned: the others may need what
            would be deleted.
    """
    return Planner(snap).plan(as_policy(policy))


class Planner:
    """Makes plans for one snapshot; what does not depend on the policy is computed once."""

    def __init__(self, snap: Snapshot) -> None:
        self._graph = ReferenceGraph(snap)
        self._ages = Ages(self._graph)

    def plan(self, policy: Policy) -> Plan:
        """See `regscope.plan`."""
        graph, snap = self._graph, self._graph.snap
        for what in ("tags", "platforms"):
            if what in snap.filtered:
                raise InvalidInput(
                    f"only some {what} were scanned, and the others may need what would be deleted",
                    next_step=f"Scan whole repositories, and let the policy choose the {what}.",
                )
        fate = _decide(graph, self._ages, policy)
        freed = freed_blobs(graph, fate.gone)
        order = _order(graph, self._ages, fate)
        frees = freed_by_each(graph, order, freed)
        return Plan(
            location=snap.location,
            fingerprint=snap.fingerprint,
            taken_at=snap.taken_at,
            policy=policy,
            table=_table(graph, self._ages, policy, fate, self._rows, sums(order, frees, graph.n_nodes)),
            steps=_steps(graph, fate, order, frees),
            tags=_tags(graph, fate),
            blobs=_blobs(graph, order, self._blobs[np.isin(self._blobs, freed)]),
            shared=_shared(graph, fate, self._blobs),
            lacking=_lacking(graph, fate),
            freed_bytes=int(graph.blob_size[freed].sum()),
            at_most=not snap.sees_everything,
            orphaned_bytes=int(snap.orphans["size"].sum()),
            unknown=tuple(fate.kept.unknown),
        )

    @cached_property
    def _rows(self) -> _Rows:
        return _rows(self._graph)

    @cached_property
    def _blobs(self) -> Ints:
        return largest_first(self._graph, np.arange(len(self._graph.blobs), dtype=np.int64))


class _Rows(NamedTuple):
    """The rows of `Plan.table`, as far as they do not depend on the policy.

    Attributes:
        nodes: the placement (manifest in a repository) of each row, tags first; -1 for a tag whose manifest could not
            be read.
        order: the order in which the rows are shown.
        about: the columns that do not depend on the policy, in that order.
    """

    nodes: Ints
    order: Ints
    about: pd.DataFrame


def _rows(graph: ReferenceGraph) -> _Rows:
    tags, node = graph.snap.tags, graph.tag_node
    alone = np.flatnonzero(~marked(node[node >= 0], graph.n_nodes))
    nodes = np.concatenate([node, alone])
    manifest = looked_up(graph.node_manifest, nodes, absent=-1)
    about = pd.DataFrame(
        {
            "repository": strings(tags["repository"]).append(graph.repositories[graph.node_repository[alone]]),
            "tag": pd.Index(tags["tag"]).append(pd.Index([None] * len(alone), dtype="str")),
            "digest": strings(tags["digest"]).append(graph.manifests[graph.node_manifest[alone]]),
            "kind": taken(graph.snap.manifests["kind"], manifest),
            "created": graph.snap.manifests["created"].array.take(manifest, allow_fill=True),
            "size": graph.snap.manifests["image_size"].array.take(manifest, allow_fill=True),
        }
    ).sort_values(["repository", "tag", "digest"], kind="stable")
    return _Rows(nodes, about.index.to_numpy(), settled(TABLE, about))


_ACTIONS = pd.Index(["delete", "keep", "untag"], dtype="str")
_DELETE, _KEEP, _UNTAG = 0, 1, 2
_BY = pd.Index(list(BY), dtype="str")


def _categories(codes: Ints, names: pd.Index[str]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, names).remove_unused_categories()


class _Fate(NamedTuple):
    """What a policy decides about each tag and placement.

    Attributes:
        kept: the tags and manifests that must stay.
        tag_rule, tag_reason: by row of `tags`: the rule that matched the tag, and why it stays nevertheless; empty if
            none.
        node_rule: by placement: the rule that matched it; empty if none.
        leaves: which tags are removed.
        gone, stays: which placements are deleted, and which stay because something that stays needs them.
    """

    kept: Kept
    tag_rule: Words
    tag_reason: Words
    node_rule: Words
    leaves: Bools
    gone: Bools
    stays: Bools


def _decide(graph: ReferenceGraph, ages: Ages, policy: Policy) -> _Fate:
    kept, judged = Kept(graph, policy), judge_tags(graph, ages, policy)
    leftovers = matched_leftovers(graph, ages, policy)
    fate = _decided(graph, kept, judged, *leftovers)
    while graph.snap.takes_referrers_along and kept.hold_subjects(fate.gone):
        fate = _decided(graph, kept, judged, *leftovers)
    return fate


def _decided(graph: ReferenceGraph, kept: Kept, judged: Judged, leftover_tags: Words, leftover_nodes: Words) -> _Fate:
    is_leftover, is_kept, must_stay = leftover_tags != "", kept.tags != "", kept.nodes != ""
    rule = np.where(is_leftover, leftover_tags, judged.rule)
    reason = np.where(is_kept, kept.tags, np.where(is_leftover, "", judged.reason))
    leaves = (judged.matched | is_leftover) & ~is_kept
    named = (leftover_nodes != "") & ~must_stay
    gone, stays = _gone_and_staying(graph, leaves, named, must_stay)
    # All parts were marked as removed so far: parts of an image that stays are kept.
    parts, held_back = judged.parts, judged.parts.held_back(gone)
    rule[parts.row] = [f"it is part of {name}, which goes" for name in parts.name]
    rule[parts.row[held_back]] = ""
    reason[parts.row[held_back]] = [f"it is part of {name}, which stays" for name in parts.name[held_back]]
    reason = np.where(is_kept, kept.tags, reason)
    leaves[parts.row[held_back]] = False
    gone, stays = _gone_and_staying(graph, leaves, named, must_stay)
    # A manifest with an attachment's tag is deleted with its subject, also under its other tags.
    leaves |= looked_up(gone, graph.tag_node, absent=False)
    return _Fate(kept, rule, reason, leftover_nodes, leaves, gone, stays)


def _gone_and_staying(graph: ReferenceGraph, leaves: Bools, named: Bools, must_stay: Bools) -> tuple[Bools, Bools]:
    """The placements that are deleted with the tags that leave and those that are `named`, and those that stay."""
    standing = must_stay.copy()
    standing[graph.tag_node[graph.tag_is_root & ~leaves]] = True
    stays = graph.onward.reached(np.flatnonzero(standing | (graph.is_untagged & ~named)))
    roots = np.concatenate([graph.tag_node[leaves & graph.tag_is_root], np.flatnonzero(named)])
    return graph.onward.reached(roots) & ~stays, stays


def _table(graph: ReferenceGraph, ages: Ages, policy: Policy, fate: _Fate, rows: _Rows, frees: Ints) -> pd.DataFrame:
    nodes, order = rows.nodes, rows.order
    goes = looked_up(fate.gone, nodes, absent=False)
    n_alone = len(nodes) - len(fate.leaves)
    actions = np.where(goes, _DELETE, np.append(np.where(fate.leaves, _UNTAG, _KEEP), np.repeat(_KEEP, n_alone)))
    tagged, alone = judged_ages(graph, ages, policy), ages.last_active_without_tag(nodes[len(fate.leaves) :])
    at = np.append(tagged.at, alone.at)[order]
    decided = pd.DataFrame(
        {
            "age_from": pd.Series(at.view("datetime64[us]")).dt.tz_localize("UTC").astype(TIME),
            "age_by": _categories(np.append(tagged.by, alone.by)[order], _BY),
            "action": _categories(actions[order], _ACTIONS),
            "rule": pd.array(_rules(graph, fate, nodes, goes)[order], dtype="str"),
            "reason": pd.array(_reasons(graph, fate, nodes, actions)[order], dtype="str"),
            "frees": np.where(_is_first(nodes[order]), looked_up(frees, nodes[order], absent=0), 0),
        }
    )
    return pd.concat([rows.about, settled(TABLE, decided)], axis="columns")[[column.name for column in TABLE]]


def _is_first(nodes: Ints) -> Bools:
    """Whether each node occurs for the first time: of several tags on one manifest the first one counts its bytes."""
    return ~pd.Series(nodes).duplicated().to_numpy()


def _rules(graph: ReferenceGraph, fate: _Fate, nodes: Ints, goes: Bools) -> Words:
    """The rule for each row; for a manifest that no rule matched, the one with which it is deleted."""
    rules = np.append(fate.tag_rule, fate.node_rule[nodes[len(fate.tag_rule) :]])
    rest = np.flatnonzero(goes & (rules == ""))
    holder = held_by(graph, nodes[rest], fate.gone)
    rules[rest] = ("it is " + holder + ", which goes").fillna("its other tags go")
    rules[rules == ""] = None
    return rules


def _reasons(graph: ReferenceGraph, fate: _Fate, nodes: Ints, actions: Ints) -> Words:
    """The reason why each row's manifest stays, also where its tag is removed."""
    kept = looked_up(fate.kept.nodes, nodes, absent="")
    n_tags = len(fate.tag_reason)
    reasons = np.append(np.where(fate.tag_reason == "", kept[:n_tags], fate.tag_reason), kept[n_tags:])
    rest = np.flatnonzero((reasons == "") & (nodes >= 0) & (actions != _DELETE))
    reasons[rest] = keep_reasons(graph, nodes[rest], fate.leaves, fate.stays)
    reasons[actions == _DELETE] = None
    return reasons


def _order(graph: ReferenceGraph, ages: Ages, fate: _Fate) -> Ints:
    """The placements to delete, in the order of their deletion: the oldest first."""
    first = distinct(graph.tag_node[fate.leaves & (graph.tag_node >= 0)])
    age = ages.built.at[first]
    first = first[np.argsort(np.where(age == UNKNOWN, np.iinfo(np.int64).max, age), kind="stable")]
    return deletion_order(graph, fate.gone, first)


def _steps(graph: ReferenceGraph, fate: _Fate, order: Ints, frees: Ints) -> pd.DataFrame:
    stays = ~looked_up(fate.gone, graph.tag_node, absent=True)
    untagged = np.flatnonzero(fate.leaves & stays)
    tags, nodes = graph.snap.tags, np.concatenate([graph.tag_node[untagged], order])
    found = pd.DataFrame(
        {
            "repository": graph.repositories[graph.node_repository[nodes]],
            "action": _categories(np.repeat([_UNTAG, _DELETE], [len(untagged), len(order)]), _ACTIONS),
            "tag": tags["tag"].array.take(np.append(untagged, np.full(len(order), -1)), allow_fill=True),
            "digest": graph.manifests[graph.node_manifest[nodes]],
            "kind": taken(graph.snap.manifests["kind"], graph.node_manifest[nodes]),
            "frees": np.concatenate([np.zeros(len(untagged), dtype=np.int64), frees]),
        }
    )
    return settled(STEPS, found)


def _blobs(graph: ReferenceGraph, order: Ints, freed: Ints) -> pd.DataFrame:
    found = blob_table(graph, freed)
    return settled(BLOBS, found.assign(needed_by=users_of_each(graph, order)[freed]))


def _shared(graph: ReferenceGraph, fate: _Fate, blobs: Ints) -> pd.DataFrame:
    """The rows of `Plan.shared`: each blob that deleted manifests and others need, with one manifest that stays."""
    _, gone = graph.contents.of(graph.node_manifest[fate.gone])
    staying = np.flatnonzero(~fate.gone)
    position, blob = graph.contents.of(graph.node_manifest[staying])
    user = scattered(staying[position[::-1]], blob[::-1], len(graph.blobs), absent=-1)  # the first of each blob
    is_manifest = (graph.snap.blobs["kind"] == "manifest").to_numpy()
    found = blobs[np.isin(blobs, gone) & (user[blobs] >= 0) & ~is_manifest[blobs]]
    rows = {
        "digest": graph.blobs[found],
        "size": graph.blob_size[found],
        "repository": graph.repositories[graph.node_repository[user[found]]],
        "needed_by": graph.manifests[graph.node_manifest[user[found]]],
    }
    return settled(SHARED, pd.DataFrame(rows))


def _lacking(graph: ReferenceGraph, fate: _Fate) -> pd.DataFrame:
    """The rows of `Plan.lacking`. They block no deletion: the manifests that name the content were all read."""
    problems = graph.snap.problems
    rows = problems[problems["what"].isin(LOST) & problems["reference"].str.contains(":")]
    found = {"repository": strings(rows["repository"]), "digest": rows["reference"].array, "what": rows["what"].array}
    table = pd.DataFrame({**found, "error": rows["error"].array})
    stays = np.ones(len(table), dtype=np.bool_)
    if len(table):
        goes, kept = _named_by(graph, fate.gone), _named_by(graph, ~fate.gone)
        places = zip(table["repository"], table["digest"], strict=True)
        stays[:] = [place in kept or place not in goes for place in places]
    return settled(LACKING, table.assign(stays=stays))


def _named_by(graph: ReferenceGraph, nodes: Bools) -> set[tuple[str, str]]:
    """Repository and digest of each manifest and blob that the marked placements name."""
    columns = {"repository": graph.node_repository[nodes], "digest": graph.node_manifest[nodes]}
    names = {"repository": graph.repositories, "digest": graph.manifests}
    placements = pd.DataFrame({name: names[name][codes] for name, codes in columns.items()})
    part = replace(graph.snap, placements=placements)
    return {(named.repository, named.digest) for named in (*named_manifests(part), *named_blobs(part))}


def _tags(graph: ReferenceGraph, fate: _Fate) -> pd.DataFrame:
    changed = marked(graph.node_repository[fate.gone], len(graph.repositories))
    changed[graph.tag_repository[fate.leaves & (graph.tag_repository >= 0)]] = True
    rows = np.flatnonzero(looked_up(changed, graph.tag_repository, absent=False))
    tags = graph.snap.tags
    found = {
        "repository": strings(tags["repository"])[rows],
        "tag": tags["tag"].array[rows],
        "digest": strings(tags["digest"])[rows],
        "goes": fate.leaves[rows],
    }
    return settled(TAGS, pd.DataFrame(found))
