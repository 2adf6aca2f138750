"""The login for a registry that AWS gives to AWS credentials, for where none is saved (`GetAuthorizationToken`)."""

from __future__ import annotations

import base64
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from regscope.errors import RequestError
from regscope.hosted.aws import ControlPlane, Place
from regscope.registry.credentials import Credentials, Login

_EARLY = timedelta(minutes=10)  # before the end of a token, which is valid for 12 hours
_BETWEEN_RENEWALS = 60  # seconds: whoever is refused with a new token lacks a permission


class AWSLogin:
    """A source of logins that are valid for 12 hours; each is replaced before that.

    Args:
        is_needed: whether the registry has nothing for anonymous users.
    """

    def __init__(self, place: Place, is_needed: bool = True) -> None:
        self._plane = ControlPlane(place)
        self._is_needed = is_needed
        self._login: Credentials | None = None
        self._until = datetime.min.replace(tzinfo=UTC)
        self._renewed_at: float | None = None
        self._lock = threading.Lock()

    def login(self, repository: str = "") -> Login | None:
        """The login for all repositories; None without boto3 or AWS credentials.

        Raises:
            RequestError: AWS refuses it; not where the registry serves anonymous users too.
        """
        with self._lock:
            if datetime.now(UTC) >= self._until:
                self._ask()
            return self._login

    def renew(self, refused: Login) -> bool:
        """Get another login in place of the one that was refused, at most once a minute."""
        with self._lock:
            if refused != self._login:
                return self._login is not None and isinstance(refused, Credentials) and refused.username == "AWS"
            if self._renewed_at is not None and time.monotonic() < self._renewed_at + _BETWEEN_RENEWALS:
                return False
            self._renewed_at = time.monotonic()
            self._ask()
            return self._login is not None and self._login != refused

    def _ask(self) -> None:
        if self._plane.lacks():
            self._login, self._until = None, datetime.max.replace(tzinfo=UTC)
            return
        try:
            answer = self._plane.ask("GetAuthorizationToken")
            self._login, self._until = _granted(answer.get("authorizationData"))
        except RequestError:
            if self._is_needed:
                raise
            self._login, self._until = None, datetime.now(UTC) + _EARLY

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"AWSLogin({self._plane.place.service!r})"


def _granted(said: Any) -> tuple[Credentials, datetime]:
    """The login in the answer, a list of one at `ecr`, and when to replace it."""
    found = said[0] if isinstance(said, list) and said else said
    try:
        username, _, password = base64.b64decode(found["authorizationToken"]).decode().partition(":")
        until = found.get("expiresAt") or datetime.now(UTC) + timedelta(hours=12)
        return Credentials(username, password), max(until - _EARLY, datetime.now(UTC) + timedelta(minutes=1))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RequestError("GetAuthorizationToken: the answer has no token", next_step="Try again later.") from None
