"""Every figure of a report is what the analysis says."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest

from regscope import text
from regscope.analysis.history_cost import history_cost
from regscope.analysis.lineage import lineage
from regscope.analysis.sharing import sharing
from regscope.analysis.sizes import image_sizes, layer_sizes
from regscope.analysis.stale import stale
from regscope.analysis.what_if import what_if
from regscope.scanning.metadata import scan
from regscope.stores.layout_writer import LayoutWriter, tar_of
from regscope.stores.open_store import open as open_store
from regscope.tables import Snapshot
from regscope.views.report import Report, report
from regscope.views.report_answers import answers
from tests.lab import row_snapshots
from tests.lab.row_snapshots import RegistryRows, layer
from tests.views.reading import ReadPage, Section

STALE = pd.Timedelta(days=180)


@pytest.fixture(scope="module", params=["small", "large"])
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def snap(size: str, small: Snapshot, large: Snapshot) -> Snapshot:
    return {"small": small, "large": large}[size]


@pytest.fixture(scope="module")
def read(size: str, small_report: Report, large_report: Report) -> ReadPage:
    return ReadPage({"small": small_report, "large": large_report}[size].html)


def level(snap: Snapshot, name: str) -> pd.DataFrame:
    return sharing(snap).query(f"level == '{name}'")


def whole(column: pd.Series[int]) -> list[int | None]:
    return [None if pd.isna(value) else int(value) for value in column]


def assert_shows(section: Section, head: str, column: pd.Series[int]) -> None:
    """The column has these numbers, in this order, humanised and exact."""
    expected = whole(column.head(len(section.rows)))
    assert section.numbers(head) == expected
    for cell, value in zip(section.column(head), expected, strict=True):
        if cell.title:
            assert (cell.text, cell.title) == (text.size(value), text.count(value or 0, "byte"))


def test_the_key_figures_are_those_of_sharing(snap: Snapshot, read: ReadPage) -> None:
    registry = level(snap, "registry").iloc[0]
    assert read.figures["Storage"] == (text.size(registry["unique"]), f"{registry['unique']:,} bytes")
    assert f"{text.size(registry['total'])} if nothing were shared" in read.text
    assert f"{registry['total']:,} bytes" in read.titles
    assert read.figures["Deduplication"][0] == f"{registry['dedup_ratio']:.2f}×"


def test_the_counts_are_those_of_the_snapshot(snap: Snapshot, read: ReadPage) -> None:
    facts = snap.facts()
    for figure, fact in (("Repositories", "repositories"), ("Tags", "tags"), ("Images", "images")):
        assert read.figures[figure][0] == facts[fact]


def test_what_stale_tags_alone_hold_is_what_deleting_them_all_frees(snap: Snapshot, read: ReadPage) -> None:
    tags = stale(snap, older_than=STALE)
    freed = what_if(snap, delete=list(tags["repository"] + ":" + tags["tag"])).freed_bytes
    assert read.figures["Can be freed"] == (text.size(freed), f"{freed:,} bytes")


def test_the_places_are_what_each_repository_alone_holds_and_add_up(snap: Snapshot) -> None:
    shares = sharing(snap)
    found = answers(snap, shares, stale(snap, older_than=STALE), "180 days")
    alone = level(snap, "repository").set_index("repository")["exclusive"]
    named = {place.name: int(place.title.split(": ")[1].split(" ")[0].replace(",", "")) for place in found.places}
    assert sum(named.values()) == shares["unique"].iloc[0]
    assert list(named.values())[:4] == sorted(list(named.values())[:4], reverse=True)
    repositories = [name for name in named if "/" in name]
    assert repositories
    assert all(named[name] == alone[name] for name in repositories)


def test_what_has_no_tag_and_what_nothing_needs_can_go_too() -> None:
    rows = RegistryRows()
    rows.image("team/api", ["1"], [layer("base", 500)])
    rows.image("team/api", [], [layer("base", 500), layer("lost", 7_000_000)])
    rows.rows["orphans"].append((row_snapshots.sha("orphan"), 3_000_000))
    shown = ReadPage(report(rows.snapshot(sees_untagged=True)).html)
    assert shown.figures["Can be freed"] == ("0 bytes", "0 bytes")
    assert "7.0 MB by deleting 1 manifest without a tag" in shown.text
    assert "3.0 MB by garbage collection: 1 blob that no manifest needs" in shown.text


def test_the_notes_of_the_snapshot_are_on_the_page(snap: Snapshot, read: ReadPage) -> None:
    assert all(note in read.texts for note in snap.notes())


def test_the_layers_are_those_of_layer_sizes(snap: Snapshot, read: ReadPage) -> None:
    found, section = layer_sizes(snap), read.sections["layers"]
    assert len(section.rows) == min(len(found), 50)
    for head, column in (("Size", "size"), ("Images", "images"), ("Repositories", "repositories")):
        assert_shows(section, head, found[column])
    assert_shows(section, "Saved by sharing", found["saved"])
    assert [cell.title for cell in section.column("Layer")] == list(found["blob_digest"].head(50))


def test_the_images_are_those_of_image_sizes(snap: Snapshot, read: ReadPage) -> None:
    found, section = image_sizes(snap), read.sections["images"]
    assert [cell.text for cell in section.column("Image")] == list(
        (found["repository"] + ":" + found["tag"]).head(1000)
    )
    assert_shows(section, "Size", found["size"])
    assert_shows(section, "Layers", found["n_layers"])


@pytest.mark.parametrize(("key", "name"), [("repositories", "repository"), ("tags", "tag")])
def test_unique_shared_and_exclusive_bytes_are_those_of_sharing(
    snap: Snapshot, read: ReadPage, key: str, name: str
) -> None:
    found, section = level(snap, name), read.sections[key]
    for column in ("unique", "shared", "exclusive"):
        assert_shows(section, column.capitalize(), found[column])


def test_the_build_lines_are_those_of_history_cost(snap: Snapshot, read: ReadPage) -> None:
    found, section = history_cost(snap), read.sections["build-lines"]
    for column in ("stored", "referenced", "layers", "images"):
        assert_shows(section, column.capitalize(), found[column])
    assert [cell.text for cell in section.column("Instruction")] == list(found["instruction"].head(50))


def test_the_images_on_old_bases_are_those_of_lineage(snap: Snapshot, read: ReadPage) -> None:
    found, section = lineage(snap).query("base_is_old"), read.sections["old-bases"]
    assert section.rows
    assert [cell.text for cell in section.column("Newer base")] == list(found["newer_base"].head(1000))
    assert_shows(section, "From the base", found["shared_size"])
    assert_shows(section, "Its own", found["own_size"])


def test_the_stale_tags_are_those_of_stale(snap: Snapshot, read: ReadPage) -> None:
    found, section = stale(snap, older_than=STALE), read.sections["stale"]
    assert [cell.text for cell in section.column("Tag")] == list((found["repository"] + ":" + found["tag"]).head(1000))
    assert section.numbers("Age") == whole(found["age"].dt.days.head(1000))
    assert_shows(section, "Exclusive", found["exclusive"])


def test_the_problems_are_those_of_the_snapshot(snap: Snapshot, read: ReadPage) -> None:
    assert [[cell.text for cell in row] for row in read.sections["problems"].rows] == snap.problems.to_numpy().tolist()


def test_rows_that_are_left_out_are_counted_with_their_bytes(large: Snapshot, large_report: Report) -> None:
    found, section = layer_sizes(large), ReadPage(large_report.html).sections["layers"]
    rest = int(found["size"].iloc[50:].sum())
    assert section.more == f"and {len(found) - 50:,} more ({text.size(rest)})"
    assert section.more_title == f"{rest:,} bytes"


def test_every_section_names_the_call_that_gives_its_table(small_report: Report) -> None:
    read = ReadPage(small_report.html)
    called = {
        "layers": "rs.layer_sizes(snap)",
        "images": "rs.image_sizes(snap)",
        "repositories": "rs.sharing(snap)",
        "tags": "rs.sharing(snap)",
        "build-lines": "rs.history_cost(snap)",
        "old-bases": "rs.lineage(snap)",
        "stale": "rs.stale(snap)",
        "problems": "snap.problems",
    }
    assert all(call in read.sections[key].text for key, call in called.items())


def test_without_files_the_page_says_how_to_read_them(small_report: Report, inside_report: Report) -> None:
    section = ReadPage(small_report.html).sections["files"]
    assert "were not read" in section.text
    assert "snap = rs.scan_files(snap, store)" in section.text
    assert "files" not in ReadPage(inside_report.html).sections


def test_an_unknown_size_is_a_dash_and_no_zero(small_report: Report) -> None:
    section = ReadPage(small_report.html).sections["layers"]
    assert [cell.text for cell in section.column("Size")][-1] == "–"
    assert section.numbers("Size")[-1] is None


def test_a_manifest_without_a_tag_is_shown_by_its_repository() -> None:
    rows = RegistryRows()
    rows.image("team/api", [], [layer("base", 500)])
    read = ReadPage(report(rows.snapshot(sees_untagged=True)).html)
    assert [cell.text for cell in read.sections["tags"].column("Tag")] == ["team/api (no tag)"]


def test_freed_bytes_are_an_upper_bound_only_where_something_is_unseen() -> None:
    rows = RegistryRows()
    rows.image("a", ["1"], [layer("base", 500)], created=row_snapshots.NOW - timedelta(days=200))
    said = "by deleting the tag older than 180 days"
    assert f"at most, {said}" in ReadPage(report(rows.snapshot()).html).text
    exact = ReadPage(report(rows.snapshot(sees_untagged=True)).html).text
    assert said in exact
    assert "at most" not in exact


def test_an_empty_store_gives_a_page_that_says_so() -> None:
    read = ReadPage(report(row_snapshots.empty()).html)
    assert "This store is empty." in read.texts
    assert read.figures["Storage"] == ("0 bytes", "0 bytes")
    assert read.sections == {}


def test_a_store_of_which_nothing_could_be_read_still_shows_its_problems() -> None:
    rows = RegistryRows()
    rows.problem("team/api", "1.0", "manifest", "404")
    read = ReadPage(report(rows.snapshot()).html)
    assert "No content of this store could be read." in read.texts
    assert list(read.sections) == ["problems"]


def test_a_store_of_indexes_and_images_without_layers_can_be_reported() -> None:
    rows = RegistryRows()
    rows.image("a", ["1"], [])
    assert "There are no layers." in ReadPage(report(rows.snapshot()).html).text


def test_the_heading_is_the_store_or_the_title_given(small: Snapshot) -> None:
    assert ReadPage(report(small).html).head == "Report on registry.example.com"
    named = ReadPage(report(small, title="March").html)
    assert named.head == "March"
    assert "registry.example.com" in named.texts


def test_the_time_is_in_utc() -> None:
    here = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=3)))
    assert "2026-02-28 22:30 UTC" in ReadPage(report(RegistryRows().snapshot(taken_at=here)).html).texts


def test_save_writes_the_page_in_utf_8_and_gives_its_path(small: Snapshot, tmp_path: Path) -> None:
    made = report(small, title="Übersicht")
    assert made.save(str(tmp_path / "report.html")) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_bytes().decode("utf-8") == made.html


def test_the_plain_repr_says_what_it_is_and_how_to_write_it(small_report: Report) -> None:
    shown = repr(small_report)
    assert shown.startswith("Report on registry.example.com: a report, ")
    assert ".save('report.html')" in shown


def test_the_same_snapshot_gives_the_same_page(small_report: Report) -> None:
    assert small_report.html == report(row_snapshots.small()).html


def test_a_thousand_images_stay_under_2_megabytes(large: Snapshot) -> None:
    assert len(large.manifests) == 1000
    assert len(large.layers) > 5_800
    started = time.perf_counter()
    made = report(large)
    print(f"{time.perf_counter() - started:.2f} s, {len(made.html.encode()):,} bytes")
    assert len(made.html.encode()) < 2_000_000


def test_a_scanned_layout_with_an_index_and_an_sbom_adds_up(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path) as layout:
        base = layout.layer(tar_of({"bin/sh": b"shell" * 500}), "ADD rootfs.tar /")
        children = [
            layout.image([base], created="2025-01-01T00:00:00Z", architecture=architecture)
            for architecture in ("amd64", "arm64")
        ]
        layout.tag("team/api:1.0", layout.index(children))
        layout.keep(layout.artifact(b"{}" * 99, "text/spdx+json", artifact_type="text/spdx+json", subject=children[0]))
    snap = scan(open_store(f"oci:{tmp_path}"), progress=False)
    read = ReadPage(report(snap).html)
    stored = sum(blob.stat().st_size for blob in (tmp_path / "blobs" / "sha256").iterdir())
    assert read.figures["Storage"] == (text.size(stored), f"{stored:,} bytes")
    assert [cell.text for cell in read.sections["images"].column("Platform")] == ["linux/amd64", "linux/arm64"]
    layers = [cell for cell in read.titles if cell.startswith("team/api: ")]
    assert layers[1] == f"team/api: {text.size(base.descriptor.size + 198)} in 2 layers"
