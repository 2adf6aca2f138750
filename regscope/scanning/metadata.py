"""The metadata scan: every tag, manifest and config of a store, as tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime

from regscope.errors import RegscopeError
from regscope.progress import is_interactive
from regscope.registry.endpoint import full_name
from regscope.scanning.checking import look_for_all
from regscope.scanning.first_sightings import first_seen
from regscope.scanning.named_content import named_blobs, named_manifests
from regscope.scanning.scan_state import ScanState, matches
from regscope.scanning.worklist import AdaptiveLimit, Worklist, local_pool, rarely_collecting
from regscope.schema import make_table
from regscope.snapshot_argument import as_snapshots
from regscope.spec.platform import Platform
from regscope.stores.content_store import ContentStore
from regscope.stores.open_store import as_store
from regscope.stores.registry_store import registry_of
from regscope.stores.wrapped_store import unwrapped
from regscope.tables import Snapshot

_GLOB = re.compile(r"[*?\[]")


def scan(
    store: ContentStore | str,
    *,
    repositories: str | Sequence[str] | None = None,
    tags: str | Sequence[str] | None = None,
    platforms: str | Sequence[str] | None = None,
    known: Snapshot | Sequence[Snapshot] = (),
    check: bool = False,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> Snapshot:
    """Read the metadata of every image in `store` (no layer is downloaded).

    The scan reads the children of indexes and the referrers of images. Content that cannot be read becomes a row of
    the `problems` table, and the scan continues. After an interruption, the next scan takes all content that was read
    from the cache.

    Args:
        store: a store opened by `regscope.open`, or its location.
        repositories: names or globs; all by default. If only names are given, the catalog is not listed.
        tags: globs of the tags to read; all by default.
        platforms: platforms such as `linux/arm64`, of which children of indexes are read; all by default. For each
            platform, the children that match it best are read (see `Platform.distance`), without their attestations; an
            index without a match becomes a row of `problems`. An image that is not part of an index is always read.
        known: earlier snapshots of the store. A manifest is at least as old as the first of them that has it
            (`Snapshot.first_seen`). Their manifests that this scan does not reach are requested by digest: a manifest
            may still exist after its tag was deleted, and registries do not list such manifests. If the store lists
            untagged manifests itself, nothing is requested.
        check: ask the registry by HEAD requests whether it has each manifest, config and layer, in each repository. A
            cache holds the content, but does not tell whether the registry still has it. Content that is missing, has
            another size than its descriptor states, or could not be checked becomes a row of `problems`. No content is
            read. Layers that are served from elsewhere (`urls`) are not checked.
        executor: where to run; by default threads of this process: 4, and up to 64 if responses take long. The executor
            of `dask.distributed`, `Client.get_executor()`, works as well.
        progress: whether to show a progress bar; by default if the session is interactive.

    Returns:
        A Snapshot with all tables; `unpacked`, `files` and `packages` are empty until `scan_files` fills them.

    Raises:
        InvalidInput: `store` is not a store, or an item of `known` is not a snapshot.
        RegscopeError: the repositories cannot be listed, or a repository given by name cannot be read.
    """
    store, earlier = as_store(store), as_snapshots(known)
    started, show = datetime.now(UTC), is_interactive() if progress is None else progress
    wanted, tag_globs = _listed(repositories), _listed(tags)
    chosen = [Platform.parse(text) for text in _listed(platforms) or ()]
    names, must_exist = _choose(store, wanted)
    registry = registry_of(store)
    is_part = bool(wanted) or (registry is not None and registry.is_partial)
    with rarely_collecting(), local_pool() if executor is None else nullcontext(executor) as pool:
        work = Worklist(pool, AdaptiveLimit() if executor is None else None)
        collected = ScanState(store, work, tag_globs, chosen, must_exist)
        stored = store.stored_blobs()  # before the manifests: later pushed blobs must not become orphans
        collected.run(names, earlier, show)

        def made(found: ScanState) -> Snapshot:
            return Snapshot.from_rows(
                found.rows(stored),
                location=store.location,
                taken_at=started,
                sees_untagged=found.sees_untagged,
                filtered=tuple(
                    what
                    for what, some in (("repositories", is_part), ("tags", tag_globs), ("platforms", chosen))
                    if some
                ),
                rate_limit=store.rate_limit,
                sees_pulls=registry is not None and registry.sees_pulls,
                remembers_since=min((each.remembers_since or each.taken_at for each in earlier), default=None),
            )

        snap = _checked(collected, made, store, work, show) if check else made(collected)
        del collected  # otherwise Python's garbage collector would traverse all rows once more
        return replace(snap, first_seen=first_seen(earlier, snap)) if earlier else snap


def _checked(
    collected: ScanState, made: Callable[[ScanState], Snapshot], store: ContentStore, work: Worklist, show: bool
) -> Snapshot:
    """The snapshot of `collected` without missing manifests, with a problem for all missing or damaged content."""
    itself = unwrapped(store)
    named = named_manifests(made(collected))
    manifests = [each for each in named if not collected.is_archived(each.repository, each.digest)]
    collected.forget_missing(look_for_all(itself, manifests, work, show))
    snap = made(collected)
    blobs = named_blobs(snap)  # of the manifests that exist
    collected.forget_missing(look_for_all(itself, blobs, work, show))
    problems = make_table("problems", collected.problem_rows)
    return replace(snap, problems=problems, rate_limit=store.rate_limit, checked=len(manifests) + len(blobs))


def _listed(value: str | Sequence[str] | None) -> list[str] | None:
    return [value] if isinstance(value, str) else None if value is None else list(value)


def _choose(store: ContentStore, wanted: list[str] | None) -> tuple[list[str], bool]:
    """The repositories to read, and whether each of them must exist."""
    if wanted is None:
        return store.repositories(), False
    if not any(_GLOB.search(name) for name in wanted):
        return list(dict.fromkeys(full_name(store.location, name) for name in wanted)), True
    found = [name for name in store.repositories() if matches(name, wanted)]
    if not found:
        raise RegscopeError(
            f"no repository of {store.location} matches {', '.join(wanted)}",
            next_step="Run `regscope tags` without a repository to list all repositories.",
        )
    return found, False
