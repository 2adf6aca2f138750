"""The tags and manifests that must stay: protected ones, those in use, and those that unread content may need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pandas as pd

from regscope.analysis.columns import Words
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.arrays import NONE, Bools, Ints, looked_up
from regscope.remediation.in_use import is_image
from regscope.remediation.patterns import Named, matching, named
from regscope.remediation.policy import Policy, names_in_use, names_protected
from regscope.schema import BLOCKING
from regscope.text import short_digest


class Kept:
    """The tags and placements that must stay, because of the policy or of problems in the snapshot.

    Attributes:
        tags: by row of `tags`, why the tag stays; empty where nothing keeps it.
        nodes: by placement, why it stays; empty where nothing keeps it.
        unknown: names in `protect` and `in_use` that are not in the snapshot, as the keys of an ordered set.
    """

    def __init__(self, graph: ReferenceGraph, policy: Policy) -> None:
        self.tags: Words = np.full(len(graph.snap.tags), "", dtype=object)
        self.nodes: Words = np.full(graph.n_nodes, "", dtype=object)
        self.unknown: dict[str, None] = {}
        self._graph = graph
        self._tag_names = pd.Index(graph.snap.tags["tag"])
        self._protect(names_protected(policy))
        self._in_use([name for name in names_in_use(policy) if is_image(name)])
        self._unreadable()
        self._note([], np.flatnonzero(graph.snap.placements["locked"]), "it is locked in the registry")
        self._what_is_attached()
        self._what_holds_them()

    def _protect(self, names: Iterable[str]) -> None:
        for text in names:
            tags, nodes = self._named(named(text))
            self._note(tags, nodes, f"protect={text}")
            if not (len(tags) or len(nodes)):
                self.unknown[text] = None

    def _in_use(self, names: Sequence[str]) -> None:
        """Keep the images in use; the names may be many, and are no patterns: they are looked up in dictionaries.

        A digest is kept in every repository. The host of a name is not known here, and mirrors and pull-through proxies
        add or remove a prefix of the path. So an image is kept if its tag is equal and one of the two paths ends with
        the other, by whole components: `library/redis:7` keeps `hub/library/redis:7` and `redis:7`, but not
        `redis-exporter:7`. Only Docker Hub puts `library/` before a bare name: there `redis` is enough.
        """
        if not names:
            return
        wanted = {text: named(text) for text in names}
        tags = self._tags_by_end({name.tag for name in wanted.values() if name.tag})
        nodes = self._nodes_by_digest({name.digest for name in wanted.values() if name.digest})
        for text, (repository, tag, digest) in wanted.items():
            if digest is not None:
                found_tags, found_nodes = [], nodes[digest]
            else:
                path = repository.removeprefix("library/")
                ours = tags[f"{path.rpartition('/')[2]}:{tag}"]
                found_tags, found_nodes = [row for row, name in ours if ends_alike(name, path)], []
            self._note(found_tags, found_nodes, f"in use: {text}")
            if found_tags or found_nodes:
                self.unknown.pop(text, None)
            else:
                self.unknown[text] = None

    def _unreadable(self) -> None:
        """Keep all in a repository in which something could not be read: it may need any manifest of it."""
        problems = self._graph.snap.problems
        for repository, reference, what in (
            problems.loc[problems["what"].isin(BLOCKING), ["repository", "reference", "what"]]
            .astype(object)
            .itertuples(index=False)
        ):
            nodes = np.flatnonzero(self._repositories(repository)[self._graph.node_repository])
            tags = self._tags_in(repository)
            of = f"of {reference}" if reference else ""
            self._note(tags, nodes, f"the {what} {of} in its repository could not be read, and may need it")

    def _what_is_attached(self) -> None:
        """Keep the placement of an attachment whose tag is kept: else it would be deleted with its subject."""
        rows = np.flatnonzero((self.tags != "") & (self._graph.tag_subject >= 0) & (self._graph.tag_node >= 0))
        for row, node in zip(rows.tolist(), self._graph.tag_node[rows].tolist(), strict=True):
            self._note([], [node], self.tags[row])

    def _what_holds_them(self) -> None:
        """Keep the indexes and subjects of kept manifests, and the tags on them."""
        kept = np.flatnonzero(self.nodes != "")
        position, holder = self._graph.holders.closure(kept)
        is_new = self.nodes[holder] == ""
        for at, node in zip(kept[position[is_new]].tolist(), holder[is_new].tolist(), strict=True):
            digest = self._graph.manifests[self._graph.node_manifest[at]]
            self._note([], [node], f"{self.nodes[at]}, through {short_digest(digest)}")
        of_manifest = looked_up(self.nodes, self._graph.tag_node, absent="")
        self.tags = np.where(self.tags == "", of_manifest, self.tags)

    def hold_subjects(self, gone: Bools) -> bool:
        """Keep the subjects of referrers that stay, where a registry would delete both; whether there are any.

        Args:
            gone: the placements that are to be deleted so far.
        """
        refers = self._graph.referring
        held = np.flatnonzero(gone[refers.left] & ~gone[refers.right])
        for subject, referrer in zip(refers.left[held].tolist(), refers.right[held].tolist(), strict=True):
            digest = self._graph.manifests[self._graph.node_manifest[referrer]]
            self._note([], [subject], f"the registry would delete {short_digest(digest)} with it, which stays")
        self._what_holds_them()
        return bool(len(held))

    def _named(self, name: Named) -> tuple[Ints, Ints]:
        """The rows of `tags` and the placements that match a name."""
        nodes = self._repositories(name.repository)[self._graph.node_repository]
        if name.digest is not None:
            return NONE, np.flatnonzero(nodes & self._has_digest(name.digest))
        rows = self._tags_in(name.repository)
        if name.tag == "*":
            return rows, np.flatnonzero(nodes)
        return rows[matching(self._tag_names[rows], [name.tag or ""])], NONE

    def _tags_in(self, pattern: str) -> Ints:
        """The rows of `tags` in the repositories that match."""
        return np.flatnonzero(looked_up(self._repositories(pattern), self._graph.tag_repository, absent=False))

    def _repositories(self, pattern: str) -> Bools:
        return matching(self._graph.repositories, [pattern])

    def _has_digest(self, digest: str) -> Bools:
        manifests = self._graph.snap.manifests
        ours = ((manifests["digest"] == digest) | (manifests["config_digest"] == digest)).to_numpy()
        return ours[self._graph.node_manifest]

    def _tags_by_end(self, wanted: Collection[str]) -> dict[str, list[tuple[int, str]]]:
        """Rows of `tags` with one of the wanted tags, and their repository, by its last component and the tag."""
        found: dict[str, list[tuple[int, str]]] = defaultdict(list)
        rows = np.flatnonzero(self._tag_names.isin(list(wanted)))
        repositories = self._graph.snap.tags["repository"].array[rows]
        for row, repository, tag in zip(rows.tolist(), repositories, self._tag_names[rows], strict=True):
            found[f"{repository.rpartition('/')[2]}:{tag}"].append((row, repository))
        return found

    def _nodes_by_digest(self, wanted: Collection[str]) -> dict[str, list[int]]:
        """Placements by the wanted digest of manifest or config: some clusters report only the latter."""
        found: dict[str, list[int]] = defaultdict(list)
        of_node = self._graph.node_manifest
        for column in ("digest", "config_digest"):
            digests = self._graph.snap.manifests[column]
            nodes = np.flatnonzero(digests.isin(list(wanted)).to_numpy()[of_node])
            for node, digest in zip(nodes.tolist(), digests.array[of_node[nodes]], strict=True):
                found[digest].append(node)
        return found

    def _note(self, tags: Ints | list[int], nodes: Ints | list[int], why: str) -> None:
        """Record why tags and placements stay; the first reason counts."""
        for reasons, found in ((self.tags, tags), (self.nodes, nodes)):
            at = np.asarray(found, dtype=np.int64)
            reasons[at[reasons[at] == ""]] = why


def ends_alike(one: str, other: str) -> bool:
    """Whether one of two paths is the end of the other, by whole components."""
    return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")
