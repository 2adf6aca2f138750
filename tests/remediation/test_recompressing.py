"""A recompressed image has the same tars and config in other blobs, and others can read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import InvalidInput
from regscope.images.image import Image
from regscope.layers.compression import compressed
from regscope.spec.manifest import OCIIndex
from regscope.spec.media_types import OCI_INDEX, OCI_LAYER_ZSTD, OCI_MANIFEST
from regscope.stores.removal import open_removal
from tests.lab import layered
from tests.lab.corners import entry, tar
from tests.lab.images import skopeo
from tests.remediation.test_slimming import own_registry, pushed, upgraded
from tests.remediation.unpacking import assert_same, unpacked
from tests.servers.registry import Registry

__all__ = ["own_registry"]


def test_diff_ids_and_config_stay_and_the_bytes_are_those_predicted(own_registry: Registry, tmp_path: Path) -> None:
    text = tar(entry("text", content=b"".join(b"line %d\n" % number for number in range(50_000))))
    pushed(own_registry, tmp_path / "layout", {"one": [text, *upgraded()]})
    store = rs.open(own_registry.url, cache=False)
    found = rs.recompress(store, "image:0", "zstd", level=19, snap=rs.scan(store, progress=False))
    before = own_registry.blob_bytes()
    done = found.apply(dry_run=False)
    assert found.registry is not None
    assert own_registry.blob_bytes() - before == found.registry.added_bytes
    assert done.actual_bytes == found.size_after < found.size_before
    old, new = (Image.read(store, f"image:{tag}") for tag in ("0", "zstd"))
    assert new.config_bytes == old.config_bytes
    assert {layer.descriptor.mediaType for layer in new.layers} == {OCI_LAYER_ZSTD}
    open_removal(store).delete_manifest("image", old.digest)
    before = own_registry.blob_bytes()
    own_registry.stop()
    own_registry.garbage_collect()
    assert before - own_registry.blob_bytes() == found.registry.freed_bytes


def test_others_unpack_zstd_to_the_same(tmp_path: Path) -> None:
    layered.write(tmp_path / "layout", {"one": upgraded()})
    rs.recompress(f"oci:{tmp_path / 'layout'}", "image:0", "zstd").apply(dry_run=False)
    skopeo("copy", f"oci:{tmp_path / 'layout'}:image:zstd", f"dir:{tmp_path / 'pulled'}")
    skopeo("copy", "--dest-compress-format=gzip", "--dest-compress", f"dir:{tmp_path / 'pulled'}",
           f"oci:{tmp_path / 'again'}:one")  # fmt: skip
    again = unpacked(f"{tmp_path / 'again'}:one", tmp_path / "after")
    assert_same(unpacked(f"{tmp_path / 'layout'}:image:0", tmp_path / "before"), again)


def test_what_is_compressed_so_already_stays(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": upgraded()})
    assert not rs.recompress(f"oci:{tmp_path}", "image:0", "gzip", compression="gzip").is_changed


def test_a_docker_image_becomes_one_of_oci(layout: Path, tmp_path: Path) -> None:
    target = f"oci:{tmp_path / 'target'}"
    found = rs.recompress(f"oci:{layout}", "legacy:1", "zstd")
    found.apply(target, dry_run=False)
    assert "Docker's media types have none for zstd" in repr(found)
    assert rs.open(target).manifest("legacy", "zstd").parse().media_type == OCI_MANIFEST
    rs.make_index(f"oci:{layout}", ["legacy:1"], target, "legacy:list")
    rs.recompress(target, "legacy:list", "all").apply(dry_run=False)
    made = rs.open(target).manifest("legacy", "all").parse()
    assert isinstance(made, OCIIndex)
    assert made.media_type == OCI_INDEX
    assert [child.mediaType for child in made.manifests] == [OCI_MANIFEST]


@pytest.mark.parametrize(("compression", "level"), [("zstd", 23), ("zstd", 0), ("gzip", 10), ("gzip", -1)])
def test_a_level_that_is_none_is_refused(compression: Any, level: int) -> None:
    with pytest.raises(InvalidInput, match=f"{compression} has no level {level}"):
        compressed([b"content"], compression, level)


def test_slimmed_and_recompressed_at_once(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": upgraded()})
    found = rs.slim(f"oci:{tmp_path}", "image:0", "slim", recompress="zstd")
    done = found.apply(dry_run=False)
    assert done.actual_bytes == found.size_after
    image = Image.read(f"oci:{tmp_path}", "image:slim")
    assert [layer.descriptor.mediaType for layer in image.layers] == [OCI_LAYER_ZSTD] * 2
    both = rs.slim(f"oci:{tmp_path}", "image:0", "x")
    assert [layer.diff_id for layer in image.layers] == [layer.diff_id for layer in both.tree.images[0].after.layers]
