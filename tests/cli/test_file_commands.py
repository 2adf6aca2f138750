"""The commands that look into layers, on a small layout that has what they look for."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.analysis.waste import CAUSES
from regscope.cli.exit_codes import NOT_FOUND, USAGE, WITH_PROBLEMS
from regscope.spec.platform import Platform
from regscope.stores.layout_writer import LayoutWriter
from tests.cli.conftest import Run, on_a_terminal
from tests.cli.test_bad_input import assert_clear
from tests.lab import layered
from tests.lab.corners import FOLDER, entry, tar
from tests.lab.images import push
from tests.servers.registry import Registry

TOKEN = b"ghp_9fKq2ZtR7mWc4XvB1nLs8HdJ3pYg6TaE0uQi"
HOSTILE = "srv/\x1b[2J\u202eevil\nname"
DATA = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout with a wasted file, content that is there twice, twins, a secret, a setuid file, and two platforms."""
    folder = tmp_path_factory.mktemp("inside") / "layout"
    with LayoutWriter(folder) as writer:
        base = writer.layer(
            tar(entry("etc/os-release", content=b"ID=small\n"), entry("bin/su", content=b"su", mode=0o4755)),
            "ADD rootfs.tar / # buildkit",
        )
        data = writer.layer(
            tar(entry("srv", FOLDER), entry("srv/data", content=DATA), entry(HOSTILE, content=b"evil")),
            "COPY data /srv",
        )
        secret = writer.layer(tar(entry("srv/.env", content=b"GITHUB_TOKEN=" + TOKEN)), "COPY . /srv")
        removal = writer.layer(
            tar(entry("srv/.wh..env", content=b""), entry("srv/.wh.data", content=b"")),
            "RUN rm -rf /srv/data /srv/.env",
        )
        moved = writer.layer(tar(entry("opt/data", content=DATA)), "COPY data /opt")
        twins = [
            writer.layer(tar(entry("lib/a.py", content=b"a = 1\n" * 50, mtime=time)), "RUN make") for time in (1, 2)
        ]
        day = "2024-01-0{}T00:00:00Z"
        writer.tag("app:1", writer.image([base, data, secret, removal], created=day.format(1)))
        writer.tag("app:2", writer.image([base, moved], created=day.format(2)))
        for number, twin in enumerate(twins):
            writer.tag(f"team/twin:{number}", writer.image([base, twin], created=day.format(3 + number)))
        children = [
            writer.image(
                [base, writer.layer(tar(entry("bin/tool", content=machine.encode())), f"COPY {machine} /bin")],
                created=day.format(5),
                architecture=machine,
            )
            for machine in ("amd64", "arm64")
        ]
        assert all(isinstance(child.platform, Platform) for child in children)
        writer.tag("multi:1", writer.index(children))
    return folder


@pytest.fixture(scope="module")
def snap(inside: Path) -> rs.Snapshot:
    store = rs.open(f"oci:{inside}", cache=False)
    return rs.scan_files(rs.scan(store), store, progress=False)


@pytest.fixture(scope="module")
def served(inside: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("served")) as server:
        push(inside, server)
        yield server


def asked(run: Run, *arguments: object) -> Any:
    done = run(*arguments, "--json")
    assert (done.code, done.err) == (0, ""), done.err
    return json.loads(done.out)


def test_files_of_an_image_are_those_of_its_final_tree_largest_first(run: Run, inside: Path, snap: rs.Snapshot) -> None:
    rows = asked(run, "files", f"oci:{inside}", "app:1")
    assert {row["path"]: row["size"] for row in rows} == dict(
        rs.final_files(snap, "app:1")[["path", "size"]].itertuples(index=False)
    )
    assert [row["size"] for row in rows] == sorted((row["size"] for row in rows), reverse=True)
    assert "srv/data" not in {row["path"] for row in rows}


def test_files_with_layers_lists_every_entry_and_every_mark(run: Run, inside: Path) -> None:
    rows = asked(run, "files", f"oci:{inside}", "app:1", "--layers")
    at_two_paths = [row for row in rows if row["path"] in ("srv/data", "srv/.env")]
    assert [(row["layer"], row["path"], row["whiteout"]) for row in at_two_paths] == [
        (1, "srv/data", None), (2, "srv/.env", None), (3, "srv/.env", "delete"), (3, "srv/data", "delete"),
    ]  # fmt: skip


def test_files_of_an_index_are_those_for_a_platform(run: Run, inside: Path, tmp_path: Path) -> None:
    assert_clear(run("files", f"oci:{inside}", "multi:1"), USAGE, "linux/amd64, linux/arm64")
    run("scan", f"oci:{inside}", "--files", "--save", tmp_path / "saved")
    for source in (f"oci:{inside}", tmp_path / "saved"):
        rows = asked(run, "files", source, "multi:1", "-p", "linux/arm64")
        assert {row["size"] for row in rows if row["path"] == "bin/tool"} == {len("arm64")}
    assert run("files", f"oci:{inside}", "multi:1", "-p", "linux/arm64", "-p", "linux/amd64").code == USAGE


def test_files_without_an_image_says_what_was_read(run: Run, inside: Path, snap: rs.Snapshot) -> None:
    about = asked(run, "files", f"oci:{inside}")
    assert about["layers"] == len(snap.unpacked) == 9
    assert about["entries"] == len(snap.files)
    assert [row["path"] for row in about["largest"]] == rs.largest_files(snap)["path"].tolist()
    told = run("files", f"oci:{inside}", "-n", "1").out
    assert "Largest files" in told
    assert told.splitlines()[-1].split()[-3:] == ["COPY", "data", "/opt"] or "srv/data" in told


def test_every_source_is_looked_into_alike(run: Run, inside: Path, served: Registry, tmp_path: Path) -> None:
    expected = asked(run, "waste", f"oci:{inside}", "app:1")
    assert asked(run, "waste", served.url, "app:1") == expected
    run("scan", served.url, "--files", "--save", tmp_path / "saved")
    assert asked(run, "waste", tmp_path / "saved", "app:1") == expected
    run("image", "save", f"oci:{inside}", "app:1", tmp_path / "app.tar")
    of_archive = asked(run, "waste", f"docker-archive:{tmp_path / 'app.tar'}")
    assert [(row["cause"], row["bytes"]) for row in of_archive] == [(row["cause"], row["bytes"]) for row in expected]


def test_only_the_layers_of_named_images_are_opened(run: Run, inside: Path, tmp_path: Path, snap: rs.Snapshot) -> None:
    copied = Path(shutil.copytree(inside, tmp_path / "copied"))
    used = snap.layers.loc[snap.layers["created_by"] == "COPY data /srv", "blob_digest"].iloc[0]
    (copied / "blobs" / used.replace(":", "/")).unlink()
    for arguments in (["files", "app:2"], ["waste", "app:2", "team/*"], ["diff", "app:2", "team/twin:0"]):
        assert run(arguments[0], f"oci:{copied}", *arguments[1:]).code == 0
    for arguments in (["files", "app:1"], ["waste", "app:1"], ["diff", "app:2", "app:1"], ["waste"], ["secrets"]):
        assert_clear(run(arguments[0], f"oci:{copied}", *arguments[1:]), WITH_PROBLEMS, "lacks the blob")
    assert run("waste", f"oci:{copied}", "--ci").code == WITH_PROBLEMS  # what was judged is good, and not all was


def test_waste_is_told_by_cause_and_by_line(run: Run, inside: Path, snap: rs.Snapshot) -> None:
    rows = asked(run, "waste", f"oci:{inside}")
    assert rows == json.loads(rs.waste(snap).to_json(orient="records"))
    assert {(row["caused_by"], row["cause"]) for row in rows} == {("RUN rm -rf /srv/data /srv/.env", "deleted")}
    assert sum(row["bytes"] for row in rows) == len(DATA) + len(b"GITHUB_TOKEN=" + TOKEN)
    told = run("waste", f"oci:{inside}", "app:1").out
    assert told.startswith("10.3 kB in 2 files, about ")
    by_file = asked(run, "waste", f"oci:{inside}", "app:1", "--files")
    assert [row["path"] for row in by_file] == ["srv/data", "srv/.env"]
    for how in ([], ["--files"]):
        assert len(asked(run, "waste", f"oci:{inside}", "app:1", "--cause", "deleted", *how)) == 2
        assert asked(run, "waste", f"oci:{inside}", "app:1", "--cause", "overwritten", *how) == []
    assert "Nothing is wasted." in run("waste", f"oci:{inside}", "app:2").err


def test_waste_as_dive_counts_it_is_not_rounded(run: Run, inside: Path, snap: rs.Snapshot) -> None:
    rows = asked(run, "waste", f"oci:{inside}", "--compat", "dive")
    figures = rs.waste(snap, compat="dive")
    assert [row["efficiency"] for row in rows] == figures["efficiency"].tolist()
    assert any(len(str(row["efficiency"])) > 13 for row in rows)


def test_duplicates_name_the_content_that_is_there_twice(run: Run, inside: Path, snap: rs.Snapshot) -> None:
    rows = asked(run, "duplicates", f"oci:{inside}")
    assert rows == json.loads(rs.file_duplicates(snap).to_json(orient="records"))
    assert {row["size"]: row["copies"] for row in rows}[len(DATA)] == 2
    ratios = {row["level"]: row["ratio"] for row in asked(run, "duplicates", f"oci:{inside}", "--ratios")}
    assert ratios == rs.dedup_ratios(snap).astype({"level": "str"}).set_index("level")["ratio"].to_dict()


def test_twins_say_why_and_the_threshold_is_theirs(run: Run, inside: Path, snap: rs.Snapshot) -> None:
    rows = asked(run, "twins", f"oci:{inside}")
    assert [(row["reason"], row["created_by"]) for row in rows] == [(None, "RUN make"), ("mtimes", "RUN make")]
    near = asked(run, "twins", f"oci:{inside}", "--threshold", "0.9")
    assert [row["similarity"] for row in near] == rs.twins(snap, 0.9)["similarity"].tolist()
    assert len(near) >= 2


def test_diff_tells_all_that_changed(run: Run, inside: Path, snap: rs.Snapshot) -> None:
    found = asked(run, "diff", f"oci:{inside}", "app:1", "app:2")
    expected = rs.diff(snap, "app:1", "app:2")
    assert (found["a"], found["b"], found["size_after"]) == (expected.a, expected.b, expected.size_after)
    for part in ("files", "packages", "config", "history", "layers"):
        assert found[part] == json.loads(getattr(expected, part).to_json(orient="records")), part
    assert ("opt/data", "added") in {(row["path"], row["change"]) for row in found["files"]}
    told = run("diff", f"oci:{inside}", "app:1", "app:2").out
    for word in ("app:1 → app:2", "Build steps", "Files", "opt/data"):
        assert word in told
    rows = list(csv.DictReader(io.StringIO(run("diff", f"oci:{inside}", "app:1", "app:2", "--csv").out)))
    assert [row["path"] for row in rows] == expected.files["path"].tolist()
    for platform in ("linux/amd64", "linux/arm64"):
        assert (
            asked(run, "diff", f"oci:{inside}", "app:1", "multi:1", "-p", "linux/amd64")["platforms"]
            == ["linux/amd64"] * 2
        ), platform


def test_a_secret_is_named_and_never_shown(run: Run, inside: Path) -> None:
    (row,) = asked(run, "secrets", f"oci:{inside}")
    assert (row["path"], row["deleted"], row["created_by"]) == ("srv/.env", True, "COPY . /srv")
    for how in ([], ["--json"], ["--csv"]):
        done = run("secrets", f"oci:{inside}", *how)
        assert "srv/.env" in done.out
        assert TOKEN.decode() not in done.out + done.err
    assert "No file looks like a secret." in run("secrets", f"oci:{inside}", "-r", "multi").err


def test_setuid_types_drift_and_published_figures(run: Run, inside: Path, snap: rs.Snapshot) -> None:
    assert [(row["path"], row["mode"]) for row in asked(run, "setuid", f"oci:{inside}")] == [("bin/su", 0o4755)]
    assert "4755" in run("setuid", f"oci:{inside}").out
    types = asked(run, "file-types", f"oci:{inside}")
    assert {row["by"] for row in types} == {"extension"}
    assert {row["type"] for row in types} >= {"py", None}
    assert {row["by"] for row in asked(run, "file-types", f"oci:{inside}", "--by", "magic")} == {"magic"}
    assert asked(run, "drift", f"oci:{inside}") == []  # twins are one version
    figures = {row["figure"]: row for row in asked(run, "published", f"oci:{inside}")}
    assert figures["distinct layers"]["here"] == len(snap.unpacked)
    assert figures["latency of getting a layer, lower at most"]["here"] is None
    assert "Zhao 2019" in run("published", f"oci:{inside}").out


def test_csv_has_every_row_and_every_column(run: Run, inside: Path, snap: rs.Snapshot) -> None:
    for command, table in (("duplicates", rs.file_duplicates(snap)), ("setuid", rs.setuid(snap))):
        rows = list(csv.DictReader(io.StringIO(run(command, f"oci:{inside}", "--csv").out)))
        assert [list(row) for row in rows] == [list(table.columns)] * len(table)


def test_what_a_layer_calls_its_files_moves_nothing_on_a_terminal(run: Run, inside: Path) -> None:
    for arguments in (["files", "app:1"], ["files", "app:1", "--layers"], ["files"], ["diff", "app:2", "app:1"]):
        shown = run(arguments[0], f"oci:{inside}", *arguments[1:]).out
        shown += on_a_terminal([arguments[0], f"oci:{inside}", *arguments[1:]], columns=80)
        assert "evil name" in shown
        assert not set(shown) & {"\x1b", "\u202e", "\x00"}
    raw = json.loads(run("files", f"oci:{inside}", "app:1", "--json").out)
    assert HOSTILE in {row["path"] for row in raw}


def test_csv_is_raw_in_a_pipe_and_harmless_on_a_terminal(run: Run, inside: Path) -> None:
    arguments = ["files", f"oci:{inside}", "app:1", "--csv"]
    assert HOSTILE in {row["path"] for row in csv.DictReader(io.StringIO(run(*arguments).out, newline=""))}
    assert not set(on_a_terminal(arguments, columns=80)) & {"\x1b", "\u202e"}


def test_80_columns_are_enough_and_a_long_path_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the tests run has a long name of its own
    deep = "/".join(["a-folder-with-a-name"] * 8) + "/the-name.txt"
    with LayoutWriter(tmp_path / "deep") as writer:
        layers = [
            writer.layer(tar(entry(deep, content=text, mtime=time)), f"RUN {'make ' * 40}")
            for time, text in enumerate((b"one", b"two", b"one"))
        ]
        writer.tag("deep:1", writer.image(layers, created="2024-01-01T00:00:00Z"))
    for arguments in (
        ["files"], ["files", "deep:1"], ["files", "deep:1", "--layers"], ["waste"], ["waste", "deep:1", "--files"],
        ["waste", "--compat", "dive"], ["duplicates"], ["twins"], ["drift"], ["published"], ["file-types"],
    ):  # fmt: skip
        shown = on_a_terminal([arguments[0], "oci:deep", *arguments[1:]], columns=80)
        assert max(map(len, shown.splitlines()), default=0) <= 80, shown
        if arguments[0] in ("files", "duplicates"):
            assert "the-name.txt" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["files", "app:nope"], NOT_FOUND, ["has no image app:nope", "regscope tags"]),
        (["files", "nope:1"], NOT_FOUND, ["no repository 'nope'"]),
        (["files", "app"], NOT_FOUND, ["has no image app:latest"]),
        (["files", "sha256:" + "0" * 64], NOT_FOUND, ["has no image sha256:"]),
        (["files", "--layers"], USAGE, ["--layers needs an IMAGE"]),
        (["files", "app:1", "-p", "no platform"], USAGE, ["platform"]),
        (["waste", "app:1", "app:nope"], NOT_FOUND, ["has no image app:nope"]),
        (["waste", "app:1", "--compat", "dove"], USAGE, ["dove"]),
        (["waste", "app:1", "--cause", "boredom"], USAGE, ["boredom", *CAUSES]),
        (["waste", "app:1", "--cause", "deleted", "--compat", "dive"], USAGE, ["cannot be used with"]),
        (["waste", "--files"], USAGE, ["one IMAGE"]),
        (["waste", "app:1", "--files", "--ci"], USAGE, ["cannot be used with"]),
        (["diff", "app:1"], USAGE, ["'B'"]),
        (["diff", "app:1", "app:nope"], NOT_FOUND, ["has no image app:nope"]),
        (["diff", "multi:1", "multi:1"], USAGE, ["linux/amd64, linux/arm64"]),
        (["twins", "--threshold", "2"], USAGE, ["2.0 is not in the range"]),
        (["twins", "--threshold", "0"], USAGE, ["0.0 is not in the range"]),
        (["file-types", "--by", "colour"], USAGE, ["colour"]),
    ],
)
def test_wrong_arguments(run: Run, inside: Path, arguments: list[str], code: int, words: list[str]) -> None:
    assert_clear(run(arguments[0], f"oci:{inside}", *arguments[1:]), code, *words)


def test_a_snapshot_that_was_saved_without_files_says_how_to_get_them(run: Run, inside: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    run("scan", f"oci:{inside}", "--save", saved)
    for arguments in (["files"], ["waste", "app:1"], ["secrets"], ["diff", "app:1", "app:2"], ["report", "--files"]):
        done = run(arguments[0], saved, *arguments[1:])
        assert_clear(done, USAGE, "was saved without files", f"regscope scan oci:{inside} --files --save {saved}")
    assert run("layers", saved).code == 0


def test_a_scan_with_files_keeps_them_and_counts_them(
    run: Run, inside: Path, tmp_path: Path, snap: rs.Snapshot
) -> None:
    about = asked(run, "scan", f"oci:{inside}", "--files")
    assert about["rows"]["files"] == len(snap.files)
    assert run("scan", f"oci:{inside}", "--files", "--save", tmp_path / "saved").code == 0
    loaded = rs.Snapshot.load(tmp_path / "saved")
    assert len(loaded.files) == len(snap.files)
    assert run("report", tmp_path / "saved", "--files", "-o", tmp_path / "out.html").code == 0
    for command in ("secrets", "twins"):
        assert asked(run, command, tmp_path / "saved") == asked(run, command, f"oci:{inside}")


def test_files_on_disk_are_read_like_those_in_memory(run: Run, inside: Path, tmp_path: Path) -> None:
    store = rs.open(f"oci:{inside}", cache=False)
    on_disk = rs.scan_files(rs.scan(store), store, into=tmp_path / "files", progress=False)
    assert isinstance(on_disk.files, rs.FilesOnDisk)
    on_disk.save(tmp_path / "saved")
    for arguments in (["files"], ["files", "app:1", "--layers"], ["duplicates"]):
        expected = asked(run, arguments[0], f"oci:{inside}", *arguments[1:])
        assert asked(run, arguments[0], tmp_path / "saved", *arguments[1:]) == expected


def test_at_docker_hub_a_short_name_is_understood(run: Run, tmp_path: Path) -> None:
    layers = [tar(entry("data", content=b"old")), tar(entry("data", content=b"new one"))]
    snap = layered.tables({"library/app:latest": layers})
    dataclasses.replace(snap, location="https://registry-1.docker.io").save(tmp_path / "saved")
    (row,) = asked(run, "waste", tmp_path / "saved", "app:latest")
    assert (row["name"], row["bytes"]) == ("library/app:latest", 3)
    assert [row["size"] for row in asked(run, "files", tmp_path / "saved", "app")] == [7]
