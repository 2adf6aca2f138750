"""`scan(check=True)`: what the registry has lost is a row, whatever a cache knows of it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import regscope as rs
from regscope.spec.descriptor import Descriptor
from regscope.spec.media_types import DOCKER_FOREIGN_LAYER
from regscope.stores.layout_writer import LayoutWriter, tar_of
from tests.lab.drawn_registries import Contents, image, index, layer
from tests.lab.images import push, skopeo
from tests.lab.layouts import write
from tests.servers.faults import refuse
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry


@pytest.fixture
def own_registry(tmp_path: Path, layout: Path) -> Iterator[Registry]:
    """A registry that a test may damage; it has no cache of its own."""
    with Registry(tmp_path / "registry") as running:
        push(layout, running)
        yield running


def blob_file(registry: Registry, digest: str) -> Path:
    encoded = digest.partition(":")[2]
    return registry.blobs / "sha256" / encoded[:2] / encoded / "data"


def lose(registry: Registry, digest: str) -> None:
    shutil.rmtree(blob_file(registry, digest).parent)


def checked(store: rs.ContentStore | str, **options: object) -> rs.Snapshot:
    opened = rs.open(store, cache=False) if isinstance(store, str) else store
    return rs.scan(opened, check=True, progress=False, **options)  # type: ignore[arg-type]


def found(snap: rs.Snapshot) -> set[tuple[str, str, str]]:
    return set(snap.problems[["repository", "reference", "what"]].astype("str").itertuples(index=False, name=None))


def child_of(snap: rs.Snapshot, index_digest: str, architecture: str) -> str:
    rows = snap.platforms[snap.platforms["index_digest"] == index_digest]
    return str(rows.loc[rows["architecture"] == architecture, "digest"].iloc[0])


def test_what_is_whole_is_asked_for_once_in_each_repository_and_nothing_is_read(registry: Registry) -> None:
    store = rs.open(registry.url)
    first, before = rs.scan(store, progress=False), len(registry.requests())
    snap = checked(store)
    asked = [line.split()[:2] for line in registry.requests()[before:] if "/blobs/" in line or line.startswith("HEAD")]
    assert {method for method, _ in asked} == {"HEAD"}
    assert max(Counter(path for _, path in asked).values()) == 1
    assert len(asked) == snap.checked
    assert sum("/manifests/" in path for _, path in asked) == len(snap.placements)
    assert snap.problems.empty
    assert "none is missing" in repr(snap)
    assert first.checked is None


def test_what_was_lost_since_it_was_cached_is_a_row_for_each_repository(
    own_registry: Registry, images: dict[str, Descriptor]
) -> None:
    store = rs.open(own_registry.url)
    before = rs.scan(store, progress=False)
    child = child_of(before, images["team/api:1.0"].digest, "arm64")
    of_app = before.manifests.loc[before.manifests["digest"] == images["app:1.1"].digest]
    config = str(of_app["config_digest"].iloc[0])
    shared = str(before.layers.loc[before.layers["digest"] == images["base:1"].digest, "blob_digest"].iloc[0])
    for digest in (child, config, shared, images["tool:nightly"].digest):
        lose(own_registry, digest)
    assert rs.scan(store, progress=False).problems.empty  # as the cache has it
    snap = checked(store)
    assert found(snap) == {
        ("team/api", child, "missing manifest"),
        ("tool", images["tool:nightly"].digest, "missing manifest"),
        ("app", config, "missing blob"),
        *((repository, shared, "missing blob") for repository in ("app", "base", "team/api", "team/worker")),
    }
    errors = snap.problems.set_index(["repository", "reference"])["error"]
    assert "named by the index team/api:1.0 (linux/arm64/v8): push it again" in errors["team/api", child]
    assert "named by the tag tool:nightly" in errors["tool", images["tool:nightly"].digest]
    assert "named by app:1.1" in errors["app", config]
    assert "7 are missing or damaged" in repr(snap)
    loaded = rs.Snapshot.load(snap.save(own_registry.folder / "saved"))
    assert (loaded.checked, found(loaded)) == (snap.checked, found(snap))


def test_tables_are_those_of_a_scan_that_knew_nothing(own_registry: Registry, images: dict[str, Descriptor]) -> None:
    """A manifest that is gone holds nothing: bytes must not be counted as its own."""
    store = rs.open(own_registry.url)
    before = rs.scan(store, progress=False)
    for digest in (child_of(before, images["team/api:1.0"].digest, "arm64"), images["tool:nightly"].digest):
        lose(own_registry, digest)
    snap, fresh = checked(store), checked(own_registry.url)
    assert snap.tags.equals(fresh.tags)
    for table in set(snap.tables) - {"problems"}:
        assert snap.tables[table].astype("str").equals(fresh.tables[table].astype("str")), table
    assert len(snap.manifests) == len(before.manifests) - 2


def test_garbage_collection_that_takes_the_children_of_indexes_is_found_out(tmp_path: Path) -> None:
    """distribution 2.8's `--delete-untagged` does that."""
    multi = index([image([layer("a", 50)], 1), image([layer("b", 50)], 1, "arm64")])
    with Registry(tmp_path / "registry") as registry:
        Contents(pushes=[("app", "1.0", multi)]).push_to(registry.url)
        store = rs.open(registry.url)
        assert checked(store).problems.empty
        registry.garbage_collect(delete_untagged=True)
        assert rs.scan(store, progress=False).problems.empty
        children = {("app", str(child.digest), "missing manifest") for child in multi.children}
        assert found(checked(store)) == children
        assert found(checked(f"storage:{registry.storage}")) == children


@pytest.mark.parametrize("by", ["api", "storage"])
def test_a_blob_that_is_not_as_large_as_its_descriptor_says_is_damaged(
    own_registry: Registry, images: dict[str, Descriptor], by: str
) -> None:
    where = own_registry.url if by == "api" else f"storage:{own_registry.storage}"
    snap = checked(where)
    layers = snap.layers[snap.layers["digest"] == images["tool:nightly"].digest]
    digest, size = str(layers["blob_digest"].iloc[0]), int(layers["size"].iloc[0])
    file = blob_file(own_registry, digest)
    file.write_bytes(file.read_bytes()[:-1])
    snap = checked(where)
    assert found(snap) == {("tool", digest, "damaged")}
    assert f"{size - 1:,} bytes, but tool:nightly states {size:,}" in snap.problems["error"].iloc[0]


@pytest.mark.parametrize("status", [403, 405, 500])
def test_what_the_registry_does_not_tell_is_not_missing(registry: Registry, proxy: FaultProxy, status: int) -> None:
    store = rs.open(proxy.url)
    rs.scan(store, progress=False)
    proxy.rule(refuse("app/blobs/", status, "DENIED", "not for you"))
    snap = checked(store, repositories=["app", "base"])
    assert [(repository, what) for repository, _, what in found(snap)] == [("app", "unchecked")]
    error = snap.problems["error"].iloc[0]
    assert f": {status} " in error
    n_blobs = rs.scan(store, repositories="app", progress=False).blobs["kind"].ne("manifest").sum()
    assert f"; and {n_blobs - 1} more could not be checked" in error


@pytest.mark.parametrize("status", [404, 405])
def test_a_registry_that_knows_no_head_is_asked_by_get(registry: Registry, proxy: FaultProxy, status: int) -> None:
    store = rs.open(proxy.url)
    expected = checked(store).checked
    proxy.rule(refuse("/v2/", status, "UNKNOWN", "GET alone is known here", methods=["HEAD"]))
    snap = checked(store)
    assert snap.problems.empty
    assert snap.checked == expected


def test_a_mirror_does_not_answer_for_the_registry(own_registry: Registry, registry: Registry) -> None:
    store = rs.open(own_registry.url, cache=False, mirrors=[registry.url])
    snap = rs.scan(store, progress=False)
    lost = str(snap.layers["blob_digest"].iloc[0])
    lose(own_registry, lost)
    assert {(reference, what) for _, reference, what in found(checked(store))} == {(lost, "missing blob")}


def test_layouts_and_archives_are_looked_into(tmp_path: Path, own_layout: Path, images: dict[str, Descriptor]) -> None:
    whole = checked(f"oci:{own_layout}")
    assert whole.problems.empty
    assert whole.checked
    name = next(name for name in images if name == "tool:nightly")
    skopeo("copy", f"oci:{own_layout}:{name}", f"docker-archive:{tmp_path / 'tool.tar'}:{name}")
    saved = checked(f"docker-archive:{tmp_path / 'tool.tar'}")
    assert (len(saved.problems), saved.checked) == (0, 3)
    lost = str(whole.layers.loc[whole.layers["digest"] == images[name].digest, "blob_digest"].iloc[0])
    (own_layout / "blobs" / lost.replace(":", "/")).unlink()
    assert found(checked(f"oci:{own_layout}")) == {("tool", lost, "missing blob")}


def test_layers_that_are_served_from_elsewhere_are_not_asked_for(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "layout") as writer:
        made = writer.image([writer.layer(tar_of({"a": b"a"}), "COPY a /")], created="2024-01-01T00:00:00Z")
        writer.tag("app:1", made)
    folder = tmp_path / "layout" / "blobs" / "sha256"
    manifest = json.loads((folder / made.digest.encoded).read_bytes())
    elsewhere = {**manifest["layers"][0], "mediaType": DOCKER_FOREIGN_LAYER, "digest": f"sha256:{'0' * 64}"}
    for urls, expected in (["https://example.com/layer"], []), ([], [elsewhere["digest"]]):
        raw = json.dumps({**manifest, "layers": [*manifest["layers"], {**elsewhere, "urls": urls}]}).encode()
        digest = rs.Digest.of(raw)
        (folder / digest.encoded).write_bytes(raw)
        entry = {"mediaType": made.mediaType, "digest": digest, "size": len(raw)}
        document = {"schemaVersion": 2, "manifests": [{**entry, "annotations": {"io.containerd.image.name": "app:1"}}]}
        (tmp_path / "layout" / "index.json").write_text(json.dumps(document))
        snap = checked(f"oci:{tmp_path / 'layout'}")
        assert snap.problems.loc[snap.problems["what"] == "missing blob", "reference"].tolist() == expected


def test_children_for_platforms_that_nobody_asked_for_are_not_missed(tmp_path: Path) -> None:
    multi = index([image([layer("a", 50)], 1), image([layer("b", 50)], 1, "arm64")])
    folder = write(tmp_path / "layout", {"app:1.0": multi})
    (folder / "blobs" / multi.children[1].digest.replace(":", "/")).unlink()
    assert checked(f"oci:{folder}", platforms="linux/amd64").problems.empty
    assert found(checked(f"oci:{folder}")) == {("app", str(multi.children[1].digest), "missing manifest")}


def test_a_check_runs_on_any_executor(own_registry: Registry, images: dict[str, Descriptor]) -> None:
    store = rs.open(own_registry.url)
    rs.scan(store, progress=False)
    lose(own_registry, images["tool:nightly"].digest)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        snap = checked(store, executor=executor)
    assert found(snap) == {("tool", images["tool:nightly"].digest, "missing manifest")}
