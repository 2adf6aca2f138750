"""Picking an image gives its name; setting the name picks it."""

from __future__ import annotations

from pathlib import Path

import pytest
import traitlets

import regscope as rs
from regscope.errors import InvalidInput
from regscope.tables import Snapshot


@pytest.fixture(scope="module")
def snap(layout: Path) -> Snapshot:
    return rs.scan(rs.open(f"oci:{layout}"))


def test_a_tag_for_one_platform_is_called_by_its_name(snap: Snapshot) -> None:
    picker = rs.image_picker(snap, search="app:1.0")
    picker.do("pick", "0")
    assert picker.image == "app:1.0"


def test_a_tag_for_several_platforms_is_called_by_the_digest_of_the_picked_one(snap: Snapshot) -> None:
    picker = rs.image_picker(snap, search="team/api:2.0:linux/arm64")
    picker.do("pick", "0")
    assert picker.image == f"team/api@{picker.selection['digest'].iloc[0]}"


@pytest.mark.parametrize("name", ["base:stable", "team/worker:2.0"])
def test_setting_the_name_picks_the_row(snap: Snapshot, name: str) -> None:
    picker = rs.image_picker(snap)
    picker.image = name
    row = picker.selection.iloc[0]
    assert f"{row['repository']}:{row['tag']}" == name
    picker.image = ""
    assert picker.selection.empty


def test_a_digest_is_a_name_too(snap: Snapshot) -> None:
    digest = rs.image_sizes(snap).query("repository == 'tool'")["digest"].iloc[0]
    assert rs.image_picker(snap, image=digest).selection["repository"].tolist() == ["tool"]


def test_a_name_that_means_nothing_is_an_error(snap: Snapshot) -> None:
    picker = rs.image_picker(snap)
    with pytest.raises(InvalidInput):
        picker.image = "no/such:image"


def test_every_name_that_it_gives_names_that_image(snap: Snapshot) -> None:
    picker = rs.image_picker(snap)
    for row in range(len(picker.table)):
        picker.do("pick", str(row))
        assert rs.diff(snap, picker.image, picker.image).a == picker.selection["digest"].iloc[0]


def test_widgets_are_composed_by_linking_the_image(snap: Snapshot) -> None:
    picker, bars = rs.image_picker(snap), rs.layer_bars(snap)
    traitlets.link((picker, "image"), (bars, "image"))
    picker.image = "team/worker:2.0"
    assert bars.table["created_by"].str.contains("rm -rf").any()
    bars.image = "base:1"
    assert picker.selection["tag"].tolist() == ["1"]
