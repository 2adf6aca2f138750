"""Shell completion of locations."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from regscope.stores.kinds import KINDS, Kind, stated_kind


def locations(kinds: Iterable[Kind] = KINDS) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """The completion function for locations of `kinds`: schemes first, and paths after a scheme's colon."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        kind = stated_kind(incomplete)
        if kind is None:
            schemes = {f"{each.scheme}:": each.title for each in kinds if each.scheme}
            return [CompletionItem(word, help=title) for word, title in schemes.items() if word.startswith(incomplete)]
        return [CompletionItem(kind.at(path)) for path in _paths(kind, incomplete.partition(":")[2])]

    return complete


def _paths(kind: Kind, start: str) -> Iterator[str]:
    """Folders, and files if the kind is a file, whose paths begin with `start`."""
    if kind.follows == "address":
        return
    above, slash, name = start.rpartition("/")
    with contextlib.suppress(OSError, RuntimeError):  # a folder that cannot be read, an unknown user's home
        for path in sorted(Path(above + slash or ".").expanduser().iterdir()):
            if path.name.startswith(name) and (path.is_dir() or kind.follows == "file"):
                yield f"{above}{slash}{path.name}{'/' if path.is_dir() else ''}"
