"""The tags and manifests that a user's selection matches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TypeAlias

import numpy as np
import pandas as pd

from regscope.analysis.reference_graph import ReferenceGraph
from regscope.arrays import Bools, looked_up
from regscope.errors import InvalidInput
from regscope.spec.reference import split_image

Selection: TypeAlias = str | Sequence[str] | pd.DataFrame
"""Names, or a table with the columns `repository` and `tag` or `digest`, such as the result of `stale`."""

_GLOB = re.compile(r"[*?\[]")


def select(graph: ReferenceGraph, wanted: Selection) -> tuple[Bools, Bools]:
    """The tags and the placements that `wanted` selects, as masks.

    A name is `repository`, `repository:tag`, `repository@digest` or a bare digest; names and tags may be globs. A
    digest selects its manifest and all tags on it, a repository selects everything in it. In a table, each row selects
    its tag, or its manifest if the tag is absent.

    Raises:
        InvalidInput: a name, or a row, matches nothing.
    """
    if isinstance(wanted, pd.DataFrame):
        return _select_rows(graph, wanted)
    tags = np.zeros(len(graph.snap.tags), dtype=np.bool_)
    nodes = np.zeros(graph.n_nodes, dtype=np.bool_)
    for text in [wanted] if isinstance(wanted, str) else wanted:
        tag_mask, node_mask = _select_one(graph, text)
        if not (tag_mask.any() or node_mask.any()):
            raise InvalidInput(
                f"{text!r} matches nothing in {graph.snap.location}",
                next_step="Give repository, repository:tag, repository@digest or a digest; * matches any characters.",
            )
        tags |= tag_mask
        nodes |= node_mask
    return tags, nodes


def _select_one(graph: ReferenceGraph, text: str) -> tuple[Bools, Bools]:
    repository, tag, digest = split_image(f"*@{text}" if text.startswith(("sha256:", "sha512:")) else text)
    repositories = _matching(graph.repositories, repository)
    nodes = repositories[graph.node_repository]
    in_repository = looked_up(repositories, graph.tag_repository, absent=False)
    if tag is not None:
        return in_repository & _matching(graph.snap.tags["tag"], tag), np.zeros(graph.n_nodes, dtype=np.bool_)
    if digest is not None:
        nodes &= (graph.snap.placements["digest"] == digest).to_numpy()
        return in_repository & (graph.snap.tags["digest"] == digest).to_numpy(), nodes
    return in_repository, nodes


def _matching(names: pd.Series[str] | pd.Index[str], pattern: str) -> Bools:
    if not _GLOB.search(pattern):
        return np.asarray(names == pattern, dtype=np.bool_)
    return np.array([fnmatchcase(name, pattern) for name in names], dtype=np.bool_)


def _select_rows(graph: ReferenceGraph, wanted: pd.DataFrame) -> tuple[Bools, Bools]:
    if "repository" not in wanted or not {"tag", "digest"} & set(wanted):
        raise InvalidInput(
            f"a table with the columns {', '.join(map(str, wanted))} does not select tags or manifests",
            next_step="Give it the column repository, and the column tag or digest.",
        )
    by_tag = wanted["tag"].notna() if "tag" in wanted else pd.Series(False, index=wanted.index)
    tags = _among(graph.snap.tags, wanted[by_tag], "tag")
    nodes = _among(graph.snap.placements, wanted[~by_tag], "digest")
    return tags | looked_up(nodes, graph.tag_node, absent=False), nodes


def _among(table: pd.DataFrame, wanted: pd.DataFrame, what: str) -> Bools:
    """The rows of `table` that are in `wanted`, by repository and `what`, as a mask; all of `wanted` must be found."""
    if wanted.empty:
        return np.zeros(len(table), dtype=np.bool_)
    pairs = pd.MultiIndex.from_frame(wanted[["repository", what]].astype("str"))
    known = pd.MultiIndex.from_frame(table[["repository", what]].astype("str"))
    missing = pairs[~pairs.isin(known)]
    if len(missing):
        raise InvalidInput(
            f"{missing[0][0]!r} has no {what} {missing[0][1]!r}", next_step="Pass a table of the same snapshot."
        )
    return known.isin(pairs)
