"""Checking by HEAD requests, in each repository, that the store has the manifests and blobs that a snapshot names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from tqdm.auto import tqdm

from regscope.errors import ContentError, ContentMissing, DigestMismatch, RegscopeError, RequestError
from regscope.scanning.named_content import Named
from regscope.scanning.read_manifest import Problem
from regscope.scanning.worklist import Worklist
from regscope.schema import DAMAGED, MISSING_BLOB, MISSING_MANIFEST, UNCHECKED
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.presence import find_blob, is_of_size, resolved

_AGAIN = "push it again, or delete the tag or manifest that names it"


def look_for(store: ContentStore, named: Named) -> Problem | None:
    """The problem of a manifest or blob that is missing or damaged, or cannot be checked; None if it is stored.

    Args:
        store: the registry itself; a cache or mirror may have content that the registry has lost.
    """
    repository, digest = named.repository, Digest(named.digest)
    try:
        if named.is_manifest:
            is_there = resolved(store, repository, digest) is not None
            return None if is_there else _missing(named, MISSING_MANIFEST)
        found = find_blob(store, repository, digest)
        if not found.is_there:
            return _missing(named, MISSING_BLOB)
        for size, owner in named.sizes.items():
            if not is_of_size(store, repository, digest, size, found.size):
                said = f"it has {found.size:,} bytes, but {owner} states {size:,}: {_AGAIN}"
                return Problem(repository, digest, DAMAGED, DigestMismatch(said))
    except ContentError as error:
        return Problem(repository, digest, DAMAGED, error)
    except RegscopeError as error:
        return Problem(repository, digest, UNCHECKED, error)
    return None


def _missing(named: Named, what: str) -> Problem:
    error = ContentMissing(f"it is missing, but named by {named.named_by}: {_AGAIN}")
    return Problem(named.repository, named.digest, what, error)


def look_for_all(
    store: ContentStore,
    named: Sequence[Named],
    work: Worklist,
    show: bool,
    is_stopped: Callable[[], bool] = lambda: False,
) -> list[Problem]:
    """The problems of all `named`, by repository and digest; like refusals in a repository are one problem.

    Args:
        work: runs the requests concurrently.
        show: whether to show a progress bar.
        is_stopped: called after each request; when it returns True, no more requests are sent.
    """
    for each in named:
        work.add(look_for, store, each)
    found: list[Problem] = []
    with tqdm(desc="check", unit=" checked", disable=not show, leave=False, total=len(named)) as bar:
        for problem in work.results():
            if problem is not None:
                found.append(problem)
            if (limit := store.rate_limit) is not None:
                bar.set_postfix_str(f"rate limit: {limit}", refresh=False)
            bar.update()
            if is_stopped():
                break
    return list(_alike_as_one(sorted(found, key=lambda problem: (problem.repository, problem.reference))))


def _alike_as_one(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Combine like refusals in a repository to one problem with their number: if one HEAD is refused, all are."""
    refused: dict[tuple[object, ...], list[Problem]] = {}
    for problem in problems:
        if problem.what != UNCHECKED:
            yield problem
            continue
        status = problem.error.status_code if isinstance(problem.error, RequestError) else None
        refused.setdefault((problem.repository, type(problem.error), status), []).append(problem)
    for first, *others in refused.values():
        more = f"; and {len(others):,} more could not be checked" if others else ""
        error = RegscopeError(f"the registry did not tell whether it exists: {first.error.message}{more}")
        yield Problem(first.repository, first.reference, UNCHECKED, error)
