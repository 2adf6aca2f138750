"""Which image is meant, and which of its layers are a file system."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import regscope as rs
from regscope.analysis.image_choice import choose_one
from regscope.analysis.layer_stacks import layer_stacks
from regscope.errors import InvalidInput, InvalidPlatform
from regscope.spec.descriptor import Descriptor
from regscope.tables import Snapshot
from tests.lab import layered


@pytest.fixture(scope="module")
def snap(layout: Path) -> Snapshot:
    return layered.read(layout)


def test_an_image_goes_by_its_tag_or_its_digest(snap: Snapshot, images: dict[str, Descriptor]) -> None:
    digest = images["app:1.1"].digest
    for name in ("app:1.1", "app:latest", f"app@{digest}", str(digest)):
        assert choose_one(snap, name) == digest
    assert choose_one(snap, "tool") == images["tool:nightly"].digest  # there is but one


def test_of_an_index_one_platform_is_named(snap: Snapshot) -> None:
    amd, arm = choose_one(snap, "team/api:1.0", "linux/amd64"), choose_one(snap, "team/api:1.0", "linux/arm64")
    assert amd != arm
    assert rs.final_files(snap, "team/api:1.0", platform="linux/arm64")["path"].str.contains("api").any()
    with pytest.raises(InvalidInput, match="names 2 images") as caught:
        choose_one(snap, "team/api:1.0")
    assert "linux/amd64, linux/arm64/v8" in caught.value.next_step
    with pytest.raises(InvalidInput, match="no image for linux/s390x") as caught:
        choose_one(snap, "team/api:1.0", "linux/s390x")
    assert "linux/arm64/v8" in caught.value.next_step
    with pytest.raises(InvalidPlatform):
        choose_one(snap, "team/api:1.0", "linux")


def test_what_is_no_image_is_said_to_be_none(snap: Snapshot, images: dict[str, Descriptor]) -> None:
    with pytest.raises(InvalidInput, match=r"is an artifact, application/spdx\+json, not an image"):
        choose_one(snap, str(images["sbom"].digest))
    with pytest.raises(InvalidInput, match="matches nothing"):
        choose_one(snap, "app:9")


def test_layers_that_live_elsewhere_or_are_no_file_system_are_left_aside(snap: Snapshot) -> None:
    whole = layer_stacks(snap, "team/worker:2.0")
    assert whole["position"].tolist() == [0, 1, 2, 3]
    lowest = whole["blob_digest"].iloc[0]
    unread = snap.unpacked[snap.unpacked["layer_digest"] != lowest]
    foreign = snap.blobs.assign(foreign=snap.blobs["digest"] == lowest)
    assert layer_stacks(dataclasses.replace(snap, unpacked=unread, blobs=foreign), "team/worker:2.0")[
        "position"
    ].tolist() == [1, 2, 3]
    with pytest.raises(InvalidInput, match="1 were not read"):
        layer_stacks(dataclasses.replace(snap, unpacked=unread), "team/worker:2.0")


def test_an_image_of_a_registry_wastes_what_its_line_says(snap: Snapshot) -> None:
    table = rs.waste(snap, "team/worker")
    rows = table[["cause", "brought_by", "caused_by", "files", "bytes"]].astype(object).itertuples(index=False)
    assert [tuple(row) for row in rows] == [("deleted", "RUN fetch", "RUN rm -rf /tmp/cache", 1, 20_000)]
