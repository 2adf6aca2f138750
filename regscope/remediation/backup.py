"""A copy of what is about to be deleted."""

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
    """What a backup holds, and what not.

    Attributes:
        place: `oci:` and the folder.
        sent_bytes: blobs that were copied; not what was there already.
        left_bytes: layers that stay in the registry, and were not copied.
    """

    place: str
    sent_bytes: int
    left_bytes: int

    def __str__(self) -> str:
        left = f"; {text.size(self.left_bytes)} of layers stay, and were not copied" if self.left_bytes else ""
        return f"{self.place}: {text.size(self.sent_bytes)} copied{left}"


def back_up(
    store: ContentStore,
    place: str,
    manifests: Iterable[tuple[str, str, list[str]]],
    leave_out: Collection[str] = (),
    progress: bool | None = None,
    lost: Collection[tuple[str, str]] = (),
) -> Backup:
    """Copy manifests, byte for byte, with their blobs, verified.

    What is there already does not travel; a backup that was cut off is gone on with.

    Args:
        place: `oci:FOLDER`, which is made.
        manifests: repository, digest and tags of each; one without is kept by its digest. What is gone is left out.
        leave_out: digests of layers that are not copied; configs always are.
        lost: repository and digest of blobs that are missing there, or damaged: they cannot be copied.

    Raises:
        RegscopeError: something cannot be read or written.
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
    """The blobs of `Plan.shared` whose manifest that was to stay is still there: each manifest is asked for once.

    What is not seen to stay is not among them.
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
    """Make sure that a place can hold a backup: only a layout keeps each manifest byte for byte, apart from the store.

    Raises:
        InvalidInput: it cannot.
    """
    if kind_of(place) != LAYOUT:
        raise InvalidInput(f"{place!r} is no place for a backup", next_step="Name a folder: oci:FOLDER.")


def absolute(place: str) -> str:
    """The same place, from wherever it is looked for."""
    return LAYOUT.at(path_in(place).absolute())


def _shown(progress: bool | None) -> bool:
    return is_interactive() if progress is None else progress
