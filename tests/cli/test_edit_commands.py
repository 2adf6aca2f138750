"""`regscope image append`, `mutate`, `rebase`, `flatten`, `recompress`, `convert`, `index` and `attach`."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.stores.layout_writer import tar_of
from tests.cli.conftest import Run
from tests.images.test_changing_images import bases, config_of
from tests.servers.places import Places


def test_images_are_changed(run: Run, layout: Path, tmp_path: Path) -> None:
    source, target = f"oci:{layout}", f"oci:{tmp_path / 'target'}"
    (tmp_path / "layer.tar").write_bytes(tar_of({"new": b"new"}))
    done = run("image", "append", source, "app:1.0", tmp_path / "layer.tar", "--to", "app:2", "--target", target)
    assert done.code == 0, done.err
    assert done.out.split() == ["app:2", rs.open(target).resolve("app", "2")]
    options = ("--env", "LOG=1", "--env", "LANG", "--label", "a=b=c", "--entrypoint", "sh -c 'a b'", "--cmd", "")
    assert run("image", "mutate", target, "app:2", "--to", "app:3", *options).code == 0
    config = config_of(target, "app:3")["config"]
    assert (config["Env"], config["Entrypoint"], config["Cmd"]) == (["LOG=1"], ["sh", "-c", "a b"], [])
    assert config["Labels"]["a"] == "b=c"
    assert run("image", "flatten", target, "app:3", "--to", "app:4").code == 0
    assert run("image", "recompress", target, "app:3", "--to", "app:5").code == 0
    assert run("image", "convert", source, "legacy:1", "--to", "old:1", "--target", target).code == 0
    assert run("image", "index", target, "app:4", "app:5", "--to", "app:all").code == 0
    layout = bases(tmp_path / "bases")
    based = ("--old-base", "base:1", "--new-base", "base:2")
    assert run("image", "rebase", layout, "app:1", *based, "--to", "app:2").code == 0
    assert len(config_of(layout, "app:2")["rootfs"]["diff_ids"]) == 3
    for wrong in (("--env", "=x"), ("--entrypoint", "'open")):
        refused = run("image", "mutate", target, "app:2", "--to", "app:9", *wrong)
        assert (refused.code, "Traceback" in refused.err) == (2, False)
    assert run("image", "append", target, "app:2", "--to", "app:9", tmp_path / "no such file").code == 2
    (tmp_path / "text").write_text("no tar")
    refused = run("image", "append", target, "app:2", "--to", "app:9", tmp_path / "text")
    assert (refused.code, "is no tar" in refused.err) == (2, True)
    assert run("image", "recompress", source, "legacy:1", "--to", "x:1", "--target", target).code == 2


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_an_archive_is_not_lost_to_what_is_made_of_it(run: Run, layout: Path, tmp_path: Path, form: str) -> None:
    archive, new = f"{form}:{tmp_path / 'saved.tar'}", f"{form}:{tmp_path / 'new.tar'}"
    assert run("image", "copy", f"oci:{layout}", "base:1", archive).code == 0
    changing = ("image", "mutate", archive, "base:1", "--to", "base:2", "--env", "A=b")
    for refused in (run(*changing), run("image", "copy", archive, "base:1", archive, "--to", "base:2")):
        assert refused.code == 2
        assert "nothing can be added" in refused.err
    assert run(*changing, "--target", new).code == 0
    assert run("image", "ls", archive, "base").out == "1\n"
    assert run("image", "ls", new, "base").out == "2\n"


@pytest.mark.parametrize("kind", ["layout", "docker-registry", "oci-registry"])
def test_artifacts_are_attached_and_told_apart_by_their_type(
    run: Run, place: Places, layout: Path, tmp_path: Path, kind: str
) -> None:
    where = place(kind)
    (tmp_path / "file").write_bytes(b"{}")
    rs.copy(f"oci:{layout}", "app:1.0", where)
    report = "application/vnd.example.report"
    first = rs.attach(where, "app:1.0", tmp_path / "file", "application/spdx+json")
    attached = run("image", "attach", where, "app:1.0", tmp_path / "file", "--type", report, "--annotation", "a=b")
    assert attached.code == 0, attached.err
    listed = run("image", "referrers", where, "app:1.0").out
    assert first in listed
    assert attached.out.strip() in listed
    only = run("image", "referrers", where, "app:1.0", "--type", report)
    assert only.out.split() == [attached.out.strip(), report]
    assert run("image", "attach", where, "app:1.0", tmp_path / "file", "--type", "sbom").code == 2
