"""Requests to a registry's token service, which may be another host (distribution, docs/spec/auth/token.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urldefrag, urlencode

from regscope.errors import AuthFailed
from regscope.registry.origin import check_hop, is_address, without_secrets
from regscope.registry.responses import error_from, read_json
from regscope.registry.transport import Transport

_TOKEN_LIMIT = 2**20
_REFUSALS = {400, 401, 403, 422}


@dataclass(frozen=True, slots=True)
class TokenQuestion:
    """A request to the token service at `realm`: GET with `query`, or POST where there is a `form`.

    `authorization` and `form` contain secrets, and must be sent to that service only.
    """

    realm: str
    query: dict[str, str | list[str]] = field(default_factory=dict)
    authorization: str | None = field(default=None, repr=False)
    form: dict[str, str] | None = field(default=None, repr=False)

    @property
    def has_secrets(self) -> bool:
        """Whether the request contains credentials."""
        return self.authorization is not None or self.form is not None


@dataclass(frozen=True, slots=True)
class TokenFetcher:
    """Sends requests to the token services of one registry.

    Attributes:
        home: the registry's own address.
        transport: sends the requests.
        timeout: seconds to connect, and for each read.
        guard: raises for an address that no credentials may be sent to.
    """

    home: str
    transport: Transport
    timeout: tuple[float | None, float | None]
    guard: Callable[[str], None]

    def fetch(self, question: TokenQuestion) -> dict[str, Any]:
        """The service's JSON answer.

        Raises:
            AuthFailed: the service refuses, or the challenge has no valid realm.
            UnsafeRedirect: this registry may not name that service.
            RequestError: the service failed.
        """
        realm = urldefrag(question.realm).url
        if not is_address(realm):
            raise AuthFailed(
                f"the registry names no token service that can be asked: {without_secrets(realm) or '(nothing)'}",
                401,
                next_step="Report it to whoever runs the registry.",
            )
        check_hop(self.home, realm)
        if question.has_secrets:
            self.guard(realm)
        if question.form is not None:
            form, headers = urlencode(question.form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
            response = self.transport.send("POST", realm, headers, self.timeout, form)
        else:
            asked = realm + ("&" if "?" in realm else "?") + urlencode(question.query, doseq=True)
            headers = {"Authorization": question.authorization} if question.authorization else {}
            response = self.transport.send("GET", asked, headers, self.timeout)
        if response.status_code in _REFUSALS:
            error = error_from(response)
            who = "these credentials" if question.has_secrets else "an anonymous user"
            raise AuthFailed(
                f"the token service {without_secrets(realm)} refuses {who}: {error.message.rpartition(': ')[2]}",
                response.status_code,
                code=error.code,
                url=without_secrets(realm),
                next_step="Check the user name and password, or log in with `docker login`.",
            )
        if response.status_code >= 400:
            raise error_from(response)
        return read_json(response, _TOKEN_LIMIT, "a token")
