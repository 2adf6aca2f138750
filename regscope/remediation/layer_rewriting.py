"""Rewriting a layer's tar without some of its entries; the others are copied byte for byte."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import pandas as pd

from regscope.errors import ContentError
from regscope.images.image import HeldLayer
from regscope.images.scratch import Scratch
from regscope.layers.budget import Budget
from regscope.layers.compression import Stored, compression_of, uncompressed
from regscope.layers.tar_entries import WHITEOUTS, placed
from regscope.layers.tar_header import inside, number
from regscope.pieces import PIECE
from regscope.spec.digest import Digest, Passing, mismatch, no_longer_than
from regscope.stores.content_store import ContentStore

_GLOBAL = tarfile.XGLTYPE[0]


class RewrittenLayer(NamedTuple):
    """A rewritten layer.

    Attributes:
        scratch: the new layer.
        dropped: bytes of the tar that were dropped: headers, contents and padding.
    """

    scratch: Scratch
    dropped: int


def rewritten(
    store: ContentStore, repository: str, layer: HeldLayer, files: pd.DataFrame, stays: Sequence[bool]
) -> RewrittenLayer:
    """The layer with only those of its entries that stay, compressed as it was.

    The layer is first unpacked into a temporary file, and verified.

    Args:
        files: the layer's rows of the table `files`: `path`, `whiteout` and `size`.
        stays: for each row, whether the entry stays.

    Raises:
        ContentError: Python's `tarfile` finds other entries in the layer than `files` has.
        DigestMismatch: the layer does not match its digest or its diff_id.
    """
    with unpacked(store, repository, layer) as (tar, compression):
        spans = _spans(tar, layer.descriptor.digest)
        _compare(spans, files, layer.descriptor.digest)
        gone = [span for span, keep in zip(spans, stays, strict=True) if not keep]
        dropped = sum(span.end - span.start for span in gone)
        return RewrittenLayer(Scratch(_without(tar, gone), compression), dropped)


@contextmanager
def unpacked(store: ContentStore, repository: str, layer: HeldLayer) -> Iterator[tuple[IO[bytes], Stored]]:
    """A layer's verified tar as a temporary file, and the layer's compression.

    Raises:
        DigestMismatch: the layer does not match its digest or its diff_id.
        InvalidInput: the compression is damaged.
        TooLarge: the tar exceeds the budget for layers.
    """
    blob, passing, head = layer.descriptor, Passing(layer.diff_id.algorithm), b""
    stored = no_longer_than(store.blob(repository, blob.digest), blob.size, f"the layer {blob.digest}")

    def noting() -> Iterator[bytes]:
        nonlocal head
        for piece in stored:
            head = (head + piece)[:4] if len(head) < 4 else head
            yield piece

    with tempfile.TemporaryFile() as tar:
        budget = Budget(blob.size)
        tar.writelines(passing.through(budget.unpacking(uncompressed(noting(), budget))))
        for _ in stored:  # read the bytes after the compressed data: at the end the store verifies the blob
            pass
        if passing.digest != layer.diff_id:
            raise mismatch(layer.diff_id, passing.digest, f"the uncompressed layer {blob.digest}")
        tar.seek(0)
        yield tar, compression_of(head)


class _Span(NamedTuple):
    """The bytes of an entry in a tar, with its extended headers; its path, its whiteout mark, and its content size.

    The size of a directory has no meaning.
    """

    start: int
    end: int
    path: str
    mark: int | None
    size: int | None


def _spans(tar: IO[bytes], digest: Digest) -> list[_Span]:
    found = []
    try:
        with tarfile.open(fileobj=tar, mode="r:") as archive:
            while (member := archive.next()) is not None:
                end: int = archive.offset  # the start of the next entry
                path, mark = placed(inside(_text(member.name)))
                found.append(_Span(member.offset, end, path, mark, member.size if member.isreg() else None))
                archive.members.clear()  # type: ignore[attr-defined]  # else it would keep them all
    except tarfile.TarError as error:
        raise _unlike(digest, f"`tarfile` cannot read it: {error}") from None
    return found


def _text(name: str) -> str:
    """A name as regscope's own reader decodes it."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _compare(spans: Sequence[_Span], files: pd.DataFrame, digest: Digest) -> None:
    """Check that both tar readers find the same entries."""
    if len(spans) != len(files):
        raise _unlike(digest, f"it has {len(spans):,} entries to `tarfile`, and {len(files):,} to regscope")
    rows = zip(files["path"], _marks(files["whiteout"]), files["size"], strict=True)
    for position, (span, (path, mark, size)) in enumerate(zip(spans, rows, strict=True)):
        if (span.path, span.mark) != (path, mark) or span.size not in (None, size):
            raise _unlike(digest, f"entry {position:,} is {span.path!r} to `tarfile`, and {path!r} to regscope")


def _marks(whiteouts: Any) -> list[int | None]:
    return [None if pd.isna(whiteout) else WHITEOUTS.index(whiteout) for whiteout in whiteouts.astype(object)]


def _unlike(digest: Digest, why: str) -> ContentError:
    return ContentError(
        f"the layer {digest} cannot be rewritten: {why}",
        next_step="Leave this layer unchanged, or flatten the image: regscope image flatten.",
    )


def _without(tar: IO[bytes], gone: Sequence[_Span]) -> Iterator[bytes]:
    """The tar's bytes without these entries. Global headers between entries apply to all that follow, and stay."""
    at = 0
    for span in gone:
        yield from _between(tar, at, span.start)
        yield from _global_headers(tar, span)
        at = span.end
    yield from _between(tar, at, tar.seek(0, 2))


def _between(tar: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    tar.seek(start)
    while start < end and (piece := tar.read(min(PIECE, end - start))):
        start += len(piece)
        yield piece


def _global_headers(tar: IO[bytes], span: _Span) -> Iterator[bytes]:
    """The global headers among the extended headers of one entry: they apply to all entries that follow."""
    at = span.start
    tar.seek(at)
    while (block := tar.read(tarfile.BLOCKSIZE)) and block[156] in b"xgXLK":
        length = tarfile.BLOCKSIZE + -(-number(block[124:136]) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        if block[156] == _GLOBAL:
            yield from _between(tar, at, at + length)
        at += length
        tar.seek(at)
