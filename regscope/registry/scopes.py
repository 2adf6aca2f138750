"""The token scopes that a request needs (distribution, docs/spec/auth/scope.md)."""

from __future__ import annotations

import re
from typing import TypeAlias
from urllib.parse import parse_qs

Scopes: TypeAlias = frozenset[str]

_REPOSITORY_PATH = re.compile(r"/v2/(?P<name>.+?)/(?:manifests|blobs|tags|referrers)/")
_ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}


def scopes_of(method: str, url: str, registry: str = "") -> Scopes:
    """The scopes that the path and the query of a request to the registry at the address `registry` speak of."""
    path, _, query = url.removeprefix(registry).partition("?")
    if path.endswith("/v2/_catalog"):
        return frozenset({"registry:catalog:*"})
    match = _REPOSITORY_PATH.search(path)
    if match is None:
        return frozenset()
    scopes = {f"repository:{match['name']}:{_ACTIONS.get(method, 'pull,push')}"}
    if method == "POST" and (sources := parse_qs(query).get("from")):  # a mount reads there, too
        scopes.add(f"repository:{sources[0]}:pull")
    return frozenset(scopes)
