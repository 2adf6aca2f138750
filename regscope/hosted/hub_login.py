"""The login for Docker Hub's API: the registry's login is exchanged for a token (docs.docker.com/reference/api/hub)."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Mapping
from typing import Any

from regscope.errors import AuthFailed, CapabilityWarning, PermissionDeny, RequestError, RequestErrorWithResponse
from regscope.hosted.rest_api import RestAPI
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credentials import Credentials, is_bearer_token
from regscope.registry.recent_failures import RecentFailures

API = "https://hub.docker.com"
_RENEW_AFTER = 540  # seconds; a token is valid for ten minutes
_NEXT_STEP = (
    "Log in with a user name and an access token of Docker Hub (docker login -u USER), or give one to its API: "
    "api_token=…, REGSCOPE_API_TOKEN."
)


class HubLogin:
    """Exchanges the registry's login for a web token, and renews it in time.

    Without a login, and with one that the API refuses, requests are anonymous: public repositories are still shown.

    Args:
        client: of the registry; its `api_token` precedes the password.
    """

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._sent = threading.local()
        self._token = ""
        self._renew_at = 0.0
        self._refusal: RequestErrorWithResponse | None = None
        self._outages: RecentFailures[str] = RecentFailures()

    def headers(self) -> Mapping[str, str]:
        """The header field with the token; empty for an anonymous request.

        Raises:
            RequestError: the API does not answer.
        """
        with self._lock:
            if self._refusal is None and time.monotonic() >= self._renew_at:
                self._renew()
            self._sent.token = self._token
            return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def renew(self) -> bool:
        """Called after an answer 401: whether the next request is sent with another token."""
        with self._lock:
            sent = getattr(self._sent, "token", "")
            if sent and sent == self._token:
                self._renew_at = 0.0
            return bool(sent)

    def require(self) -> None:
        """Check that there is a login that the API accepts.

        Raises:
            AuthFailed: there is none.
            RequestError: the API does not answer.
        """
        if self.headers():
            return
        why = f"it refuses the login: {self._refusal.message}" if self._refusal else "there is no login for it"
        raise AuthFailed(f"Docker Hub's API removes no tag: {why}", 401, url=API, next_step=_NEXT_STEP)

    def _renew(self) -> None:
        """Set the token; empty where there is no login with a name and a secret, or it is refused.

        Warns:
            CapabilityWarning: the API refuses the login.
        """
        self._token = ""
        login = self._client.keychain.login("")
        if not isinstance(login, Credentials):
            self._renew_at = float("inf")
            return
        self._outages.check(API)
        try:
            self._token = self._asked_for(login.username, self._client.api_token or login.password)
        except (AuthFailed, PermissionDeny) as error:
            self._refusal = error  # not tried again: Docker Hub locks an account after some wrong passwords
            said = f"{error.message}. {_NEXT_STEP}"
            warnings.warn(
                CapabilityWarning(f"Docker Hub's API shows public repositories only: {said}", "provider"), stacklevel=2
            )
        except RequestError as error:
            self._outages.keep(API, error)
            raise
        self._renew_at = time.monotonic() + _RENEW_AFTER

    def _asked_for(self, name: str, secret: str) -> str:
        api = RestAPI(self._client, API, _Nobody())
        answer = api.send("POST", "v2/auth/token", {"identifier": name, "secret": secret})
        found = answer.document.get("access_token") if isinstance(answer.document, dict) else None
        if not is_bearer_token(found):
            raise RequestErrorWithResponse(
                f"{API}/v2/auth/token gave no token", 200, url=f"{API}/v2/auth/token", next_step="Try again later."
            )
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"_client": self._client}  # another process asks for a token of its own

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()


class _Nobody:
    """An anonymous request."""

    def headers(self) -> Mapping[str, str]:
        return {}

    def renew(self) -> bool:
        return False
