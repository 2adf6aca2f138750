"""The kinds of stores: the table that is used for opening, describing and completing locations.

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
    """A kind of store, and its openers. These are given as `module:name`, and imported on first use.

    Attributes:
        scheme: the part of a location before the colon; empty for a registry, which is named by its address.
        title: the name of the kind in messages.
        forms: example locations for messages.
        follows: the part after the colon: the path of a folder or file, or a URL that fsspec supports.
        reader: opens a store, from the part after the colon. A registry is opened by `open_registry`.
        creator: opens a destination that need not exist yet, from the part after the colon; empty for none.
        adder: opens a destination in an open store; empty where nothing can be added.
        remover: opens a removal in an open store; empty where the store is read only.
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
        """The location with `place` after the colon."""
        return f"{self.scheme}:{place}"

    def place_in(self, location: str) -> Path | str:
        """The part after the colon in a location of this kind.

        Raises:
            InvalidLocation: the part is empty, or is no path.
        """
        if self.follows != "url":
            return path_in(location)
        place = location.partition(":")[2]
        if not place.strip():
            raise InvalidLocation(f"{location!r} has no path or URL", next_step=f"Write {listed()}.")
        return place


def load(opener: str) -> Any:
    """The object that a kind's `reader`, `creator`, `adder` or `remover` names."""
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
"""The kinds that images can be copied to."""

_BY_SCHEME = {kind.scheme: kind for kind in KINDS if kind.scheme} | {"http": REGISTRY, "https": REGISTRY}


def stated_kind(location: str) -> Kind | None:
    """The kind of a location by its part before the first colon; None where that is no scheme.

    Every store's `location` has a scheme. A user may write a registry without one.
    """
    scheme, colon, _ = location.partition(":")
    return _BY_SCHEME.get(scheme) if colon else None


def kind_of(location: str) -> Kind:
    """The kind of a location; a location without a scheme is a registry's address."""
    return stated_kind(location) or REGISTRY


def path_in(location: str) -> Path:
    """The path in a location such as `oci:FOLDER`.

    Raises:
        InvalidLocation: the location has no path.
    """
    path = location.partition(":")[2]
    if not path:
        raise InvalidLocation(f"{location!r} names no path", next_step=f"Write {listed()}.")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InvalidLocation(f"{location!r} names no path: {error}", next_step=f"Write {listed()}.") from None


def listed(kinds: Iterable[Kind] = KINDS) -> str:
    """Example locations of `kinds`: `registry.example.com, http://localhost:5000, oci:FOLDER, … or storage:FOLDER`."""
    return _joined([form for kind in kinds for form in kind.forms])


def described(kinds: Iterable[Kind] = KINDS) -> str:
    """The kinds with example locations: `a registry (registry.example.com, …), an OCI image layout (oci:FOLDER)`."""
    forms: dict[str, list[str]] = {}
    for kind in kinds:
        forms.setdefault(kind.title, []).extend(kind.forms)
    return ", ".join(f"{title} ({', '.join(written)})" for title, written in forms.items())


def _joined(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
