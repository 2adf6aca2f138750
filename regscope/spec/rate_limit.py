"""The quota of requests that a registry states in its answers (`RateLimit-Limit` and `RateLimit-Remaining`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from humanize import precisedelta

_QUOTA = re.compile(r"\s*(\d{1,9})(?:\s*;\s*w=(\d{1,9}))?")  # Docker Hub adds the window: 76;w=21600


class RateLimit(NamedTuple):
    """A quota, and what remains of it.

    Attributes:
        remaining: the requests (on Docker Hub: pulls) that are left.
        limit: the requests of the whole quota; None where the registry does not state it.
        window: the seconds for which the quota counts; None where the registry does not state them.
    """

    remaining: int
    limit: int | None = None
    window: int | None = None

    def __str__(self) -> str:
        of = f" of {self.limit}" if self.limit is not None else ""
        within = f" in {precisedelta(self.window)}" if self.window else ""
        return f"{self.remaining}{of} left{within}"


def parse_rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """The quota in the header fields of an answer; None where they have none, or an invalid one."""
    remaining = _QUOTA.match(headers.get("RateLimit-Remaining") or headers.get("X-RateLimit-Remaining") or "")
    if remaining is None:
        return None
    limit = _QUOTA.match(headers.get("RateLimit-Limit") or headers.get("X-RateLimit-Limit") or "")
    window = remaining[2] or (limit[2] if limit else None)
    return RateLimit(int(remaining[1]), int(limit[1]) if limit else None, int(window) if window else None)
