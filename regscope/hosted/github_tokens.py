"""The tokens for GitHub's REST API: the registry's login has one as its password."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from regscope.errors import AuthFailed
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credentials import Credentials, IdentityToken, is_bearer_token

READ, WRITE, DELETE = "read:packages", "write:packages", "delete:packages"
OF_WORKFLOWS = "ghs_"  # GITHUB_TOKEN, which is no user's
FINE_GRAINED = "github_pat_"
LOG_IN = (
    f"Log in with a classic personal access token (github.com/settings/tokens) that has {READ}, and to clean up "
    f"{WRITE} and {DELETE}: docker login ghcr.io. Or give one: api_token=…, REGSCOPE_API_TOKEN."
)


class Tokens:
    """The tokens for the API, each used until it is refused: the password of the registry's login, then `api_token`."""

    def __init__(self, client: DockerRegistryV2Client, owner: str) -> None:
        self._client, self._owner = client, owner
        self._changing = threading.Lock()
        self._refused: set[str] = set()
        self._current = ""

    @property
    def current(self) -> str:
        """The token in use.

        Raises:
            AuthFailed: there is none, or all were refused.
        """
        if not self._current and not self._choose():
            what = "refuses the token" if self._refused else "wants a token"
            raise AuthFailed(f"GitHub's API {what}: it shows no packages of {self._owner}", 401, next_step=LOG_IN)
        return self._current

    def headers(self) -> Mapping[str, str]:
        """The header field with the token in use."""
        return {"Authorization": f"Bearer {self.current}"}

    def renew(self) -> bool:
        """False: `Packages` changes to another token, since the path of a request may depend on it."""
        return False

    def next_after(self, token: str) -> bool:
        """Change to another token than this one, where there is one; otherwise it stays in use."""
        with self._changing:
            if self._current != token:  # another thread has changed it
                return True
            self._refused.add(token)
            if self._choose():
                return True
            self._refused.discard(token)
            return False

    def _choose(self) -> bool:
        login = self._client.keychain.login(self._owner)  # asked again: a helper may have a newer one
        own = (
            login.password
            if isinstance(login, Credentials)
            else login.value
            if isinstance(login, IdentityToken)
            else ""
        )
        for token in (own, self._client.api_token):
            if is_bearer_token(token) and token not in self._refused:
                self._current = token
                return True
        return False
