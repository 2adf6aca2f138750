"""Fingerprints of layers: digests of their files and attributes, independent of how their tars were written."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from regscope.analysis.columns import as_arrow, strings
from regscope.analysis.unhashed import told_apart
from regscope.arrays import begins_run
from regscope.file_rows import FileRows
from regscope.tables import Snapshot

CONTENT, ORDER = "content", "order"
ASPECTS = {
    CONTENT: ["path", "whiteout", "kind", "sha256", "link_target", "device"],
    "mtimes": ["mtime"],
    "owner": ["uid", "gid"],
    "mode": ["mode"],
    "xattrs": ["xattrs"],
}
_COLUMNS = [column for columns in ASPECTS.values() for column in columns]
_BY_PATH = [("path", "ascending"), ("whiteout", "ascending")]


def fingerprints(snap: Snapshot, layers: Collection[str] | None = None) -> pd.DataFrame:
    """The fingerprints of all layers that were read, or of `layers`.

    An entry that a later entry of the same tar replaces does not count. All fingerprints but `order` are computed over
    the entries sorted by path, so they do not depend on the order in the tar.

    Returns:
        One row for each layer, indexed by its digest (str), with the columns, as bytes: `content` (paths, kinds,
        contents, link targets, devices, whiteouts), `mtimes`, `owner`, `mode`, `xattrs`, `order`.
    """
    rows = FileRows(snap.files, ["layer_digest", *_COLUMNS])
    read = snap.unpacked["layer_digest"].astype("str") if layers is None else layers
    found = dict.fromkeys(read, _fingerprints_of(_comparable(rows.of(""))))  # stays for layers without rows
    for frame in rows.frames(None if layers is None else list(layers)):
        codes, names = frame["layer_digest"].cat.codes.to_numpy(), frame["layer_digest"].cat.categories
        entries = _comparable(frame)
        for start, end in pairwise([*np.flatnonzero(begins_run(codes)), len(codes)]):
            found[names[codes[start]]] = _fingerprints_of(entries.slice(start, end - start))
    table = pd.DataFrame.from_dict(found, orient="index", columns=[*ASPECTS, ORDER], dtype=object)
    return table.set_axis(pd.Index(table.index, dtype="str"))


def _comparable(rows: pd.DataFrame) -> pa.RecordBatch:
    """The rows as integers and text, absent text as empty text: no column that may be absent has empty text."""
    rows = told_apart(rows)
    return pa.record_batch({name: _without_gaps(rows[name]) for name in _COLUMNS})


def _without_gaps(column: pd.Series[Any]) -> pa.Array:
    if column.dtype.kind in "iM":
        return pa.array(column.astype("int64").to_numpy())
    text = pd.Series(strings(column)) if isinstance(column.dtype, pd.CategoricalDtype) else column
    return as_arrow(text).fill_null("")


def _fingerprints_of(entries: pa.RecordBatch) -> list[bytes]:
    order = pc.sort_indices(entries, _BY_PATH)  # stable: of equal paths, the last entry counts
    entries = entries.take(order)
    path, mark = entries["path"], entries["whiteout"]
    same = pc.and_(pc.equal(path[:-1], path[1:]), pc.equal(mark[:-1], mark[1:]))
    last = np.append(~same.to_numpy(zero_copy_only=False), True)[: len(path)]
    entries = entries.filter(pa.array(last))
    found = [_digest(*(entries[name] for name in columns)) for columns in ASPECTS.values()]
    return [*found, _digest(pa.array(np.argsort(order.to_numpy()[last])))]


def _digest(*columns: pa.Array) -> bytes:
    """One digest of columns of equal length; each text is hashed together with its length."""
    digest = hashlib.sha256(len(columns[0]).to_bytes(8))
    for column in columns:
        if pa.types.is_integer(column.type):
            digest.update(column.to_numpy())
            continue
        _, ends, texts = column.buffers()
        bounds = np.frombuffer(ends, np.int64)[column.offset :][: len(column) + 1] if len(column) else np.zeros(1, int)
        digest.update(bounds - bounds[0])
        digest.update(memoryview(texts or b"")[bounds[0] : bounds[-1]])
    return digest.digest()
