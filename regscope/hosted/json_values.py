"""Values in the answers of providers' APIs: None for what is missing, or is not of the kind that it should be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def time_in(said: Any) -> datetime | None:
    """A time in ISO 8601, in UTC; None for one without a zone, and for the year 1, Go's time for never."""
    try:
        found = datetime.fromisoformat(said) if isinstance(said, str) else None
        return found.astimezone(UTC) if found is not None and found.tzinfo is not None and found.year > 1 else None
    except (ValueError, OverflowError):
        return None


def size_in(said: Any) -> int | None:
    """A number of bytes."""
    return said if isinstance(said, int) and not isinstance(said, bool) else None


def text_in(said: Any) -> str | None:
    """A text that is not empty."""
    return said if isinstance(said, str) and said else None
