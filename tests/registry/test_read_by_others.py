"""What we push skopeo, crane and regctl read; what they push we read; the digests are equal everywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.spec.annotations import REF_NAME
from regscope.stores.layout_writer import tar_of
from tests.lab.images import skopeo
from tests.servers.registry import Registry

IMAGES = ("app:1.0", "base:1", "legacy:1", "team/api:1.0", "made:flat", "made:changed", "made:docker", "made:index")


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory, layout: Path) -> Iterator[Registry]:
    """A registry in which everything was pushed by us."""
    folder = tmp_path_factory.mktemp("pushed")
    (folder / "layer.tar").write_bytes(tar_of({"srv/patch": b"patched"}))
    with Registry(folder / "registry") as server:
        source = f"oci:{layout}"
        rs.copy(source, ["app:1.0", "base:1", "legacy:1", "team/api:1.0"], server.url)
        image = rs.Image.read(source, "app:1.0")
        image.flatten().write(server.url, "made:flat")
        image.append(folder / "layer.tar").mutate(env={"A": "b"}).write(server.url, "made:changed")
        image.to_docker().write(server.url, "made:docker")
        rs.make_index(server.url, ["made:flat", "team/api:1.0"], server.url, "made:index")
        yield server


def run(program: str, *arguments: str) -> str:
    """Run a program; where it is not built, for want of Go, the test is skipped."""
    path = shutil.which(program) or shutil.which(program, path=Path(sys.executable).parent)
    if path is None:
        pytest.skip(f"needs {program}, which is built where there is Go")
    done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def ours(registry: Registry, image: str) -> str:
    """The digest that we see."""
    return rs.open(registry.url, cache=False).resolve(*image.split(":"))


@pytest.mark.parametrize("image", IMAGES)
def test_skopeo_reads_it(pushed: Registry, image: str, tmp_path: Path) -> None:
    inspected = ["skopeo", "inspect", "--tls-verify=false", "--no-tags", f"docker://{pushed.host}/{image}"]
    raw = subprocess.run([*inspected, "--raw"], capture_output=True, check=True, timeout=60).stdout
    assert rs.parse_manifest(raw).digest == ours(pushed, image)
    assert json.loads(subprocess.run(inspected, capture_output=True, check=True, timeout=60).stdout)["Layers"]
    how = ["--all", "-q", "--preserve-digests", "--src-tls-verify=false"]
    skopeo("copy", *how, f"docker://{pushed.host}/{image}", f"dir:{tmp_path / 'dir'}")
    assert (tmp_path / "dir" / "manifest.json").read_bytes() == raw


@pytest.mark.parametrize("image", IMAGES)
def test_crane_finds_it_valid(pushed: Registry, image: str) -> None:
    assert run("crane", "digest", "--insecure", f"{pushed.host}/{image}") == ours(pushed, image)
    if image not in ("team/api:1.0", "made:index"):  # the attestation in these is no image
        assert "PASS" in run("crane", "validate", "--insecure", "--remote", f"{pushed.host}/{image}")


@pytest.mark.parametrize("image", IMAGES)
def test_regctl_copies_it(pushed: Registry, image: str, tmp_path: Path) -> None:
    plain = ("--host", f"reg={pushed.host},tls=disabled")
    assert run("regctl", *plain, "image", "digest", f"{pushed.host}/{image}") == ours(pushed, image)
    run("regctl", *plain, "image", "copy", "--digest-tags", f"{pushed.host}/{image}", f"ocidir://{tmp_path / 'copy'}:1")
    assert rs.open(f"oci:{tmp_path / 'copy'}").resolve("copy", "1") == ours(pushed, image)


def test_what_others_push_we_read(layout: Path, images: dict[str, rs.Image], tmp_path: Path) -> None:
    digest = rs.open(f"oci:{layout}").resolve("app", "1.0")
    rs.copy(f"oci:{layout}", "app:1.0", f"oci:{tmp_path / 'one'}")
    with Registry(tmp_path / "registry") as server:
        skopeo(
            "copy", "-q", "--dest-tls-verify=false", "--preserve-digests",
            f"oci:{tmp_path / 'one'}:app:1.0", f"docker://{server.host}/by/skopeo:1",
        )  # fmt: skip
        run("crane", "push", "--insecure", str(tmp_path / "one"), f"{server.host}/by/crane:1")
        index = json.loads((tmp_path / "one" / "index.json").read_bytes())
        index["manifests"][0]["annotations"][REF_NAME] = "plain"  # regctl takes no colon in a name
        (tmp_path / "one" / "index.json").write_text(json.dumps(index))
        plain = ("--host", f"reg={server.host},tls=disabled")
        run("regctl", *plain, "image", "copy", f"ocidir://{tmp_path / 'one'}:plain", f"{server.host}/by/regctl:1")
        for name in ("skopeo", "crane", "regctl"):
            copied = rs.copy(server.url, f"by/{name}:1", f"oci:{tmp_path / name}")
            assert copied.images[0].digest == digest
        assert set(rs.scan(rs.open(server.url)).tags["digest"]) == {digest}
