"""Digests (OCI image-spec, descriptor.md, Digests)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from pydantic_core import core_schema

from regscope.errors import DigestMismatch, InvalidDigest, TooLarge

_FORM = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_HEX_DIGITS = "0123456789abcdef"
_KNOWN = re.compile("sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_HEX_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}


class Digest(str):
    """A valid digest such as `sha256:6c3c…`: a string with its algorithm, which can verify content.

    Raises:
        InvalidDigest: the text is not `algorithm:encoded`, the algorithm is not sha256, sha384 or sha512, or
            the encoded part is not that algorithm's number of lower-case hexadecimal digits.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Digest:
        if type(text) is cls:
            return text
        if not _KNOWN.fullmatch(text):
            raise InvalidDigest(_fault(text), next_step="A digest looks like sha256: and 64 hexadecimal digits.")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Digest:
        """The digest of `content`."""
        return cls(f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")

    @property
    def algorithm(self) -> str:
        """`sha256`, `sha384` or `sha512`."""
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        """The hexadecimal part."""
        return self.partition(":")[2]

    def matches(self, content: bytes) -> bool:
        """Whether `content` hashes to this digest."""
        return hashlib.new(self.algorithm, content).hexdigest() == self.encoded

    def verify(self, content: bytes, what: str = "content") -> bytes:
        """`content` itself, if it hashes to this digest; otherwise DigestMismatch."""
        if not self.matches(content):
            raise mismatch(self, Digest.of(content, self.algorithm), what)
        return content

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


def mismatch(expected: str, found: str, what: str) -> DigestMismatch:
    """The error for `what`, named `expected`, whose bytes hash to `found`."""
    return DigestMismatch(
        f"{what} was asked for as {expected}, but its bytes hash to {found}",
        next_step="The copy is damaged or was tampered with: fetch it again, or push the original once more.",
    )


class Passing:
    """Computes the digest and the size of a stream of bytes, also where a part of it is read more than once.

    Attributes:
        size: the number of bytes so far.
    """

    def __init__(self, algorithm: str = "sha256") -> None:
        self._algorithm = algorithm
        self._hasher = hashlib.new(algorithm)
        self.size = 0

    def take(self, piece: bytes | memoryview) -> None:
        """Add the next bytes of the stream."""
        self._hasher.update(piece)
        self.size += len(piece)

    def through(self, pieces: Iterable[bytes], start: int | None = None) -> Generator[bytes, None, None]:
        """`pieces`, unchanged; the first begins at offset `start`, and bytes that were hashed already are skipped."""
        start = self.size if start is None else start
        for piece in pieces:
            if fresh := piece[max(self.size - start, 0) :]:
                self.take(fresh)
            start += len(piece)
            yield piece

    @property
    def digest(self) -> Digest:
        """The digest of the bytes so far."""
        return Digest(f"{self._algorithm}:{self._hasher.hexdigest()}")


def verified(chunks: Iterable[bytes], digest: Digest, what: str = "content") -> Iterator[bytes]:
    """`chunks`, unchanged; DigestMismatch after the last one if they do not hash to `digest`.

    The chunks must not be relied on before the iterator is exhausted.
    """
    passing = Passing(digest.algorithm)
    yield from passing.through(chunks)
    if passing.digest != digest:
        raise mismatch(digest, passing.digest, what)


def no_longer_than(chunks: Iterable[bytes], size: int | None, what: str) -> Iterator[bytes]:
    """`chunks`, unchanged; TooLarge as soon as they have more than `size` bytes. None for no limit."""
    got = 0
    for chunk in chunks:
        got += len(chunk)
        if size is not None and got > size:
            raise TooLarge(
                f"{what} has more than the {size:,} bytes that its descriptor states: reading was stopped",
                next_step="Push it again, or find out who pushed it; exclude its tag to read the other images.",
            )
        yield chunk


def first_bad(text: str) -> int:
    """The index of the first character at which `text` is not a valid digest."""
    algorithm, _, encoded = text.partition(":")
    if algorithm not in _HEX_LENGTH:
        return 0
    good = len(encoded) - len(encoded.lstrip(_HEX_DIGITS))
    return min(len(algorithm) + 1 + min(good, _HEX_LENGTH[algorithm]), len(text))


def _fault(text: str) -> str:
    algorithm, _, encoded = text.partition(":")
    shown = repr(text if len(text) <= 160 else text[:160] + "…")
    if not _FORM.fullmatch(text):
        return f"{shown} is not a digest: it is not of the form algorithm:encoded"
    if algorithm not in _HEX_LENGTH:
        return f"{shown} is not a digest regscope can check: unknown algorithm {algorithm!r}"
    if len(encoded) != _HEX_LENGTH[algorithm]:
        return f"{shown} is not a digest: {algorithm} has {_HEX_LENGTH[algorithm]} digits, not {len(encoded)}"
    return f"{shown} is not a digest: only the digits 0-9 and a-f are allowed after the colon"
