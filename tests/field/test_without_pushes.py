"""A cache that only passes on what another registry has: nothing can be pushed, and that is told."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import Unsupported
from regscope.registry.blobs import Blob
from regscope.registry.manifests import ManifestRef
from tests.field.contents import made
from tests.field.kinds import chosen
from tests.field.refusals import Ask, check_refused
from tests.field.wire import Wire

SERVERS = chosen(lambda kind: not kind.takes_pushes)


def pushes_a_blob(store: rs.ContentStore, repository: str, folder: Path) -> None:
    Blob(repository, fileobj=io.BytesIO(b"new"), client=store.client).upload()


def pushes_a_large_blob(store: rs.ContentStore, repository: str, folder: Path) -> None:
    Blob(repository, fileobj=io.BytesIO(bytes(12_000_000)), client=store.client).upload()


def mounts_a_blob(store: rs.ContentStore, repository: str, folder: Path) -> None:
    blob = made(repository, "one").blobs[1]
    Blob(f"{repository}-too", rs.Digest.of(blob), client=store.client).mount_from(repository)


def pushes_a_manifest(store: rs.ContentStore, repository: str, folder: Path) -> None:
    image = made(repository, "one")
    ManifestRef(repository, "three", store.client).put(image.raw, image.media_type)


def copies_an_image_in(store: rs.ContentStore, repository: str, folder: Path) -> None:
    rs.Image.read(store, f"{repository}:one").mutate(env={"A": repository}).write(store, f"{repository}:three")


def attaches(store: rs.ContentStore, repository: str, folder: Path) -> None:
    (folder / "sbom").write_text("sbom")
    rs.attach(store, f"{repository}:one", folder / "sbom", "application/vnd.example.sbom")


@pytest.mark.parametrize(
    "ask", [pushes_a_blob, pushes_a_large_blob, mounts_a_blob, pushes_a_manifest, copies_an_image_in, attaches]
)
def test_what_is_not_taken_is_told(
    store: rs.ContentStore, filling: Wire, repository: str, tmp_path: Path, ask: Ask
) -> None:
    check_refused(ask, store, filling, repository, tmp_path)


def test_it_is_told_as_something_that_this_registry_does_not_do(
    store: rs.ContentStore, filling: Wire, repository: str, tmp_path: Path
) -> None:
    filling.push(repository, made(repository, "one"), "one")
    with pytest.raises(Unsupported):
        copies_an_image_in(store, repository, tmp_path)
