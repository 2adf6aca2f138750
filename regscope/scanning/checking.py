"""Whether the store has the manifests and blobs that a snapshot names: asked by HEAD, in each repository."""

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

_AGAIN = "push it again, or delete what names it"


def look_for(store: ContentStore, named: Named) -> Problem | None:
    """What is wrong with a manifest or blob: it is missing or damaged, or the store does not say; else None.

    Args:
        store: no cache and no mirror, which answer for what the registry has lost.
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
                said = f"it has {found.size:,} bytes, and {owner} says {size:,}: {_AGAIN}"
                return Problem(repository, digest, DAMAGED, DigestMismatch(said))
    except ContentError as error:
        return Problem(repository, digest, DAMAGED, error)
    except RegscopeError as error:
        return Problem(repository, digest, UNCHECKED, error)
    return None


def _missing(named: Named, what: str) -> Problem:
    error = ContentMissing(f"it is missing, and is named by {named.named_by}: {_AGAIN}")
    return Problem(named.repository, named.digest, what, error)


def look_for_all(
    store: ContentStore,
    named: Sequence[Named],
    work: Worklist,
    show: bool,
    is_stopped: Callable[[], bool] = lambda: False,
) -> list[Problem]:
    """What is wrong with any of them, in their order; refusals that are alike are one problem.

    Args:
        work: how they are asked for at once.
        show: a progress bar.
        is_stopped: asked after each; once it is, no more are asked for.
    """
    for each in named:
        work.add(look_for, store, each)
    found: list[Problem] = []
    with tqdm(desc="check", unit=" asked", disable=not show, leave=False, total=len(named)) as bar:
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
    """Make like refusals in a repository one row with their number: a registry that refuses one HEAD refuses all."""
    refused: dict[tuple[object, ...], list[Problem]] = {}
    for problem in problems:
        if problem.what != UNCHECKED:
            yield problem
            continue
        status = problem.error.status_code if isinstance(problem.error, RequestError) else None
        refused.setdefault((problem.repository, type(problem.error), status), []).append(problem)
    for first, *others in refused.values():
        more = f"; and {len(others):,} more could not be asked for" if others else ""
        error = RegscopeError(f"it is not known whether it is there: {first.error.message}{more}")
        yield Problem(first.repository, first.reference, UNCHECKED, error)
