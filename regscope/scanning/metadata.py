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

    Indexes are followed to their children, and images to their referrers. What cannot be read becomes a row of the
    `problems` table, and the scan goes on. Interrupted, it loses nothing that was read: the next one finds it in the
    cache.

    Args:
        store: what `regscope.open` gave, or a location for it.
        repositories: names or globs; all by default. Names alone need no catalog.
        tags: globs of the tags to read; all by default.
        platforms: such as `linux/arm64`: which children of an index to follow; all by default. For each platform those
            that fit it best (see `Platform.distance`), without their attestations; an index that has none becomes a row
            of `problems`. An image that is not part of an index is always read.
        known: earlier snapshots of the store. What they had is at least as old as they are (`Snapshot.first_seen`).
            What they had and this scan does not reach is asked for by digest: a
            manifest that lost its tag may still be there, and no registry lists it. Where the store shows the untagged
            itself, nothing is asked.
        check: ask for every manifest, config and layer where it is placed, by HEAD, whether the registry has it. What a
            cache says of them is what they are, not that they are still there. What is missing, or has not the size
            that its descriptor states, is a row of `problems`, and so is what the registry does not tell. No content
            is read. Layers that are served from elsewhere (`urls`) are not asked for.
        executor: where to run; by default 4 threads, and up to 64 where answers are long on their way.
            `dask.distributed`'s `Client.get_executor()` is one too.
        progress: show a progress bar; by default where somebody is watching.

    Returns:
        A Snapshot, with every table but `files`.

    Raises:
        InvalidInput: `store` is none, or one of `known` is no snapshot.
        RegscopeError: the repositories cannot be listed, or one that was named cannot be read at all.
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
        stored = store.stored_blobs()  # before the manifests: what is pushed meanwhile is no orphan
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
                remembers_since=min((each.remembers_since or each.taken_at for each in earlier), default=None),
            )

        snap = _checked(collected, made, store, work, show) if check else made(collected)
        del collected  # or the garbage collector looks through all rows once more, in vain
        return replace(snap, first_seen=first_seen(earlier, snap)) if earlier else snap


def _checked(
    collected: ScanState, made: Callable[[ScanState], Snapshot], store: ContentStore, work: Worklist, show: bool
) -> Snapshot:
    """What was collected without the manifests that are missing, and with what else is as a problem."""
    itself = unwrapped(store)
    manifests = named_manifests(made(collected))
    collected.forget_missing(look_for_all(itself, manifests, work, show))
    snap = made(collected)
    blobs = named_blobs(snap)  # of the manifests that are there
    collected.forget_missing(look_for_all(itself, blobs, work, show))
    problems = make_table("problems", collected.problem_rows)
    return replace(snap, problems=problems, rate_limit=store.rate_limit, checked=len(manifests) + len(blobs))


def _listed(value: str | Sequence[str] | None) -> list[str] | None:
    return [value] if isinstance(value, str) else None if value is None else list(value)


def _choose(store: ContentStore, wanted: list[str] | None) -> tuple[list[str], bool]:
    """The repositories to read, and whether each of them must be there."""
    if wanted is None:
        return store.repositories(), False
    if not any(_GLOB.search(name) for name in wanted):
        return list(dict.fromkeys(full_name(store.location, name) for name in wanted)), True
    found = [name for name in store.repositories() if matches(name, wanted)]
    if not found:
        raise RegscopeError(
            f"no repository of {store.location} matches {', '.join(wanted)}",
            next_step="`regscope tags` without a repository lists what there is.",
        )
    return found, False
