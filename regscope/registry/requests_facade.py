"""The client as users of `requests` know it: verbs that return a `requests.Response`, and a session."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Self, Unpack

import requests

from regscope.registry.answer import Answer
from regscope.registry.credentials import Credentials, Keychain
from regscope.registry.http_response import response_of
from regscope.registry.request_options import RequestOptions
from regscope.registry.responses import read_bounded
from regscope.registry.tls import ClientCertificate

if TYPE_CHECKING:
    from regscope.registry.authorized_requests import AuthorizedRequests
    from regscope.registry.session import RegistrySession


class RequestsFacade:
    """The verbs, the session and the login of `DockerRegistryV2Client`, all by its `request` and `answer`."""

    _session: RegistrySession | None

    if TYPE_CHECKING:  # the client has these
        keychain: Keychain
        verify_certificate: bool | str
        client_certificate: ClientCertificate | None
        request: Callable[..., Answer]
        answer: Callable[..., Answer]
        _requests: AuthorizedRequests
        _connect: Callable[[], None]

        def close(self) -> None: ...

    @property
    def session(self) -> RegistrySession:
        """A `requests.Session` that sends by this client; its settings apply to the client's own requests too.

        It returns an answer of any status, as sessions do, where the client's own verbs raise.
        """
        if self._session is None:
            from regscope.registry.session import RegistrySession  # loaded on first use: few programs need it

            self._session = RegistrySession(self)
        return self._session

    def trust(self, verify: bool | str, certificate: ClientCertificate | None) -> None:
        """Change how certificates are verified and the client's own certificate; connections are made anew."""
        self.close()
        self.verify_certificate, self.client_certificate = verify, certificate
        self._connect()

    def trusting(self, verify: bool | str, certificate: ClientCertificate | None) -> Self:
        """This client, or a copy of it with another verification and client certificate, where they differ."""
        if (verify, certificate) == (self.verify_certificate, self.client_certificate):
            return self
        other = copy(self)
        other.trust(verify, certificate)
        return other

    @property
    def username(self) -> str | None:
        """The user name of the login for the whole registry; None where there is none, or it is a token."""
        login = self.keychain.login_at_hand()
        return login.username if isinstance(login, Credentials) else None

    @property
    def authorization(self) -> str:
        """The `Authorization` header that was sent last; empty for an anonymous request."""
        return self._requests.authorization

    def get(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """GET; see `RequestOptions`. Raises an error for a status from 400 up."""
        return self._response("GET", url, options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """HEAD; see `RequestOptions`. Raises an error for a status from 400 up."""
        return self._response("HEAD", url, options)

    def put(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """PUT; see `RequestOptions`. Raises an error for a status from 400 up."""
        return self._response("PUT", url, options)

    def patch(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """PATCH; see `RequestOptions`. Raises an error for a status from 400 up."""
        return self._response("PATCH", url, options)

    def post(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """POST; see `RequestOptions`. Raises an error for a status from 400 up."""
        return self._response("POST", url, options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """DELETE; see `RequestOptions`. Raises an error for a status from 400 up."""
        return self._response("DELETE", url, options)

    def _response(self, method: str, url: str, options: RequestOptions) -> requests.Response:
        from regscope.registry.session import LARGEST_HELD, fields_of, payload_of

        if unknown := options.keys() - RequestOptions.__annotations__.keys():
            raise TypeError(f"{method.lower()} has no option {', '.join(sorted(unknown))}: use client.session")
        answer = self.request(
            method,
            url,
            headers=fields_of(options.get("headers") or {}),
            params=options.get("params"),
            data=payload_of(options.get("data")),
            timeout=options.get("timeout", "default"),
            outlast_errors=options.get("outlast_errors", True),
            allow_redirects=options.get("allow_redirects", True),
        )
        content = None if options.get("stream", True) else read_bounded(answer, LARGEST_HELD, f"the answer of {url}")
        return response_of(answer, content)
