"""What is fuzzed: one reader of bytes from strangers, with inputs to start from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from hypothesis.strategies import SearchStrategy

from regscope.errors import RegscopeError
from tests.fuzz.mutation import Mutate, changed


class Target(NamedTuple):
    """One reader.

    Attributes:
        name: as the command line has it.
        read: takes an input, and raises nothing but RegscopeError; files are written into the working folder.
        seeds: makes the inputs that all others are made of.
        mutate: makes an input of the seeds.
        share: how many inputs of a full run are its own, in thousands.
        drawn: makes a hypothesis strategy of inputs, which then are a part of all.
    """

    name: str
    read: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    mutate: Mutate = changed
    share: int = 40
    drawn: Callable[[], SearchStrategy[bytes]] | None = None


def these(*seeds: bytes) -> Callable[[], Sequence[bytes]]:
    """Seeds that are at hand."""
    return partial(list, seeds)


def each_of(*readers: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """A reader that gives an input to all of these, whichever of them refuse it."""
    return partial(_each, readers)


def _each(readers: Sequence[Callable[[bytes], object]], data: bytes) -> None:
    refusal: RegscopeError | None = None
    for read in readers:
        try:
            read(data)
        except RegscopeError as error:
            refusal = error
    if refusal is not None:
        raise refusal


def of_text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """A reader of text as one of bytes: what is no UTF-8 is text as Python has names of files."""
    return partial(_decoded, read, "utf-8", "surrogateescape")


def of_header(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """A reader of a header field's value as one of bytes."""
    return partial(_decoded, read, "latin-1", "strict")


def _decoded(read: Callable[[str], object], encoding: str, errors: str, data: bytes) -> object:
    return read(data.decode(encoding, errors))
