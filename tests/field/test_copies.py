"""Images copied in and out again are the same bytes, and other programs read what was copied in."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import regscope as rs
from tests.field.kinds import chosen
from tests.field.servers.server import FieldServer
from tests.field.wire import Wire
from tests.lab.drawn_registries import dashed

SERVERS = chosen(lambda kind: kind.takes_pushes)
NAMES = ["app:1.0", "legacy:1", "team/api:1.0"]  # an image, one in Docker's format, an index with an attestation


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_whole_and_has_the_same_bytes(
    store: rs.ContentStore, layout: Path, wire: Wire, repository: str, name: str
) -> None:
    source = rs.open(f"oci:{layout}", cache=False).manifest(*name.split(":"))
    done = rs.copy(f"oci:{layout}", name, store, f"{repository}:1", progress=False)
    assert [image.digest for image in done.images] == [source.digest]
    assert wire.ask("GET", repository, "manifests/1").content == source.raw
    assert wire.missing(repository, "1") == []


def test_copied_in_and_out_again_it_is_the_same_bytes(
    store: rs.ContentStore, layout: Path, tmp_path: Path, repository: str
) -> None:
    names = ["team/api:1.0", "team/api:2.0"]
    rs.copy(f"oci:{layout}", names, store, repository, progress=False)
    rs.copy(store, [f"{repository}:1.0", f"{repository}:2.0"], f"oci:{tmp_path / 'out'}", "out", progress=False)
    source, out = rs.open(f"oci:{layout}", cache=False), rs.open(f"oci:{tmp_path / 'out'}", cache=False)
    for tag in ("1.0", "2.0"):
        assert out.manifest("out", tag).raw == source.manifest("team/api", tag).raw
    written = [path for path in (tmp_path / "out" / "blobs").rglob("*") if path.is_file()]
    assert len(written) > 10
    for path in written:
        assert path.read_bytes() == (layout / path.relative_to(tmp_path / "out")).read_bytes()


def test_what_is_attached_comes_along(
    store: rs.ContentStore, layout: Path, images: dict[str, rs.Image], wire: Wire, repository: str
) -> None:
    rs.copy(f"oci:{layout}", "app:1.0", store, f"{repository}:1.0", referrers=True, progress=False)
    assert wire.missing(repository, images["sbom"].digest) == []
    assert wire.missing(repository, dashed(images["app:1.0"].digest, ".sig")) == []
    listed = store.referrers(repository, images["app:1.0"].digest)
    if listed is None:
        fallback = wire.ask("GET", repository, f"manifests/{dashed(images['app:1.0'].digest)}").json()
        assert [entry["digest"] for entry in fallback["manifests"]] == [images["sbom"].digest]
    else:
        assert [entry.digest for entry in listed] == [images["sbom"].digest]


def run(program: str, *arguments: str, config: Path) -> bytes:
    path = shutil.which(program) or shutil.which(program, path=Path(sys.executable).parent)
    assert path is not None, f"there is no {program}: `.ci/prepare` installs it"
    environment = {**os.environ, "DOCKER_CONFIG": str(config)}
    done = subprocess.run([path, *arguments], capture_output=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@pytest.fixture
def login(server: FieldServer, docker_config: Path) -> Path:
    """docker's folder with the login for the server, which other programs read."""
    if server.username:
        word = base64.b64encode(f"{server.username}:{server.password}".encode()).decode()
        (docker_config / "config.json").write_text(json.dumps({"auths": {server.host: {"auth": word}}}))
    return docker_config


@pytest.mark.parametrize("name", NAMES)
def test_skopeo_reads_what_was_copied(
    store: rs.ContentStore, server: FieldServer, layout: Path, login: Path, tmp_path: Path, repository: str, name: str
) -> None:
    digest = rs.copy(f"oci:{layout}", name, store, f"{repository}:1", progress=False).images[0].digest
    where = f"docker://{server.host}/{repository}:1"
    how = ["--src-creds", f"{server.username}:{server.password}"] if server.username else ["--src-no-creds"]
    options = ["--all", "-q", "--preserve-digests", "--src-tls-verify=false", *how]
    run("skopeo", "--insecure-policy", "copy", *options, where, f"dir:{tmp_path / 'dir'}", config=login)
    assert rs.Digest.of((tmp_path / "dir" / "manifest.json").read_bytes()) == digest


@pytest.mark.parametrize("name", ["app:1.0", "legacy:1", "base:1"])
def test_crane_finds_valid_what_was_copied(
    store: rs.ContentStore, server: FieldServer, layout: Path, login: Path, repository: str, name: str
) -> None:
    rs.copy(f"oci:{layout}", name, store, f"{repository}:1", progress=False)
    told = run("crane", "validate", "--insecure", "--remote", f"{server.host}/{repository}:1", config=login)
    assert b"PASS" in told
