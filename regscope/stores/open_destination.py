"""Opening a destination of copies by its location."""

from __future__ import annotations

from regscope.errors import InvalidInput
from regscope.stores.content_store import ContentStore
from regscope.stores.destination import Destination
from regscope.stores.kinds import WRITABLE, kind_of, listed, load
from regscope.stores.open_store import as_it_is_now


def open_destination(place: ContentStore | str) -> Destination:
    """Open a store or a location as a destination of copies.

    Args:
        place: a store, or a location as for `regscope.open`; a layout's folder or an archive's file need not exist.

    Raises:
        InvalidInput: `place` is an archive that is open for reading.
        NotAStore: the folder or file has other content.
        RegscopeError: as for `regscope.open`.
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
