"""`WWW-Authenticate` challenges (RFC 9110, 11.6.1), read with the `www-authenticate` package and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import www_authenticate

from regscope.errors import AuthFailed

_LONGEST_HEADER = 8192  # the package's parser is quadratic
# What the package cannot read and servers send all the same: an empty value, and a URL without quotes.
_EMPTY_PARAMETER = re.compile(r',?\s*[\w-]+\s*=\s*""')
_UNQUOTED_URL = re.compile(r'=\s*(https?://[^\s,"]+)')
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in: its scheme in lower case, and its parameters by lower-case name."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> dict[str, Challenge]:
    """The challenges of a header, by scheme.

    Raises:
        AuthFailed: the header cannot be read; the message says which.
    """
    if not header or len(header) > _LONGEST_HEADER:
        raise _unreadable(header)
    try:
        parsed = www_authenticate.parse(_mended(header))
    except (ValueError, AttributeError):
        raise _unreadable(header) from None
    return {scheme.lower(): Challenge(scheme.lower(), _parameters(found)) for scheme, found in parsed.items()}


def _mended(header: str) -> str:
    without_empty = _EMPTY_PARAMETER.sub("", header)
    quoted = _UNQUOTED_URL.sub(r'="\1"', without_empty)
    return re.sub(r"^(\w+),", r"\1 ", quoted).strip()


def _parameters(found: object) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    return {str(name).lower(): _ESCAPE.sub(r"\1", str(value)) for name, value in found.items()}


def _unreadable(header: str) -> AuthFailed:
    shown = header if len(header) <= 200 else f"{header[:200]}… ({len(header)} characters)"
    return AuthFailed(
        f"the registry asks for authentication in words that cannot be read: WWW-Authenticate: {shown or '(empty)'}",
        401,
        next_step="Report this header to whoever runs the registry.",
    )
