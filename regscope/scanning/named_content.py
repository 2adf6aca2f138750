"""What must be in each repository, since something there names it. Pure: a snapshot in, no store."""

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
        owners: the first that name it, in words.
        n_owners: how many do.
        sizes: the bytes that it has by each that states another number, and who that is; of a manifest nothing.
    """

    repository: str
    digest: str
    is_manifest: bool
    owners: list[str] = field(default_factory=list)
    n_owners: int = 0
    sizes: dict[int, str] = field(default_factory=dict)

    def add(self, owner: str, size: int | None = None) -> None:
        """Note one more that names it."""
        self.n_owners += 1
        if len(self.owners) < _OWNERS_NAMED and owner not in self.owners:
            self.owners.append(owner)
        if size is not None:
            self.sizes.setdefault(size, owner)

    @property
    def named_by(self) -> str:
        """Those that name it, for people."""
        rest = self.n_owners - len(self.owners)
        return " and ".join(self.owners) + (f" and {rest:,} more" if rest else "")


_Found = dict[tuple[str, str], Named]


def named_manifests(snap: Snapshot) -> list[Named]:
    """The manifests that tags, indexes and lists of referrers name, once for each repository.

    Where only some platforms were scanned, the other children of indexes are left out.
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
    """The configs and layers that the manifests of each repository name, once; not those that are served elsewhere."""
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
    """What people call a manifest in a repository: by its first tag, or by that of an index that names it."""
    tags = snap.tags.assign(is_about=snap.tags["subject"].notna()).sort_values("is_about", kind="stable")
    found: dict[tuple[str, str], str] = {}
    for repository, digest, tag in _rows(tags, "repository", "digest", "tag"):
        found.setdefault((repository, digest), f"{repository}:{tag}")
    for repository, index, child, platform in _children(snap):
        if (repository, index) in found:
            found.setdefault((repository, child), _part(found[repository, index], platform))
    return found


def _children(snap: Snapshot) -> Iterator[tuple[str, str, str, str]]:
    """Repository, index, child and its platform, for each index where it is placed."""
    columns = ["index_digest", "digest", "os", "architecture", "variant"]
    placed = snap.placements[["repository", "digest"]].astype("str").rename(columns={"digest": "index_digest"})
    rows = placed.merge(snap.platforms[columns].astype("str"), on="index_digest")
    for repository, index, child, *platform in rows[["repository", *columns]].itertuples(index=False, name=None):
        yield repository, index, child, "/".join(part for part in platform if isinstance(part, str))


def _part(name: str, platform: str) -> str:
    return f"{name} ({platform})" if platform else name


def _blob_rows(snap: Snapshot) -> Iterator[tuple[str, str, str, int | None]]:
    """Repository, manifest, blob and the size that the manifest states, for each manifest where it is placed."""
    configs = snap.manifests.loc[snap.manifests["config_digest"].notna(), ["digest", "config_digest"]].astype("str")
    sizes = snap.blobs[["digest", "size"]].astype({"digest": "str"}).rename(columns={"digest": "config_digest"})
    configs = configs.merge(sizes, on="config_digest", how="left").rename(columns={"config_digest": "blob_digest"})
    layers = snap.layers.loc[~_is_elsewhere(snap), ["digest", "blob_digest", "size"]]
    blobs = pd.concat([configs, layers.astype({"digest": "str", "blob_digest": "str"})]).drop_duplicates()
    rows = snap.placements[["repository", "digest"]].astype("str").merge(blobs, on="digest")
    for repository, manifest, blob, size in rows.itertuples(index=False, name=None):
        yield repository, manifest, blob, None if pd.isna(size) else int(size)


def _is_elsewhere(snap: Snapshot) -> pd.Series[bool]:
    """Which rows of `layers` need not be stored: non-distributable ones, unless the registry alone can serve them."""
    types = snap.layers["media_type"].astype("str").fillna("")
    is_foreign = types.map(is_foreign_layer).astype("bool")
    blob = snap.layers["blob_digest"].astype("str")
    kept_elsewhere = snap.blobs.loc[snap.blobs["foreign"], "digest"].astype("str")
    return is_foreign & (blob.isin(kept_elsewhere) | blob.isin(blob[~is_foreign]))


def _rows(table: pd.DataFrame, *columns: str) -> Iterator[tuple[str, ...]]:
    return table[list(columns)].astype("str").itertuples(index=False, name=None)
