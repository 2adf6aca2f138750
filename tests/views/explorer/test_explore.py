"""The explorer as a whole: one image for all views, and every selection for the next cell."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import regscope as rs
from regscope.tables import Snapshot
from regscope.views.explorer.explore import VIEWS, Explorer
from tests.lab.row_snapshots import empty
from tests.views.explorer.code import gives


@pytest.fixture
def ui(inside: Snapshot) -> Explorer:
    return rs.explore(inside)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_shows_a_table_and_the_code_that_gives_it(ui: Explorer, inside: Snapshot, view: str) -> None:
    ui.image = "team/api:1.0"
    ui.view = view
    if view == "compare":
        ui.comparison.before.image, ui.comparison.after.image = "team/nightly:0", "team/nightly:1"
    assert isinstance(ui.table, pd.DataFrame)
    assert gives(ui.code, inside, ui.table)
    assert isinstance(ui.selection, pd.DataFrame)


@pytest.mark.parametrize("view", VIEWS)
def test_an_empty_registry_can_be_explored(view: str) -> None:
    ui = rs.explore(empty())
    ui.view = view
    assert ui.table.empty
    assert ui.selection.empty


def test_a_tab_opens_its_view(ui: Explorer) -> None:
    ui.children[0].do("tab", "problems")
    assert ui.view == "problems"
    assert ui.problems in ui.children


def test_an_image_picked_in_one_view_is_picked_in_all(ui: Explorer) -> None:
    ui.view = "images"
    ui.picker.do("search", "api")
    ui.picker.do("pick", "0")
    assert ui.image == "team/api:1.0"
    assert ui.layers["created_by"].tolist() == ["ADD rootfs.tar /", "COPY app /app", "RUN make"]
    assert set(ui.files["path"]) >= {"app/run", "etc/passwd"}
    ui.view = "layers"
    assert ui.bars.image == "team/api:1.0"
    assert "team/api:1.0" in ui.children[0].html


def test_a_view_that_is_not_open_does_not_work_on_what_is_picked(ui: Explorer) -> None:
    ui.view = "files"
    ui.view = "images"
    ui.image = "team/api:1.0"
    assert ui.browser.image == ""


def test_tags_are_those_that_match(ui: Explorer) -> None:
    ui.view = "images"
    ui.picker.search = "nightly"
    assert ui.tags["tag"].tolist() == ui.picker.table["tag"].tolist()
    assert set(ui.tags["repository"]) == {"team/nightly"}


def test_a_layer_picked_anywhere_says_who_has_it(ui: Explorer) -> None:
    ui.image, ui.view = "team/api:1.0", "layers"
    ui.bars.do("pick", "0")
    assert len(ui.holders.table) == 4
    ui.view = "registry"
    ui.treemap.do("layer", ui.treemap.table["digest"].iloc[-1])
    assert ui.layer == ui.treemap.layer
    assert len(ui.holders.table) == 1


def test_sharing_is_there_for_repositories_tags_and_images(ui: Explorer, inside: Snapshot) -> None:
    ui.view = "sharing"
    for level in ("tag", "image", "repository"):
        ui.sharing.tabs.do("tab", level)
        assert set(ui.table["level"]) == {level}
        assert gives(ui.code, inside, ui.table)


def test_problems_are_shown_in_words(small: Snapshot) -> None:
    ui = rs.explore(small)
    ui.view = "problems"
    assert "manifest unknown" in ui.problems.html
    ui.problems.do("search", "digest")
    assert ui.table["reference"].tolist() == ["3.0"]
    assert gives(ui.code, small, ui.table)


def test_what_was_read_in_one_view_is_there_in_the_others(layout: Path) -> None:
    store = rs.open(f"oci:{layout}")
    ui = rs.explore(rs.scan(store), store)
    ui.view = "compare"
    ui.comparison.before.image, ui.comparison.after.image = "app:1.0", "app:1.1"
    ui.image, ui.view = "app:1.1", "files"
    assert ui.browser.unread
    ui.view = "compare"
    ui.comparison.answer.do("read")
    ui.view = "files"
    assert not ui.browser.unread
    assert len(ui.snap.unpacked) == 4
    ui.view = "registry"
    assert "layers" in ui.facts.html
