"""The kinds of places that hold images: the one table by which locations are opened, explained and completed.

A new kind is one entry of `KINDS`, and the module that the entry names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from regscope.errors import InvalidLocation


@dataclass(frozen=True)
class Kind:
    """A kind of place, and what opens one. Openers are named, and loaded on first use: this module costs nothing.

    Attributes:
        scheme: what stands before the colon in a location; empty for a registry, which is named by its address.
        title: what it is called in messages.
        forms: locations as messages write them.
        follows: what follows the colon: a folder's or a file's path, or a URL that fsspec knows.
        reader: opens a store, of what follows the colon. A registry is opened by `open_registry`.
        creator: opens a destination where there need be nothing yet, of what follows the colon; empty where none can.
        adder: opens a destination in a store that is open; empty where nothing can be added.
        remover: opens a removal in a store that is open; empty where the store is read only.
    """

    scheme: str
    title: str
    forms: tuple[str, ...]
    follows: Literal["address", "folder", "file", "url"]
    reader: str = ""
    creator: str = ""
    adder: str = ""
    remover: str = ""

    def at(self, place: object) -> str:
        """The location of a path, or of what else follows the colon."""
        return f"{self.scheme}:{place}"

    def place_in(self, location: str) -> Path | str:
        """What follows the colon in a location of this kind.

        Raises:
            InvalidLocation: nothing does, or no path.
        """
        if self.follows != "url":
            return path_in(location)
        place = location.partition(":")[2]
        if not place.strip():
            raise InvalidLocation(f"{location!r} names no place", next_step=f"Write {listed()}.")
        return place


def load(opener: str) -> Any:
    """What a kind's `reader`, `creator`, `adder` or `remover` names."""
    module, _, name = opener.partition(":")
    return getattr(import_module(f"regscope.stores.{module}"), name)


REGISTRY = Kind(
    "",
    "a registry",
    ("registry.example.com", "http://localhost:5000"),
    "address",
    adder="registry_destination:adding_to",
    remover="registry_removal:removing_from",
)
LAYOUT = Kind(
    "oci",
    "an OCI image layout",
    ("oci:FOLDER",),
    "folder",
    reader="oci_layout:OCILayoutStore",
    creator="layout_destination:LayoutDestination",
    adder="layout_destination:adding_to",
    remover="layout_removal:LayoutRemoval",
)
OCI_ARCHIVE = Kind(
    "oci-archive",
    "a saved image",
    ("oci-archive:FILE",),
    "file",
    reader="oci_archive:OCIArchiveStore",
    creator="oci_archive_destination:OCIArchiveDestination",
)
DOCKER_ARCHIVE = Kind(
    "docker-archive",
    "a saved image",
    ("docker-archive:FILE",),
    "file",
    reader="docker_archive:DockerArchiveStore",
    creator="archive_destination:ArchiveDestination",
)
STORAGE = Kind(
    "storage",
    "the storage of a registry",
    ("storage:FOLDER",),
    "url",
    reader="registry_storage:RegistryStorageStore",
)

KINDS = (REGISTRY, LAYOUT, OCI_ARCHIVE, DOCKER_ARCHIVE, STORAGE)
WRITABLE = tuple(kind for kind in KINDS if kind.creator or kind.adder)
"""Those that images can be copied to."""

_BY_SCHEME = {kind.scheme: kind for kind in KINDS if kind.scheme} | {"http": REGISTRY, "https": REGISTRY}


def stated_kind(location: str) -> Kind | None:
    """The kind that a location states by what stands before its first colon; None where it states none.

    Every store's `location` states its kind. A user may name a registry without a scheme.
    """
    scheme, colon, _ = location.partition(":")
    return _BY_SCHEME.get(scheme) if colon else None


def kind_of(location: str) -> Kind:
    """The kind that a location is of: whatever states no kind is taken for a registry's address."""
    return stated_kind(location) or REGISTRY


def path_in(location: str) -> Path:
    """The path in a location such as `oci:FOLDER`.

    Raises:
        InvalidLocation: there is none.
    """
    path = location.partition(":")[2]
    if not path:
        raise InvalidLocation(f"{location!r} names no path", next_step=f"Write {listed()}.")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InvalidLocation(f"{location!r} names no path: {error}", next_step=f"Write {listed()}.") from None


def listed(kinds: Iterable[Kind] = KINDS) -> str:
    """How locations are written: `registry.example.com, http://localhost:5000, oci:FOLDER, … or storage:FOLDER`."""
    return _joined([form for kind in kinds for form in kind.forms])


def described(kinds: Iterable[Kind] = KINDS) -> str:
    """What there is and how it is written: `a registry (registry.example.com, …), an OCI image layout (oci:FOLDER)`."""
    forms: dict[str, list[str]] = {}
    for kind in kinds:
        forms.setdefault(kind.title, []).extend(kind.forms)
    return ", ".join(f"{title} ({', '.join(written)})" for title, written in forms.items())


def _joined(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
