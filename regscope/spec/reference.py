"""Image references: `host[:port]/repository[:tag][@digest]` (distribution-spec, Pulling manifests)."""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass
from typing import NoReturn

from regscope.errors import InvalidDigest, InvalidReference
from regscope.spec.digest import Digest, first_bad

DOCKER_HUB = "docker.io"

_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = re.compile(rf"(?:\[[0-9a-fA-F:.]+\]|{_LABEL}(?:\.{_LABEL})*)(?::[0-9]{{1,5}})?")
_OPEN_BRACKET = re.compile(r"\[[0-9a-fA-F:.]*")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HUB_ALIASES = {"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}
_LONGEST_NAME = 255
_TOO_LONG = f"is beyond the {_LONGEST_NAME} characters of a repository name"


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed image reference.

    Attributes:
        host: the registry's host, with its port where one was given; all names of Docker Hub become `docker.io`.
        repository: the repository's full name; a name without a slash on Docker Hub gets `library/`.
        tag: the tag; `latest` where neither tag nor digest was given; None where only a digest was given.
        digest: the digest, or None.
    """

    host: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse `text` by the rules of docker, skopeo and podman.

        Raises:
            InvalidReference: `text` is invalid; the message points to the first invalid character.
        """
        host, rest, offset = _split_host(text)
        repository, tag, digest = _split_name(text, rest, offset)
        if host == DOCKER_HUB and "/" not in repository:
            repository = f"library/{repository}"
            if len(repository) > _LONGEST_NAME:
                _fail(text, offset + _LONGEST_NAME - len("library/"), _TOO_LONG)
        if tag is None and digest is None:
            tag = "latest"
        return cls(host, repository, tag, digest)

    @property
    def target(self) -> str:
        """The tag or digest to request from the registry: the digest if there is one, otherwise the tag."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


def split_image(text: str) -> tuple[str, str | None, str | None]:
    """The three parts of `name[:tag][@digest]`, not validated: a layout may contain any names."""
    name, _, digest = text.partition("@")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, ""
    return repository, tag or None, digest or None


def check_repository(name: str) -> str:
    """`name`, if it is a valid repository name (distribution-spec, Pulling manifests).

    Raises:
        InvalidReference: `name` is invalid; the message points to the first invalid character.
    """
    _check_repository(name, name, 0)
    return name


def check_tag(tag: str) -> str:
    """`tag`, if it is a valid tag.

    Raises:
        InvalidReference: `tag` is invalid; the message points to the first invalid character.
    """
    _check_tag(tag, tag, 0)
    return tag


def _split_host(text: str) -> tuple[str, str, int]:
    first, slash, rest = text.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        return DOCKER_HUB, text, 0
    if not _HOST.fullmatch(first):
        good = _HOST.match(first) or _OPEN_BRACKET.match(first)
        _fail(text, good.end() if good else 0, "is not part of a registry's host name")
    if first.startswith("[") and not _is_ipv6(first[1 : first.index("]")]):
        _fail(text, 1, "is not the beginning of an IPv6 address")
    _, _, port = first.rpartition(":") if not first.endswith("]") else ("", "", "")
    if port.isdigit() and int(port) > 65535:
        _fail(text, len(first) - len(port), "is the beginning of a port above 65535")
    return (DOCKER_HUB if first in _HUB_ALIASES else first), rest, len(first) + 1


def _is_ipv6(address: str) -> bool:
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


def _split_name(text: str, rest: str, offset: int) -> tuple[str, str | None, Digest | None]:
    name, at, digest_text = rest.partition("@")
    repository, colon, tag = name.partition(":")
    _check_repository(text, repository, offset)
    if colon and not _TAG.fullmatch(tag):
        good = _TAG.match(tag)
        at_fault = offset + len(repository) + 1 + (good.end() if good else 0)
        _fail(
            text,
            at_fault,
            "is not allowed in a tag" if len(tag) <= 128 else "is the 129th character of a tag",
        )
    digest = None
    if at:
        try:
            digest = Digest(digest_text)
        except InvalidDigest as error:
            position = offset + len(name) + 1 + first_bad(digest_text)
            raise InvalidReference(error.message, text=text, position=position, next_step=error.next_step) from None
    return repository, tag if colon else None, digest


@functools.lru_cache(maxsize=1024)  # called for every request
def _check_repository(text: str, repository: str, offset: int) -> None:
    position = offset
    for component in repository.split("/"):
        match = _COMPONENT.match(component)
        if match is None or match.end() != len(component):
            fault = position + (match.end() if match else 0)
            _fail(text, fault, "is not allowed here in a repository name (lower-case letters, digits, . _ - /)")
        position += len(component) + 1
    if len(repository) > _LONGEST_NAME:
        _fail(text, offset + _LONGEST_NAME, _TOO_LONG)


def _check_tag(text: str, tag: str, offset: int) -> None:
    if not _TAG.fullmatch(tag):
        good = _TAG.match(tag)
        why = "is not allowed in a tag" if len(tag) <= 128 else "is the 129th character of a tag"
        _fail(text, offset + (good.end() if good else 0), why)


def _fail(text: str, position: int, why: str) -> NoReturn:
    bad = repr(text[position]) if position < len(text) else "the end"
    raise InvalidReference(
        f"not an image reference: {bad} {why}",
        text=text,
        position=position,
        next_step="A reference looks like registry.example.com/team/app:1.0 or team/app@sha256:….",
    )
