"""`WWW-Authenticate` challenges (RFC 9110, 11.6.1), read with the `www-authenticate` package and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import www_authenticate

from regscope.errors import AuthFailed
from regscope.text import plain

_LONGEST_HEADER = 8192  # the package's parser is quadratic
# Forms that servers send and the package does not parse: an empty value, needless escapes, a missing comma
# after a value, commas around it all, and a URL without quotes.
_VALUE = re.compile(
    r"""(?:(?P<quoted>"(?:[^"\\]|\\.)*+")|(?<==)\s*(?P<bare>[^\s",=][^\s",]*)|(?<==)(?=\s*(?:,|$)))
    (?P<gap>\s+(?=[\w-]{1,64}\s{0,8}(?:=|\s[\w-]{1,64}\s{0,8}=)))?""",
    re.DOTALL | re.VERBOSE,
)
# A token68, as in `Negotiate YII=`, is of no use for Basic and Bearer; the package takes it for a parameter.
_TOKEN68 = re.compile(
    r"(?P<scheme>(?:^|,)\s*[a-z][\w-]*)\s+(?!(?:realm|service|scope)=)[\w.~+/-]+=*(?=\s*(?:,|$))", re.IGNORECASE
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_EMPTY = "\0"  # a placeholder for an empty value, which the package does not parse


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: its scheme in lower case, and its parameters by lower-case name."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> dict[str, Challenge]:
    """The challenges of a header, by scheme.

    Raises:
        AuthFailed: the header cannot be parsed; the message quotes it.
    """
    if not header or len(header) > _LONGEST_HEADER:
        raise _unreadable(header)
    try:
        parsed = www_authenticate.parse(_mended(header))
    except (ValueError, AttributeError):
        raise _unreadable(header) from None
    return {scheme.lower(): Challenge(scheme.lower(), _parameters(found)) for scheme, found in parsed.items()}


def _mended(header: str) -> str:
    return _VALUE.sub(_mended_value, _TOKEN68.sub(r"\g<scheme>", header)).strip(" ,")


def _mended_value(match: re.Match[str]) -> str:
    value = match["bare"] or _unescaped((match["quoted"] or '""')[1:-1])
    escaped = (value or _EMPTY).replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"' + ("," if match["gap"] else "")


def _unescaped(value: str) -> str:
    return _ESCAPE.sub(r"\1", value)


def _parameters(found: object) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    return {str(name).lower(): _unescaped(str(value)).removeprefix(_EMPTY) for name, value in found.items()}


def _unreadable(header: str) -> AuthFailed:
    shown = plain(header, 200) + (f" ({len(header)} characters)" if len(header) > 200 else "")
    return AuthFailed(
        f"the registry asks for authentication in words that cannot be read: WWW-Authenticate: {shown or '(empty)'}",
        401,
        next_step="Report this header to whoever runs the registry.",
    )
