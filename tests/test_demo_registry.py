"""The registry to try things on answers as the real ones do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import ContentMissing, ResourceNotFound


@pytest.fixture
def demo() -> Iterator[rs.DemoRegistry]:
    with rs.DemoRegistry() as registry:
        yield registry


def test_it_holds_what_a_layout_holds(demo: rs.DemoRegistry, layout: Path) -> None:
    rs.copy(f"oci:{layout}", "*:*", demo.url, referrers=True, progress=False)
    theirs, ours = (rs.scan(rs.open(place, cache=False), progress=False) for place in (f"oci:{layout}", demo.url))
    names = ["repository", "tag", "digest"]
    assert ours.tags[names].astype("str").equals(theirs.tags[names].astype("str"))
    assert set(ours.blobs["digest"]) <= set(theirs.blobs["digest"])
    assert not len(ours.problems)


def test_skopeo_pushes_and_pulls(demo: rs.DemoRegistry, layout: Path, tmp_path: Path) -> None:
    image = f"docker://{demo.url.removeprefix('http://')}/copied:1"
    for source, target in ((f"oci:{layout}:base:1", image), (image, f"dir:{tmp_path / 'pulled'}")):
        command = ["skopeo", "copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", source, target]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


def test_what_nothing_needs_is_collected(demo: rs.DemoRegistry, layout: Path) -> None:
    rs.copy(f"oci:{layout}", "*:*", demo.url, referrers=True, progress=False)
    snap = rs.scan(rs.open(demo.url, cache=False), progress=False)
    assert demo.stored_bytes == snap.blobs.loc[~snap.blobs["foreign"], "size"].sum()
    assert demo.collect_garbage() == 0
    client = rs.DockerRegistryV2Client(demo.url)
    repository, tag, digest = snap.tags[["repository", "tag", "digest"]].iloc[0]
    rs.Tags(repository, client).untag(tag)
    with pytest.raises((ResourceNotFound, ContentMissing)):
        rs.ManifestRef(repository, tag, client).fetch()
    assert rs.ManifestRef(repository, digest, client).fetch().digest == digest
    for row in snap.placements.itertuples():
        client.delete(client.url(row.repository, "manifests", row.digest)).close()
    demo.collect_garbage()
    assert demo.stored_bytes == 0


def test_it_refuses_what_is_not_what_it_says(demo: rs.DemoRegistry) -> None:
    client = rs.DockerRegistryV2Client(demo.url)
    with pytest.raises(rs.RequestErrorWithResponse):
        client.put(client.url("app", "manifests", "sha256:" + "0" * 64), data=b"{}")
    with pytest.raises(ResourceNotFound):
        rs.Tags("absent", client).list()
