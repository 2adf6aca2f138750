"""Credentials for a registry: given by hand, or as `docker login` left them."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regscope.errors import RegscopeError

# Docker Hub's credentials are filed under the address of a service that is long gone.
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password; neither shows in a repr."""

    username: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def docker_config_path() -> Path:
    """Docker's `config.json`: under `$DOCKER_CONFIG`, else in `~/.docker`."""
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def find_credentials(host: str, path: Path | None = None) -> Credentials | None:
    """What docker's `config.json` keeps for `host` in `auths`; None where there is nothing.

    Raises:
        RegscopeError: the file is there and cannot be read.
    """
    path = path or docker_config_path()
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, str(error)) from None
    entries = (document.get("auths") or {}) if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise _unreadable(path, "it has no JSON object of `auths`")
    for key in _keys(host):
        if isinstance(entry := entries.get(key), dict) and (found := _credentials(entry)):
            return found
    return None


def _unreadable(path: Path, why: str) -> RegscopeError:
    return RegscopeError(
        f"docker's configuration {path} cannot be read: {why}",
        next_step="Correct the file, or give username and password by hand.",
    )


def _keys(host: str) -> tuple[str, ...]:
    if host in _HUB_KEYS:
        return _HUB_KEYS
    forms = (host, f"https://{host}", f"http://{host}")
    return tuple(form + end for form in forms for end in ("", "/", "/v1/", "/v2/"))


def _credentials(entry: dict[str, Any]) -> Credentials | None:
    if entry.get("username"):
        return Credentials(str(entry["username"]), str(entry.get("password") or ""))
    try:
        text = base64.b64decode(entry.get("auth") or "", validate=True).decode()
    except (ValueError, TypeError):  # no base64, or no text in it
        return None
    username, colon, password = text.partition(":")
    return Credentials(username, password) if colon else None
