"""Each command on real input: as a table, as JSON, as CSV, on a terminal and in a pipe."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pytest

from regscope.analysis.history_cost import history_cost
from regscope.analysis.lineage import lineage
from regscope.analysis.sharing import sharing
from regscope.analysis.sizes import layer_sizes
from regscope.analysis.what_if import what_if
from regscope.cli.main import regscope
from regscope.scanning.metadata import scan
from regscope.schema import TABLES
from regscope.stores.open_store import open as open_store
from regscope.tables import Snapshot
from tests.cli.conftest import Run, on_a_terminal
from tests.servers.registry import Registry


@pytest.fixture(scope="module")
def snap(layout: Path) -> Snapshot:
    return scan(open_store(f"oci:{layout}"))


def records(table: pd.DataFrame) -> list[dict[str, object]]:
    rows = list(json.loads(str(table.to_json(orient="records", date_format="iso", date_unit="us"))))
    for column in table.select_dtypes("float"):  # which pandas rounds
        for row, value in zip(rows, table[column].tolist(), strict=True):
            row[column] = value
    return rows


def test_json_has_every_row_and_raw_values(run: Run, layout: Path, snap: Snapshot) -> None:
    source = f"oci:{layout}"
    assert json.loads(run("layers", source, "--json").out) == records(layer_sizes(snap))
    assert json.loads(run("history", source, "--json").out) == records(history_cost(snap))
    assert json.loads(run("lineage", source, "--json").out) == records(lineage(snap))
    by_tag = sharing(snap)
    assert json.loads(run("sharing", source, "--level", "tag", "--json").out) == records(
        by_tag[by_tag["level"] == "tag"]
    )


def test_csv_has_the_same_rows(run: Run, layout: Path, snap: Snapshot) -> None:
    rows = list(csv.DictReader(io.StringIO(run("layers", f"oci:{layout}", "--csv").out)))
    assert [int(row["size"]) for row in rows] == layer_sizes(snap)["size"].tolist()


def test_a_pipe_gets_plain_text_with_whole_lines(run: Run, layout: Path, snap: Snapshot) -> None:
    done = run("layers", f"oci:{layout}")
    assert done.code == 0
    assert "\x1b" not in done.out
    lines = done.out.splitlines()
    assert lines[0].split()[:2] == ["SIZE", "IMAGES"]
    assert len(lines) == 1 + len(layer_sizes(snap))


def test_tags_lists_all_or_those_of_one_repository(run: Run, registry: Registry) -> None:
    everything = json.loads(run("tags", registry.url, "--json").out)
    assert {row["repository"] for row in everything} >= {"base", "app", "team/api"}
    one = json.loads(run("tags", registry.url, "base", "--json").out)
    assert [row["tag"] for row in one] == ["1", "stable"]


def test_layers_of_one_image_are_in_order(run: Run, layout: Path, snap: Snapshot) -> None:
    rows = json.loads(run("layers", f"oci:{layout}", "app:1.0", "--json").out)
    assert [row["position"] for row in rows] == list(range(len(rows)))
    [digest] = snap.tags.loc[(snap.tags["repository"] == "app") & (snap.tags["tag"] == "1.0"), "digest"]
    assert [row["blob_digest"] for row in rows] == snap.layers.loc[
        snap.layers["digest"] == digest, "blob_digest"
    ].tolist()
    platforms = {row["platform"] for row in json.loads(run("layers", f"oci:{layout}", "team/api:1.0", "--json").out)}
    assert platforms == {"linux/amd64", "linux/arm64/v8"}


def test_history_of_one_image_has_its_steps(run: Run, layout: Path) -> None:
    rows = json.loads(run("history", f"oci:{layout}", "app:1.0", "--json").out)
    assert "ENV LANG=C.UTF-8" in [row["created_by"] for row in rows]


def test_what_if_prints_the_bytes_and_what_stays(run: Run, layout: Path, snap: Snapshot) -> None:
    expected = what_if(snap, delete=["base:1", "tool"])
    answer = json.loads(run("what-if", f"oci:{layout}", "base:1", "tool", "--json").out)
    assert answer["freed_bytes"] == expected.freed_bytes > 0
    assert [row["tag"] for row in answer["kept"]] == ["1"]
    text = run("what-if", f"oci:{layout}", "base:1", "tool").out
    assert "Named, but kept" in text
    assert "the tag stable stays" in text


def test_a_saved_scan_answers_without_its_store(run: Run, registry: Registry, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    assert run("scan", registry.url, "--save", saved).code == 0
    assert {path.stem for path in saved.glob("*.parquet")} == set(TABLES)
    again = run("layers", saved, "--json")
    assert json.loads(again.out) == json.loads(run("layers", registry.url, "--json").out)
    assert run("layers", saved, "-r", "base").code == 2


def test_options_choose_repositories_tags_and_platforms(run: Run, layout: Path) -> None:
    done = run("tags", f"oci:{layout}", "-r", "team/*", "-t", "1.*", "-p", "linux/amd64", "--json")
    assert [(row["repository"], row["tag"]) for row in json.loads(done.out)] == [("team/api", "1.0")]


def test_a_report_is_one_file(run: Run, layout: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.html"
    assert str(path) in run("report", f"oci:{layout}", "-o", path).out
    assert "team/api" in path.read_text()


def test_the_demo_needs_nothing_and_shows_the_main_tables(run: Run, tmp_path: Path) -> None:
    done = run("demo", http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
    assert done.code == 0, done.err
    for words in ("Tags", "Largest layers", "Build instructions by cost", "team/api"):
        assert words in done.out
    assert (tmp_path / "work" / "regscope-demo" / "report.html").stat().st_size > 10_000
    suggested = next(line for line in done.out.splitlines() if line.startswith("next"))
    arguments = suggested.replace("'", "").split()[2:]
    assert run(*arguments).code == 0
    assert run("demo").code == 0  # a second time, over the first


def test_the_cache_is_shown_pruned_and_cleared(run: Run, registry: Registry) -> None:
    assert "0 entries" in run("cache").out
    run("scan", registry.url)
    assert "0 entries" not in run("cache").out
    assert run("cache", "prune", "10GB").out == "0 entries deleted\n"
    assert "deleted" in run("cache", "clear").out
    assert "0 entries" in run("cache").out
    run("scan", registry.url, "--no-cache")
    assert "0 entries" in run("cache").out


def test_limit_shows_so_many_rows_and_says_how_many_are_left(run: Run, layout: Path) -> None:
    done = run("layers", f"oci:{layout}", "-n", "2")
    assert len(done.out.splitlines()) == 3
    assert "more: --limit" in done.err


def test_a_terminal_of_80_columns_is_never_overrun(layout: Path) -> None:
    for command in (["tags"], ["layers"], ["sharing", "--level", "tag"], ["history"], ["lineage"]):
        shown = on_a_terminal([*command, f"oci:{layout}"], columns=80)
        assert max(map(len, shown.splitlines())) <= 80, shown


def test_every_command_and_option_has_a_word_of_help() -> None:
    for command in regscope.commands.values():
        assert command.help, command.name
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or parameter.help, parameter
        assert len(command.get_short_help_str(80)) > 10


def test_help_and_version_say_so_and_end_well(run: Run) -> None:
    assert "Exit codes" in run("--help").out
    assert run("--version").out.startswith("regscope, version ")


def test_capabilities_of_a_registry(run: Run, registry: Registry) -> None:
    done = run("capabilities", registry.url)
    assert (done.code, done.err) == (0, "")
    assert "catalog        yes" in done.out
    assert "referrers      no: the registry does not list them" in done.out
    as_json = json.loads(run("capabilities", registry.url, "-r", "team/api", "--json").out)
    assert as_json["delete"] is True
    assert set(as_json["reasons"]) == {"tag_delete", "referrers"}


def test_capabilities_of_what_has_none(run: Run, registry: Registry, layout: Path) -> None:
    assert run("capabilities", f"oci:{layout}").code == 2
    assert run("capabilities", registry.url, "-r", "no/such").code == 3
