"""`regscope image copy`, `pull`, `push`, `save` and `load`, each in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.spec.descriptor import Descriptor
from tests.cli.conftest import Run
from tests.servers.registry import Registry


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Registry]:
    """A registry to copy to."""
    with Registry(tmp_path / "empty") as server:
        yield server


def test_there_and_back_by_every_way(
    run: Run, registry: Registry, empty: Registry, images: dict[str, Descriptor], tmp_path: Path
) -> None:
    digest = images["app:1.0"].digest
    pulled = run("image", "pull", registry.url, "app:1.0", tmp_path / "layout")
    assert (pulled.code, pulled.out.split()) == (0, ["app:1.0", digest])
    saved = run("image", "save", f"oci:{tmp_path / 'layout'}", "app:1.0", tmp_path / "app.tar")
    assert (saved.code, saved.out.split()) == (0, ["app:1.0", digest])
    loaded = run("image", "load", f"docker-archive:{tmp_path / 'app.tar'}", empty.url)
    assert (loaded.code, loaded.out.split()) == (0, ["app:1.0", digest])
    pushed = run("image", "push", f"oci:{tmp_path / 'layout'}", "app:1.0", empty.url, "--to", "mine:2")
    assert (pushed.code, pushed.out.split()) == (0, ["mine:2", digest])
    copied = run("image", "copy", empty.url, "mine:*", f"oci:{tmp_path / 'end'}", "--to", "end/")
    assert (copied.code, copied.out.split()) == (0, ["end/mine:2", digest])
    assert rs.open(f"oci:{tmp_path / 'end'}").resolve("end/mine", "2") == digest
    assert "sent: 4 blobs" in copied.err


def test_of_an_index_an_archive_gets_one_image(
    run: Run, layout: Path, images: dict[str, Descriptor], tmp_path: Path
) -> None:
    whole = run("image", "copy", f"oci:{layout}", "team/api:1.0", f"docker-archive:{tmp_path / 'all.tar'}")
    assert whole.code == 2
    assert "Choose one platform" in whole.err
    for platform in ((), ("-p", "linux/arm64", "--overwrite")):
        done = run("image", "save", f"oci:{layout}", "team/api:1.0", tmp_path / "one.tar", *platform)
        assert done.code == 0
        assert done.out.split()[1] != images["team/api:1.0"].digest


def test_an_oci_archive_takes_whole_indexes_and_gives_them_back(
    run: Run, layout: Path, empty: Registry, images: dict[str, Descriptor], tmp_path: Path
) -> None:
    digest, loose = images["team/api:1.0"].digest, images["app:1.0"].digest
    archive = f"oci-archive:{tmp_path / 'saved.tar'}"
    for command in ("save", "pull", "copy"):
        done = run("image", command, f"oci:{layout}", "team/api:1.0", f"app@{loose}", archive)
        assert (done.code, done.out.split()) == (0, ["team/api:1.0", digest, f"app@{loose}", loose])
        assert run("image", "ls", archive, "team/api").out == "1.0\n"
    assert run("image", "push", f"oci:{layout}", "base:1", archive).code == 2
    loaded = run("image", "load", archive, empty.url)
    assert (loaded.code, loaded.out.split()) == (0, ["team/api:1.0", digest, f"app@{loose}", loose])
    assert run("image", "digest", empty.url, f"app@{loose}").out.strip() == loose
    lone = run("image", "copy", archive, "*@*", f"oci:{tmp_path / 'lone'}")
    assert (lone.code, lone.out.split()) == (0, [f"app@{loose}", loose])
    report = run("report", archive, "-o", tmp_path / "report.html")
    assert report.code == 0, report.err


def test_a_file_without_its_kind_is_told_what_to_write(run: Run, layout: Path, tmp_path: Path) -> None:
    for form in ("oci-archive", "docker-archive"):
        run("image", "copy", f"oci:{layout}", "base:1", f"{form}:{tmp_path / form}")
        done = run("scan", tmp_path / form)
        assert done.code == 2
        assert f"Write {form}:{tmp_path / form} for a saved image." in done.err


def test_a_login_is_for_the_registry_whichever_side_it_is_on(run: Run, layout: Path, tmp_path: Path) -> None:
    with Registry(tmp_path / "private", htpasswd={"ann": "secret"}) as server:
        login = ("-u", "ann", "--password-stdin")
        assert run("image", "push", f"oci:{layout}", "base:1", server.url).code == 4
        pushed = run("image", "push", f"oci:{layout}", "base:1", server.url, *login, stdin="secret\n")
        assert pushed.code == 0, pushed.err
        pulled = run("image", "pull", server.url, "base:1", tmp_path / "back", *login, stdin="secret\n")
        assert (pulled.code, pulled.out) == (0, pushed.out)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("copy", "SOURCE", "base:1"), 2, "Missing argument"),
        (("push", "SOURCE", "base:1", "oci:elsewhere"), 2, "is no registry"),
        (("copy", "SOURCE", "base:9", "oci:TMP/new"), 3, "base:9"),
        (("copy", "SOURCE", "base:1", "base:2", "oci:TMP/new", "--to", "x:1"), 2, "cannot all be called"),
        (("copy", "SOURCE", "base:1", "TMP/new"), 2, "no folder or file"),
        (("copy", "SOURCE", "base:1", "oci:"), 2, "names no path"),
        (("pull", "SOURCE", "team/api:1.0", "TMP/new", "-p", "linux"), 2, "is not a platform"),
        (("copy", "SOURCE", "base:1", "http://127.0.0.1:9"), 5, "127.0.0.1:9"),
        (("copy", "oci:TMP/nothing", "base:1", "oci:TMP/new"), 3, "no such folder"),
    ],
)
def test_wrong_arguments(
    run: Run, layout: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    written = [word.replace("SOURCE", f"oci:{layout}").replace("TMP", str(tmp_path)) for word in arguments]
    done = run("image", *written)
    assert done.code == code, done.err
    assert says in done.err
    assert "Traceback" not in done.err
