"""The file scan: the files in the layers of a store, as tables."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from tqdm.auto import tqdm

from regscope.file_rows import FilesOnDisk, FilesWriter
from regscope.progress import is_interactive
from regscope.scanning.read_layer import ReadLayer, WantedLayer, read_layer
from regscope.scanning.wanted_layers import wanted_layers
from regscope.scanning.worklist import rarely_collecting
from regscope.schema import conformed, make_table
from regscope.snapshot_argument import takes_snapshot_first
from regscope.stores.cached_store import cache_of
from regscope.stores.content_store import ContentStore
from regscope.stores.digest_cache import DigestCache
from regscope.stores.kinds import REGISTRY
from regscope.stores.open_store import as_store
from regscope.tables import Snapshot
from regscope.text import plain

_IN_FLIGHT = 16  # layers
_MOST_IN_MEMORY = 20_000_000  # rows


@takes_snapshot_first
def scan_files(
    snap: Snapshot,
    store: ContentStore | str,
    *,
    images: str | Sequence[str] | None = None,
    into: Path | str | None = None,
    cache: DigestCache | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> Snapshot:
    """Read the layers of the images in `snap`: every file with its attributes, size and sha256, and the packages.

    Each distinct layer is streamed once and never unpacked to disk; its compressed bytes are verified against its
    digest, and its tar against the DiffID. The result is cached by the layer's digest, so each layer is read only once,
    also after an interruption. A layer that cannot be read becomes a row of `problems`, and the scan continues.

    Layers that are served from elsewhere (foreign), and those of artifacts and attestations, which are not file
    systems, are left out; the snapshot's notes give their number.

    Args:
        snap: the result of `scan`.
        store: the store that was scanned, or its location.
        images: `repository`, `repository:tag` or a digest, or globs of these: the images to read; all by default.
        into: a new folder for the `files` table, as Parquet. By default the table is kept in memory, and above 20
            million rows in a temporary folder.
        cache: the cache of results by layer digest; by default the cache of `store`, and for a layout or an archive the
            user's cache.
        executor: where to run; by default on all cores of this machine.
        progress: whether to show a progress bar; by default if the session is interactive.
        watch: called after each layer with the compressed bytes read so far, and in total.

    Returns:
        `snap` with the tables `unpacked`, `files` and `packages`, and with errors added to `problems`. `files` is a
        DataFrame, or `FilesOnDisk` if it is in a folder.

    Raises:
        InvalidInput: `images` matches nothing, `snap` is not a snapshot, or `store` is not a store.
        StoreError: `into` is not empty.
    """
    store = as_store(store)
    wanted = wanted_layers(snap, images)
    collected = _Collected([layer.digest for layer in wanted], into)
    show = is_interactive() if progress is None else progress
    total, done = sum(layer.size for layer in wanted), 0
    with tqdm(desc="files", unit="B", unit_scale=True, disable=not show, leave=False, total=total) as bar:
        for read in _read_all(store, _cache_of(store) if cache is None else cache, wanted, executor):
            collected.take(read)
            bar.update(read.wanted.size)
            done += read.wanted.size
            if watch is not None:
                watch(done, total)
    return collected.onto(snap)


def read_files(store: ContentStore, layers: Sequence[WantedLayer]) -> Snapshot:
    """A snapshot of these layers' files, in the tables `unpacked`, `files` and `packages`; other tables are empty.

    Cached layers are not read again.

    Raises:
        RegscopeError: a layer cannot be read.
    """
    collected = _Collected([layer.digest for layer in layers], None)
    for read in _read_all(store, _cache_of(store), layers, None):
        if read.problem is not None:
            raise read.problem
        collected.take(read)
    return collected.onto(
        Snapshot.from_rows({}, location=store.location, taken_at=datetime.now(UTC), sees_untagged=False)
    )


def _cache_of(store: ContentStore) -> DigestCache | None:
    """The cache of the store; a store without one that is not a registry gets the user's cache."""
    found = cache_of(store)
    return DigestCache() if found is None and store.kind != REGISTRY else found


def _read_all(
    store: ContentStore, cache: DigestCache | None, wanted: Sequence[WantedLayer], executor: Executor | None
) -> Iterator[ReadLayer]:
    """Yield the results of all layers, the largest layer first; if closed early, waiting layers are dropped."""
    waiting = deque(sorted(wanted, key=lambda layer: layer.size, reverse=True))
    running: deque[Future[ReadLayer]] = deque()
    with rarely_collecting(), nullcontext(executor) if executor is not None else _local_pool() as pool:
        try:
            while waiting or running:
                while waiting and len(running) < _IN_FLIGHT:
                    running.append(pool.submit(read_layer, store, cache, waiting.popleft(), len(wanted) == 1))
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


@contextmanager
def _local_pool() -> Iterator[Executor]:
    # Unpacking and hashing release the interpreter lock, so threads suffice; while one waits, another works.
    pool = ThreadPoolExecutor(max(os.cpu_count() or 2, 2), thread_name_prefix="regscope")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class _Collected:
    """The layers read so far: their files in memory, or in a folder if one is given or they are too many."""

    def __init__(self, order: Sequence[str], into: Path | str | None) -> None:
        self._order = order
        self._files: dict[str, pa.Table] = {}
        self._rows = 0
        self._unpacked: dict[str, tuple[Any, ...]] = {}
        self._packages: dict[str, list[tuple[Any, ...]]] = {}
        self._problems: list[tuple[str, str, str, str]] = []
        self._writer = FilesWriter(into) if into is not None else None
        self._is_ours = into is None

    def take(self, read: ReadLayer) -> None:
        """Add the result of one layer."""
        digest = read.wanted.digest
        if read.found is None:
            why = plain(read.problem.message, 2000) if read.problem else ""
            self._problems.append((read.wanted.repository, digest, "files", why))
            return
        self._unpacked[digest] = read.found.unpacked
        self._packages[digest] = read.found.packages
        self._files[digest] = read.found.files
        self._rows += read.found.files.num_rows
        if self._rows > _MOST_IN_MEMORY and self._writer is None:
            self._writer = FilesWriter(tempfile.mkdtemp(prefix="regscope-files-"))
        if self._writer is not None:
            self._to_disk(self._writer)

    def _to_disk(self, writer: FilesWriter) -> None:
        for digest, table in self._files.items():
            writer.add(_with_layer([digest], [table]))
        self._files.clear()

    def onto(self, snap: Snapshot) -> Snapshot:
        """`snap` with the tables of the layers that were read."""
        order = [digest for digest in self._order if digest in self._unpacked]
        unpacked = [(digest, *self._unpacked[digest]) for digest in order]
        packages = [(digest, *package) for digest in order for package in self._packages[digest]]
        problems = make_table("problems", sorted(self._problems))
        return replace(
            snap,
            unpacked=make_table("unpacked", unpacked),
            files=self._files_table(order),
            packages=make_table("packages", packages),
            problems=_appended(snap.problems[snap.problems["what"] != "files"], problems),
        )

    def _files_table(self, order: Sequence[str]) -> pd.DataFrame | FilesOnDisk:
        if self._writer is not None:
            self._writer.close()
            found = FilesOnDisk(self._writer.folder)
            if self._is_ours:
                weakref.finalize(found, shutil.rmtree, self._writer.folder, ignore_errors=True)
            return found
        if not self._files:
            return make_table("files", ())
        return conformed("files", _with_layer(order, [self._files[digest] for digest in order]).to_pandas())


def _with_layer(digests: Sequence[str], tables: Iterable[pa.Table]) -> pa.Table:
    """The concatenated rows of layers, with the column `layer_digest`."""
    tables = list(tables)
    codes = np.repeat(np.arange(len(tables), dtype=np.int32), [table.num_rows for table in tables])
    layers = pa.DictionaryArray.from_arrays(codes, pa.array(digests, pa.string()))
    return pa.concat_tables(tables).unify_dictionaries().add_column(0, "layer_digest", layers)


def _appended(problems: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    columns = list(problems.columns)
    rows = [tuple(row) for table in (problems, more) for row in table[columns].astype(object).itertuples(index=False)]
    return make_table("problems", [tuple(None if pd.isna(cell) else cell for cell in row) for row in rows])
