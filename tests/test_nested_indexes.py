"""Indexes within indexes: each manifest is read once however often it is named, and there is an end to the depth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import ContentMissing, InvalidManifest, ResourceNotFound
from regscope.images.dependents import dependents_of
from regscope.registry.manifests import ManifestRef
from regscope.remediation.backup import back_up
from regscope.spec.descriptor import Descriptor
from regscope.spec.index_children import DEEPEST
from regscope.spec.platform import LINUX_AMD64
from regscope.stores.layout_writer import LayoutWriter, tar_of
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy

CREATED = "2024-01-01T00:00:00Z"


def nested(folder: Path, depth: int, names: int = 1) -> Descriptor:
    """A layout with `app:1`: so many indexes within one another, each with so many names for the next; the image."""
    with LayoutWriter(folder) as writer:
        image = writer.image([writer.layer(tar_of({"a": b"1"}), "COPY")], created=CREATED)
        inner = image
        for level in range(depth):
            entries = [inner.model_copy(update={"annotations": {"name": str(name)}}) for name in range(names)]
            inner = writer.index(entries, {"level": str(level)}).model_copy(update={"platform": LINUX_AMD64})
        writer.tag("app:1", inner)
    return image


@pytest.fixture
def often(tmp_path: Path) -> Iterator[FaultProxy]:
    """A proxy before a registry with 20 names for each index, 5 deep: 3.4 million ways to the image."""
    nested(tmp_path / "often", 5, 20)
    with OCIRegistry() as registry, FaultProxy(registry.url) as proxy:
        rs.copy(f"oci:{tmp_path / 'often'}", "app:1", registry.url, progress=False)
        yield proxy


def manifests_read(proxy: FaultProxy) -> list[str]:
    return [each.path for each in proxy.requests if each.method == "GET" and "/manifests/sha256:" in each.path]


@pytest.mark.parametrize("form", ["oci:{}/copied", "oci-archive:{}/copied.tar"])
@pytest.mark.parametrize("referrers", [False, True])
def test_a_copy_reads_and_writes_each_manifest_once(
    often: FaultProxy, tmp_path: Path, form: str, referrers: bool
) -> None:
    target = form.format(tmp_path)
    done = rs.copy(rs.open(often.url, cache=False), "app:1", target, referrers=referrers, progress=False)
    assert done.manifests == 6
    read = manifests_read(often)
    assert len(read) == len(set(read)) == 5
    assert rs.scan(rs.open(target), progress=False).problems.empty


def test_a_child_that_is_missing_is_asked_for_once(tmp_path: Path) -> None:
    image = nested(tmp_path / "often", 5, 20)
    (tmp_path / "often" / "blobs" / image.digest.replace(":", "/")).unlink()
    with pytest.raises(ContentMissing, match="which is not stored"):
        rs.copy(f"oci:{tmp_path / 'often'}", "app:1", f"oci:{tmp_path / 'copied'}", progress=False)


def test_what_hangs_on_an_image_is_found_by_reading_each_manifest_once(often: FaultProxy) -> None:
    store = rs.open(often.url, cache=False)
    image = rs.scan(store, progress=False).manifests.query("kind == 'image'")["digest"].iloc[0]
    often.clear()
    assert dependents_of(store, "app", rs.Digest(image)) == ([], ["1"])
    read = manifests_read(often)
    assert len(read) == len(set(read)) == 6


def test_a_backup_reads_each_manifest_once(often: FaultProxy, tmp_path: Path) -> None:
    store = rs.open(often.url, cache=False)
    rows = rs.scan(store, progress=False).placements[["repository", "digest"]].itertuples(index=False, name=None)
    often.clear()
    back_up(store, f"oci:{tmp_path / 'backup'}", [(repository, digest, []) for repository, digest in rows])
    read = manifests_read(often)
    assert len(read) == len(set(read)) == 6


def test_a_scan_reads_each_manifest_once(often: FaultProxy) -> None:
    snap = rs.scan(rs.open(often.url, cache=False), progress=False)
    assert (len(snap.manifests), len(snap.problems)) == (6, 0)
    read = manifests_read(often)
    assert len(read) == len(set(read)) == 5


def test_as_many_levels_as_are_followed_are_copied_and_scanned(tmp_path: Path) -> None:
    nested(tmp_path / "deep", DEEPEST)
    done = rs.copy(f"oci:{tmp_path / 'deep'}", "app:1", f"oci:{tmp_path / 'copied'}", progress=False)
    assert done.manifests == DEEPEST + 1
    snap = rs.scan(rs.open(f"oci:{tmp_path / 'copied'}"), progress=False)
    assert (len(snap.manifests), len(snap.problems)) == (DEEPEST + 1, 0)


@pytest.mark.parametrize("depth", [DEEPEST + 1, 600, 1500])
def test_more_levels_are_one_row_of_a_scan_and_an_error_elsewhere(tmp_path: Path, depth: int) -> None:
    nested(tmp_path / "deep", depth)
    store = rs.open(f"oci:{tmp_path / 'deep'}")
    snap = rs.scan(store, progress=False)
    assert len(snap.manifests) == DEEPEST + 1
    assert snap.problems["what"].tolist() == ["manifest"]
    assert not snap.sees_everything
    assert rs.what_if(snap, delete="app:1").at_most
    for call in (
        lambda: rs.copy(store, "app:1", f"oci:{tmp_path / 'copied'}", progress=False),
        lambda: rs.Image.read(store, "app:1"),
    ):
        with pytest.raises(InvalidManifest, match="more than 8 deep") as caught:
            call()
        assert caught.value.next_step


def test_a_chain_of_indexes_that_are_first_seen_from_above_is_too_deep_as_well(tmp_path: Path) -> None:
    """Each is named by the outermost index, too: no path to it is long, and the longest one is."""
    with LayoutWriter(tmp_path / "deep") as writer:
        chain = [writer.image([writer.layer(tar_of({"a": b"1"}), "COPY")], created=CREATED)]
        for level in range(300):
            chain.append(writer.index([chain[-1]], {"level": str(level)}))
        writer.tag("app:1", writer.index(chain))
    with pytest.raises(InvalidManifest, match="more than 8 deep"):
        rs.copy(f"oci:{tmp_path / 'deep'}", "app:1", f"oci:{tmp_path / 'copied'}", progress=False)
    assert len(rs.scan(rs.open(f"oci:{tmp_path / 'deep'}"), progress=False).manifests) == 302


def test_a_client_follows_indexes_so_far_and_no_further(often: FaultProxy, tmp_path: Path) -> None:
    client = rs.DockerRegistryV2Client(often.url)
    with pytest.raises(ResourceNotFound, match="has no image for"):
        ManifestRef("app", "1", client).get(platform="windows/arm64")
    assert ManifestRef("app", "1", client).get().media_type == "application/vnd.oci.image.manifest.v1+json"


def test_many_children_that_are_missing_are_a_row_each(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "wide") as writer:
        absent = [
            Descriptor(mediaType="application/vnd.oci.image.manifest.v1+json", digest=rs.Digest.of(b"%d" % n), size=1)
            for n in range(5_000)
        ]
        writer.tag("app:1", writer.index(absent))
    snap = rs.scan(rs.open(f"oci:{tmp_path / 'wide'}"), progress=False)
    assert len(snap.problems) == 5_000
