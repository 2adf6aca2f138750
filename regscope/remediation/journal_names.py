"""The default folder of journals, and the names of journals in it."""

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
    """The folder of journals for which no path was given."""
    cache = default_folder()  # the folder itself belongs to the cache
    return cache.with_name(f"{cache.name}-journals")


def new_journal(plan: str) -> Path:
    """A new path for the journal of a plan; a plan that is applied twice in a second gets two paths."""
    begin = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    places = (journal_folder() / f"{begin}-{plan[:length]}{_SUFFIX}" for length in range(12, 64))
    return next(place for place in places if not place.exists())


def journals() -> list[Path]:
    """The paths of all journals in the default folder, the newest first.

    Raises:
        StoreError: others may write into the folder.
    """
    if journal_folder().is_dir():
        check_folder(journal_folder())
    return sorted(journal_folder().glob(f"*{_SUFFIX}"), reverse=True)


def find_journal(name: Path | str, location: str | None = None) -> Path:
    """The path of a journal, by its path or short name.

    Args:
        name: a path; or, for a journal in the default folder: `latest`, its name without the suffix, or a unique
            beginning of its name.
        location: the store whose latest journal `latest` means; by default that of any store.

    Raises:
        NotAStore: there is no such journal.
        InvalidInput: several names begin with `name`.
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
    return next(iter(exact or found), path)  # the error for a missing file names it


def _latest(location: str | None) -> Path:
    begun: list[tuple[datetime, Path]] = []
    for path in journals():
        try:
            head = read_beginning(path)
        except StoreError:  # damaged, or no journal
            continue
        if location in (None, head.location):
            begun.append((head.started, path))
    if not begun:
        where = "" if location is None else f" of {location}"
        raise NotAStore(
            f"there is no journal{where} in {journal_folder()}", next_step="List all journals with `regscope journal`."
        )
    return max(begun)[1]
