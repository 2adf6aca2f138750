"""Tags that do not move: what is new is taken, and what would move a tag is refused and told."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.registry.manifests import ManifestRef
from tests.field.contents import made
from tests.field.kinds import chosen
from tests.field.refusals import Ask, check_refused
from tests.field.wire import Wire

SERVERS = chosen(lambda kind: not kind.moves_tags)


def pushes_another_manifest(store: rs.ContentStore, repository: str, folder: Path) -> None:
    """One whose blobs are there already: the manifest of `one` in other bytes."""
    raw = made(repository, "one").raw + b"\n"
    ManifestRef(repository, "one", store.client).put(raw)


def copies_another_image_over_it(store: rs.ContentStore, repository: str, folder: Path) -> None:
    rs.Image.read(store, f"{repository}:one").mutate(env={"A": repository}).write(
        store, f"{repository}:one", overwrite=True
    )


@pytest.mark.parametrize("ask", [pushes_another_manifest, copies_another_image_over_it])
def test_a_tag_that_would_move_is_told_and_stays(
    store: rs.ContentStore, filling: Wire, repository: str, tmp_path: Path, ask: Ask
) -> None:
    check_refused(ask, store, filling, repository, tmp_path)


def test_the_same_image_is_copied_again_under_its_tag(
    store: rs.ContentStore, layout: Path, wire: Wire, repository: str
) -> None:
    for _ in range(2):
        done = rs.copy(f"oci:{layout}", "team/api:1.0", store, f"{repository}:1.0", progress=False)
    assert wire.state(repository) == {"1.0": done.images[0].digest}
    assert wire.missing(repository, "1.0") == []


def test_a_new_tag_on_what_is_there_is_taken(store: rs.ContentStore, wire: Wire, repository: str) -> None:
    image = made(repository, "one")
    wire.push(repository, image, "one")
    ManifestRef(repository, "two", store.client).put(image.raw, image.media_type)
    assert wire.state(repository) == {"one": image.digest, "two": image.digest}
