"""How many requests are under way at once where nobody says otherwise; a client's own limit for its host holds too."""

from __future__ import annotations

READS_AT_ONCE = 16
"""Requests that read, check or copy: so many that they do not wait for one another's way through the network."""

CHANGES_AT_ONCE = 8
"""Uploads, and requests for what is there just before it is changed: fewer, as registries do more work for writers."""
