"""Logging in and out: storing a registry's login in docker's `config.json`, or in the helper that it names."""

from __future__ import annotations

import base64
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

from regscope.errors import RegscopeWarning
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credential_helper import CredentialHelper
from regscope.registry.docker_config import docker_config_path, helper_for, keys_of, read_config, server_of
from regscope.spec.json_forms import docker_config_form


def log_in(client: DockerRegistryV2Client, host: str, username: str, password: str) -> str:
    """Make sure that the registry accepts the login, and store it; returns where it is stored.

    Args:
        client: of the registry, with this login.
        host: `host` or `host:port`.

    Raises:
        AuthFailed: the registry refuses the login; nothing is stored.
        RegscopeError: the login cannot be stored.
    """
    if not client.check_login():
        warnings.warn(
            RegscopeWarning(
                f"{host} answers without a login, too: whether this user name and password are right was not found out"
            ),
            stacklevel=2,
        )
    path = docker_config_path()
    config = read_config(path)
    if name := helper_for(config, host, path):
        CredentialHelper(name, server_of(host)).store(username, password)
        return f"docker-credential-{name}"
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    kept = {key: entry for key, entry in (config.get("auths") or {}).items() if key not in keys_of(host)}
    _write(path, {**config, "auths": {**kept, server_of(host): {"auth": auth}}})
    return str(path)


def log_out(host: str) -> bool:
    """Erase the stored login for a registry; returns whether there was one.

    Raises:
        RegscopeError: the login cannot be erased.
    """
    path = docker_config_path()
    config = read_config(path)
    if name := helper_for(config, host, path):
        helper = CredentialHelper(name, server_of(host))
        was_there = helper.login() is not None
        if was_there:
            helper.erase()
        return was_there
    auths = config.get("auths") or {}
    kept = {key: entry for key, entry in auths.items() if key not in keys_of(host)}
    if len(kept) < len(auths):
        _write(path, {**config, "auths": kept})
    return len(kept) < len(auths)


def _write(path: Path, config: dict[str, Any]) -> None:
    """Write the file as a whole or not at all, readable by its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(docker_config_form(config))
        Path(name).replace(path.resolve() if path.is_symlink() else path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
