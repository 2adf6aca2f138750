"""Every error that regscope raises, in one tree, and its warnings.

    RegscopeError
    ├── InvalidInput (also a ValueError)
    │   ├── InvalidDigest
    │   ├── InvalidReference
    │   ├── InvalidPlatform
    │   └── InvalidLocation
    ├── ContentError                     content is damaged, invalid or too large
    │   ├── DigestMismatch
    │   ├── TooLarge
    │   ├── InvalidManifest
    │   ├── InvalidConfig
    │   └── UnSupportMediaType
    ├── StoreError                       a layout, an archive or a saved snapshot
    │   ├── NotAStore
    │   └── ContentMissing
    ├── NotOffered                       a check-up asked for what a registry need not have
    └── RequestError                     a registry or its token service
        ├── ConnectionFailed
        │   ├── UnknownHost
        │   ├── TLSFailed
        │   └── TimedOut
        │       └── EndpointTimedOut (also a TimeoutError)
        ├── UnsafeRedirect
        └── RequestErrorWithResponse
            ├── AuthFailed               the credentials were refused
            ├── PermissionDeny           the credentials lack a permission
            ├── ResourceNotFound
            ├── Unsupported              the registry does not support the operation
            └── TooManyRequests

Each has a `next_step`, a sentence that says what to do; `str(error)` ends with it. Errors can be pickled, so that a
worker process or a cluster can return them.
"""

from __future__ import annotations

from typing import Any

from regscope.masking import without_secrets


class RegscopeError(Exception):
    """Base of all errors of regscope.

    Attributes:
        message: what went wrong.
        next_step: what the user can do about it; may be empty.

    Secrets in the text or the address that an error is made from are masked in both.
    """

    def __init__(self, message: str, *, next_step: str = "") -> None:
        self.message = without_secrets(message)
        self.next_step = without_secrets(next_step)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n{self.next_step}" if self.next_step else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[RegscopeError], args: tuple[Any, ...], state: dict[str, Any]) -> RegscopeError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidInput(RegscopeError, ValueError):
    """An argument, a name or an address from the user is invalid."""


class InvalidDigest(InvalidInput):
    """Not `algorithm:encoded` as the OCI image spec (descriptor.md, Digests) defines it."""


class InvalidReference(InvalidInput):
    """Not an image reference. `position` is the index of the first bad character."""

    def __init__(self, message: str, *, text: str = "", position: int = 0, next_step: str = "") -> None:
        # One character replaces one, so that the pointer is at the right place; names also come from registries.
        shown = "".join(character if character.isprintable() else " " for character in text)
        pointer = f"\n  {shown}\n  {' ' * position}^" if text else ""
        super().__init__(message + pointer, next_step=next_step)
        self.text = text
        self.position = position


class InvalidPlatform(InvalidInput):
    """Not `os/architecture[/variant]`."""


class InvalidLocation(InvalidInput):
    """Not something that `regscope.open` can open."""


class ContentError(RegscopeError):
    """Content is damaged, invalid or too large."""


class DigestMismatch(ContentError):
    """The bytes do not hash to the digest that names them."""


class TooLarge(ContentError):
    """A size, stated or measured, is above what regscope accepts for this kind of content."""


class InvalidManifest(ContentError):
    """A manifest that breaks its specification."""


class InvalidConfig(ContentError):
    """An image config that breaks its specification."""


class UnSupportMediaType(ContentError):
    """A media type that regscope does not read."""


class StoreError(RegscopeError):
    """A layout, an archive or a saved snapshot is damaged, incomplete or cannot be read or written."""


class NotAStore(StoreError):
    """The path does not lead to a store of the expected kind."""


class ContentMissing(StoreError):
    """A store does not have the requested content."""


class RequestError(RegscopeError):
    """A request to a registry, or to its token service, failed.

    Attributes:
        status_code: the HTTP status, or None where there was no answer.
        code: the registry's own error code (distribution-spec, Error Codes), such as `MANIFEST_UNKNOWN`.
        url: the address of the request, without credentials and without its query.
    """

    def __init__(
        self,
        message: str,
        status_code: int | None = None,
        *,
        code: str | None = None,
        url: str | None = None,
        next_step: str = "",
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.status_code = status_code
        self.code = code
        self.url = None if url is None else without_secrets(url)


class ConnectionFailed(RequestError):
    """The connection could not be made, or was lost."""


class UnknownHost(ConnectionFailed):
    """The host's name cannot be resolved."""


class TLSFailed(ConnectionFailed):
    """The certificate cannot be verified, or the host speaks no TLS."""


class TimedOut(ConnectionFailed):
    """There was no answer before the timeout."""


class EndpointTimedOut(TimedOut, TimeoutError):
    """The connection that shows whether a host speaks TLS was not answered before the timeout."""


class UnsafeRedirect(RequestError):
    """The registry redirected to an address that must not be followed."""


class RequestErrorWithResponse(RequestError):
    """The registry answered with an error; `response` is its answer, or None."""

    def __init__(
        self,
        message: str,
        status_code: int | None = None,
        response: Any = None,
        *,
        code: str | None = None,
        url: str | None = None,
        next_step: str = "",
    ) -> None:
        super().__init__(message, status_code, code=code, url=url, next_step=next_step)
        self.response = response

    def __reduce__(self) -> tuple[Any, ...]:
        # A response has a connection, which cannot be pickled.
        return _rebuild, (type(self), self.args, {**self.__dict__, "response": None})


class AuthFailed(RequestErrorWithResponse):
    """The credentials were refused, or the registry requires credentials and none were given."""


class PermissionDeny(RequestErrorWithResponse):
    """The registry accepts the credentials, but they lack the permission for the request."""


class ResourceNotFound(RequestErrorWithResponse):
    """The registry does not have the content, or does not show it to these credentials."""


class Unsupported(RequestErrorWithResponse):
    """The registry does not support the operation."""


class NotOffered(RegscopeError):
    """A registry does not offer what a check-up asked for, and need not offer it."""


class TooManyRequests(RequestErrorWithResponse):
    """The registry's rate limit is still exceeded after the wait that it asked for."""


class RegscopeWarning(UserWarning):
    """Base of all warnings of regscope. As in errors, secrets are masked."""

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


class CapabilityWarning(RegscopeWarning):
    """A registry lacks a capability; `capability` is the name of its field in `Capabilities`.

    `warnings.simplefilter("error", regscope.CapabilityWarning)` makes it an error.
    """

    def __init__(self, message: str, capability: str = "") -> None:
        super().__init__(message)
        self.capability = capability


class MirrorWarning(RegscopeWarning):
    """A mirror failed and is skipped for some time; other mirrors, or the registry itself, are used instead."""


class DigestWarning(RegscopeWarning):
    """`Docker-Content-Digest` is not a digest, or the digest of another manifest; a client warns once."""


class RegistryWarning(RegscopeWarning):
    """A warning that a registry sent for its users (distribution-spec, Warnings)."""
