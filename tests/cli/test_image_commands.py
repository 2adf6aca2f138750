"""`regscope image`, `blob` and `repo`, each in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from regscope.cli.main import regscope
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.tags import Tags
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import OCIIndex
from regscope.stores.layout_writer import LayoutWriter, tar_of
from regscope.stores.oci_layout import OCILayoutStore
from tests.cli.conftest import Run
from tests.lab.images import push
from tests.servers import faults
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def own(tmp_path: Path, layout: Path) -> Iterator[Registry]:
    """A registry that a test may change."""
    with Registry(tmp_path / "own") as server:
        push(layout, server, only="base:")
        yield server


@pytest.mark.parametrize("store", ["registry", "layout"])
def test_an_image_is_looked_at_wherever_it_is(
    run: Run, registry: Registry, layout: Path, images: dict[str, Descriptor], store: str
) -> None:
    source = registry.url if store == "registry" else f"oci:{layout}"
    digest = images["app:1.0"].digest
    assert run("image", "digest", source, "app:1.0").out.strip() == digest
    assert Digest.of(run("image", "manifest", source, "app:1.0").out.encode()) == digest
    manifest = json.loads(run("image", "manifest", source, f"app@{digest}").out)
    assert Digest.of(run("image", "config", source, "app:1.0").out.encode()) == manifest["config"]["digest"]
    described = json.loads(run("image", "inspect", source, "app:1.0").out)
    assert described["digest"] == described["manifest"] == digest
    assert described["platform"] == "linux/amd64"
    assert [layer["digest"] for layer in described["layers"]] == [layer["digest"] for layer in manifest["layers"]]
    assert described["labels"]["team"] == "web <b>&</b> mobile"
    assert images["sbom"].digest in run("image", "referrers", source, "app:1.0").out
    assert run("image", "referrers", source, "app:1.1").out == ""
    assert run("repo", "ls", source).out.split() == ["app", "base", "legacy", "team/api", "team/worker", "tool"]
    assert run("image", "ls", source, "base").out.split() == ["1", "stable"]


def test_of_an_index_the_image_for_a_platform(run: Run, layout: Path, images: dict[str, Descriptor]) -> None:
    arm = json.loads(run("image", "inspect", f"oci:{layout}", "team/api:1.0", "-p", "linux/arm64").out)
    assert arm["platform"] == "linux/arm64/v8"
    assert arm["digest"] == images["team/api:1.0"].digest != arm["manifest"]
    missing = run("image", "config", f"oci:{layout}", "team/api:1.0", "-p", "linux/s390x")
    assert missing.code == 3
    assert "linux/arm64/v8" in missing.err


def test_a_blob_is_read_and_measured(run: Run, registry: Registry, layout: Path, tmp_path: Path) -> None:
    layer = json.loads(run("image", "inspect", registry.url, "base:1").out)["layers"][0]
    content = (layout / "blobs" / layer["digest"].replace(":", "/")).read_bytes()
    assert run("blob", "get", registry.url, "base", layer["digest"], "-o", tmp_path / "layer").code == 0
    assert (tmp_path / "layer").read_bytes() == content
    command = [sys.executable, "-m", "regscope", "blob", "get", f"oci:{layout}", "base", layer["digest"]]
    assert subprocess.run(command, check=True, capture_output=True, timeout=60).stdout == content
    assert json.loads(run("blob", "stat", registry.url, "base", layer["digest"]).out) == {
        "digest": layer["digest"],
        "size": len(content),
    }
    nothing = Digest.of(b"nothing")
    gone = run("blob", "get", registry.url, "base", nothing, "-o", tmp_path / "none")
    assert gone.code == 3
    assert not list(tmp_path.glob("none*"))
    assert run("blob", "get", registry.url, "base", "sha256:short").code == 2


def test_a_blob_is_pushed_and_deleted(run: Run, own: Registry, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    pushed = run("blob", "put", own.url, "base", file)
    assert pushed.out.strip() == Digest.of(b"content")
    assert run("blob", "delete", own.url, "base", Digest.of(b"content"), stdin="n\n").code == 1
    assert run("blob", "stat", own.url, "base", Digest.of(b"content")).code == 0
    done = run("blob", "delete", own.url, "base", Digest.of(b"content"), "--yes")
    assert done.code == 0
    assert "garbage collection" in done.err
    assert run("blob", "stat", own.url, "base", Digest.of(b"content")).code == 3


def test_tags_come_and_go_one_at_a_time(run: Run, own: Registry) -> None:
    client = DockerRegistryV2Client(own.url)
    digest = ManifestRef("base", "1", client).fetch().digest
    tagged = run("image", "tag", own.url, "base:1", "again")
    assert (tagged.code, tagged.out.strip()) == (0, f"base:again is {digest}")
    assert run("image", "untag", own.url, "base:1", "--yes").code == 0
    assert Tags("base", client).list() == ["again", "stable"]
    assert ManifestRef("base", "again", client).fetch().digest == digest
    assert run("image", "untag", own.url, f"base@{digest}", "--yes").code == 2
    assert run("image", "untag", own.url, "base:nothing", "--yes").code == 3


def test_deleting_names_every_tag_before_it_asks(run: Run, own: Registry) -> None:
    client = DockerRegistryV2Client(own.url)
    refused = run("image", "delete", own.url, "base:1", stdin="n\n")
    assert refused.code == 1
    assert "1, stable" in refused.err
    assert "nothing was changed" in refused.err
    unanswered = run("image", "delete", own.url, "base:1")  # nobody there to ask
    assert unanswered.code == 130
    assert "nothing was changed" in unanswered.err
    assert Tags("base", client).list() == ["1", "stable"]
    done = run("image", "delete", own.url, "base:1", "--yes")
    assert done.code == 0
    assert "1, stable" in done.out
    assert "garbage collection" in done.err
    assert Tags("base", client).list() == []


def test_what_belongs_to_an_index_that_stays_is_not_deleted(run: Run, layout: Path, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server:
        push(layout, server, only="team/api:1.0")
        client = DockerRegistryV2Client(server.url)
        index = ManifestRef("team/api", "1.0", client).fetch()
        child = json.loads(index.raw)["manifests"][0]["digest"]
        outer = OCIIndex(manifests=[{"mediaType": index.media_type, "digest": index.digest, "size": len(index.raw)}])  # type: ignore[list-item]
        ManifestRef("team/api", "outer", client).put(outer)
        for image, holding in ((f"team/api@{child}", "1.0, outer"), ("team/api:1.0", "outer")):
            refused = run("image", "delete", server.url, image, "--yes")
            assert refused.code == 2
            assert f"belongs to {holding} in team/api" in refused.err
        for image in ("team/api:outer", "team/api:1.0", f"team/api@{child}"):  # parents before children
            assert run("image", "delete", server.url, image, "--yes").code == 0
        assert run("image", "delete", server.url, f"team/api@{child}", "--yes").code == 3


def test_where_a_tag_cannot_be_read_nothing_is_deleted(run: Run, own: Registry) -> None:
    client = DockerRegistryV2Client(own.url)
    digest = ManifestRef("base", "1", client).fetch().digest
    with FaultProxy(own.url) as proxy:
        proxy.rule(faults.refuse("/manifests/stable", 403, "DENIED", "not for you"))
        assert run("image", "delete", proxy.url, "base:1", "--yes").code == 4
        assert not [request for request in proxy.requests if request.method == "DELETE"]
    assert ManifestRef("base", "1", client).fetch().digest == digest


def test_tags_that_move_while_the_question_stands_keep_the_image(own: Registry) -> None:
    client = DockerRegistryV2Client(own.url)
    command = [sys.executable, "-m", "regscope", "image", "delete", own.url, "base:1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
        assert asking.stdin is not None
        assert asking.stderr is not None
        said = "".join(iter(lambda: asking.stderr.read(1), "?"))  # type: ignore[union-attr]
        assert "1, stable" in said
        ManifestRef("base", "new", client).put(ManifestRef("base", "1", client).get())
        _, complaint = asking.communicate("y\n", timeout=60)
    assert asking.returncode == 2
    assert "have changed" in complaint
    assert Tags("base", client).list() == ["1", "new", "stable"]


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_an_archive_is_not_changed(run: Run, layout: Path, tmp_path: Path, form: str) -> None:
    archive = f"{form}:{tmp_path / 'saved.tar'}"
    assert run("image", "copy", f"oci:{layout}", "base:1", archive).code == 0
    for arguments in (("tag", archive, "base:1", "x"), ("untag", archive, "base:1", "-y")):
        done = run("image", *arguments)
        assert done.code == 2
        assert "nothing can be added" in done.err or "is read only" in done.err


def test_a_layout_takes_what_a_registry_takes(run: Run, layout: Path, tmp_path: Path) -> None:
    own, file = f"oci:{tmp_path / 'own'}", tmp_path / "file"
    shutil.copytree(layout, tmp_path / "own")
    blobs = tmp_path / "own" / "blobs" / "sha256"
    digest = run("image", "digest", own, "base:1").out.strip()
    assert run("image", "tag", own, "base:1", "again").out.strip() == f"base:again is {digest}"
    assert run("image", "tag", own, "base:1", "no tag").code == 2
    for tag in ("1", "stable", "again"):
        assert run("image", "untag", own, f"base:{tag}", "--yes").code == 0
        assert run("image", "untag", own, f"base:{tag}", "--yes").code == 3
    assert run("image", "digest", own, f"base@{digest}").code == 0
    assert digest in OCILayoutStore(tmp_path / "own").untagged("base")
    file.write_bytes(b"content")
    assert run("blob", "put", own, "base", file).out.strip() == Digest.of(b"content")
    assert (blobs / Digest.of(b"content").encoded).read_bytes() == b"content"
    assert run("blob", "delete", own, "base", Digest.of(b"content"), "--yes").code == 0
    assert run("blob", "delete", own, "base", Digest.of(b"content"), "--yes").code == 3


def test_what_a_layout_deletes_frees_what_nothing_else_names(run: Run, tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "own") as writer:
        shared, one, other = (writer.layer(tar_of({name: b"x"}), "RUN x") for name in ("shared", "one", "other"))
        kept = writer.image([shared, one], created="2025-01-01T00:00:00Z")
        gone = writer.image([shared, other], created="2025-01-01T00:00:00Z")
        writer.tag("app:kept", kept)
        writer.tag("app:gone", writer.index([gone]))
        writer.tag("app:also", writer.index([gone]))
    blobs = tmp_path / "own" / "blobs" / "sha256"
    config = json.loads((blobs / kept.digest.encoded).read_bytes())["config"]["digest"]
    asked = run("image", "delete", f"oci:{tmp_path / 'own'}", "app:gone", stdin="y\n")
    assert asked.code == 0
    assert "also, gone" in asked.err
    assert "garbage collection" not in asked.err
    assert run("image", "ls", f"oci:{tmp_path / 'own'}", "app").out == "kept\n"
    named = (kept.digest, config, shared.descriptor.digest, one.descriptor.digest)
    assert {path.name for path in blobs.iterdir()} == {digest.partition(":")[2] for digest in named}


def test_where_nothing_is_deleted_it_is_said(run: Run, tmp_path: Path, layout: Path) -> None:
    with Registry(tmp_path / "kept", delete=False) as server:
        push(layout, server, only="base:1")
        for command in ("untag", "delete"):
            done = run("image", command, server.url, "base:1", "--yes")
            assert done.code == 4
            assert "Traceback" not in done.err
        assert Tags("base", DockerRegistryV2Client(server.url)).list() == ["1"]


def test_every_command_is_in_the_readme_and_says_what_it_does() -> None:
    text = README.read_text()
    for name, command in regscope.commands.items():
        assert f"`{name}`" in text or f"regscope {name}" in text, name
        assert command.help, name
        for inner, below in command.commands.items() if isinstance(command, click.Group) else ():
            assert below.help, f"{name} {inner}"
            if name != "cache":
                assert f"`{inner}`" in text or f"regscope {name} {inner}" in text, f"{name} {inner}"


@pytest.mark.parametrize("image", ["", ":", "base:", "base@", ":1", "@sha256:1", "base@sha256:1", "base:not a tag"])
def test_what_is_no_image_is_a_wrong_argument(run: Run, registry: Registry, image: str) -> None:
    done = run("image", "digest", registry.url, image)
    assert done.code == 2
    assert "Traceback" not in done.err
