"""A real registry process on a loopback port, with its own storage."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from .certificates import Certificate
from .tokens import TokenService

_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
_ACCESS = re.compile(r'"(\S+) (\S+) HTTP/[\d.]+" (\d{3}) ')


class Registry:
    """`docker-registry serve` over one folder, with its API below `path`; use it as a context manager."""

    def __init__(
        self,
        folder: Path,
        *,
        delete: bool = True,
        tls: Certificate | None = None,
        client_ca: Path | None = None,
        htpasswd: Mapping[str, str] | None = None,
        token: TokenService | None = None,
        schema1: bool = True,
        path: str = "",
        env: Mapping[str, str] | None = None,
        program: str | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.storage = folder / "storage"
        self.log = folder / "registry.log"
        self.access_log = folder / "access.log"
        self.config = folder / "config.yml"
        self.port = 0
        self._delete, self._tls, self._htpasswd, self._token = delete, tls, htpasswd, token
        self._client_ca = client_ca
        self._schema1 = schema1
        self._path = path.strip("/")
        # Settings inherited from the caller's environment would silently override the configuration.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
        self._env = {**inherited, "GOGC": "800", "OTEL_TRACES_EXPORTER": "none", **(env or {})}
        self._program = program or _binary()
        self._process: subprocess.Popen[bytes] | None = None
        self._seen = 0

    @property
    def host(self) -> str:
        """Host and port, as they stand in the URL and in image names."""
        return f"{'localhost' if self._tls else '127.0.0.1'}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://{self.host}/{self._path}".rstrip("/")

    @property
    def blobs(self) -> Path:
        """The folder of the blob store."""
        return self.storage / "docker" / "registry" / "v2" / "blobs"

    def start(self, timeout: float = 20.0) -> None:
        """Start the process and wait until it answers."""
        self.storage.mkdir(exist_ok=True)
        self.config.write_text(json.dumps(self._configuration(), indent=1))  # JSON is YAML.
        offset = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log, self.access_log.open("ab") as access:
            self._process = subprocess.Popen(
                [self._program, "serve", str(self.config)],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=access,
                stderr=log,
            )
        try:
            self._wait(offset, time.monotonic() + timeout)
        except BaseException:
            self.stop()
            raise
        if not offset:
            self._seen = len(self.requests())

    def stop(self) -> None:
        """End the process."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop and start again on the same port and storage."""
        self.stop()
        self.start()

    def garbage_collect(self, dry_run: bool = False, delete_untagged: bool = False) -> str:
        """Run the registry's own garbage collection and return what it printed."""
        chosen = [("--dry-run", dry_run), ("--delete-untagged", delete_untagged)]
        options = [option for option, is_chosen in chosen if is_chosen]
        command = [self._program, "garbage-collect", *options, str(self.config)]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=120)
        output = done.stdout + done.stderr
        if done.returncode:
            raise RuntimeError(f"garbage-collect ended with {done.returncode}:\n{output}")
        return output

    def blob_digests(self) -> dict[str, int]:
        """Digest and size of each blob on the disk."""
        files = self.blobs.glob("*/*/*/data")
        return {f"{file.parts[-4]}:{file.parts[-2]}": file.stat().st_size for file in files}

    def blob_bytes(self) -> int:
        """The size of all blobs on the disk."""
        return sum(self.blob_digests().values())

    def requests(self) -> list[str]:
        """The requests served since the first start, as "METHOD path status"."""
        # The registry logs a request after having answered it: wait until the log has come to rest.
        size, deadline = -1, time.monotonic() + 2
        while size != (size := self.access_log.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.03)
        return [" ".join(found) for found in _ACCESS.findall(self.access_log.read_text())][self._seen :]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _configuration(self) -> dict[str, Any]:
        http_: dict[str, Any] = {"addr": f"127.0.0.1:{self.port}", "secret": "kept over restarts"}
        if self._tls:
            http_["tls"] = {"certificate": str(self._tls.cert), "key": str(self._tls.key)}
            if self._client_ca:
                http_["tls"]["clientcas"] = [str(self._client_ca)]
        if self._path:
            http_["prefix"] = f"/{self._path}/"
        auth: dict[str, Any] = {}
        if self._htpasswd is not None:
            users = self.folder / "htpasswd"
            users.write_text("".join(_htpasswd(user, word) for user, word in self._htpasswd.items()))
            auth["htpasswd"] = {"realm": "test", "path": str(users)}
        if self._token is not None:
            auth["token"] = self._token.registry_settings()
        return {
            "version": "0.1",
            "log": {"level": "info", "formatter": "json"},
            # No cache: it would go on answering for blobs that a garbage collection has removed.
            "storage": {
                "filesystem": {"rootdirectory": str(self.storage)},
                "delete": {"enabled": self._delete},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": http_,
            "compatibility": {"schema1": {"enabled": self._schema1}},
            **({"auth": auth} if auth else {}),
        }

    def _wait(self, offset: int, deadline: float) -> None:
        assert self._process is not None
        while time.monotonic() < deadline and self._process.poll() is None:
            # The registry chooses its port itself the first time, so that no other process can take it.
            if found := _LISTENING.search(self.log.read_bytes()[offset:].decode(errors="replace")):
                self.port = int(found[1])
                if self._answers():
                    return
            time.sleep(0.02)
        code = self._process.poll()
        state = "did not answer in time" if code is None else f"ended with {code}"
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        raise RuntimeError(f"docker-registry {state}; the end of its log:\n{tail}")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        if self._tls:
            # Whether its certificate deserves trust is for the tests to find out.
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=context)
        try:
            connection.request("GET", f"/{self._path}/v2/".replace("//", "/"))
            return connection.getresponse().status in (200, 401)
        except ssl.SSLError:
            return self._client_ca is not None  # it does answer, if only those who show a certificate
        except OSError:
            return False
        finally:
            connection.close()


def distribution_3() -> str:
    """The program of distribution 3, built where there is Go; without it the test is skipped."""
    path = shutil.which("distribution-3") or shutil.which("distribution-3", path=Path(sys.executable).parent)
    return path or pytest.skip("needs distribution-3, which is built where there is Go")


def _binary() -> str:
    for name in ("docker-registry", "registry"):
        if path := shutil.which(name):
            return path
    raise RuntimeError("no registry program: neither docker-registry nor registry is on the PATH")


def _htpasswd(user: str, password: str) -> str:
    if not (program := shutil.which("htpasswd")):
        raise RuntimeError("no htpasswd program on the PATH (Debian package apache2-utils)")
    command = [program, "-i", "-n", "-B", "-C", "4", user]
    done = subprocess.run(command, input=password, capture_output=True, text=True, check=True)
    return done.stdout.strip() + "\n"
