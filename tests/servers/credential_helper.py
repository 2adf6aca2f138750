"""A credential helper of the tests' own: a program `docker-credential-NAME` that speaks docker's protocol."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

_PROGRAM = """#!{python} -IS
import json, pathlib, sys

folder = pathlib.Path(__file__).parent
server = sys.stdin.read().strip()
with open(folder / "{name}.asked", "a") as asked:
    print(*sys.argv[1:], server, file=asked)
logins = json.loads((folder / "{name}.json").read_text())
if sys.argv[1:] != ["get"] or server not in logins:
    print("credentials not found in native keychain")
    sys.exit(1)
username, secret = logins[server]
json.dump({{"ServerURL": server, "Username": username, "Secret": secret}}, sys.stdout)
"""


class OwnHelper:
    """The program in `folder`, which has to be on the PATH; `logins` are name and secret by server."""

    def __init__(self, folder: Path, name: str, logins: Mapping[str, tuple[str, str]]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(logins))
        write_program(folder, name, _PROGRAM.format(python=sys.executable, name=name))
        self._asked = folder / f"{name}.asked"

    @property
    def asked(self) -> list[str]:
        """The questions that came, as "get SERVER"."""
        return self._asked.read_text().splitlines() if self._asked.exists() else []


def write_program(folder: Path, name: str, source: str) -> Path:
    """Make `docker-credential-NAME` of a script."""
    program = folder / f"docker-credential-{name}"
    program.write_text(source)
    program.chmod(0o755)
    return program
