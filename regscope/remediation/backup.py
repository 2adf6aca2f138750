"""Backups: copies of the manifests and blobs that a run deletes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pandas as pd
from tqdm.auto import tqdm

from regscope import text
from regscope.concurrency import READS_AT_ONCE
from regscope.errors import InvalidInput, RegscopeError
from regscope.images.copying import Copying
from regscope.images.image_names import Wanted
from regscope.images.image_tree import ImageTree, read_node
from regscope.progress import is_interactive
from regscope.spec.digest import Digest
from regscope.spec.manifest import ManifestSchema2, OCIManifestSchema1
from regscope.stores.content_store import ContentStore
from regscope.stores.kinds import LAYOUT, kind_of, path_in
from regscope.stores.open_destination import open_destination
from regscope.stores.presence import is_gone


@dataclass(frozen=True)
class Backup:
    """The result of a backup.

    Attributes:
        place: the location of the backup, `oci:FOLDER`.
        sent_bytes: bytes of blobs that were copied; blobs that the backup had already do not count.
        left_bytes: bytes of layers that were not copied, since they stay in the registry.
    """

    place: str
    sent_bytes: int
    left_bytes: int

    def __str__(self) -> str:
        left = f"; {text.size(self.left_bytes)} of layers that stay were not copied" if self.left_bytes else ""
        return f"{self.place}: {text.size(self.sent_bytes)} copied{left}"


def back_up(
    store: ContentStore,
    place: str,
    manifests: Iterable[tuple[str, str, list[str]]],
    leave_out: Collection[str] = (),
    progress: bool | None = None,
    lost: Collection[tuple[str, str]] = (),
) -> Backup:
    """Copy manifests byte for byte, with their blobs, and verify them.

    Content that the backup has already is not copied; an interrupted backup is continued.

    Args:
        place: `oci:FOLDER`; the folder is created.
        manifests: repository, digest and tags of each manifest; one without tags is stored by its digest. Manifests
            that are gone are left out.
        leave_out: digests of layers that are not copied; configs are always copied.
        lost: repository and digest of blobs that are missing or damaged in the store, and cannot be copied.

    Raises:
        RegscopeError: the store cannot be read, or the backup cannot be written.
    """
    wanted: list[tuple[Wanted, ImageTree]] = []
    left: dict[Digest, int] = {}
    for repository, digest, tags in manifests:
        try:
            node = read_node(store, repository, digest)
        except RegscopeError as error:
            if is_gone(error):
                continue
            raise
        config = _config_of(node)
        stays = [blob for blob in node.blobs if blob.digest in leave_out and blob.digest != config]
        left |= {blob.digest: blob.size for blob in stays}
        there = [blob for blob in node.blobs if blob not in stays and (repository, blob.digest) not in lost]
        node = replace(node, blobs=there)
        names: list[str | None] = [*tags] or [None]
        wanted += [(Wanted(repository, digest, repository, name), node) for name in names]
    with tqdm(unit="B", unit_scale=True, desc="backup", disable=not _shown(progress)) as bar:
        destination = open_destination(place)
        done = Copying(store, destination, READS_AT_ONCE, bar).write(wanted, overwrite=True)
        destination.close()
    return Backup(absolute(place), done.sent_bytes, sum(left.values()))


def staying(store: ContentStore, shared: pd.DataFrame) -> set[str]:
    """The blobs of `Plan.shared` whose manifest that was to stay is still in the store.

    The store is asked once for each manifest; blobs of manifests for which it gives an error are left out.
    """

    def is_there(holder: tuple[str, str]) -> bool:
        try:
            return store.resolve(*holder) == holder[1]
        except RegscopeError:
            return False

    holders = list(shared[["repository", "needed_by"]].drop_duplicates().itertuples(index=False, name=None))
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        there = {holder for holder, found in zip(holders, pool.map(is_there, holders), strict=True) if found}
    rows = shared[["repository", "needed_by", "digest"]].itertuples(index=False, name=None)
    return {digest for repository, holder, digest in rows if (repository, holder) in there}


def _config_of(node: ImageTree) -> str:
    manifest = node.manifest.parse()
    return manifest.config.digest if isinstance(manifest, OCIManifestSchema1 | ManifestSchema2) else ""


def check_backup(place: str) -> None:
    """Check that a location can hold a backup: only a layout stores each manifest byte for byte, outside the store.

    Raises:
        InvalidInput: the location is no layout's.
    """
    if kind_of(place) != LAYOUT:
        raise InvalidInput(f"{place!r} cannot hold a backup", next_step="Name a folder: oci:FOLDER.")


def absolute(place: str) -> str:
    """The location with an absolute path."""
    return LAYOUT.at(path_in(place).absolute())


def _shown(progress: bool | None) -> bool:
    return is_interactive() if progress is None else progress
