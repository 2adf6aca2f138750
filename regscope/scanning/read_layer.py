"""One unit of a file scan: reading a layer from a store into rows, verified while it is streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from regscope.errors import ContentError, RegscopeError
from regscope.layers.budget import Budget
from regscope.layers.compression import compression_of, uncompressed
from regscope.layers.entry_rows import SCHEMA, entry_rows
from regscope.layers.tar_entries import TarReader
from regscope.layers.tar_source import TarSource, not_small
from regscope.scanning.layer_files import LayerFiles, keep_files, known_files
from regscope.scanning.prefetch import prefetch
from regscope.spec.digest import Passing, mismatch, no_longer_than
from regscope.stores.content_store import ContentStore
from regscope.stores.digest_cache import DigestCache


@dataclass(frozen=True, slots=True)
class WantedLayer:
    """A layer to read: digest, a repository that has it, size in bytes (0 if unknown), and the DiffIDs in configs."""

    digest: str
    repository: str
    size: int
    diff_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ReadLayer:
    """The result of reading a layer; `found` is None if reading failed, and `problem` is then the error."""

    wanted: WantedLayer
    found: LayerFiles | None = None
    problem: RegscopeError | None = None


def read_layer(store: ContentStore, cache: DigestCache | None, wanted: WantedLayer, alone: bool) -> ReadLayer:
    """Read a layer from the store, or its files from the cache.

    Args:
        alone: whether no other layer is read at the same time; it is then fetched and unpacked in a second thread.
    """
    try:
        found = known_files(cache, wanted.digest)
        if found is None:
            found = _read(store, wanted, alone)
            keep_files(cache, wanted.digest, found)
        _as_stated(found.unpacked[0], wanted)
    except RegscopeError as error:
        return ReadLayer(wanted, problem=error.with_traceback(None))  # the traceback would keep what was read
    except Exception as error:  # a bug in regscope must fail this layer only
        return ReadLayer(wanted, problem=_unexpected(error))
    return ReadLayer(wanted, found)


def _unexpected(error: Exception) -> RegscopeError:
    return ContentError(
        f"the layer was not read: unexpected {type(error).__name__}: {error}",
        next_step="This is a bug in regscope: please report it, with the layer if you may share it.",
    )


def _as_stated(diff_id: str, wanted: WantedLayer) -> None:
    for stated in wanted.diff_ids:
        if stated != diff_id:
            raise mismatch(stated, diff_id, f"the uncompressed layer {wanted.digest}")


def _read(store: ContentStore, wanted: WantedLayer, alone: bool) -> LayerFiles:
    budget, unpacked = Budget(wanted.size), Passing()
    blob = store.blob(wanted.repository, wanted.digest)
    stored = _Counted(no_longer_than(blob, wanted.size or None, f"the layer {wanted.digest}"))
    pieces = not_small(budget.unpacking(uncompressed(stored, budget)))
    passing = prefetch(pieces, unpacked.take) if alone else unpacked.through(pieces)
    with closing(passing):
        files, packages = _rows(TarReader(TarSource(passing), budget))
    for _ in stored:  # read the rest after the compressed data; at its end the store verifies the digest
        pass
    compression = compression_of(stored.head)
    return LayerFiles(files, (unpacked.digest, compression, stored.size, unpacked.size, files.num_rows), packages)


def _rows(tar: TarReader) -> tuple[pa.Table, list[Any]]:
    tables: list[pa.Table] = [SCHEMA.empty_table()]
    packages: list[Any] = []
    rows = 0
    for batch in tar.batches():
        tables.append(entry_rows(batch, rows))
        packages += batch.packages
        rows += len(batch)
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks(), packages


class _Counted:
    """An iterator over chunks that counts their bytes and keeps the first bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.size = 0
        self.head = b""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        if len(self.head) < 4:
            self.head += chunk[:4]
        self.size += len(chunk)
        return chunk
