"""The wait that a server asks for (RFC 9110, 10.2.3: `Retry-After` in seconds or as a date).

Docker Hub's API states the moment in `X-Retry-After`, and GitHub's in `X-RateLimit-Reset`, in seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TOO_MANY = 429
_FORBIDDEN = 403


def is_rate_limited(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer refuses a request since there were too many: 429; at GitHub's API also 403."""
    used_up = headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in headers
    return status == TOO_MANY or (status == _FORBIDDEN and used_up)


def wait_asked_for(headers: Mapping[str, str]) -> float | None:
    """The seconds that a server asks to wait; None where it does not state them, or not in a valid form."""
    stated = _stated(headers.get("Retry-After"))
    if stated is not None:
        return stated
    reset = headers.get("X-RateLimit-Reset") if headers.get("X-RateLimit-Remaining") == "0" else None
    return _until(headers.get("X-Retry-After") or reset)


def _until(moment: str | None) -> float | None:
    if not moment or not (moment.isascii() and moment.isdigit()):
        return None
    return max(float(moment[:12]) - datetime.now(UTC).timestamp(), 0)


def _stated(retry_after: str | None) -> float | None:
    if not retry_after:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:12])
    try:
        moment = parsedate_to_datetime(retry_after)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max((moment - datetime.now(UTC)).total_seconds(), 0)
    except (ValueError, OverflowError, TypeError):
        return None
