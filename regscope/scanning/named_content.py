"""The manifests and blobs that each repository must have, because a tag or manifest in it names them. No store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd

from regscope.spec.media_types import is_foreign_layer
from regscope.tables import Snapshot

_OWNERS_NAMED = 2


@dataclass(slots=True)
class Named:
    """A manifest or a blob that a repository must have.

    Attributes:
        owners: descriptions of the first tags or manifests that name it.
        n_owners: number of tags or manifests that name it.
        sizes: each size in bytes that is stated for it, and the first manifest that states it; empty for a manifest.
    """

    repository: str
    digest: str
    is_manifest: bool
    owners: list[str] = field(default_factory=list)
    n_owners: int = 0
    sizes: dict[int, str] = field(default_factory=dict)

    def add(self, owner: str, size: int | None = None) -> None:
        """Add a tag or manifest that names it, and the size that it states."""
        self.n_owners += 1
        if len(self.owners) < _OWNERS_NAMED and owner not in self.owners:
            self.owners.append(owner)
        if size is not None:
            self.sizes.setdefault(size, owner)

    @property
    def named_by(self) -> str:
        """The tags or manifests that name it, as text."""
        rest = self.n_owners - len(self.owners)
        return " and ".join(self.owners) + (f" and {rest:,} more" if rest else "")


_Found = dict[tuple[str, str], Named]


def named_manifests(snap: Snapshot) -> list[Named]:
    """The manifests that tags, indexes and lists of referrers name, one for each repository and digest.

    If only some platforms were scanned, the other children of indexes are left out.
    """
    names, found = _names(snap), _Found()
    placed = set(_rows(snap.placements, "repository", "digest"))
    for repository, digest, tag in _rows(snap.tags, "repository", "digest", "tag"):
        if (repository, digest) in placed:
            _of(found, repository, digest, is_manifest=True).add(f"the tag {repository}:{tag}")
    for repository, index, child, platform in _children(snap):
        if (repository, child) in placed or "platforms" not in snap.filtered:
            name = names.get((repository, index), f"{repository}@{index}")
            _of(found, repository, child, is_manifest=True).add(_part(f"the index {name}", platform))
    attached: dict[str, str] = dict(snap.referrers[["digest", "subject"]].astype("str").itertuples(index=False))
    for repository, digest in sorted(placed - found.keys()):
        subject = attached.get(digest)
        about = names.get((repository, subject), subject) if subject else None
        owner = f"the referrers of {about}" if about else "no tag"
        _of(found, repository, digest, is_manifest=True).add(owner)
    return [found[key] for key in sorted(found)]


def named_blobs(snap: Snapshot) -> list[Named]:
    """The configs and layers that manifests name, one for each repository and digest, without foreign layers."""
    names, found = _names(snap), _Found()
    for repository, manifest, blob, size in _blob_rows(snap):
        owner = names.get((repository, manifest), f"{repository}@{manifest}")
        _of(found, repository, blob, is_manifest=False).add(owner, size)
    return [found[key] for key in sorted(found)]


def _of(found: _Found, repository: str, digest: str, *, is_manifest: bool) -> Named:
    if (repository, digest) not in found:
        found[repository, digest] = Named(repository, digest, is_manifest)
    return found[repository, digest]


def _names(snap: Snapshot) -> dict[tuple[str, str], str]:
    """The name of each manifest in a repository: its first tag, or else the tag of an index that names it."""
    tags = snap.tags.assign(is_about=snap.tags["subject"].notna()).sort_values("is_about", kind="stable")
    found: dict[tuple[str, str], str] = {}
    for repository, digest, tag in _rows(tags, "repository", "digest", "tag"):
        found.setdefault((repository, digest), f"{repository}:{tag}")
    for repository, index, child, platform in _children(snap):
        if (repository, index) in found:
            found.setdefault((repository, child), _part(found[repository, index], platform))
    return found


def _children(snap: Snapshot) -> Iterator[tuple[str, str, str, str]]:
    """Repository, index, child and the child's platform, for each index in each of its repositories."""
    columns = ["index_digest", "digest", "os", "architecture", "variant"]
    placed = snap.placements[["repository", "digest"]].astype("str").rename(columns={"digest": "index_digest"})
    rows = placed.merge(snap.platforms[columns].astype("str"), on="index_digest")
    for repository, index, child, *platform in rows[["repository", *columns]].itertuples(index=False, name=None):
        yield repository, index, child, "/".join(part for part in platform if isinstance(part, str))


def _part(name: str, platform: str) -> str:
    return f"{name} ({platform})" if platform else name


def _blob_rows(snap: Snapshot) -> Iterator[tuple[str, str, str, int | None]]:
    """Repository, manifest, blob and the size stated in the manifest, for each manifest in each of its repositories."""
    configs = snap.manifests.loc[snap.manifests["config_digest"].notna(), ["digest", "config_digest"]].astype("str")
    sizes = snap.blobs[["digest", "size"]].astype({"digest": "str"}).rename(columns={"digest": "config_digest"})
    configs = configs.merge(sizes, on="config_digest", how="left").rename(columns={"config_digest": "blob_digest"})
    layers = snap.layers.loc[~_is_elsewhere(snap), ["digest", "blob_digest", "size"]]
    blobs = pd.concat([configs, layers.astype({"digest": "str", "blob_digest": "str"})]).drop_duplicates()
    rows = snap.placements[["repository", "digest"]].astype("str").merge(blobs, on="digest")
    for repository, manifest, blob, size in rows.itertuples(index=False, name=None):
        yield repository, manifest, blob, None if pd.isna(size) else int(size)


def _is_elsewhere(snap: Snapshot) -> pd.Series[bool]:
    """The rows of `layers` that need not be stored: foreign layers, unless only the registry can serve them."""
    types = snap.layers["media_type"].astype("str").fillna("")
    is_foreign = types.map(is_foreign_layer).astype("bool")
    blob = snap.layers["blob_digest"].astype("str")
    kept_elsewhere = snap.blobs.loc[snap.blobs["foreign"], "digest"].astype("str")
    return is_foreign & (blob.isin(kept_elsewhere) | blob.isin(blob[~is_foreign]))


def _rows(table: pd.DataFrame, *columns: str) -> Iterator[tuple[str, ...]]:
    return table[list(columns)].astype("str").itertuples(index=False, name=None)
