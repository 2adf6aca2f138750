"""Entries of a tar as rows of the `files` table; the numeric fields of all headers are parsed as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from regscope.layers.tar_entries import KINDS, WHITEOUTS, Batch
from regscope.layers.tar_header import BLOCK, CHECKSUM, MOST, STAR, checked, is_older, number, octal, star_times

Ints: TypeAlias = npt.NDArray[np.int64]
Bytes: TypeAlias = npt.NDArray[np.uint8]

_KIND = pa.dictionary(pa.int8(), pa.string())
_WORD = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("path", pa.large_string()),
        ("kind", _KIND),
        ("size", pa.int64()),
        ("mode", pa.int64()),
        ("uid", pa.int64()),
        ("gid", pa.int64()),
        ("mtime", pa.timestamp("us", tz="UTC")),
        ("link_target", pa.large_string()),
        ("device", _WORD),
        ("xattrs", pa.large_string()),
        ("sha256", pa.large_string()),
        ("magic", _WORD),
        ("secret", _WORD),
        ("whiteout", _KIND),
    ]
)
"""The columns of `files` after `layer_digest`."""

_FIELDS = {"mode": slice(100, 108), "uid": slice(108, 116), "gid": slice(116, 124), "mtime": slice(136, 148)}
_NUMBERS = slice(100, 156)  # these, and the checksum
_DEVICES = slice(329, 345)
_OF_DEVICES = {"major": slice(329, 337), "minor": slice(337, 345)}
_MODE = 0o7777
_YEARS = (-62135596800 * 10**6, 253402300799 * 10**6)  # the range of Python's dates: years 1 to 9999


def entry_rows(batch: Batch, first: int) -> pa.Table:
    """The rows of a batch, the first of which is at the position `first`.

    Raises:
        InvalidInput: a header has a wrong checksum, or an invalid number.
    """
    rows = len(batch)
    entries = batch.columns()
    blocks = entries.headers
    headers = _Headers(blocks)
    numbers = headers.checked()
    _Headers(batch.others).checked()
    numbers["mode"] &= _MODE
    numbers["mtime"] = np.clip(numbers["mtime"], -(2**43), 2**43) * 1_000_000
    for row, field, value in batch.overridden:
        numbers[field][row] = np.clip(value, -MOST, MOST)  # only times can be larger
    kinds = np.array(entries.kinds, dtype=np.int8)
    columns = {
        "position": np.arange(first, first + rows, dtype=np.int64),
        "path": pa.array(entries.paths, pa.large_string()),
        "kind": pa.DictionaryArray.from_arrays(kinds, pa.array(KINDS)),
        "size": pa.array(entries.sizes, pa.int64()),
        **{field: numbers[field] for field in ("mode", "uid", "gid")},
        "mtime": _times(numbers["mtime"]),
        "link_target": pa.array(entries.links, pa.large_string()),
        "device": _devices(blocks, kinds, numbers),
        "xattrs": pa.array(entries.xattrs, pa.large_string()),
        "sha256": _digests(entries.sha256s),
        "magic": pa.array(entries.magics, pa.string()).dictionary_encode(),
        "secret": pa.array(entries.secrets, pa.string()).dictionary_encode(),
        "whiteout": pa.DictionaryArray.from_arrays(pa.array(entries.whiteouts, pa.int8()), pa.array(WHITEOUTS)),
    }
    return pa.table(columns, schema=SCHEMA)


class _Headers:
    """The headers of many entries, as one array."""

    def __init__(self, blocks: Sequence[bytes]) -> None:
        self._blocks = blocks
        self._bytes = np.frombuffer(b"".join(blocks), dtype=np.uint8).reshape(len(blocks), BLOCK)

    def checked(self) -> dict[str, Ints]:
        """The numbers of the headers, by field.

        Raises:
            InvalidInput: a checksum is wrong, or a field is no valid number.
        """
        # One row for each byte position, so that numpy handles all headers at once.
        digits = np.ascontiguousarray(self._bytes[:, _NUMBERS].T)
        self._check(self._numbers(CHECKSUM, digits, _NUMBERS.start, lambda block, span: octal(block[span])))
        found = {field: self._numbers(span, digits, _NUMBERS.start, _number) for field, span in _FIELDS.items()}
        digits = np.ascontiguousarray(self._bytes[:, _DEVICES].T)
        for field, span in _OF_DEVICES.items():
            found[field] = self._numbers(span, digits, _DEVICES.start, _device_number)
        for row in np.flatnonzero((self._bytes[:, -len(STAR) :] == [*STAR]).all(axis=1)).tolist():
            star_times(self._blocks[row])
        return found

    def _check(self, stated: Ints) -> None:
        """Compare checksums; the field itself counts as blanks, and some old programs add up signed bytes."""
        own = self._bytes[:, CHECKSUM].sum(axis=1, dtype=np.int64)
        found = self._bytes.sum(axis=1, dtype=np.int64) - own + 8 * ord(" ")
        for row in np.flatnonzero(found != stated).tolist():
            checked(self._blocks[row])

    def _numbers(self, span: slice, digits: Bytes, first: int, read: Callable[[bytes, slice], int]) -> Ints:
        """The numbers of a field of octal digits between blanks; other notations are parsed one by one."""
        value = np.zeros(len(self._blocks), dtype=np.int64)
        begun = np.zeros(len(self._blocks), dtype=np.bool_)
        ended, odd = begun.copy(), begun.copy()
        for byte in digits[span.start - first : span.stop - first]:
            is_digit = (byte & 0xF8) == ord("0")
            is_blank = (byte == ord(" ")) | (byte == 0)
            odd |= ~(is_digit | is_blank) | (is_digit & ended)
            ended |= is_blank & begun
            begun |= is_digit
            value = np.where(is_digit, value * 8 + (byte & 7), value)
        for row in np.flatnonzero(odd).tolist():
            value[row] = read(self._blocks[row], span)
        return value


def _number(block: bytes, span: slice) -> int:
    return number(block[span])


def _device_number(block: bytes, span: slice) -> int:
    return 0 if is_older(block) else number(block[span])


def _times(microseconds: Ints) -> pa.Array:
    first, last = _YEARS
    is_out = (microseconds < first) | (microseconds > last)
    return pa.array(microseconds, mask=is_out).cast(pa.timestamp("us", tz="UTC"))


def _devices(blocks: Sequence[bytes], kinds: npt.NDArray[np.int8], numbers: Mapping[str, Ints]) -> pa.Array:
    found: list[str | None] = [None] * len(kinds)
    is_device = (kinds == KINDS.index("character device")) | (kinds == KINDS.index("block device"))
    for row in np.flatnonzero(is_device).tolist():
        major, minor = (0, 0) if is_older(blocks[row]) else (numbers["major"][row], numbers["minor"][row])
        found[row] = f"{major}:{minor}"
    return pa.array(found, pa.string()).dictionary_encode()


def _digests(digests: Sequence[bytes | None]) -> pa.Array:
    """SHA-256 digests in hexadecimal, all converted at once."""
    known = np.array([digest is not None for digest in digests], dtype=np.bool_)
    text = b"".join(filter(None, digests)).hex().encode()
    offsets = np.zeros(len(digests) + 1, dtype=np.int64)
    np.cumsum(known * 64, out=offsets[1:])
    valid = np.packbits(known, bitorder="little").tobytes()
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.large_string(), len(digests), buffers, null_count=int((~known).sum()))
