"""Where journals are that nobody gave a place, and what they are called there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from regscope.errors import InvalidInput, NotAStore, StoreError
from regscope.remediation.journal_files import check_folder
from regscope.remediation.journal_reader import read_beginning
from regscope.stores.digest_cache import default_folder

_SUFFIX = ".jsonl"
LATEST = "latest"


def journal_folder() -> Path:
    """Where journals go that nobody gave a place."""
    cache = default_folder()  # which the cache wants for itself
    return cache.with_name(f"{cache.name}-journals")


def new_journal(plan: str) -> Path:
    """A place for the journal of a plan, where there is none: the same plan may be applied twice within a second."""
    begin = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    places = (journal_folder() / f"{begin}-{plan[:length]}{_SUFFIX}" for length in range(12, 64))
    return next(place for place in places if not place.exists())


def journals() -> list[Path]:
    """All that are in the usual place, the newest first.

    Raises:
        StoreError: others may write there.
    """
    if journal_folder().is_dir():
        check_folder(journal_folder())
    return sorted(journal_folder().glob(f"*{_SUFFIX}"), reverse=True)


def find_journal(name: Path | str, location: str | None = None) -> Path:
    """The journal that a user means.

    Args:
        name: a file; or of the journals in the usual place `latest`, the name of one without its suffix, or the
            beginning of one name alone.
        location: the store whose `latest` is meant; any by default.

    Raises:
        NotAStore: there is no such journal.
        InvalidInput: more than one begins like that.
    """
    path = Path(name)
    if path.exists() or len(path.parts) != 1:
        return path
    if str(name) == LATEST:
        return _latest(location)
    found = [one for one in journals() if one.name.startswith(str(name))]
    exact = [one for one in found if str(name) in (one.stem, one.name)]
    if len(exact or found) > 1:
        some = ", ".join(one.stem for one in found[:5]) + (" …" if len(found) > 5 else "")
        raise InvalidInput(f"{len(found)} journals begin with {name}: {some}", next_step="Write more of its name.")
    return next(iter(exact or found), path)  # a file that is not there is told as one


def _latest(location: str | None) -> Path:
    begun: list[tuple[datetime, Path]] = []
    for path in journals():
        try:
            head = read_beginning(path)
        except StoreError:  # damaged, or none
            continue
        if location in (None, head.location):
            begun.append((head.started, path))
    if not begun:
        where = "" if location is None else f" of {location}"
        raise NotAStore(
            f"there is no journal{where} in {journal_folder()}", next_step="`regscope journal` lists those there are."
        )
    return max(begun)[1]
