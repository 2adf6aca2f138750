"""The wait that a server asks for (RFC 9110, 10.2.3: `Retry-After` in seconds or as a date)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def wait_asked_for(retry_after: str | None) -> float | None:
    """The seconds that a `Retry-After` header asks for; None where it is absent or invalid."""
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
