"""What a request is about, and the token scopes that it needs (distribution, docs/spec/auth/scope.md)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qs

Scopes: TypeAlias = frozenset[str]

NO_SCOPES: Scopes = frozenset()
# The last keyword of the API in the path counts: a repository may be called team/tags/app.
_REPOSITORY_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags|referrers)/")
_ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}


class Need(NamedTuple):
    """What a request concerns.

    Attributes:
        repository: its name; empty where there is none.
        kind: manifests, blobs, tags, referrers, _catalog; for other paths, their folder.
        scopes: the scopes that its token needs, in distribution's form.
    """

    repository: str
    kind: str
    scopes: Scopes

    @property
    def actions(self) -> str:
        """The actions on its repository; empty where the scopes concern other resources too."""
        return next(iter(self.scopes)).rpartition(":")[2] if self.repository and len(self.scopes) == 1 else ""


def need_of(method: str, url: str, registry: str = "") -> Need:
    """The need of a request to the registry at the address `registry`, from its path and query."""
    path, _, query = url.removeprefix(registry).partition("?")
    if path.endswith("/v2/_catalog"):
        return Need("", "_catalog", frozenset({"registry:catalog:*"}))
    match = _REPOSITORY_PATH.search(path)
    if match is None:
        return Need("", path.rpartition("/")[0], NO_SCOPES)
    name = match["name"]
    scopes = {f"repository:{name}:{_ACTIONS.get(method, 'pull,push')}"}
    if method == "POST" and (sources := parse_qs(query).get("from")):  # a mount also reads the source repository
        scopes.add(f"repository:{sources[0]}:pull")
    return Need(name, match["kind"], frozenset(scopes))


@dataclass(slots=True)
class Asked:
    """A request, and the headers that it was sent with so far.

    Attributes:
        need: what it concerns.
        url: its address.
        since: when it began, by `time.monotonic`.
        sent: the `Authorization` headers that it was sent with, in order; None for an anonymous attempt.
        way: the scheme to answer with, where its own challenge asks for another than the registry's.
    """

    need: Need
    url: str
    since: float = field(default_factory=time.monotonic)
    sent: list[str | None] = field(default_factory=list)
    way: object = None

    def sends(self, header: str | None) -> str | None:
        """Note that the request is sent with this header."""
        if self.sent[-1:] != [header]:
            self.sent.append(header)
        return header

    @property
    def has_sent_token(self) -> bool:
        """Whether the request was sent with a Bearer token."""
        return any(header is not None and header.startswith("Bearer ") for header in self.sent)
