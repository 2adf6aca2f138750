"""Gitea's container registry: tags and digests are versions of a package, and each holds its own references."""

from __future__ import annotations

import getpass
import os

import requests

from tests.field.servers.server import FieldServer, built, finished, free_port


class Gitea(FieldServer):
    """Gitea over SQLite. A blob that no version names goes when the packages are cleaned up."""

    name = "Gitea 1.26.0"
    prefix = "team/"
    username = "team"
    password = "secretsecret"

    def start(self) -> None:
        """Make the database and its one user, then serve."""
        self.port = free_port()
        settings = self.folder / "app.ini"
        (self.folder / "data").mkdir()
        settings.write_text(self._settings())
        program, log = built("gitea", "gitea"), self.folder / "gitea.log"
        environment = {**os.environ, "HOME": str(self.folder), "GITEA_WORK_DIR": str(self.folder)}
        finished([program, "migrate", "--config", settings], log, environment)
        user = ["--username", "team", "--password", "secretsecret", "--email", "team@example.com"]
        finished(
            [program, "admin", "user", "create", *user, "--admin", "--must-change-password=false", "-c", settings],
            log,
            environment,
        )
        process = self.run([program, "web", "--config", settings], log.name, env=environment)
        self.wait(process, f"{self.url}/v2/", log.name)

    def collect(self) -> None:
        """Have it clean up its packages, as it does each night."""
        with requests.Session() as web:
            web.trust_env = False
            done = web.post(f"{self.url}/api/v1/admin/cron/cleanup_packages", auth=("team", "secretsecret"), timeout=60)
        assert done.status_code == 204, done.text

    def _settings(self) -> str:
        return f"""
RUN_USER = {getpass.getuser()}
RUN_MODE = prod
WORK_PATH = {self.folder}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {self.port}
ROOT_URL = {self.url}/
STATIC_ROOT_PATH = {built("gitea")}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = {self.folder / "data" / "gitea.db"}
[security]
INSTALL_LOCK = true
SECRET_KEY = of-the-tests
[cron.cleanup_packages]
OLDER_THAN = 1s
"""
