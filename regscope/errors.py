"""Every error that regscope raises, in one tree, and its warnings.

    RegscopeError
    ├── InvalidInput (also a ValueError)
    │   ├── InvalidDigest
    │   ├── InvalidReference
    │   ├── InvalidPlatform
    │   └── InvalidLocation
    ├── ContentError                     what was read is not what it should be
    │   ├── DigestMismatch
    │   ├── TooLarge
    │   ├── InvalidManifest
    │   ├── InvalidConfig
    │   └── UnSupportMediaType
    ├── StoreError                       a layout, an archive or a saved snapshot
    │   ├── NotAStore
    │   └── ContentMissing
    └── RequestError                     a registry or its token service
        ├── ConnectionFailed
        │   ├── UnknownHost
        │   ├── TLSFailed
        │   └── TimedOut
        │       └── EndpointTimedOut (also a TimeoutError)
        ├── UnsafeRedirect
        └── RequestErrorWithResponse
            ├── AuthFailed               the credentials were refused
            ├── PermissionDeny           they were accepted, and are not enough
            ├── ResourceNotFound
            ├── Unsupported              this registry does not offer it
            └── TooManyRequests

Each carries `next_step`, a sentence that says what to do; `str(error)` ends with it. Errors pickle, so that
they survive the way back from a worker process or a cluster.
"""

from __future__ import annotations

from typing import Any

from regscope.masking import without_secrets


class RegscopeError(Exception):
    """Base of all errors of regscope.

    Attributes:
        message: what went wrong.
        next_step: what the user can do about it; may be empty.

    Neither shows a secret that was in what they are made of.
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
    """Something the user wrote cannot be understood."""


class InvalidDigest(InvalidInput):
    """Not `algorithm:encoded` as the OCI image spec (descriptor.md, Digests) defines it."""


class InvalidReference(InvalidInput):
    """Not an image reference. `position` is the index of the first bad character."""

    def __init__(self, message: str, *, text: str = "", position: int = 0, next_step: str = "") -> None:
        # One character for one, so that the pointer stays under the right one; names come from registries, too.
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
    """What was read is not what it should be."""


class DigestMismatch(ContentError):
    """The bytes do not hash to the digest that names them."""


class TooLarge(ContentError):
    """A size, claimed or read, is above what regscope accepts for this kind of content."""


class InvalidManifest(ContentError):
    """A manifest that breaks its specification."""


class InvalidConfig(ContentError):
    """An image config that breaks its specification."""


class UnSupportMediaType(ContentError):
    """A media type that regscope does not read."""


class StoreError(RegscopeError):
    """Something is wrong with a layout, an archive or a saved snapshot."""


class NotAStore(StoreError):
    """A path that is not the kind of store it was opened as."""


class ContentMissing(StoreError):
    """A store does not hold the content that was asked for."""


class RequestError(RegscopeError):
    """A request to a registry, or to its token service, failed.

    Attributes:
        status_code: the HTTP status, or None where there was no answer.
        code: the registry's own error code (distribution-spec, Error Codes), such as `MANIFEST_UNKNOWN`.
        url: what was asked for, without credentials and without its query.
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
    """No connection, or one that broke."""


class UnknownHost(ConnectionFailed):
    """The host's name cannot be resolved."""


class TLSFailed(ConnectionFailed):
    """The certificate cannot be trusted, or the other side speaks no TLS."""


class TimedOut(ConnectionFailed):
    """No answer in time."""


class EndpointTimedOut(TimedOut, TimeoutError):
    """A host did not say in time whether it speaks TLS."""


class UnsafeRedirect(RequestError):
    """The registry pointed somewhere that it must not be followed to."""


class RequestErrorWithResponse(RequestError):
    """The registry answered with an error; `response` is its answer where it is at hand."""

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
        # A response holds its connection, which cannot travel to another process.
        return _rebuild, (type(self), self.args, {**self.__dict__, "response": None})


class AuthFailed(RequestErrorWithResponse):
    """The credentials were refused, or the registry wants some and none were given."""


class PermissionDeny(RequestErrorWithResponse):
    """The registry knows who asks, and does not allow it."""


class ResourceNotFound(RequestErrorWithResponse):
    """The registry does not have it, or does not show it to these credentials."""


class Unsupported(RequestErrorWithResponse):
    """This registry does not offer the operation."""


class TooManyRequests(RequestErrorWithResponse):
    """Still over the registry's rate limit after waiting as it asked."""


class RegscopeWarning(UserWarning):
    """Base of all warnings of regscope. As errors, they show no secrets."""

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


class CapabilityWarning(RegscopeWarning):
    """A registry lacks something; `capability` names it, as the field of `Capabilities`.

    `warnings.simplefilter("error", regscope.CapabilityWarning)` makes it an error.
    """

    def __init__(self, message: str, capability: str = "") -> None:
        super().__init__(message)
        self.capability = capability


class MirrorWarning(RegscopeWarning):
    """A mirror failed, and is left alone for a while; others, and the registry itself, are asked instead."""


class DigestWarning(RegscopeWarning):
    """`Docker-Content-Digest` is no digest, or the digest of another manifest; a client warns once."""


class RegistryWarning(RegscopeWarning):
    """A registry asked to tell its users something (distribution-spec, Warnings)."""
