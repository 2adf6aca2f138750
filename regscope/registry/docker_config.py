"""The logins that `docker login` and `podman login` stored, as a keychain for one registry.

Docker's `config.json` comes first, then podman's `auth.json` (containers-auth.json(5)), which may hold logins for
single repositories too.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from regscope.errors import RegscopeError
from regscope.registry.credential_helper import CredentialHelper
from regscope.registry.credentials import (
    IdentityToken,
    Keychain,
    Login,
    LoginSource,
    RegistryToken,
    SavedLogins,
    is_bearer_token,
    login_from,
)

# Docker stores Docker Hub's credentials under the address of an earlier service.
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")


def docker_config_path() -> Path:
    """Docker's `config.json`: under `$DOCKER_CONFIG`, else in `~/.docker`."""
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def podman_auth_paths() -> list[Path]:
    """Podman's `auth.json` files, in order: `$REGISTRY_AUTH_FILE` alone, else where `podman login` writes."""
    if named := os.environ.get("REGISTRY_AUTH_FILE"):
        return [Path(named)]
    folders = [os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"]
    return [Path(folder) / "containers" / "auth.json" for folder in folders if folder]


def find_logins(host: str, path: str = "") -> Keychain:
    """All logins of docker and podman for `host` (`host` or `host:port`); credential helpers do not run yet.

    Args:
        path: of the registry on its host; podman may have a login for this path alone.

    Raises:
        RegscopeError: one of the files exists and cannot be read.
    """
    sources = [_in_docker_config(docker_config_path(), host)]
    sources += [_in_podman_auth(file, host, path) for file in podman_auth_paths()]
    return Keychain(source for source in sources if source is not None)


def _in_docker_config(path: Path, host: str) -> LoginSource | None:
    """In docker's order: the host's own helper alone, else the default helper alone, else the file."""
    document = read_config(path)
    if name := helper_for(document, host, path):
        return CredentialHelper(name, server_of(host))
    login = _host_login(_object(document, "auths", path), host)
    return SavedLogins({"": login}) if login else None


def helper_for(document: dict[str, Any], host: str, path: Path) -> str | None:
    """The helper that docker's configuration names for `host`: the host's own, else the default one."""
    helpers = _object(document, "credHelpers", path)
    name = next((helpers[key] for key in keys_of(host) if key in helpers), document.get("credsStore"))
    return str(name) if name else None


def _in_podman_auth(path: Path, host: str, base: str) -> LoginSource | None:
    """In podman's order: the host's own helper alone, else the file, whose keys may include a repository path."""
    document = read_config(path)
    helpers = _object(document, "credHelpers", path)
    for key in keys_of(host):
        if helpers.get(key):
            return CredentialHelper(str(helpers[key]), host)
    entries = _object(document, "auths", path)
    by_path = _path_logins(entries, host)
    if login := _host_login(entries, host):
        by_path[""] = login
    by_path = _below(by_path, base)
    return SavedLogins(by_path) if by_path else None


def _below(by_path: dict[str, Login], base: str) -> dict[str, Login]:
    """The logins for a registry below the path `base`, by the rest of their path."""
    if not base:
        return by_path
    found = {path.removeprefix(f"{base}/"): login for path, login in by_path.items() if path.startswith(f"{base}/")}
    if login := SavedLogins(by_path).login(base):
        found[""] = login
    return found


def read_config(path: Path) -> dict[str, Any]:
    """The content of such a file; empty where there is none.

    Raises:
        RegscopeError: the file exists and cannot be read.
    """
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, str(error)) from None
    if not isinstance(document, dict):
        raise _unreadable(path, "it is no JSON object")
    return document


def _object(document: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    found = document.get(name) or {}
    if not isinstance(found, dict):
        raise _unreadable(path, f"its `{name}` is no JSON object")
    return found


def _unreadable(path: Path, why: str) -> RegscopeError:
    return RegscopeError(
        f"the saved logins in {path} cannot be read: {why}",
        next_step="Correct the file, or give username and password by hand.",
    )


def server_of(host: str) -> str:
    """The address under which docker stores a host's login."""
    return _HUB_KEYS[0] if host in _HUB_KEYS else host


def keys_of(host: str) -> tuple[str, ...]:
    """All addresses under which a host's login may be stored."""
    if host in _HUB_KEYS:
        return _HUB_KEYS
    forms = (host, f"https://{host}", f"http://{host}")
    return tuple(form + end for form in forms for end in ("", "/", "/v1/", "/v2/"))


def _host_login(entries: dict[str, Any], host: str) -> Login | None:
    return next((login for key in keys_of(host) if (login := _login(entries.get(key)))), None)


def _path_logins(entries: dict[str, Any], host: str) -> dict[str, Login]:
    found: dict[str, Login] = {}
    for name in _HUB_KEYS[1:] if host in _HUB_KEYS else (host,):
        for key, entry in entries.items():
            path = key.removeprefix(f"{name}/").strip("/") if key.startswith(f"{name}/") else ""
            if path and (login := _login(entry)):
                found.setdefault(path, login)
    return found


def _login(entry: object) -> Login | None:
    if not isinstance(entry, dict):
        return None
    if is_bearer_token(token := entry.get("registrytoken")):
        return RegistryToken(token)
    if token := entry.get("identitytoken"):
        return IdentityToken(str(token))
    if entry.get("username"):
        return login_from(str(entry["username"]), str(entry.get("password") or ""))
    try:
        text = base64.b64decode((entry.get("auth") or "").strip(), validate=True).decode()
    except (ValueError, TypeError, AttributeError):  # no base64, or no text in it
        return None
    username, colon, password = text.partition(":")
    return login_from(username, password.strip("\0")) if colon else None
