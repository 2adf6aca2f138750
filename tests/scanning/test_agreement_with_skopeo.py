"""The tables say of each image what skopeo says of it: open, behind Basic over TLS, and behind tokens."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from regscope.scanning.metadata import scan
from regscope.spec.digest import Digest
from regscope.spec.image_config import chain_ids
from regscope.stores.layout_writer import LayoutWriter, tar_of
from regscope.stores.open_store import open as open_store
from regscope.tables import Snapshot
from tests.lab.images import skopeo
from tests.servers.certificates import CertificateAuthority
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService

USER, PASSWORD = "mallory", "correct horse"
NAMES = ["base:1", "base:stable", "app:1.0", "app:1.1"]


@dataclass
class Filled:
    """A registry that skopeo filled, how skopeo reads it, and what we read."""

    registry: Registry
    flags: list[str]
    snap: Snapshot

    def skopeo(self, image: str, *flags: str) -> bytes:
        """What `skopeo inspect` prints of an image."""
        command = ["skopeo", "inspect", *self.flags, *flags, f"docker://{self.registry.host}/{image}"]
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout

    def manifest(self, digest: str) -> pd.Series[Any]:
        """The row of a manifest."""
        return self.snap.manifests[self.snap.manifests["digest"] == digest].iloc[0]


def fill(registry: Registry, layout: Path, flags: list[str]) -> None:
    to = [flag.replace("--", "--dest-", 1) for flag in flags]
    sources = {name: f"oci:{layout}:{name}" for name in NAMES} | {"multi:1": f"oci:{two_platforms(registry)}:multi:1"}
    for name, source in sources.items():
        skopeo("copy", "-q", "--all", "--preserve-digests", *to, source, f"docker://{registry.host}/oci/{name}")
        skopeo("copy", "-q", "--all", "--format", "v2s2", *to, source, f"docker://{registry.host}/docker/{name}")
    attested = f"oci:{layout}:team/api:1.0"  # skopeo cannot make a Docker manifest list of an attestation
    skopeo("copy", "-q", "--all", "--preserve-digests", *to, attested, f"docker://{registry.host}/oci/team/api:1.0")


def two_platforms(registry: Registry) -> Path:
    """A layout with an index that can be a Docker manifest list too."""
    folder = registry.config.parent / "two-platforms"
    with LayoutWriter(folder) as writer:
        shared = writer.layer(tar_of({"usr/share/data": b"data" * 999}), "COPY data /usr/share")
        images = [
            writer.image(
                [shared, writer.layer(tar_of({"bin/x": name.encode() * 99}), f"RUN make {name}"), "USER 1000"],
                created="2024-07-08T09:10:11.123456789Z",
                architecture=name,
                variant=variant,
            )
            for name, variant in (("amd64", None), ("arm", "v7"))
        ]
        writer.tag("multi:1", writer.index(images))
    return folder


@pytest.fixture(scope="module", params=["open", "basic over TLS", "tokens"])
def filled(request: pytest.FixtureRequest, layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("skopeo")
    login = {"username": USER, "password": PASSWORD}
    if request.param == "open":
        with Registry(folder) as registry:
            flags = ["--tls-verify=false"]
            fill(registry, layout, flags)
            yield Filled(registry, flags, scan(open_store(registry.url)))
    elif request.param == "tokens":
        everything = {"*": {"pull", "push"}, "registry:catalog": {"*"}}
        with (
            TokenService(folder, users={USER: PASSWORD}, grants={USER: everything}, expires_in=60) as tokens,
            Registry(folder / "registry", token=tokens) as registry,
        ):
            flags = ["--tls-verify=false", f"--creds={USER}:{PASSWORD}"]
            fill(registry, layout, flags)
            yield Filled(registry, flags, scan(open_store(registry.url, **login)))
    else:
        authority = CertificateAuthority(folder)
        certificate = authority.issue()
        (folder / "certs").mkdir()
        (folder / "certs" / "ca.crt").write_bytes(authority.ca.read_bytes())
        with Registry(folder / "registry", tls=certificate, htpasswd={USER: PASSWORD}) as registry:
            flags = [f"--cert-dir={folder / 'certs'}", f"--creds={USER}:{PASSWORD}"]
            fill(registry, layout, flags)
            yield Filled(registry, flags, scan(open_store(registry.url, **login, verify=str(authority.ca))))


def test_nothing_was_a_problem(filled: Filled) -> None:
    assert filled.snap.problems.empty, filled.snap.problems.to_string()


def test_every_tag_that_skopeo_lists_is_in_the_table(filled: Filled) -> None:
    for repository, tags in filled.snap.tags.groupby("repository", observed=True)["tag"]:
        [first, *_] = tags
        listed = json.loads(filled.skopeo(f"{repository}:{first}"))
        assert sorted(listed["RepoTags"]) == sorted(tags)
    assert len(filled.snap.tags) == 2 * len([*NAMES, "multi"]) + 1


def test_every_digest_is_that_of_the_bytes_that_skopeo_gets(filled: Filled) -> None:
    for row in filled.snap.tags.itertuples():
        raw = filled.skopeo(f"{row.repository}:{row.tag}", "--raw")
        assert Digest.of(raw) == row.digest
        manifest = filled.manifest(row.digest)
        document = json.loads(raw)
        assert (manifest["size"], manifest["media_type"]) == (len(raw), document["mediaType"])
        if "manifests" in document:
            children = filled.snap.platforms[filled.snap.platforms["index_digest"] == row.digest]
            assert children["digest"].tolist() == [child["digest"] for child in document["manifests"]]
            assert children["architecture"].tolist() == [
                child["platform"]["architecture"] for child in document["manifests"]
            ]


def to_the_microsecond(text: str) -> pd.Timestamp:
    """The tables' precision; Go writes nanoseconds."""
    return pd.Timestamp(text).floor("us")


def placed_images(filled: Filled) -> Iterator[tuple[str, pd.Series[Any]]]:
    """Each image by its digest in a repository."""
    for row in filled.snap.placements.itertuples():
        manifest = filled.manifest(row.digest)
        if manifest["kind"] == "image":
            yield f"{row.repository}@{row.digest}", manifest


def test_every_image_has_the_layers_that_skopeo_sees(filled: Filled) -> None:
    seen = 0
    for image, manifest in placed_images(filled):
        document = json.loads(filled.skopeo(image, "--raw"))
        table = filled.snap.layers[filled.snap.layers["digest"] == manifest["digest"]]
        assert table["position"].tolist() == list(range(len(document["layers"])))
        assert table["blob_digest"].tolist() == [layer["digest"] for layer in document["layers"]]
        assert table["size"].tolist() == [layer["size"] for layer in document["layers"]]
        assert table["media_type"].tolist() == [layer["mediaType"] for layer in document["layers"]]
        assert manifest["n_layers"] == len(document["layers"])
        distinct = {part["digest"]: part["size"] for part in [document["config"], *document["layers"]]}
        assert manifest["image_size"] == sum(distinct.values())
        seen += 1
    assert seen >= 10


def test_every_image_has_the_config_that_skopeo_sees(filled: Filled) -> None:
    for image, manifest in placed_images(filled):
        raw = filled.skopeo(image, "--config", "--raw")
        config = json.loads(raw)
        assert manifest["config_digest"] == Digest.of(raw)
        assert manifest["created"] == to_the_microsecond(config["created"])
        assert (manifest["os"], manifest["architecture"]) == (config["os"], config["architecture"])
        assert (manifest["variant"] if pd.notna(manifest["variant"]) else None) == config.get("variant")
        layers = filled.snap.layers[filled.snap.layers["digest"] == manifest["digest"]]
        assert layers["diff_id"].tolist() == config["rootfs"]["diff_ids"]
        assert layers["chain_id"].tolist() == chain_ids(config["rootfs"]["diff_ids"])
        labels = filled.snap.labels[filled.snap.labels["digest"].eq(manifest["digest"])]
        of_config = labels[labels["source"] == "config"]
        assert dict(zip(of_config["key"], of_config["value"], strict=True)) == config["config"].get("Labels", {})


def test_every_image_has_the_history_that_skopeo_sees(filled: Filled) -> None:
    for image, manifest in placed_images(filled):
        steps = json.loads(filled.skopeo(image, "--config", "--raw"))["history"]
        table = filled.snap.history[filled.snap.history["digest"] == manifest["digest"]]
        assert table["created_by"].tolist() == [step["created_by"] for step in steps]
        assert table["empty_layer"].tolist() == [step.get("empty_layer", False) for step in steps]
        assert table["created"].tolist() == [to_the_microsecond(step["created"]) for step in steps]
        layers = filled.snap.layers[filled.snap.layers["digest"] == manifest["digest"]]
        made = table[~table["empty_layer"]]
        assert made["blob_digest"].tolist() == layers["blob_digest"].tolist()
        assert made["size"].tolist() == layers["size"].tolist()
        assert made["created_by"].tolist() == layers["created_by"].tolist()


def test_skopeos_own_summary_agrees(filled: Filled) -> None:
    for image, manifest in placed_images(filled):
        summary = json.loads(filled.skopeo(image))
        layers = filled.snap.layers[filled.snap.layers["digest"] == manifest["digest"]]
        assert summary["Digest"] == manifest["digest"]
        assert to_the_microsecond(summary["Created"]) == manifest["created"]
        assert (summary["Os"], summary["Architecture"]) == (manifest["os"], manifest["architecture"])
        assert summary["Layers"] == layers["blob_digest"].tolist()
