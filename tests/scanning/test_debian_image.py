"""An image as people have them: Debian, packages, a Python package, and a clean-up; its layers written by umoci."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

import regscope as rs
from regscope.analysis.final_tree import final_files
from regscope.stores.layout_writer import LayoutWriter
from regscope.tables import Snapshot
from tests.analysis.test_final_tree import assert_unpacked

pytestmark = [
    pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="needs mmdebstrap to make a Debian base"),
    pytest.mark.skipif(not shutil.which("umoci"), reason="needs umoci to write layers"),
    pytest.mark.skipif(os.getuid() != 0, reason="needs root: the files belong to several users"),
    pytest.mark.timeout(900),
]


def run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def install_packages(root: Path) -> None:
    """As `apt install` would: by dpkg itself, for another root."""
    folder = root / "var/cache/apt/archives"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "file", "libmagic1", "libmagic-mgc"], cwd=folder, check=True, timeout=300)
    for package in folder.glob("*.deb"):
        run("dpkg", "--root", root, "--force-script-chrootless", "--force-depends", "--unpack", package)


def install_python(root: Path) -> None:
    """What pip leaves behind: packages, and their compiled files."""
    target = root / "usr/local/lib/python3.11/site-packages"
    target.mkdir(parents=True)
    installed = Path(sysconfig.get_path("purelib"))
    for name in ("click", "humanize"):
        for part in installed.glob(f"{name}*"):
            shutil.copytree(part, target / part.name)


def clean_up(root: Path) -> None:
    """What comes too late, in a layer of its own."""
    shutil.rmtree(root / "var/cache/apt")
    shutil.rmtree(root / "usr/share/doc")
    (root / "usr/share/doc").mkdir()
    (root / "usr/share/doc" / "README").write_text("removed\n")
    shutil.move(root / "usr/share/common-licenses", root / "opt/licenses")
    shutil.rmtree(root / "usr/share/man", ignore_errors=True)
    (root / "usr/share/man").write_text("a file where a folder was\n")
    for path in sorted((root / "usr/bin").iterdir())[:40]:
        if path.is_file() and not path.is_symlink():
            path.chmod(0o700)
    os.chown(root / "etc/hostname" if (root / "etc/hostname").exists() else root / "etc/passwd", 1000, 1000)
    os.link(root / "etc/group", root / "etc/group.link")


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Snapshot]:
    folder = tmp_path_factory.mktemp("debian")
    layout, bundle, base = folder / "layout", folder / "bundle", folder / "base.tar"
    run("mmdebstrap", "--quiet", "--variant=essential", "bookworm", base)
    with LayoutWriter(layout) as writer:
        layer = writer.layer(base.read_bytes(), "debootstrap")
        writer.tag("debian:1", writer.image([layer], created="2024-01-01T00:00:00Z"))
    base.unlink()
    run("umoci", "unpack", "--image", f"{layout}:debian:1", bundle)
    for change in (install_packages, install_python, clean_up):
        change(bundle / "rootfs")
        created_by = ("--history.created_by", f"RUN {change.__name__}")
        run("umoci", "repack", "--refresh-bundle", *created_by, "--image", f"{layout}:debian:1", bundle)
    shutil.rmtree(bundle)
    store = rs.open(f"oci:{layout}")
    return layout, rs.scan_files(rs.scan(store, progress=False), store, progress=False)


def test_the_tables_say_what_umoci_puts_on_disk(debian: tuple[Path, Snapshot], tmp_path: Path) -> None:
    layout, snap = debian
    assert not len(snap.problems)
    files = final_files(snap, "debian:1")
    assert len(files) > 3000
    assert_unpacked(f"{layout}:debian:1", files, tmp_path / "unpacked")


def test_packages_are_those_that_dpkg_lists(debian: tuple[Path, Snapshot], tmp_path: Path) -> None:
    layout, snap = debian
    run("umoci", "raw", "unpack", "--image", f"{layout}:debian:1", tmp_path / "unpacked")
    query = ("dpkg-query", f"--admindir={tmp_path / 'unpacked/var/lib/dpkg'}", "-W", "-f=${Package} ${Version}\\n")
    listed = {tuple(line.split()) for line in run(*query).splitlines()}
    of_base = snap.packages[snap.packages["layer_digest"] == snap.layers["blob_digest"][0]]
    of_last = snap.packages[snap.packages["layer_digest"] == snap.layers["blob_digest"][1]]
    assert set(zip(of_base["name"], of_base["version"], strict=True)) < listed
    assert {name for name, _ in listed} - set(of_base["name"]) == {"file", "libmagic1", "libmagic-mgc"}
    assert set(of_last["manager"]) <= {"dpkg"}
    python = snap.packages[snap.packages["manager"] == "python"]
    assert set(python["name"]) == {"click", "humanize"}
