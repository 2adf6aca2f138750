"""Names and patterns in a policy: globs, and regular expressions between slashes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from fnmatch import translate
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from regscope.arrays import Bools
from regscope.errors import InvalidInput
from regscope.spec.reference import split_image

_DIGEST = re.compile(r"sha(?:256|512):[0-9a-f]+")
_QUOTE = 'Write names in quotes, and one flat list of them: ["1.10", "v*"].'


def is_regex(pattern: str) -> bool:
    """Whether `pattern` is a regular expression: `/v[0-9]+/`."""
    return len(pattern) > 2 and pattern.startswith("/") and pattern.endswith("/")


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern, for `fullmatch`.

    Raises:
        InvalidInput: the regular expression is invalid.
    """
    try:
        return re.compile(pattern[1:-1] if is_regex(pattern) else translate(pattern))
    except re.error as error:
        raise InvalidInput(
            f"{pattern!r} is not a regular expression: {error}", next_step="Correct it, or write a glob: v1.*"
        ) from None


def matching(names: pd.Index[str], patterns: Iterable[str]) -> Bools:
    """Which of `names` are matched as a whole by one of `patterns`; a repeated name is matched once."""
    tests = [compiled(pattern).fullmatch for pattern in patterns]
    if not tests:
        return np.zeros(len(names), dtype=np.bool_)
    numbers, distinct = pd.factorize(names)
    fits = [any(test(name) for test in tests) for name in distinct.tolist()]
    return np.array(fits, dtype=np.bool_)[numbers]


class Named(NamedTuple):
    """The meaning of a name in a policy: tags by patterns of repository and tag, or a manifest by its digest."""

    repository: str
    tag: str | None
    digest: str | None


def named(text: str) -> Named:
    """`v*` and `/v[0-9]+/` are tags of every repository, `team/app` a repository, `team/app:v*` tags of it,
    `sha256:…` and `team/app@sha256:…` manifests.

    Raises:
        InvalidInput: the text is none of these.
    """
    if not text.strip():
        raise InvalidInput("an empty name protects nothing", next_step="Write a tag, repository:tag or a digest.")
    if is_regex(text):
        compiled(text)
        return Named("*", text, None)
    if _DIGEST.fullmatch(text):
        return Named("*", None, text)
    repository, tag, digest = split_image(text)
    if digest is not None:
        if not _DIGEST.fullmatch(digest) or not repository:
            raise InvalidInput(f"{text!r} is no digest", next_step="Write repository@sha256:… or sha256:….")
        return Named(repository, None, digest)
    if tag is not None and repository:
        return Named(repository, tag, None)
    if "/" in text:
        return Named(text, "*", None)
    return Named("*", text, None)


def listed(value: Any) -> tuple[str, ...]:
    """The names in a value: one name, a list of names, or none.

    Raises:
        InvalidInput: a value is no text, such as a version that YAML reads as a number.
    """
    names = () if value is None else (value,) if isinstance(value, str | Mapping) else value
    if not isinstance(names, Iterable) or isinstance(names, bytes):
        names = (names,)
    found = []
    for name in names:
        if not isinstance(name, str):
            raise InvalidInput(no_name(name), next_step=_QUOTE)
        found.append(name)
    return tuple(found)


def no_name(value: object) -> str:
    """A message on a value that is no name; without the content of lists, which YAML aliases can make endless."""
    if isinstance(value, bool):
        return f"{str(value).lower()} is no name: YAML reads yes, no, on and off as booleans, so quote them"
    if isinstance(value, int | float | date):
        return f"{value} is no name: YAML reads versions as numbers and dates (1.10 as 1.1), so quote it"
    if isinstance(value, Mapping):
        return "a mapping is no name: YAML reads `name: tag` with a space as a mapping, so quote it"
    if value is None:
        return "an empty entry is no name"
    if isinstance(value, Iterable) and not isinstance(value, bytes | str):
        return "a list within a list is no name: write one flat list"
    return f"a {type(value).__name__} is no name"


@lru_cache(maxsize=1024)
def grouping(pattern: str) -> re.Pattern[str]:
    """A regular expression with groups, with or without slashes around it; equal groups belong together.

    Raises:
        InvalidInput: the regular expression is invalid, or has no group.
    """
    try:
        found = re.compile(pattern[1:-1] if is_regex(pattern) else pattern)
    except re.error as error:
        raise InvalidInput(f"{pattern!r} is not a regular expression: {error}") from None
    if not found.groups:
        raise InvalidInput(
            f"{pattern!r} has no group", next_step="Put parentheses around what tags have in common: (.+)-[0-9]+"
        )
    return found
