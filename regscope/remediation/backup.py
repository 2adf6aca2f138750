"""A copy of what is about to be deleted."""

from __future__ import annotations

from collections.abc import Iterable

from tqdm.auto import tqdm

from regscope.errors import InvalidInput, RegscopeError
from regscope.images.copying import AT_ONCE, Copying
from regscope.images.image_names import Wanted
from regscope.images.image_tree import ImageTree, read_node
from regscope.progress import is_interactive
from regscope.scanning.read_manifest import is_gone
from regscope.stores.content_store import ContentStore
from regscope.stores.open_destination import open_destination
from regscope.stores.open_store import path_in


def back_up(
    store: ContentStore, place: str, manifests: Iterable[tuple[str, str, list[str]]], progress: bool | None = None
) -> None:
    """Copy manifests, byte for byte, with all their blobs, verified.

    What is there already does not travel; a backup that was cut off is gone on with.

    Args:
        place: `oci:FOLDER`, which is made.
        manifests: repository, digest and tags of each; one without is kept by its digest. What is gone is left out.

    Raises:
        RegscopeError: something cannot be read or written.
    """
    wanted: list[tuple[Wanted, ImageTree]] = []
    for repository, digest, tags in manifests:
        try:
            node = read_node(store, repository, digest)
        except RegscopeError as error:
            if is_gone(error):
                continue
            raise
        names: list[str | None] = [*tags] or [None]
        wanted += [(Wanted(repository, digest, repository, name), node) for name in names]
    with tqdm(unit="B", unit_scale=True, desc="backup", disable=not _shown(progress)) as bar:
        destination = open_destination(place)
        Copying(store, destination, AT_ONCE, bar).write(wanted)
        destination.close()


def check_backup(place: str) -> None:
    """Make sure that a place can hold a backup: only a layout keeps each manifest byte for byte, apart from the store.

    Raises:
        InvalidInput: it cannot.
    """
    if not place.startswith("oci:"):
        raise InvalidInput(f"{place!r} is no place for a backup", next_step="Name a folder: oci:FOLDER.")


def absolute(place: str) -> str:
    """The same place, from wherever it is looked for."""
    return f"oci:{path_in(place).absolute()}"


def _shown(progress: bool | None) -> bool:
    return is_interactive() if progress is None else progress
