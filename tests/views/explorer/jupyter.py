"""Jupyter's servers for tests: JupyterLab, Notebook 7 and Voila."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

import regscope

_QUIET = [
    "--IdentityProvider.token=",
    "--expose-app-in-browser",
    "--JupyterNotebookApp.expose_app_in_browser=True",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
]
_TEMPLATE = Path(regscope.__file__).parent / "views" / "explorer" / "voila_template"


@contextmanager
def jupyter(root: Path, home: Path) -> Iterator[str]:
    """JupyterLab, Notebook 7 and Voila on the notebooks in `root`, without the settings of the user: their address."""
    _bring_template(home)
    port = _free_port()
    where = ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"]
    arguments = ["jupyterlab", "--no-browser", "--allow-root", *where, *_QUIET]
    asked = home / "jupyterlab_settings_dir" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    asked.parent.mkdir(parents=True)
    asked.write_text('{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8")
    url = f"http://127.0.0.1:{port}"
    with _served(arguments, home, f"{url}/lab", {}):
        yield url


@contextmanager
def voila(notebook: Path, home: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """Voila on one notebook, by its own command and with more environment variables: its address."""
    _bring_template(home)
    port = _free_port()
    arguments = ["voila", "--no-browser", "--Voila.ip=127.0.0.1", f"--port={port}", str(notebook)]
    with _served(arguments, home, f"http://127.0.0.1:{port}/static/", settings):
        yield f"http://127.0.0.1:{port}/"


def _bring_template(home: Path) -> None:
    """Put Voila's template where installing puts it, below the prefix; a checkout need not be installed."""
    shutil.copytree(_TEMPLATE, home / "jupyter_data_dir" / "voila" / "templates" / "regscope")


@contextmanager
def _served(arguments: Sequence[str], home: Path, answers: str, settings: Mapping[str, str]) -> Iterator[None]:
    """A server of Jupyter, from when the address `answers` does."""
    folders = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"]
    folders += ["JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR"]
    own = {name: str(home / name.lower()) for name in folders}
    log = home / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**os.environ, **own, **settings},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(answers, server, log)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(8)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if server.poll() is not None:
            break
        try:
            requests.get(url, timeout=5, allow_redirects=False)
            return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} is not there:\n{log.read_text(errors='replace')[-3000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
