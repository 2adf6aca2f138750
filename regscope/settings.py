"""Settings from the environment: every `REGSCOPE_…` variable is read in this module only."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from regscope.errors import InvalidInput
from regscope.text import plain

VARIABLES = {
    "REGSCOPE_CACHE_DIR": "folder of the cache, and beside it of open uploads; the user's cache folder by default",
    "REGSCOPE_USERNAME": "user name for every registry that is opened without another",
    "REGSCOPE_PASSWORD": "its password",
    "REGSCOPE_API_TOKEN": "token for the own API of a hosted registry's provider, beside the registry's login",
    "REGSCOPE_CA": "a certificate authority's PEM file to trust in place of the usual ones",
    "REGSCOPE_CLIENT_CERT": "PEM file with a client certificate, for registries that want one",
    "REGSCOPE_CLIENT_KEY": "PEM file with its key, where that is a file of its own",
    "REGSCOPE_INSECURE": "hosts, with commas between, that get credentials over plain HTTP or unverified TLS too",
    "REGSCOPE_MIRRORS": "mirrors to read from, in order, as REGISTRY=MIRROR with commas between",
    "REGSCOPE_CONCURRENCY": "requests at once to each host; no limit by default",
    "REGSCOPE_RATE": "requests a second to each host; no limit by default",
    "REGSCOPE_SLOWEST": "bytes a second below which an answer is given up after a minute; 1000 by default, 0 for none",
    "REGSCOPE_MOST_NAMES": "names that are read of one list of repositories or tags; 250000 by default",
    "REGSCOPE_ZSTD_WINDOW": "bytes of memory to unpack a zstd layer with, at most 2 GiB; 128 MiB by default",
}
"""The variables, and what each means. One that is set to nothing counts as not set."""

MOST_ZSTD_WINDOW = 2**31
"""Bytes; the decoder takes no more (zstd's `--long=31`)."""
_ZSTD_WINDOW = 2**27  # zstd's own default

_Number = TypeVar("_Number", int, float)

_HOST = re.compile(r"[\w.-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings for registries; None for what is not set."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    api_token: str | None = field(default=None, repr=False)
    ca: str | None = None
    client_certificate: str | tuple[str, str] | None = None
    insecure: frozenset[str] = frozenset()
    mirrors: tuple[tuple[str, str], ...] = ()
    concurrency: int | None = None
    rate: float | None = None
    slowest: float | None = None
    most_names: int | None = None


def read_settings() -> Settings:
    """The settings in the environment now.

    Raises:
        InvalidInput: a variable has an invalid value; the message names the variable.
    """
    username, password = _value("REGSCOPE_USERNAME"), _value("REGSCOPE_PASSWORD")
    if (username is None) != (password is None):
        missing = "REGSCOPE_USERNAME" if username is None else "REGSCOPE_PASSWORD"
        raise _bad(missing, "is not set", "Set both REGSCOPE_USERNAME and REGSCOPE_PASSWORD, or neither.")
    return Settings(
        username=username,
        password=password,
        api_token=_value("REGSCOPE_API_TOKEN"),
        ca=_file("REGSCOPE_CA"),
        client_certificate=_client_certificate(),
        insecure=frozenset(_hosts("REGSCOPE_INSECURE")),
        mirrors=_pairs("REGSCOPE_MIRRORS"),
        concurrency=_positive("REGSCOPE_CONCURRENCY", int),
        rate=_positive("REGSCOPE_RATE", float),
        slowest=_number("REGSCOPE_SLOWEST", float),
        most_names=_positive("REGSCOPE_MOST_NAMES", int),
    )


def cache_folder() -> Path | None:
    """The folder that the user set for the cache; None where it is not set."""
    named = _value("REGSCOPE_CACHE_DIR")
    return Path(named) if named else None


def zstd_window() -> int:
    """The largest zstd window (bytes) that is accepted: unpacking a layer takes as much memory as it fills of it.

    Raises:
        InvalidInput: the variable is no number of bytes, or more than the decoder supports.
    """
    window = _positive("REGSCOPE_ZSTD_WINDOW", int) or _ZSTD_WINDOW
    if window > MOST_ZSTD_WINDOW:
        raise _bad("REGSCOPE_ZSTD_WINDOW", f"is {window:,}", f"Set it to {MOST_ZSTD_WINDOW:,} bytes at most.")
    return window


def _value(name: str) -> str | None:
    assert name in VARIABLES
    return os.environ.get(name) or None


def _list(name: str) -> tuple[str, ...]:
    parts = (part.strip() for part in (_value(name) or "").split(","))
    return tuple(part for part in parts if part)


def _hosts(name: str) -> tuple[str, ...]:
    hosts = _list(name)
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise _bad(name, f"names {plain(host, 80)!r}, which is no host", "Write registry.example.com:5000, no URL.")
    return tuple(host.lower() for host in hosts)


def _pairs(name: str) -> tuple[tuple[str, str], ...]:
    pairs = [tuple(part.strip() for part in entry.partition("=")[::2]) for entry in _list(name)]
    for registry, mirror in pairs:
        if not _HOST.fullmatch(registry.partition("/")[0]) or not mirror:
            raise _bad(
                name, f"has {plain(f'{registry}={mirror}', 80)!r}", "Write registry.example.com=mirror.example.com."
            )
    return tuple((registry, mirror) for registry, mirror in pairs)


def _positive(name: str, read: Callable[[str], _Number]) -> _Number | None:
    number = _number(name, read)
    if number == 0:
        raise _no_number(name, read, "above 0")
    return number


def _number(name: str, read: Callable[[str], _Number]) -> _Number | None:
    text = _value(name)
    if text is None:
        return None
    try:
        number = read(text)
    except ValueError:
        number = read("-1")
    if not 0 <= number < math.inf:
        raise _no_number(name, read, "from 0")
    return number


def _no_number(name: str, read: Callable[[str], _Number], which: str) -> InvalidInput:
    kind = "a whole number" if read is int else "a number"
    return _bad(name, f"is {plain(_value(name) or '', 80)!r}", f"Set it to {kind} {which}, or to nothing.")


def _file(name: str) -> str | None:
    text = _value(name)
    if text is None:
        return None
    try:
        path = Path(text).expanduser()
        exists = path.exists()
    except (OSError, RuntimeError):  # too long for a path, or the home of an unknown user
        exists = False
    if not exists:
        raise _bad(name, f"names {plain(text, 200)!r}, which is not there", "Name a PEM file, or set it to nothing.")
    return str(path)


def _client_certificate() -> str | tuple[str, str] | None:
    certificate, key = _file("REGSCOPE_CLIENT_CERT"), _file("REGSCOPE_CLIENT_KEY")
    if key is None:
        return certificate
    if certificate is None:
        raise _bad("REGSCOPE_CLIENT_CERT", "is not set, and REGSCOPE_CLIENT_KEY is", "Name the key's certificate.")
    return certificate, key


def _bad(name: str, what: str, step: str) -> InvalidInput:
    return InvalidInput(f"the environment variable {name} {what}", next_step=step)
