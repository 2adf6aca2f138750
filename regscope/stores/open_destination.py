"""From what a user writes to a place for images."""

from __future__ import annotations

from typing import Any

from regscope.errors import InvalidInput
from regscope.stores.archive_destination import ArchiveDestination
from regscope.stores.content_store import ContentStore
from regscope.stores.destination import Destination
from regscope.stores.layout_destination import LayoutDestination
from regscope.stores.oci_archive_destination import OCIArchiveDestination
from regscope.stores.oci_layout import OCILayoutStore
from regscope.stores.open_store import as_store, path_in
from regscope.stores.registry_destination import RegistryDestination
from regscope.stores.registry_store import RegistryStore
from regscope.stores.wrapped_store import unwrapped


def open_destination(place: str | ContentStore, **options: Any) -> Destination:
    """Open a place to write images to.

    Args:
        place: a store, or a location as for `regscope.open`; a layout's folder or an archive's file need not be there.
        options: those of `regscope.open`, for a registry.

    Raises:
        InvalidInput: an archive that is open for reading.
        NotAStore: something else is in its place.
        RegscopeError: as `regscope.open`.
    """
    if isinstance(place, str):
        kind, _, _ = place.partition(":")
        if kind == "oci":
            return LayoutDestination(path_in(place))
        if kind == "docker-archive":
            return ArchiveDestination(path_in(place))
        if kind == "oci-archive":
            return OCIArchiveDestination(path_in(place))
    store = unwrapped(as_store(place, cache=False, mirrors=(), **options))
    if isinstance(store, RegistryStore):
        return RegistryDestination(store.client)
    if isinstance(store, OCILayoutStore):
        return LayoutDestination(store.folder)
    raise InvalidInput(
        f"nothing can be added to {store.location}",
        next_step="Name a new file: docker-archive:FILE or oci-archive:FILE.",
    )
