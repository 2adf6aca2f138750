"""`WWW-Authenticate` challenges (RFC 9110, 11.6.1), read as servers write them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from regscope.errors import AuthFailed
from regscope.text import plain

_LONGEST_HEADER = 8192
# Servers also write URLs without quotes, needless escapes, and no comma after a quoted value.
_PART = re.compile(
    r"""(?P<gap>[\s,;]+)
    |(?P<token68>[A-Za-z0-9._~+/-]+=+)(?=\s*(?:,|$))
    |(?P<name>[\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"(?=[\s,;]|$)|(?P<bare>[^\s",\[][^\s",]*))
    |(?P<word>[\w!#$%&'*+.^`|~/-]+)(?=[\s,]|$)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in: its scheme in lower case, and its parameters by lower-case name."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> dict[str, Challenge]:
    """The challenges of a header, by scheme; of several with one scheme, the last.

    Raises:
        AuthFailed: the header cannot be read; the message says which.
    """
    found: dict[str, Challenge] = {}
    current: Challenge | None = None
    position, follows_scheme = 0, False
    while position < len(header) <= _LONGEST_HEADER:
        part = _PART.match(header, position)
        if part is None:
            raise _unreadable(header)
        position = part.end()
        if part["gap"]:
            follows_scheme = follows_scheme and "," not in part["gap"]
        elif part["word"] and not follows_scheme:
            scheme = part["word"].lower()
            current = found[scheme] = Challenge(scheme)
            follows_scheme = True
        elif current is None:
            raise _unreadable(header)
        else:  # a word right behind the scheme is a token68, as `token68=` is
            follows_scheme = False
            if part["name"]:
                value = part["bare"] or _ESCAPE.sub(r"\1", part["quoted"] or "")
                current.parameters[part["name"].lower()] = value
    if not found:
        raise _unreadable(header)
    return found


def _unreadable(header: str) -> AuthFailed:
    shown = plain(header, 200) + (f" ({len(header)} characters)" if len(header) > 200 else "")
    return AuthFailed(
        f"the registry asks for authentication in words that cannot be read: WWW-Authenticate: {shown or '(empty)'}",
        401,
        next_step="Report this header to whoever runs the registry.",
    )
