"""The control plane of a registry at AWS, asked through boto3 with the AWS credentials that it finds.

boto3 is the extra `aws`, imported on first use: it signs the requests, and knows profiles, roles and single sign-on.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from regscope.errors import (
    AuthFailed,
    ConnectionFailed,
    PermissionDeny,
    RegscopeError,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    TimedOut,
    TLSFailed,
    TooManyRequests,
)
from regscope.registry.list_growth import MOST_NAMES, ListGrowth
from regscope.text import plain

EXTRA = "the extra aws: pip install boto3"
_LOG_IN = "Log in again (aws sso login), or give other AWS credentials: AWS_PROFILE, AWS_ACCESS_KEY_ID."
_ATTEMPTS = 6
_SECONDS = {"connect_timeout": 10, "read_timeout": 60}
_LARGEST_PAGE = 1000
_DENIED = {"AccessDeniedException", "AccessDenied", "UnauthorizedException", "OptInRequired"}
_UNKNOWN = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_ABSENT = {"RepositoryNotFoundException", "ImageNotFoundException"}
_TOO_MANY = {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}


class Place(NamedTuple):
    """A control plane.

    Attributes:
        service: `ecr` or `ecr-public`.
        ways: settings of botocore, such as `use_fips_endpoint`.
    """

    service: str
    region: str
    ways: Mapping[str, bool] = {}


class ControlPlane:
    """The operations of a control plane, with the AWS credentials that boto3 finds."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._prepare()

    def _prepare(self) -> None:
        self._lock = threading.Lock()  # boto3 makes clients in one thread only
        self._session: Any = None
        self._api: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"place": self.place}  # connections cannot be pickled; another process makes its own

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def lacks(self) -> str:
        """What keeps it from being asked: boto3 or credentials; empty where nothing does. No request is sent to it."""
        try:
            import boto3
            from botocore.exceptions import BotoCoreError
        except ImportError:
            return "boto3 is not installed"
        try:
            with self._lock:
                self._session = self._session or boto3.Session(region_name=self.place.region)
                return "" if self._session.get_credentials() else "no AWS credentials were found"
        except BotoCoreError as error:
            return f"no AWS credentials were found: {plain(str(error), 300)}"

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """The answer to an operation.

        Raises:
            PermissionDeny: the credentials lack its permission; the message names it.
            AuthFailed: the credentials are missing, wrong or expired.
            RequestError: there is no answer, or it is an error.
        """
        from botocore import parsers, xform_name
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = getattr(self._connected(), xform_name(operation))(**arguments)
        except ClientError as error:
            raise self._refusal(error.response, operation) from None
        except BotoCoreError as error:
            raise self._failure(error, operation) from None
        except (
            parsers.ResponseParserError,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            raise self._nonsense(operation, type(error).__name__) from None  # botocore cannot parse the answer
        return dict(answer)

    def pages(self, operation: str, key: str, what: str, most: int = MOST_NAMES, **arguments: Any) -> Iterator[Any]:
        """The entries of a list, a thousand a request.

        Args:
            key: of the entries in an answer.
            what: the list, for messages.
            most: entries that are read.

        Raises:
            As `ask`; TooLarge: the list has more entries.
        """
        growth, token, count = ListGrowth(what, most), "", 0
        while True:
            growth.ask(f"{self.place.service}:{operation}:{token}")
            following = {"nextToken": token} if token else {}
            answer = self.ask(operation, **arguments, maxResults=_LARGEST_PAGE, **following)
            entries = answer.get(key)
            if not isinstance(entries, list):
                raise self._nonsense(operation, f"it has no {key}")
            growth.take([f"{count + number}" for number in range(len(entries))])
            count += len(entries)
            yield from entries
            if not (token := str(answer.get("nextToken") or "")):
                return

    def permission(self, operation: str) -> str:
        """The name of the IAM action for an operation."""
        return f"{self.place.service}:{operation}"

    def _connected(self) -> Any:
        import boto3
        from botocore.config import Config

        with self._lock:
            if self._api is None:
                self._session = self._session or boto3.Session(region_name=self.place.region)
                retries = {"mode": "standard", "total_max_attempts": _ATTEMPTS}
                config = Config(retries=retries, user_agent_extra="regscope", **_SECONDS, **self.place.ways)
                self._api = self._session.client(self.place.service, region_name=self.place.region, config=config)
                weakref.finalize(self, self._api.close)  # its connections
            return self._api

    def _refusal(self, response: Mapping[str, Any], operation: str) -> RequestError:
        said = response.get("Error", {})
        code, status = str(said.get("Code", "")), response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        message = f"{self.permission(operation)}: {plain(str(said.get('Message') or code), 500)}"
        kind, step = RequestErrorWithResponse, "Try again later."
        if code in _DENIED:
            kind, step = PermissionDeny, f"Allow {self.permission(operation)} to these AWS credentials in IAM."
        elif code in _UNKNOWN:
            kind, step = AuthFailed, _LOG_IN
        elif code in _ABSENT:
            kind, step = ResourceNotFound, f"Check the spelling, the region ({self.place.region}) and the account."
        elif code in _TOO_MANY or status == 429:
            kind, step = TooManyRequests, "Wait a while and try again; AWS limits the requests of an account."
        return kind(message, status, code=code or None, next_step=step)

    def _failure(self, error: Exception, operation: str) -> RequestError:
        from botocore import exceptions

        message = f"{self.permission(operation)}: {plain(str(error), 500)}"
        if isinstance(error, exceptions.SSLError):
            step = "Name the certificate authority that signed it: AWS_CA_BUNDLE=/path/to/ca.pem."
            return TLSFailed(message, next_step=step)
        if isinstance(error, exceptions.ReadTimeoutError | exceptions.ConnectTimeoutError):
            return TimedOut(message, next_step="Try again later.")
        if isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError):
            return ConnectionFailed(message, next_step="Check the network, and HTTPS_PROXY where there is a proxy.")
        if isinstance(error, _errors_of_credentials()):
            return AuthFailed(message, 401, next_step=_LOG_IN)
        return RequestError(message, next_step="Check the configuration of the AWS tools: ~/.aws/config, AWS_PROFILE.")

    def _nonsense(self, operation: str, why: str) -> RequestError:
        return RequestErrorWithResponse(
            f"{self.permission(operation)}: the answer is not one of this API ({why})",
            next_step="Check AWS_ENDPOINT_URL and the proxy: something else than AWS may answer.",
        )


def _errors_of_credentials() -> tuple[type[Exception], ...]:
    """What botocore raises where a source has no credentials: profiles, roles, single sign-on."""
    from botocore import exceptions

    return (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.NoAuthTokenError,
        exceptions.SSOError,
        exceptions.LoginError,
    )


def said_of(error: RegscopeError) -> str:
    """The message and the next step of an error, for a warning."""
    return f"{error.message.rstrip('.')}. {error.next_step}".strip()
