"""What a report says of the files within the layers is what the analysis says."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from regscope import text
from regscope.analysis.base_drift import base_drift
from regscope.analysis.dive_efficiency import dive_efficiency
from regscope.analysis.file_duplicates import dedup_ratios, file_duplicates
from regscope.analysis.largest_files import file_types, largest_files
from regscope.analysis.published import FIGURES, published
from regscope.analysis.risky_files import secrets, setuid
from regscope.analysis.twins import twins
from regscope.analysis.waste import waste
from regscope.tables import Snapshot
from regscope.views.file_tree import file_tree
from regscope.views.report import Report, report
from tests.lab.file_snapshots import file, on_disk, whiteout
from tests.lab.row_snapshots import NOW, RegistryRows, layer
from tests.views.reading import ReadPage
from tests.views.test_report import assert_shows, whole


@pytest.fixture(scope="module")
def read(inside_report: Report) -> ReadPage:
    return ReadPage(inside_report.html)


def test_the_key_figures_are_those_of_the_analysis(inside: Snapshot, read: ReadPage) -> None:
    expected = {
        "Wasted in images": int(waste(inside)["compressed"].sum()),
        "In equal files": int(file_duplicates(inside)["wasted_stored"].sum()),
        "In twin layers": int(twins(inside)["saved"].sum()),
    }
    for label, size in expected.items():
        assert size > 0
        assert read.figures[label] == (text.size(size), f"{size:,} bytes")
    assert read.figures["Secrets"][0] == "1"
    assert "deleted by a later layer, but still stored: 1" in read.text


def test_the_waste_of_images_is_that_of_waste_with_dives_efficiency(inside: Snapshot, read: ReadPage) -> None:
    found, section = waste(inside), read.sections["waste-images"]
    assert [cell.text for cell in section.column("Image")] == ["team/api:1.0"]
    assert section.numbers("Wasted") == [found["bytes"].sum()]
    assert section.numbers("As stored, about") == [found["compressed"].sum()]
    assert section.numbers("Files") == [found["files"].sum()]
    of_images = dive_efficiency(inside).set_index("name")["efficiency"]
    assert [cell.value for cell in section.column("dive's efficiency")] == [repr(float(of_images["team/api:1.0"]))]


def test_the_waste_by_build_line_adds_up_to_all_of_it(inside: Snapshot, read: ReadPage) -> None:
    found, section = waste(inside), read.sections["waste-instructions"]
    assert sum(filter(None, section.numbers("Wasted"))) == found["bytes"].sum()
    brought, hidden, cause = (section.column(head)[0].text for head in ("Added by", "Hidden by", "Cause"))
    assert (brought, hidden, cause) == ("COPY app /app", "RUN make", "overwritten")


def test_the_duplicates_are_those_of_file_duplicates(inside: Snapshot, read: ReadPage) -> None:
    found, section = file_duplicates(inside), read.sections["duplicates"]
    assert len(found) > 1
    for head, column in (("Wasted", "wasted"), ("One copy", "size"), ("Copies", "copies"), ("Images", "images")):
        assert_shows(section, head, found[column])
    assert [cell.text for cell in section.column("Example")] == ["/" + path for path in found["path"]]


def test_the_ratios_of_layers_and_of_files_are_two_things(inside: Snapshot, read: ReadPage) -> None:
    found, section = dedup_ratios(inside), read.sections["dedup-ratios"]
    assert section.numbers("With duplicates") == whole(found["before"])
    assert section.numbers("Without") == whole(found["after"])
    assert [cell.text for cell in section.column("Ratio")] == [f"{ratio:.2f}×" for ratio in found["ratio"]]
    assert [cell.text.split()[0] for cell in section.column("What")] == ["Layers,", "Files"]


def test_the_twins_say_why_they_are_two(inside: Snapshot, read: ReadPage) -> None:
    found, section = twins(inside), read.sections["twins"]
    assert [cell.text for cell in section.column("Differs in")] == ["–", "mtimes"]
    assert_shows(section, "A reproducible build saves", found["saved"])
    assert [cell.text for cell in section.column("Images")] == ["team/nightly:1", "team/nightly:0"]


def test_the_rebuilds_are_those_of_base_drift(inside: Snapshot, read: ReadPage) -> None:
    found, section = base_drift(inside), read.sections["drift"]
    assert [cell.text for cell in section.column("Version")] == ["1 of 2", "2 of 2"]
    assert_shows(section, "New bytes", found["new_bytes"])
    assert section.numbers("Changed") == [None, 1]


def test_a_secret_is_told_by_kind_path_line_and_images_and_whether_it_is_hidden(
    inside: Snapshot, read: ReadPage
) -> None:
    assert len(secrets(inside)) == 1
    section = read.sections["secrets"]
    assert [cell.text for cell in section.rows[0]][:5] == [
        "private key", "/app/key.pem", "deleted, but stored", "COPY app /app", "team/api:1.0",
    ]  # fmt: skip


def test_files_that_run_as_others_have_their_mode_in_octal_and_the_images(inside: Snapshot, read: ReadPage) -> None:
    assert len(setuid(inside)) == 1
    row = [cell.text for cell in read.sections["setuid"].rows[0]]
    assert row[:6] == ["/usr/bin/su", "4755", "0", "0", "ADD rootfs.tar /", "team/api:1.0 and 3 more"]


def test_the_largest_files_and_the_types_are_those_of_the_analysis(inside: Snapshot, read: ReadPage) -> None:
    found = largest_files(inside, 50)
    assert_shows(read.sections["largest-files"], "Size", found["size"])
    for by in ("extension", "magic"):
        kinds = file_types(inside)
        kinds = kinds[kinds["by"] == by]
        section = read.sections[f"types-{by}"]
        assert_shows(section, "Bytes", kinds["bytes"])
        assert_shows(section, "Each content once", kinds["distinct_bytes"])


def test_published_figures_stand_beside_ours_with_their_source_and_how_sure_it_is(
    inside: Snapshot, read: ReadPage
) -> None:
    found, section = published(inside), read.sections["published"]
    assert [cell.text for cell in section.column("Source")] == [figure.source for figure in FIGURES]
    assert [cell.text for cell in section.column("Reliability")] == [figure.how_sure for figure in FIGURES]
    values = [None if pd.isna(value) else repr(value) for value in found["here"]]
    assert [cell.value for cell in section.column("Here")] == values
    assert {row[0].text: row[1].text for row in section.rows}["files"] == "11"


def test_where_nothing_is_amiss_every_section_says_so() -> None:
    rows, only = RegistryRows(), layer("only", 100)
    rows.contents(only)
    rows.image("a", ["1"], [only])
    read = ReadPage(report(rows.snapshot()).html)
    for key in ("waste-images", "waste-instructions", "duplicates", "twins", "drift", "secrets", "setuid"):
        assert read.sections[key].rows == []
        assert "No" in read.sections[key].text or "There are none." in read.sections[key].text
    assert read.figures["Wasted in images"][1] == "0 bytes"


def test_images_of_which_a_layer_was_not_read_are_left_out_of_the_waste(inside: Snapshot) -> None:
    rows, base, unread = RegistryRows(), layer("base", 100), layer("unread", 100)
    above = layer("above", 10)
    rows.contents(base, file("a", "a", size=50))
    rows.contents(above, whiteout("a"))
    rows.image("read", ["1"], [base, above])
    rows.image("partly", ["1"], [base, unread, above], created=NOW)
    section = ReadPage(report(rows.snapshot()).html).sections["waste-images"]
    assert [cell.text for cell in section.column("Image")] == ["read:1"]


def test_many_rows_are_cut_and_the_rest_is_counted() -> None:
    rows = RegistryRows()
    for number in range(120):
        base, above = layer(f"base {number}", 1000), layer(f"above {number}", 10, f"RUN rm {number}")
        content = str(number)
        rows.contents(base, *(file(f"{name}{content}", content * 3 + name, size=100 + number) for name in "ab"))
        rows.contents(above, whiteout(f"a{content}"), file(f"c{content}", content * 3 + "b", size=100 + number))
        rows.image("many", [content], [base, above])
    snap = rows.snapshot()
    made = report(snap)
    section = ReadPage(made.html).sections["waste-images"]
    rest = int(waste(snap)["bytes"].sort_values(ascending=False).iloc[50:].sum())
    assert (len(section.rows), section.more) == (50, f"and 70 more ({text.size(rest)} wasted)")
    assert section.more_title == f"{rest:,} bytes"
    assert len(made.html.encode()) < 600_000


def test_files_on_disk_give_the_same_pages(inside: Snapshot, inside_report: Report, tmp_path: Path) -> None:
    snap = on_disk(inside, tmp_path / "files")
    assert report(snap).html == inside_report.html
    assert file_tree(snap, "team/api:1.0").html == file_tree(inside, "team/api:1.0").html
