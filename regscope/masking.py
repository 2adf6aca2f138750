"""The one place where secrets are removed from text: users and passwords in addresses, signatures, tokens."""

from __future__ import annotations

import re

_SCHEME = r"(?P<start>(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30}:)?//)"
_A_DIGEST = r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9A-Fa-f]{32}"
# A pattern that may match slashes starts at the beginning of a run of its characters, and checks first that the run
# ends as the pattern does: a run is then read once, however many addresses seem to begin in it.
_USERS_OF_URLS = (
    re.compile(r"(?P<before>)" + _SCHEME + r"(?P<user>[^\s/?#]{0,4096}@)"),
    # A password with characters that should have been percent-encoded; a port and a path must not be taken for one.
    re.compile(
        r"(?<![^\s@])(?=[^\s@]*+@)(?P<before>[^\s@]*?)"
        + _SCHEME
        + r"(?P<user>[^\s/@:?#\[]{0,256}:(?!\d{1,5}(?:[/?#\s'\")\]},]|$))[^\s@]*+@)"
    ),
)
_QUERY_OF_URL = re.compile(r"(?<![^\s?#'\"<>])(?=[^\s?#'\"<>]*?[A-Za-z0-9+.-]://)([^\s?#'\"<>]*+)[?#][^\s'\"<>]*")
_OTHER_QUERY = re.compile(r"(?<=[\w/.\]-])\?[\w.~%+-]+=[^\s'\"<>]*")
_USER_WITHOUT_SCHEME = re.compile(
    rf"(?<![^\s/@'\"<>])(?=[^\s/@'\"<>]*+@(?!{_A_DIGEST})[\w\[])([^\s/@'\"<>]*?)"
    r"(?<![\w/@:.%+-])(?!(?:oci|oci-archive|docker-archive|storage):)"
    r"[^\s/@:'\"()<>=,]{1,256}:[^\s/@'\"<>]++@"
)
_ONLY_AN_ADDRESS = re.compile(rf"^[^\s/@]*@(?!{_A_DIGEST})(?=[\w\[]\S*$)")
_ENCODED_USER = re.compile(r"(?i)(%(?:25)*3A(?:%(?:25)*2F){2})(?:(?!%(?:25)*(?:2F|3F|23))[^\s/?#&]){1,4096}%(?:25)*40")
_ENCODED_QUERY = re.compile(r"(?i)%(?:25)*(?:3F|23)[\w.~+-]+%(?:25)*3D[^\s'\"<>&]*")
_NAMES = (
    r"sig|signature|x-(?:amz|goog)-\w+|awsaccesskeyid|(?:\w{1,30}[-_])?(?:token|secret|password|passwd|pwd|api_?key|"
    r"access_?key|account_?key|secret_?key)|accesskey|accountkey|secretkey|apikey|sharedaccess(?:key|signature)|_state"
)
_NAMED = re.compile(rf"(?i)(?<![A-Za-z0-9_-])((?:{_NAMES})=)[^\s'\"&;,)}}\]]+")
_NAMED_IN_QUOTES = re.compile(rf"(?i)((['\"])(?:{_NAMES})\2\s*[:=]\s*['\"])[^'\"]*")
_AUTHORIZATION = re.compile(r"(?i)((?:authorization|x-registry-auth)['\"]?\s*[:=]\s*['\"]?)(?:\w+\s+)?[^\s'\",]+")
_HINTS = ("@", "?", "#", "=", "%", "'", '"', "uth")
_MASK = "***"


def without_secrets(text: object) -> str:
    """`text` without users, passwords, queries and fragments of addresses, and without the values of named secrets.

    The text may be an address or contain some: with a scheme or without, percent-encoded, of a registry or of a bucket.
    Names of images are not changed. In an address that is no registry's a user without a password is kept: `az://`
    writes its container there.
    """
    shown = str(text)
    if not any(hint in shown for hint in _HINTS):
        return shown
    for users in _USERS_OF_URLS:
        shown = users.sub(_without_user, shown)
    shown = _QUERY_OF_URL.sub(r"\1", shown)
    shown = _OTHER_QUERY.sub("", shown)
    shown = _USER_WITHOUT_SCHEME.sub(r"\1", shown)
    shown = _ONLY_AN_ADDRESS.sub("", shown)
    shown = _ENCODED_USER.sub(r"\1", shown)
    shown = _ENCODED_QUERY.sub("", shown)
    shown = _NAMED.sub(rf"\1{_MASK}", shown)
    shown = _NAMED_IN_QUOTES.sub(rf"\1{_MASK}", shown)
    return _AUTHORIZATION.sub(rf"\1{_MASK}", shown)


def _without_user(found: re.Match[str]) -> str:
    is_a_registry = (found["scheme"] or "").lower() in ("", "http:", "https:")
    return found["before"] + found["start"] if is_a_registry or ":" in found["user"] else found[0]
