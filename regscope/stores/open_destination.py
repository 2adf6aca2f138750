"""From what a user writes to a place for images."""

from __future__ import annotations

from regscope.errors import InvalidInput
from regscope.stores.content_store import ContentStore
from regscope.stores.destination import Destination
from regscope.stores.kinds import WRITABLE, kind_of, listed, load
from regscope.stores.open_store import as_it_is_now


def open_destination(place: ContentStore | str) -> Destination:
    """Open a place to write images to.

    Args:
        place: a store, or a location as for `regscope.open`; a layout's folder or an archive's file need not be there.

    Raises:
        InvalidInput: an archive that is open for reading.
        NotAStore: something else is in its place.
        RegscopeError: as `regscope.open`.
    """
    if isinstance(place, str) and (kind := kind_of(place)).creator:
        created: Destination = load(kind.creator)(kind.place_in(place))
        return created
    store = as_it_is_now(place)
    if not store.kind.adder:
        files = [kind for kind in WRITABLE if not kind.adder]
        raise InvalidInput(f"nothing can be added to {store.location}", next_step=f"Name a new file: {listed(files)}.")
    opened: Destination = load(store.kind.adder)(store)
    return opened
