"""A registry's own storage as a store: what the API shows, what it does not show, and what is damaged."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest

import regscope as rs
from regscope.errors import ContentMissing, InvalidLocation, NotAStore, RegscopeError, StoreError
from regscope.stores.registry_storage import RegistryStorageStore
from tests.lab.drawn_registries import Contents, artifact, fallback_list, image, index, layer
from tests.lab.images import push as push_layout
from tests.servers.registry import Registry

TABLES = ["manifests", "layers", "platforms", "referrers", "history", "labels"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, layout: Path) -> Iterator[Registry]:
    """The layout of all tests, and beside it what has lost its tag, and what nothing needs."""
    with Registry(tmp_path_factory.mktemp("storage")) as registry:
        push_layout(layout, registry)
        yield registry


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as registry:
        yield registry


def scan(registry: Registry | str) -> rs.Snapshot:
    place = registry if isinstance(registry, str) else f"storage:{registry.storage}"
    return rs.scan(rs.open(place, cache=False), progress=False)


def test_tags_and_content_are_what_the_api_says(filled: Registry) -> None:
    ours, theirs = scan(filled), scan(filled.url)
    names = ["repository", "tag", "digest"]
    assert ours.tags[names].astype("str").equals(theirs.tags[names].astype("str"))
    assert ours.sees_everything
    known = ours.manifests["digest"].astype("str")
    for name in TABLES:
        told = ["found"] if name == "referrers" else []  # not by an API
        table, same = (each.tables[name].drop(columns=told).astype("str") for each in (theirs, ours))
        assert set(table.itertuples(index=False, name=None)) <= set(same.itertuples(index=False, name=None)), name
    assert set(theirs.manifests["digest"]) <= set(known)
    store = rs.open(f"storage:{filled.storage}")
    for row in theirs.blobs.head(5).itertuples():
        assert sum(map(len, store.blob("base", str(row.digest)))) == row.size == store.blob_size("", str(row.digest))


def test_the_blobs_are_those_on_the_disk_needed_or_not(own: Registry) -> None:
    Contents(
        pushes=[("app", "1", image([layer("a", 50)], 1)), ("app", "2", image([layer("b", 60)], 1))],
        deletions=[("app", image([layer("b", 60)], 1).digest)],
        uploads=[("app", b"never named")],
    ).push_to(own.url)
    snap = scan(own)
    found = dict(zip(snap.blobs["digest"], snap.blobs["size"], strict=True))
    found |= dict(zip(snap.orphans["digest"], snap.orphans["size"], strict=True))
    assert found == own.blob_digests()
    assert "orphaned" in snap.facts()
    before = own.blob_bytes()
    own.garbage_collect()
    assert before - own.blob_bytes() == snap.orphans["size"].sum() > 0


def test_untagged_is_what_no_tag_leads_to_and_nothing_else_holds(own: Registry) -> None:
    child, loose, moved = image([layer("c", 5)], 1), image([layer("l", 5)], 1), image([layer("m", 5)], 1)
    sbom, lonely = artifact("sbom", b"1", child), artifact("sbom", b"2", loose)
    nested = index([index([image([layer("n", 5)], 1)])])
    Contents(
        pushes=[
            ("app", "multi", index([child])),
            ("app", None, sbom),
            ("app", None, loose),
            ("app", None, lonely),
            ("app", None, nested),
            ("app", "tag", moved),
            ("app", "tag", image([layer("new", 5)], 1)),
            ("app", child.digest.replace(":", "-"), fallback_list([sbom])),
        ]
    ).push_to(own.url)
    store = RegistryStorageStore(str(own.storage))
    assert store.untagged("app") == sorted([loose.digest, nested.digest, moved.digest])
    placements = scan(own).placements
    found = dict(zip(placements["digest"], placements["found"], strict=True))
    assert found[sbom.digest] == "index child"  # of the list under the fallback tag
    assert found[lonely.digest] == "referrer"
    assert [entry.digest for entry in store.referrers("app", loose.digest) or ()] == [lonely.digest]


def test_a_manifest_that_another_repository_has_is_not_here(own: Registry) -> None:
    made = image([layer("a", 5)], 1)
    Contents(pushes=[("one", "1", made), ("two", "1", image([], 1))]).push_to(own.url)
    store = rs.open(f"storage:{own.storage}")
    with pytest.raises(ContentMissing, match="has no manifest"):
        store.manifest("two", made.digest)
    with pytest.raises(ContentMissing):
        store.resolve("one", "absent")
    with pytest.raises(ContentMissing):
        store.tags("absent")


def test_the_time_of_a_push_is_known(own: Registry) -> None:
    Contents(pushes=[("app", "1", image([], 400))]).push_to(own.url)
    (pushed,) = scan(own).tags["pushed"]
    assert abs(pushed - datetime.now(UTC)) < timedelta(minutes=5)


def test_the_v2_folder_and_any_file_system_will_do(filled: Registry) -> None:
    expected = scan(filled)
    memory = fsspec.filesystem("memory")
    memory.put(str(filled.storage), "/regscope-test", recursive=True)
    try:
        for place in (f"storage:{filled.storage / 'docker/registry/v2'}", "storage:memory://regscope-test"):
            found = scan(place)
            for name in ("placements", "blobs", "orphans", *TABLES):
                assert found.tables[name].astype("str").equals(expected.tables[name].astype("str")), name
    finally:
        memory.rm("/regscope-test", recursive=True)


def test_it_pickles(filled: Registry) -> None:
    store = pickle.loads(pickle.dumps(RegistryStorageStore(str(filled.storage))))
    assert store.repositories() == rs.open(filled.url, cache=False).repositories()


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("storage:", InvalidLocation),
        ("storage:/no/such/folder", NotAStore),
        ("storage:nonsense://bucket/x", InvalidLocation),
        ("storage:s3://bucket/x", RegscopeError),
    ],
)
def test_what_is_no_storage_is_told(place: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        rs.open(place)
    assert isinstance(caught.value, RegscopeError)
    assert caught.value.next_step


def test_damaged_storage_is_a_row_of_problems_and_never_a_traceback(own: Registry, tmp_path: Path) -> None:
    made = {name: image([layer(name, 50)], 1) for name in ("fine", "cut", "lost", "huge", "odd")}
    Contents(pushes=[("app", name, each) for name, each in made.items()]).push_to(own.url)
    root = own.storage / "docker/registry/v2"
    tags = root / "repositories/app/_manifests/tags"

    def data(name: str) -> Path:
        return root / "blobs/sha256" / made[name].digest[7:9] / made[name].digest[7:] / "data"

    data("cut").write_bytes(data("cut").read_bytes()[:-5])
    shutil.rmtree(data("lost").parent)
    (tags / "huge/current/link").write_bytes(b"x" * 10_000_000)
    (tags / "odd/current/link").write_bytes(b"../../../../etc/passwd")
    (root / "repositories/Not A Name/_manifests/tags").mkdir(parents=True)
    (root / "repositories/app/_manifests/revisions/sha256/nonsense").mkdir()
    (root / "repositories/app/_manifests/tags/a-file").write_text("no folder")
    (root / "blobs/sha256/zz").mkdir()
    snap = scan(own)
    assert snap.tags["tag"].tolist() == ["fine"]
    assert {"huge", "odd"} <= set(snap.problems["reference"])
    assert snap.orphans.empty  # what could not be read may need any of them
    assert not snap.sees_everything
    with pytest.raises(StoreError):
        rs.open(f"storage:{own.storage}").resolve("app", "odd")
    plan = rs.plan(snap, rs.Retention(tags="*"))
    assert plan.steps.empty


@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "ring"])
@pytest.mark.parametrize("what", ["link", "data"])
def test_what_is_no_file_in_a_files_place_is_a_problem_and_is_not_read(own: Registry, what: str, kind: str) -> None:
    made = {name: image([layer(name, 50)], 1) for name in ("fine", "odd")}
    Contents(pushes=[("app", name, each) for name, each in made.items()]).push_to(own.url)
    root = own.storage / "docker/registry/v2"
    digest = made["odd"].digest
    place = root / "repositories/app/_manifests/tags/odd/current/link"
    if what == "data":
        place = root / "blobs/sha256" / digest[7:9] / digest[7:] / "data"
    place.unlink()
    if kind == "device":
        place.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(place)
    snap = scan(own)
    assert snap.tags["tag"].tolist() == ["fine"]
    assert "odd" in set(snap.problems["reference"])
    assert rs.plan(snap, rs.Retention(tags="*")).steps.empty
    if what == "data":
        with pytest.raises(StoreError):
            list(rs.open(f"storage:{own.storage}").blob("app", digest))


def test_folders_that_lead_back_to_themselves_end(own: Registry) -> None:
    Contents(pushes=[("app", "1", image([], 1))]).push_to(own.url)
    repositories = own.storage / "docker/registry/v2/repositories"
    for name in ("a", "b"):
        (repositories / name).symlink_to("..")
        (repositories / "app" / name).symlink_to("..")
    assert scan(own).tags["tag"].tolist() == ["1"]


@pytest.mark.parametrize(
    "name", ["a b", "<img src=x>", "\x1b[31m", "a\nb", "a" * 200, "-x", "sha256:zz", "sha256:" + "0" * 64, "\udcff"]
)
def test_folders_with_names_that_are_no_tags_break_nothing(own: Registry, tmp_path: Path, name: str) -> None:
    Contents(pushes=[("app", "1", image([], 1))]).push_to(own.url)
    tags = own.storage / "docker/registry/v2/repositories/app/_manifests/tags"
    shutil.copytree(tags / "1", tags / name)
    snap = scan(own)
    assert "1" in set(snap.tags["tag"])
    plan = rs.plan(snap, rs.Retention(tags="*"))
    assert rs.Plan.load(plan.save(tmp_path / "plan.json")).steps.equals(plan.steps)
    for shown in (snap, plan):
        assert "<img" not in shown._repr_html_()
        assert "\x1b" not in repr(shown) + shown._repr_html_()


def test_what_was_never_finished_is_neither_blob_nor_repository(own: Registry) -> None:
    Contents(pushes=[("app", "1", image([], 1))]).push_to(own.url)
    client = rs.DockerRegistryV2Client(own.url)
    place = client.post(client.url("begun", "blobs", "uploads/")).headers["Location"]
    client.request("PATCH", place, data=b"x" * 500)
    assert list((own.storage / "docker/registry/v2/repositories/begun/_uploads").glob("*/data"))
    snap = scan(own)
    assert set(snap.tags["repository"]) == {"app"}
    assert rs.open(f"storage:{own.storage}").repositories() == ["app"]
    assert snap.orphans.empty
    assert not len(snap.problems)
    assert snap.sees_everything


@pytest.mark.parametrize("lost", ["_manifests/tags", "_manifests/revisions", "blobs"])
def test_folders_that_are_not_there_are_told(own: Registry, lost: str) -> None:
    Contents(pushes=[("app", "1", image([], 1))]).push_to(own.url)
    root = own.storage / "docker/registry/v2"
    shutil.rmtree(root / "blobs" if lost == "blobs" else root / "repositories/app" / lost)
    snap = scan(own)
    if lost == "_manifests/tags":
        assert snap.placements["found"].tolist() == ["untagged"]
    else:
        assert snap.problems["what"].tolist() == ["missing manifest"]
