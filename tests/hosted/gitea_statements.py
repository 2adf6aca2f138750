"""What holds at Gitea: these tests are run against the profile, and by `.ci/field` against a real one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import PermissionDeny, ResourceNotFound
from regscope.hosted.gitea_packages import Packages
from regscope.hosted.provider import Provider
from regscope.registry.client import DockerRegistryV2Client
from regscope.stores.registry_store import client_of, registry_of
from regscope.stores.removal import open_removal
from tests.field.contents import made, multi
from tests.hosted.gitea_place import Place
from tests.hosted.pushed import found
from tests.lab.drawn_registries import Pushed, index

__all__ = [  # what a module that makes the fixtures `place` and `repository` imports
    "test_a_login_without_the_scope_is_replaced_by_the_api_token",
    "test_a_plan_frees_what_it_says_and_is_undone",
    "test_a_repository_that_is_not_there_is_an_error",
    "test_a_second_scan_asks_for_the_versions_alone",
    "test_a_tag_that_was_pushed_again_is_asked_for_again",
    "test_a_token_that_may_only_read_is_an_error_that_names_the_scope",
    "test_gitea_32053_what_a_moved_tag_leaves_of_an_index_goes_with_its_children",
    "test_lists_are_read_to_their_end_page_by_page",
    "test_names_with_a_common_beginning_are_told_apart",
    "test_times_are_those_of_the_pushes",
    "test_what_has_no_tag_is_told_from_children",
    "test_what_was_pushed_by_tag_alone_goes_with_its_last_tag",
    "test_without_a_login_a_scan_sees_what_any_registry_shows",
]


def scanned(store: rs.ContentStore, *repositories: str) -> rs.Snapshot:
    snap = rs.scan(store, repositories=list(repositories), progress=False)
    assert not len(snap.problems), snap.problems.to_string()
    return snap


def provider(store: rs.ContentStore) -> Provider:
    registry = registry_of(store)
    assert registry is not None
    assert registry.provider is not None
    return registry.provider


def path(repository: str) -> str:
    """Of a repository's package, below which its versions are."""
    owner, _, name = repository.partition("/")
    return f"/api/v1/packages/{owner}/container/{name.replace('/', '%2F')}"


def filled(place: Place, repository: str) -> tuple[Pushed, Pushed, Pushed]:
    """An image with two tags, an index, and an image that has lost its tag."""
    image, many, old = made(repository, "one"), multi(repository), made(repository, "old")
    place.push(repository, old, "one")
    place.push(repository, image, "one", "two", by_digest=False)
    place.push(repository, many, "multi")
    return image, many, old


def test_what_has_no_tag_is_told_from_children(place: Place, repository: str) -> None:
    image, many, old = filled(place, repository)
    store = place.open()
    snap = scanned(store, repository)
    assert provider(store).name == "Gitea or Forgejo"
    children = {child.digest: "index child" for child in many.children}
    expected = {image.digest: "tag", many.digest: "tag", old.digest: "untagged", **children}
    assert found(snap, repository) == expected
    assert snap.sees_untagged
    tags = snap.tags.set_index("tag")["digest"].to_dict()
    assert tags == {"one": image.digest, "two": image.digest, "multi": many.digest}


def test_a_second_scan_asks_for_the_versions_alone(place: Place, repository: str, cache_folder: Path) -> None:
    filled(place, repository)
    store = place.open(cache=True)
    place.asked()
    first = scanned(store, repository)
    asked = place.asked()
    assert [line for line in asked if "/api/v1/packages/" in line].count(f"GET {path(repository)}") == 1
    assert sorted(line for line in asked if line.endswith("/files")) == [
        f"GET {path(repository)}/{tag}/files" for tag in ("multi", "one", "two")
    ]
    second = scanned(store, repository)
    assert place.asked() == [f"GET {path(repository)}"]
    assert second.fingerprint == first.fingerprint


def test_a_tag_that_was_pushed_again_is_asked_for_again(place: Place, repository: str) -> None:
    image, many, old = filled(place, repository)
    store = place.open()
    scanned(store, repository)
    place.push(repository, old, "two")
    place.asked()
    snap = scanned(store, repository)
    assert [line for line in place.asked() if line.endswith("/files")] == [f"GET {path(repository)}/two/files"]
    tags = snap.tags.set_index("tag")["digest"].to_dict()
    assert tags == {"one": image.digest, "two": old.digest, "multi": many.digest}


def test_times_are_those_of_the_pushes(place: Place, repository: str) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    image, _, old = filled(place, repository)
    after = datetime.now(UTC) + timedelta(seconds=1)
    store = place.open()
    snap = scanned(store, repository)
    for tag in ("one", "two", "multi"):
        pushed = store.pushed(repository, tag)
        assert pushed is not None
        assert before <= pushed <= after
    times = snap.placements.set_index("digest")["pushed"]
    assert before <= times[old.digest] <= times[image.digest] <= after


def test_lists_are_read_to_their_end_page_by_page(place: Place, repository: str) -> None:
    images = [made(repository, f"many {number}") for number in range(56)]
    for number, image in enumerate(images):
        place.push(repository, image, *([f"t{number}"] if number % 8 == 0 else []))
    store = place.open()
    place.asked()
    assert store.tags(repository) == sorted(f"t{number}" for number in range(0, 56, 8))
    assert place.asked().count(f"GET {path(repository)}") == 2  # 56 + 7 versions, by 50
    tagged = {image.digest for image in images[::8]}
    assert set(store.untagged(repository)) == {image.digest for image in images} - tagged
    assert store.sees_untagged


def test_names_with_a_common_beginning_are_told_apart(place: Place, repository: str) -> None:
    names = (repository, f"{repository}/deep", f"{repository}s", f"{repository}/deep/er")
    for name in names:
        place.push(name, made(name, "one"), "latest")
    store = place.open()
    assert [name for name in store.repositories() if name.startswith(repository)] == sorted(names)
    snap = scanned(store, *names)
    tags = dict(zip(snap.tags["repository"], snap.tags["digest"], strict=True))
    assert tags == {name: made(name, "one").digest for name in names}
    assert provider(store).repositories(f"{repository}/deep") == [f"{repository}/deep", f"{repository}/deep/er"]


def test_a_repository_that_is_not_there_is_an_error(place: Place, repository: str) -> None:
    store = place.open()
    place.push(repository, made(repository, "one"), "one")
    store.tags(repository)
    with pytest.raises(ResourceNotFound):
        store.tags(f"{repository}-not")
    with pytest.raises(ResourceNotFound):
        store.tags("nobody-here/nothing")


def test_without_a_login_a_scan_sees_what_any_registry_shows(place: Place, repository: str) -> None:
    image, _, old = filled(place, repository)
    with pytest.warns(rs.CapabilityWarning, match="are not shown to these credentials: .*read:package") as caught:
        snap = scanned(place.open(username=None), repository)
    assert {warning.message.capability for warning in caught} <= {"provider", "referrers"}
    assert not snap.sees_untagged
    assert found(snap, repository)[image.digest] == "tag"
    assert old.digest not in found(snap, repository)


def test_a_login_without_the_scope_is_replaced_by_the_api_token(place: Place, repository: str) -> None:
    _, _, old = filled(place, repository)
    token = place.token("read:package")
    snap = scanned(place.open(username=None, api_token=token), repository)
    assert found(snap, repository)[old.digest] == "untagged"
    other = place.token("read:user")  # with which the registry gives no token of its own
    store = place.open(token)
    scanned(store, repository)
    client = client_of(store)
    assert client is not None
    refused = Packages(DockerRegistryV2Client(client.api_base_url, "team", other, client.verify_certificate))
    owner, _, name = repository.partition("/")
    with pytest.raises(PermissionDeny, match=r"required=\[read:package\]"):
        refused.of_package(owner, name)


def test_a_token_that_may_only_read_is_an_error_that_names_the_scope(
    place: Place, repository: str, tmp_path: Path
) -> None:
    image, _, _ = filled(place, repository)
    store = place.open(place.token("read:package"))
    snap = scanned(store, repository)
    with pytest.raises(PermissionDeny) as caught:
        open_removal(store).untag(repository, "one")
    assert "write:package" in caught.value.next_step
    assert store.resolve(repository, "one") == image.digest
    assert found(scanned(store, repository), repository) == found(snap, repository)


def test_what_was_pushed_by_tag_alone_goes_with_its_last_tag(place: Place, repository: str) -> None:
    image, many, old = filled(place, repository)
    store = place.open()
    place.push(repository, old, "one", "two", by_digest=False)
    assert image.digest not in found(scanned(store, repository), repository)
    assert found(scanned(store, repository), repository)[old.digest] == "tag"
    place.push(repository, many, "one", "two", by_digest=False)
    assert found(scanned(store, repository), repository)[old.digest] == "untagged"


def test_a_plan_frees_what_it_says_and_is_undone(place: Place, repository: str, tmp_path: Path) -> None:
    image, many, old = filled(place, repository)
    kept = made(repository, "kept")
    place.push(repository, kept, "kept", "also")
    store = place.open()
    snap = scanned(store, repository)
    before = {tag: store.resolve(repository, tag) for tag in store.tags(repository)}
    plan = rs.plan(snap, rs.Retention(tags=["two", "multi", "also"], untagged=True, repositories=[repository]))
    assert plan.apply(store, progress=False).ok
    assert {tag: store.resolve(repository, tag) for tag in store.tags(repository)} == before

    done = plan.apply(store, dry_run=False, journal=tmp_path / "without", progress=False)
    assert re.search("serves no blob any more .* and there is no backup for undo", str(done.stopped_by))
    assert {*done.table["outcome"]} == {"left"}
    assert {tag: store.resolve(repository, tag) for tag in store.tags(repository)} == before

    journal, backup = tmp_path / "journal", f"oci:{tmp_path / 'backup'}"
    done = plan.apply(store, dry_run=False, journal=journal, backup=backup, progress=False)
    assert done.ok, repr(done)
    snap = scanned(store, repository)
    assert found(snap, repository) == {image.digest: "tag", kept.digest: "tag"}
    assert {*snap.tags["tag"]} == {"one", "kept"}

    undone = rs.undo(journal, store, backup=backup, dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert {tag: store.resolve(repository, tag) for tag in store.tags(repository)} == before
    assert old.digest in store.untagged(repository)

    place.collect()  # what other tests have left
    blobs = place.blobs()
    plan = rs.plan(scanned(store, repository), rs.Retention(tags=["two", "multi", "also"], untagged=True))
    assert plan.apply(store, dry_run=False, journal=tmp_path / "again", backup=backup, progress=False).ok
    place.collect()
    left = place.blobs()
    freed = {digest: size for digest, size in blobs.items() if digest not in left}
    assert {*freed} == {*plan.blobs["digest"]}
    assert sum(freed.values()) == plan.freed_bytes
    assert many.digest in freed


def test_gitea_32053_what_a_moved_tag_leaves_of_an_index_goes_with_its_children(
    place: Place, repository: str, tmp_path: Path
) -> None:
    """go-gitea/gitea#32053, #21673: manifests of replaced multi-platform images are never cleaned up there."""
    before, now, other = (multi(repository, name) for name in ("before", "now", "other"))
    shared = index([before.children[0], now.children[0]])
    place.push(repository, before, "latest")
    place.push(repository, shared, "kept", by_digest=False)
    place.push(repository, now, "latest")
    place.push(repository, other, "latest-too", by_digest=False)
    store = place.open()
    plan = rs.plan(scanned(store, repository), rs.Retention(untagged=True, repositories=[repository]))
    assert {*plan.steps["digest"]} == {before.digest, before.children[1].digest}
    place.collect()  # what other tests have left
    blobs, backup = place.blobs(), f"oci:{tmp_path / 'backup'}"
    assert plan.apply(store, dry_run=False, journal=tmp_path / "journal", backup=backup, progress=False).ok
    place.collect()
    freed = {digest: size for digest, size in blobs.items() if digest not in place.blobs()}
    assert sum(freed.values()) == plan.freed_bytes > 0
    kept = {pushed.digest: "tag" for pushed in (now, shared, other)}
    children = {child.digest for pushed in (now, shared, other) for child in pushed.children}
    assert found(scanned(store, repository), repository) == kept | dict.fromkeys(children, "index child")
