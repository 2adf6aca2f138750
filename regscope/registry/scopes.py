"""What a request is about, and the token scopes that it needs (distribution, docs/spec/auth/scope.md)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qs

Scopes: TypeAlias = frozenset[str]

NO_SCOPES: Scopes = frozenset()
# The last of the API's own words counts: a repository may be called team/tags/app.
_REPOSITORY_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags|referrers)/")
_ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}


class Need(NamedTuple):
    """What a request is about.

    Attributes:
        repository: its name; empty where it is about none.
        kind: manifests, blobs, tags, referrers, _catalog; for other paths, their folder.
        scopes: what its token must allow, in distribution's own words.
    """

    repository: str
    kind: str
    scopes: Scopes

    @property
    def actions(self) -> str:
        """Those on its repository; empty where the scopes are not about that alone."""
        return next(iter(self.scopes)).rpartition(":")[2] if self.repository and len(self.scopes) == 1 else ""


def need_of(method: str, url: str, registry: str = "") -> Need:
    """What the path and the query of a request to the registry at the address `registry` speak of."""
    path, _, query = url.removeprefix(registry).partition("?")
    if path.endswith("/v2/_catalog"):
        return Need("", "_catalog", frozenset({"registry:catalog:*"}))
    match = _REPOSITORY_PATH.search(path)
    if match is None:
        return Need("", path.rpartition("/")[0], NO_SCOPES)
    name = match["name"]
    scopes = {f"repository:{name}:{_ACTIONS.get(method, 'pull,push')}"}
    if method == "POST" and (sources := parse_qs(query).get("from")):  # a mount reads there, too
        scopes.add(f"repository:{sources[0]}:pull")
    return Need(name, match["kind"], frozenset(scopes))


@dataclass(slots=True)
class Asked:
    """A request, and how it was asked so far.

    Attributes:
        need: what it is about.
        url: its address.
        since: when it began, by `time.monotonic`.
        sent: the `Authorization` headers that it was sent with, None for none of them; the last one last.
        way: how it is answered, where that is another way than was known to do.
    """

    need: Need
    url: str
    since: float = field(default_factory=time.monotonic)
    sent: list[str | None] = field(default_factory=list)
    way: object = None

    def sends(self, header: str | None) -> str | None:
        """Note that it is sent with this header."""
        if self.sent[-1:] != [header]:
            self.sent.append(header)
        return header

    @property
    def has_sent_token(self) -> bool:
        """Whether it was sent with a token."""
        return any(header is not None and header.startswith("Bearer ") for header in self.sent)
