"""The public functions of the older client's `registry.utils`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from libtrust.keys import ec_key

from regscope.registry.default_client import default_client
from regscope.registry.origin import cut
from regscope.registry.request_options import Timeout
from regscope.registry.signing_key import get_private_key
from regscope.spec.reference import Reference, split_image

TypeTimeout = Timeout
client_default_timeout: Final[Literal["default"]] = "default"
"""The client's own timeout."""

__all__ = [
    "LazyProxy",
    "NamedImage",
    "TypeTimeout",
    "client_default_timeout",
    "ec_key",
    "get_private_key",
    "parse_image",
    "validate_media_type",
]


class NamedImage(NamedTuple):
    """The registry's host, the repository and the tag of an image; `tag` is None where none was given."""

    domain: str
    name: str
    tag: str | None = None


def parse_image(image: str, default_registry: str | None = None) -> NamedImage:
    """The parts of `[registry/]repository[:tag]`.

    Args:
        default_registry: the host for names without one; by default that of the default client. At this host a name
            without a slash gets `library/`.

    Raises:
        InvalidReference: `image` is not a valid image reference.
    """
    Reference.parse(image)
    name, tag, _ = split_image(image)
    home = default_registry or cut(default_client.api_base_url)[0].partition("://")[2]
    first, slash, rest = name.partition("/")
    names_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    host, repository = (first, rest) if names_host else (home, name)
    if host == home and "/" not in repository:
        repository = f"library/{repository}"
    return NamedImage(host, repository, tag)


def validate_media_type(cls: Any, media_type: str) -> str:
    """`media_type`, if the class `cls` has it in `content_type` or `content_types`, or has neither of them.

    Raises:
        ValueError: `media_type` is not one of these.
    """
    known = [cls.content_type()] if hasattr(cls, "content_type") else []
    known += cls.content_types() if hasattr(cls, "content_types") else []
    if known and media_type not in known:
        raise ValueError(f"unknown media type {media_type!r}: expected {' or '.join(known)}")
    return media_type


class LazyProxy:
    """A proxy for the object that `factory` returns; it is called on first use."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.__dict__["_factory"] = factory

    def _made(self) -> Any:
        if "_wrapped" not in self.__dict__:
            self.__dict__["_wrapped"] = self.__dict__["_factory"]()
        return self.__dict__["_wrapped"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._made(), name, value)

    def __dir__(self) -> list[str]:
        return dir(self._made())

    def __repr__(self) -> str:
        return repr(self._made())
