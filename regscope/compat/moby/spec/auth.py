"""What a token service answers (distribution, docs/spec/auth/token.md, Token Response Fields)."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel


class TokenResponse(BaseModel):
    """A token, and for how long it is good.

    Attributes:
        token, access_token: the same by two names; a service gives one of them or both.
        issued_at: when that time begins.
        expires_in: seconds.
        refresh_token: for other tokens of the same user.
    """

    token: str = ""
    access_token: str | None = None
    issued_at: datetime | None = None
    expires_in: int | None = None
    refresh_token: str | None = None
