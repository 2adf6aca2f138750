"""`regscope validate`: what is missing as a table, as JSON and as CSV, and as an exit code."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

from regscope.cli.exit_codes import BAD_CONTENT, USAGE, WITH_PROBLEMS
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from tests.cli.conftest import Run
from tests.lab.drawn_registries import Contents, image, layer
from tests.lab.images import push
from tests.servers.faults import refuse
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry


def test_a_whole_registry_ends_with_0_and_says_how_many_were_asked_for(run: Run, registry: Registry) -> None:
    ran = run("validate", registry.url)
    assert (ran.code, ran.out) == (0, "")
    assert f"manifests and blobs were checked at {registry.url}: 0 missing or damaged" in ran.err
    about = json.loads(run("validate", registry.url, "-r", "team/*", "--json").out)
    assert (about["lost"], about["problems"]) == (0, [])
    assert 0 < about["asked"] < int(ran.err.split()[0])


def test_what_was_lost_is_listed_whatever_the_cache_says(
    run: Run, layout: Path, images: dict[str, Descriptor], tmp_path: Path
) -> None:
    lost = images["tool:nightly"].digest
    with Registry(tmp_path / "registry") as registry:
        push(layout, registry)
        assert run("scan", registry.url).code == 0
        shutil.rmtree(registry.blobs / "sha256" / lost.encoded[:2] / lost.encoded)
        assert run("scan", registry.url).code == 0
        ran = run("validate", registry.url)
        assert ran.code == BAD_CONTENT
        assert "tool" in ran.out
        assert "missing manifest" in ran.out
        assert lost in ran.out
        assert ": 1 missing or damaged\n" in ran.err
        assert run("validate", registry.url, "-r", "app").code == 0
        rows = list(csv.DictReader(io.StringIO(run("validate", registry.url, "--csv").out)))
        (problem,) = json.loads(run("validate", registry.url, "--json").out)["problems"]
        assert rows == [problem]
        assert (problem["repository"], problem["reference"], problem["what"]) == ("tool", lost, "missing manifest")
        assert run("scan", registry.url, "--check").code == WITH_PROBLEMS
        planned = run("plan", registry.url, "--tags", "none", "--check")
        assert planned.code == WITH_PROBLEMS
        assert "1 manifest or blob is already missing or damaged in the store" in planned.err


def test_what_is_not_told_is_a_problem_and_not_missing(run: Run, registry: Registry, proxy: FaultProxy) -> None:
    proxy.rule(refuse("base/blobs/", 405, "UNSUPPORTED", "no blobs", methods=["HEAD"]))
    assert run("validate", proxy.url, "-r", "base").code == 0  # by GET
    proxy.rule(refuse("base/blobs/", 403, "DENIED", "no blobs"))
    ran = run("validate", proxy.url, "-r", "base")
    assert ran.code == WITH_PROBLEMS
    assert "unchecked" in ran.out
    assert "0 missing or damaged" in ran.err


def test_a_saved_snapshot_cannot_be_asked(run: Run, layout: Path) -> None:
    run("scan", f"oci:{layout}", "--save", "saved")
    for command in ("validate", "scan"):
        ran = run(command, "saved", *(["--check"] if command == "scan" else []))
        assert ran.code == USAGE
        assert "cannot be checked" in ran.err
    assert run("scan", f"oci:{layout}", "--files", "--check").code == USAGE


def test_a_plan_says_what_is_missing_of_what_it_is_about(run: Run, tmp_path: Path) -> None:
    old = image([layer("base", 500), layer("own", 80)], 90)
    with Registry(tmp_path / "registry") as registry:
        Contents(pushes=[("app", "old", old), ("other", "1", image([layer("o", 9)], 1))]).push_to(registry.url)
        whole = json.loads(run("plan", registry.url, "--tags", "old", "--json").out)
        assert (whole["lacking"]["asked"], whole["lacking"]["rows"]) == (3, [])  # the config and two layers
        lost = Digest.of(layer("own", 80))
        shutil.rmtree(registry.blobs / "sha256" / lost.encoded[:2] / lost.encoded)
        (row,) = json.loads(run("plan", registry.url, "--tags", "old", "--json").out)["lacking"]["rows"]
        assert (row["digest"], row["what"], row["stays"]) == (lost, "missing blob", False)
        shown = run("plan", registry.url, "--tags", "old")
        assert shown.code == 0
        assert "so that undo cannot restore them: 1" in shown.err
