"""Which tags and manifests a user means."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np

from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Bools
from regscope.errors import InvalidInput
from regscope.spec.reference import split_image


def select(held: Holdings, wanted: Sequence[str]) -> tuple[Bools, Bools]:
    """The tags and the placements that `wanted` names, as masks.

    Each is `repository`, `repository:tag`, `repository@digest` or a bare digest; names and tags may be globs. A
    digest stands for its manifest and for all tags on it, a repository for all that is in it.

    Raises:
        InvalidInput: one of them names nothing.
    """
    tags = np.zeros(len(held.snap.tags), dtype=np.bool_)
    nodes = np.zeros(held.n_nodes, dtype=np.bool_)
    for text in wanted:
        tag_mask, node_mask = _select_one(held, text)
        if not (tag_mask.any() or node_mask.any()):
            raise InvalidInput(
                f"{text!r} names nothing in {held.snap.location}",
                next_step="Write repository, repository:tag, repository@digest or a digest; * stands for anything.",
            )
        tags |= tag_mask
        nodes |= node_mask
    return tags, nodes


def _select_one(held: Holdings, text: str) -> tuple[Bools, Bools]:
    repository, tag, digest = split_image(f"*@{text}" if text.startswith(("sha256:", "sha512:")) else text)
    repositories = np.array([fnmatchcase(name, repository) for name in held.repositories], dtype=np.bool_)
    nodes = repositories[held.node_repository]
    in_repository = np.append(repositories, False)[held.tag_repository]
    if tag is not None:
        named = np.array([fnmatchcase(name, tag) for name in held.snap.tags["tag"]], dtype=np.bool_)
        return in_repository & named, np.zeros(held.n_nodes, dtype=np.bool_)
    if digest is not None:
        nodes &= (held.snap.placements["digest"] == digest).to_numpy()
        return in_repository & (held.snap.tags["digest"] == digest).to_numpy(), nodes
    return in_repository, nodes
