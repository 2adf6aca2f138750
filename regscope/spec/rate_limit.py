"""How many requests a registry still allows, as its answers say (`RateLimit-Limit` and `RateLimit-Remaining`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from humanize import precisedelta

_QUOTA = re.compile(r"\s*(\d{1,9})(?:\s*;\s*w=(\d{1,9}))?")  # Docker Hub adds the window: 76;w=21600


class RateLimit(NamedTuple):
    """What is left of a quota.

    Attributes:
        remaining: requests (on Docker Hub: pulls) left.
        limit: of how many; None where it was not said.
        window: seconds that the quota is for; None where it was not said.
    """

    remaining: int
    limit: int | None = None
    window: int | None = None

    def __str__(self) -> str:
        of = f" of {self.limit}" if self.limit is not None else ""
        within = f" in {precisedelta(self.window)}" if self.window else ""
        return f"{self.remaining}{of} left{within}"


def parse_rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """What the header fields of an answer say; None where they say nothing that can be read."""
    remaining = _QUOTA.match(headers.get("RateLimit-Remaining") or headers.get("X-RateLimit-Remaining") or "")
    if remaining is None:
        return None
    limit = _QUOTA.match(headers.get("RateLimit-Limit") or headers.get("X-RateLimit-Limit") or "")
    window = remaining[2] or (limit[2] if limit else None)
    return RateLimit(int(remaining[1]), int(limit[1]) if limit else None, int(window) if window else None)
