"""Of an index each image is made anew; what is attested of the old ones is not said of the new."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import ContentMissing, InvalidInput
from regscope.registry.manifests import RawManifest
from regscope.spec.manifest import ImageManifest, OCIIndex
from regscope.spec.platform import Platform
from regscope.stores.layout_writer import LayoutWriter
from tests.lab.corners import entry, tar
from tests.lab.images import skopeo
from tests.lab.layered import CREATED
from tests.remediation.unpacking import assert_same, unpacked
from tests.servers.registry import Registry

_ATTESTED = "vnd.docker.reference.digest"


@pytest.fixture
def many(tmp_path: Path) -> str:
    """`app:1` for three platforms: of two the images waste something; two have attestations."""
    folder = tmp_path / "many"
    with LayoutWriter(folder) as writer:
        children = []
        for architecture, wasted in (("amd64", 5000), ("arm64", 7000), ("s390x", 0)):
            tars = [tar(entry("own", content=architecture.encode()), entry("big", content=bytes(wasted)))]
            tars += [tar(entry(".wh.big", content=b""))] if wasted else []
            layers = [writer.layer(each, f"step {number}") for number, each in enumerate(tars)]
            children.append(writer.image(layers, created=CREATED, architecture=architecture))
        attested = []
        for child in (children[0], children[2]):
            about = writer.artifact(child.digest.encode(), "application/vnd.in-toto+json", artifact_type="x/y")
            notes = {_ATTESTED: child.digest, "vnd.docker.reference.type": "attestation-manifest"}
            unknown = Platform(os="unknown", architecture="unknown")
            attested.append(about.model_copy(update={"platform": unknown, "annotations": notes}))
        writer.tag("app:1", writer.index([*children, *attested], annotations={"who": "me"}))
    return f"oci:{folder}"


def index_of(store: str, tag: str) -> OCIIndex:
    found = rs.open(store).manifest("app", tag).parse()
    assert isinstance(found, OCIIndex)
    return found


def test_each_image_is_slim_and_the_rest_of_the_index_stays(many: str) -> None:
    found = rs.slim(many, "app:1", "slim")
    found.apply(dry_run=False)
    before, after = index_of(many, "1"), index_of(many, "slim")
    assert after.annotations == before.annotations
    assert [child.platform for child in after.manifests] == [before.manifests[at].platform for at in (0, 1, 2, 4)]
    assert [child.digest for child in after.manifests[2:]] == [before.manifests[at].digest for at in (2, 4)]
    assert after.manifests[0].digest != before.manifests[0].digest
    assert "Left out of the new index: 1 attestation" in repr(found)
    assert found.layers["platform"].unique().tolist() == ["linux/amd64", "linux/arm64", "linux/s390x"]
    for child in after.manifests:
        assert isinstance(rs.open(many).manifest("app", child.digest), RawManifest)


def test_one_platform_takes_the_place_of_the_index(many: str) -> None:
    found = rs.slim(many, "app:1", "arm", platform="linux/arm64")
    found.apply(dry_run=False)
    assert isinstance(rs.open(many).manifest("app", "arm").parse(), ImageManifest)
    assert found.layers["platform"].unique().tolist() == ["linux/arm64"]
    with pytest.raises(ContentMissing, match="no image for linux/riscv64"):
        rs.slim(many, "app:1", "x", platform="linux/riscv64")
    with pytest.raises(InvalidInput, match="is for linux/arm64"):
        rs.slim(many, "app:arm", "x", platform="linux/amd64")


def test_it_goes_to_another_repository_with_all_that_it_names(many: str, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server:
        rs.copy(many, "app:1", server.url, progress=False)
        store = rs.open(server.url, cache=False)
        found = rs.slim(store, "app:1", "other/place:slim", snap=rs.scan(store, progress=False))
        before = server.blob_bytes()
        found.apply(dry_run=False)
        assert found.registry is not None
        assert server.blob_bytes() - before == found.registry.added_bytes
        there = f"docker://{server.host}/other/place:slim"
        skopeo("copy", "--all", "--src-tls-verify=false", there, f"dir:{tmp_path / 'all'}")
        for image, folder in (("app:1", "before"), ("other/place:slim", "after")):
            skopeo("copy", "--src-tls-verify=false", f"docker://{server.host}/{image}", f"oci:{tmp_path / folder}:one")
        trees = [unpacked(f"{tmp_path / folder}:one", tmp_path / f"{folder} tree") for folder in ("before", "after")]
        assert_same(*trees)


def test_an_image_without_changes_of_an_index_without_changes(many: str) -> None:
    found = rs.slim(many, "app:1", "same", at_least=10**9)
    assert not found.is_changed
    found.apply(dry_run=False)
    assert index_of(many, "same").digest == index_of(many, "1").digest
