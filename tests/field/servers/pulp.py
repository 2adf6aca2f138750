"""Pulp's container registry: the API, the content service, a worker for what is done later, and their PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.field.servers.server import FieldServer, NotStarted, built, finished, free_port

_USER = "postgres"  # the server refuses to run as root


class Pulp(FieldServer):
    """Pulp. What it deletes goes by a task that is begun by the request and may end after it."""

    name = "Pulp 3.123"
    prefix = "team/"
    username = "admin"
    password = "secret"

    def start(self) -> None:
        """Make the database, then start the three services."""
        program = built("pulp", "bin", "pulpcore-manager").parent
        database = self._database()
        self.port, self._content = free_port(), free_port()
        settings = self._settings(database)
        environment = {**os.environ, "PULP_SETTINGS": str(settings), "DJANGO_SETTINGS_MODULE": "pulpcore.app.settings"}
        environment["PATH"] = f"{program}:{environment['PATH']}"
        log = self.folder / "pulp.log"
        finished([program / "pulpcore-manager", "migrate", "--noinput"], log, environment)
        finished([program / "pulpcore-manager", "reset-admin-password", "--password", "secret"], log, environment)
        api = self.run([program / "pulpcore-api", "--bind", self.host], "api.log", env=environment)
        content = self.run(
            [program / "pulpcore-content", "--bind", f"127.0.0.1:{self._content}"], "content.log", env=environment
        )
        self.run([program / "pulpcore-worker"], "worker.log", env=environment)
        self.wait(api, f"{self.url}/v2/", "api.log")
        self.wait(content, f"http://127.0.0.1:{self._content}/pulp/content/", "content.log")

    def collect(self) -> None:
        """Have it clean up what no version of a repository holds, and wait until it has."""
        done = self._ask("POST", "orphans/cleanup/", json={"orphan_protection_time": 0})
        assert done.status_code == 202, done.text
        self.settle()
        assert self._ask("GET", done.json()["task"]).json()["state"] == "completed"

    def settle(self) -> None:
        """Wait until no task is left."""
        deadline = time.monotonic() + 60
        while self._ask("GET", "tasks/?state__in=waiting,running").json()["count"]:
            assert time.monotonic() < deadline, "its tasks take more than a minute"
            time.sleep(0.2)

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        with requests.Session() as web:
            web.trust_env = False
            url = urljoin(f"{self.url}/pulp/api/v3/", path)
            return web.request(method, url, auth=("admin", "secret"), timeout=60, **options)

    def _database(self) -> Path:
        """A PostgreSQL that listens at a socket alone; the folder of the socket."""
        programs = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)), None)
        if programs is None:
            raise NotStarted("there is no PostgreSQL: `.ci/field` installs it")
        folder = Path(tempfile.mkdtemp(prefix="field-"))  # a socket's path has no more than 107 bytes
        self._running.callback(shutil.rmtree, folder, ignore_errors=True)
        who: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(folder, _USER, _USER)
            who = {"user": _USER, "group": _USER, "extra_groups": [], "cwd": folder}
        data, log = folder / "data", self.folder / "postgresql.log"
        finished([programs.parent / "initdb", "-A", "trust", "-U", "pulp", "-D", data], log, **who)
        options = ["-c", "listen_addresses=", "-c", "fsync=off"]
        process = self.run([programs, "-D", data, "-k", folder, *options], log.name, **who)
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(NotStarted):
                finished([programs.parent / "createdb", "-h", folder, "-U", "pulp", "pulp"], log)
                return folder
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"PostgreSQL did not start\n{log.read_text(errors='replace')[-1000:]}")
            time.sleep(0.2)

    def _settings(self, database: Path) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        secrets = self.folder / "secrets"
        secrets.mkdir()
        (secrets / "private.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
        )
        (secrets / "public.pem").write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        (secrets / "fields.key").write_text("b2YtdGhlLXRlc3RzLW9mLXRoZS10ZXN0cy1vZi10aGU=\n")  # 32 bytes in base64
        media = self.folder / "media"
        (media / "tmp").mkdir(parents=True)
        settings = {
            "DATABASES": {
                "default": {
                    "ENGINE": "django.db.backends.postgresql",
                    "NAME": "pulp",
                    "USER": "pulp",
                    "HOST": str(database),
                }
            },
            "SECRET_KEY": "of the tests" * 5,
            "DB_ENCRYPTION_KEY": str(secrets / "fields.key"),
            "DEPLOY_ROOT": str(media),
            "MEDIA_ROOT": str(media / "media"),
            "STATIC_ROOT": str(media / "assets"),
            "WORKING_DIRECTORY": str(media / "tmp"),
            "FILE_UPLOAD_TEMP_DIR": str(media / "tmp"),
            "CONTENT_ORIGIN": f"http://127.0.0.1:{self._content}",
            "TOKEN_SERVER": f"{self.url}/token/",
            "TOKEN_SIGNATURE_ALGORITHM": "ES256",
            "PUBLIC_KEY_PATH": str(secrets / "public.pem"),
            "PRIVATE_KEY_PATH": str(secrets / "private.pem"),
            "CACHE_ENABLED": False,
            "ANALYTICS": False,
        }
        file = self.folder / "settings.py"
        file.write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
        return file
