"""Bad input: a clear error that names the next step, the documented exit code, no traceback."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from regscope.cli import exit_codes
from regscope.cli.exit_codes import (
    BAD_CONTENT,
    NOT_ALLOWED,
    NOT_FOUND,
    UNREACHABLE,
    USAGE,
    WITH_PROBLEMS,
)
from regscope.spec.descriptor import Descriptor
from tests.cli.conftest import Ran, Run
from tests.lab.images import push
from tests.servers.certificates import CertificateAuthority
from tests.servers.faults import corrupt_body, cut_body, refuse, replace_body, replace_header
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService


def assert_clear(done: Ran, code: int, *words: str) -> None:
    """The exit code, an error of more than one line (what, and what next), no traceback, nothing on stdout."""
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err
    if code not in (USAGE, WITH_PROBLEMS):
        assert done.err.startswith("error: ")
        assert len(done.err.splitlines()) >= 2, done.err
        assert done.out == ""


def test_an_unknown_host(run: Run) -> None:
    assert_clear(run("tags", "nope.invalid"), UNREACHABLE, "no host named nope.invalid", "Check the spelling")
    assert_clear(run("tags", "https://nope.invalid"), UNREACHABLE, "no host named nope.invalid")


def test_a_refused_connection(run: Run) -> None:
    assert_clear(run("tags", "http://127.0.0.1:9"), UNREACHABLE, "127.0.0.1:9 refused", "Check the port")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, Path]]:
    folder = tmp_path_factory.mktemp("secured")
    authority = CertificateAuthority(folder)
    with Registry(folder / "registry", tls=authority.issue(), htpasswd={"ann": "secret"}) as registry:
        yield registry, authority.ca


def test_wrong_credentials(run: Run, secured: tuple[Registry, Path]) -> None:
    registry, ca = secured
    login = ("--ca", ca, "-u", "ann", "--password-stdin")
    assert_clear(run("tags", registry.url, *login, stdin="wrong\n"), NOT_ALLOWED, "Check the user name and password")
    assert "wrong" not in run("tags", registry.url, *login, stdin="hunter2\n").err.replace("wrong:", "")
    assert_clear(run("tags", registry.url, "--ca", ca), NOT_ALLOWED, "docker login")
    assert run("tags", registry.url, *login, stdin="secret\n").code == 0


def test_an_untrusted_certificate(run: Run, secured: tuple[Registry, Path]) -> None:
    assert_clear(run("tags", secured[0].url), UNREACHABLE, "--ca")


def test_an_expired_certificate(run: Run, tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    with Registry(tmp_path / "registry", tls=authority.issue(expired=True)) as registry:
        done = run("tags", registry.url, "--ca", authority.ca)
    assert_clear(done, UNREACHABLE, "expired", "must be renewed")


def test_http_spoken_to_a_tls_port(run: Run, secured: tuple[Registry, Path]) -> None:
    done = run("tags", secured[0].url.replace("https", "http"))
    assert done.code != 0
    assert "Traceback" not in done.err


def test_tls_spoken_to_an_http_port(run: Run, registry: Registry) -> None:
    assert_clear(run("tags", registry.url.replace("http", "https")), UNREACHABLE, "http://")


def test_a_repository_that_does_not_exist(run: Run, registry: Registry, layout: Path) -> None:
    assert_clear(run("tags", registry.url, "nope"), NOT_FOUND, "NAME_UNKNOWN", "Check the spelling")
    assert_clear(run("tags", f"oci:{layout}", "nope"), NOT_FOUND, "It has: ")
    assert_clear(run("layers", registry.url, "base:nope"), NOT_FOUND, "has no image base:nope")


def test_a_name_that_cannot_be_one(run: Run, registry: Registry) -> None:
    assert_clear(run("tags", registry.url, "No/Such Name"), USAGE, "^", "not an image reference")


def test_a_manifest_of_100_mb(run: Run, proxy: FaultProxy) -> None:
    proxy.rule(replace_body("/base/manifests/", b" " * 100_000_000))
    done = run("tags", proxy.url, "base")
    assert_clear(done, WITH_PROBLEMS, "100,000,000 bytes", "at most 8,388,608")


def test_a_manifest_of_100_mb_that_does_not_say_so(run: Run, proxy: FaultProxy) -> None:
    proxy.rule(replace_header("/base/manifests/", "Content-Length", None))
    proxy.rule(replace_body("/base/manifests/", b" " * 100_000_000))
    assert_clear(run("tags", proxy.url, "base"), WITH_PROBLEMS, "more than 8,388,608 bytes")


def test_a_manifest_with_a_wrong_digest(run: Run, proxy: FaultProxy) -> None:
    proxy.rule(corrupt_body("/base/manifests/"))
    assert_clear(run("tags", proxy.url, "base"), WITH_PROBLEMS, "bytes hash to")


def test_a_truncated_blob(run: Run, proxy: FaultProxy, own_layout: Path, images: dict[str, Descriptor]) -> None:
    proxy.rule(cut_body("/base/blobs/", after=10, times=None))
    assert_clear(run("tags", proxy.url, "base"), WITH_PROBLEMS, "config: the connection to")
    config = config_of(own_layout, images["tool:nightly"])
    config.write_bytes(config.read_bytes()[:-10])
    assert_clear(run("tags", f"oci:{own_layout}", "tool"), WITH_PROBLEMS, "config: ", "hash to")


def config_of(layout: Path, image: Descriptor) -> Path:
    manifest = json.loads((layout / "blobs" / "sha256" / image.digest.encoded).read_bytes())
    return layout / "blobs" / manifest["config"]["digest"].replace(":", "/")


def test_a_config_that_is_not_json(run: Run, tmp_path: Path) -> None:
    from regscope.spec import media_types
    from regscope.stores.layout_writer import LayoutWriter

    with LayoutWriter(tmp_path / "layout") as writer:
        config = writer.blob(b"{not json", media_types.OCI_CONFIG)
        described = config.model_dump(mode="json", exclude_defaults=True)
        manifest = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": described, "layers": []}
        writer.tag("odd:1", writer.blob(json.dumps(manifest).encode(), media_types.OCI_MANIFEST))
    assert_clear(run("tags", f"oci:{tmp_path / 'layout'}"), WITH_PROBLEMS, "odd:1: config:", "not JSON")


def test_a_layout_with_a_missing_blob(run: Run, own_layout: Path, images: dict[str, Descriptor]) -> None:
    config_of(own_layout, images["tool:nightly"]).unlink()
    assert_clear(run("scan", f"oci:{own_layout}"), WITH_PROBLEMS, "lacks the blob")


def test_a_folder_that_is_no_layout(run: Run, tmp_path: Path) -> None:
    assert_clear(run("scan", f"oci:{tmp_path}"), NOT_FOUND, "is not an OCI image layout", "skopeo copy")
    assert_clear(run("scan", f"oci:{tmp_path / 'nope'}"), NOT_FOUND, "no such folder")
    assert_clear(run("scan", tmp_path), USAGE, f"oci:{tmp_path}")


def test_an_archive_that_is_not_one(run: Run, tmp_path: Path) -> None:
    text = tmp_path / "text.tar"
    text.write_text("this is no tar")
    assert_clear(run("scan", f"docker-archive:{text}"), NOT_FOUND, "is not a docker-archive", "docker save")
    other = tmp_path / "other.tar"
    with tarfile.open(other, "w") as archive:
        archive.add(text, "text")
    assert_clear(run("scan", f"docker-archive:{other}"), NOT_FOUND, "manifest.json")
    assert_clear(run("scan", "docker-archive:nope.tar"), NOT_FOUND, "no such file")


def test_a_truncated_archive(run: Run, layout: Path, tmp_path: Path) -> None:
    from tests.lab.images import skopeo

    whole = tmp_path / "whole.tar"
    skopeo("copy", "-q", f"oci:{layout}:app:1.0", f"docker-archive:{whole}:app:1.0")
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    done = run("scan", f"docker-archive:{cut}")
    assert done.code in (NOT_FOUND, BAD_CONTENT)
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


def test_a_forbidden_catalog(run: Run, tmp_path: Path, layout: Path) -> None:
    grants = {"ann": {"*": {"pull", "push"}}}
    with (
        TokenService(tmp_path / "tokens", users={"ann": "secret"}, grants=grants) as tokens,
        Registry(tmp_path / "registry", token=tokens) as registry,
    ):
        push(layout, registry, credentials="ann:secret", only="base:")
        login = ("-u", "ann", "--password-stdin")
        done = run("scan", registry.url, *login, stdin="secret\n")
        assert_clear(done, NOT_ALLOWED, "does not list its repositories", "--repository")
        assert run("scan", registry.url, *login, "-r", "base", stdin="secret\n").code == 0


def test_a_registry_without_a_catalog(run: Run, proxy: FaultProxy) -> None:
    proxy.rule(refuse("_catalog", 404, "NOT_FOUND", "nothing here"))
    assert_clear(run("scan", proxy.url), NOT_ALLOWED, "--repository")


def test_an_address_that_is_a_web_site(run: Run, proxy: FaultProxy) -> None:
    proxy.rule(replace_body("_catalog", b"<html>hello</html>", content_type="text/html"))
    assert_clear(run("scan", proxy.url), exit_codes.OTHER, "is not a JSON object", "/v2/")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["tags"],
        ["tags", ""],
        ["tags", "has space.example.com"],
        ["tags", "registry.example.com/team/app"],
        ["layers", "oci:x", "--json", "--csv"],
        ["layers", "oci:x", "--limit", "-1"],
        ["sharing", "oci:x", "--level", "galaxy"],
        ["scan", "oci:x", "--ca", "/no/such/file"],
        ["scan", "http://127.0.0.1:9", "--password-stdin"],
        ["scan", "oci:"],
        ["scan", "http://127.0.0.1:99999"],
        ["cache", "prune", "lots"],
        ["what-if", "oci:x"],
    ],
)
def test_wrong_arguments_say_what_is_wrong(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.code == USAGE, (done.code, done.err)
    assert done.err
    assert "Traceback" not in done.err


def test_deleting_what_is_not_there_is_wrong_usage(run: Run, layout: Path) -> None:
    assert_clear(run("what-if", f"oci:{layout}", "nope"), USAGE, "matches nothing")


def test_a_saved_snapshot_that_is_damaged(run: Run, layout: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    run("scan", f"oci:{layout}", "--save", saved)
    (saved / "layers.parquet").write_bytes(b"PAR1 no")
    assert_clear(run("layers", saved), BAD_CONTENT, "damaged", "Scan again")
    shutil.rmtree(saved)
    assert_clear(run("layers", saved), USAGE, "no folder or file")


def test_the_demo_leaves_a_folder_of_somebody_else_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine" / "layout").mkdir(parents=True)
    (tmp_path / "mine" / "layout" / "thesis.txt").write_text("years of work")
    assert_clear(run("demo", tmp_path / "mine"), USAGE, "nothing was changed")
    assert (tmp_path / "mine" / "layout" / "thesis.txt").read_text() == "years of work"


def test_a_reader_that_has_seen_enough_is_no_error(layout: Path) -> None:
    import subprocess
    import sys

    command = f"{sys.executable} -m regscope layers oci:{layout} --json | head -c 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stdout == "["
    assert done.stderr == ""
