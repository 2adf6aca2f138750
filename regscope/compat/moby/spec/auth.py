"""The response of a token service (distribution, docs/spec/auth/token.md, Token Response Fields)."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel


class TokenResponse(BaseModel):
    """A token, and how long it is valid.

    Attributes:
        token, access_token: the token, under one of these names or both.
        issued_at: the time from which `expires_in` counts.
        expires_in: seconds.
        refresh_token: a token for requesting other tokens of the same user.
    """

    token: str = ""
    access_token: str | None = None
    issued_at: datetime | None = None
    expires_in: int | None = None
    refresh_token: str | None = None
