"""Names as a policy writes them: globs, and regular expressions between slashes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from regscope.analysis.relation import Bools
from regscope.errors import InvalidInput
from regscope.spec.reference import split_image

_DIGEST = re.compile(r"sha(?:256|512):[0-9a-f]+")


def is_regex(pattern: str) -> bool:
    """Whether `pattern` is a regular expression: `/v[0-9]+/`."""
    return len(pattern) > 2 and pattern.startswith("/") and pattern.endswith("/")


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern for the whole of a name.

    Raises:
        InvalidInput: it is no regular expression.
    """
    try:
        return re.compile(pattern[1:-1] if is_regex(pattern) else translate(pattern))
    except re.error as error:
        raise InvalidInput(
            f"{pattern!r} is not a regular expression: {error}", next_step="Without slashes it is a glob: v1.*"
        ) from None


def matching(names: pd.Index[str], patterns: Iterable[str]) -> Bools:
    """Which of `names` one of `patterns` matches as a whole; a name that is there many times is looked at once."""
    tests = [compiled(pattern).fullmatch for pattern in patterns]
    if not tests:
        return np.zeros(len(names), dtype=np.bool_)
    numbers, distinct = pd.factorize(names)
    fits = [any(test(name) for test in tests) for name in distinct.tolist()]
    return np.array(fits, dtype=np.bool_)[numbers]


class Named(NamedTuple):
    """What one line of a policy names: tags by patterns of repository and tag, or a manifest by its digest."""

    repository: str
    tag: str | None
    digest: str | None


def named(text: str) -> Named:
    """`v*` and `/v[0-9]+/` are tags of every repository, `team/app` a repository, `team/app:v*` tags of it,
    `sha256:…` and `team/app@sha256:…` manifests.

    Raises:
        InvalidInput: it is none of these.
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


def listed(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name, several, or none."""
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)
