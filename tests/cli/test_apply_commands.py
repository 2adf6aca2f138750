"""`regscope apply`, `undo` and `journal`, on a real registry: from a saved plan and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.cli.exit_codes import BAD_CONTENT, NOT_ALLOWED, NOT_FOUND, OTHER, UNREACHABLE, USAGE
from tests.cli.conftest import Run
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        pushes = [("app", f"v{n}", image([layer("base", 300), layer(f"{n}", 50)], 10 * n)) for n in range(1, 6)]
        Contents(pushes=[*pushes]).push_to(running.url)
        yield running


@pytest.fixture
def plan(run: Run, registry: Registry, tmp_path: Path) -> Path:
    saved = tmp_path / "plan.json"
    assert run("plan", f"storage:{registry.storage}", "--keep-last", 2, "--save", saved).code == 0
    return saved


def tags(registry: Registry) -> list[str]:
    return rs.open(registry.url, cache=False).tags("app")


def test_from_a_plan_to_the_undo(run: Run, registry: Registry, plan: Path, tmp_path: Path) -> None:
    dry = run("apply", registry.url, plan)
    assert dry.code == 0
    assert "would be done  3" in dry.out
    assert "nothing was changed; add --yes" in dry.err
    assert len(tags(registry)) == 5
    journal, backup = tmp_path / "journal", f"oci:{tmp_path / 'backup'}"
    bounded = run("apply", registry.url, plan, "--yes", "--max-deletes", 1, "--journal", journal, "--backup", backup)
    assert bounded.code == 0
    assert len(tags(registry)) == 4
    done = run("apply", registry.url, plan, "--yes", "--json", "--journal", journal)
    summary = json.loads(done.out)
    assert summary["counts"] == {"done": 3}
    assert summary["freed_bytes"] == rs.Plan.load(plan).freed_bytes
    assert tags(registry) == ["v1", "v2"]
    steps = json.loads(run("journal", journal, "--json").out)
    assert [step["done"] for step in steps["steps"]] == [True] * 3
    assert "steps done" in run("journal", journal).out
    told = run("undo", registry.url, journal)
    assert "would be restored  3 manifests, 3 tags" in told.out
    assert "would be restored: app:v3: blobs from registry" in told.out
    assert "nothing was changed; add --yes" in told.err
    assert tags(registry) == ["v1", "v2"]
    registry.garbage_collect()
    kept = Path(backup.removeprefix("oci:"))
    kept.rename(kept.with_name("elsewhere"))
    lost = run("undo", registry.url, journal)
    assert lost.code == OTHER
    assert "impossible" in lost.out
    kept.with_name("elsewhere").rename(kept)
    restored = run("undo", registry.url, journal, "--yes", "--json")  # the journal names the backup
    assert json.loads(restored.out)["ok"]
    assert len(tags(registry)) == 5


@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_the_steps_are_shown_before_they_are_done(run: Run, registry: Registry, plan: Path, yes: tuple[str]) -> None:
    loaded = rs.Plan.load(plan)
    assert run("apply", registry.url, plan, "--limit", 1).err.count("2 more") == 1
    shown = run("apply", registry.url, plan, *yes).out
    steps, counted, done = shown.split("\n\n")
    assert [line.split()[:2] for line in steps.splitlines()[2:]] == [["delete", "app"]] * 3
    assert [digest[7:19] in steps for digest in loaded.steps["digest"]] == [True] * 3
    assert counted.splitlines()[2].split()[:3] == ["app", "0", "3"]
    assert done.startswith("Applied on" if yes else "Dry run on")
    assert [line.split("@")[0].strip() for line in repr(loaded).splitlines()[-3:]] == ["delete app"] * 3


def test_of_many_steps_a_bounded_part_is_shown_and_all_of_them_as_json(
    run: Run, registry: Registry, tmp_path: Path
) -> None:
    pushes = [("many", f"v{n}", image([layer(f"{n}", 5)], n)) for n in range(1, 31)]
    Contents(pushes=[*pushes]).push_to(registry.url)
    saved = tmp_path / "many.json"
    run("plan", registry.url, "--tags", "v*", "--save", saved)
    dry = run("apply", registry.url, saved)
    assert dry.out.count("delete ") == 25
    assert "… and 10 more: --limit 35 shows all" in dry.err
    assert [line.split()[:3] for line in dry.out.splitlines() if line.startswith(("app ", "many "))] == [
        ["app", "0", "5"], ["many", "0", "30"],
    ]  # fmt: skip
    assert run("apply", registry.url, saved, "--limit", 35).out.count("delete ") == 35
    assert len(json.loads(run("apply", registry.url, saved, "--json").out)["steps"]) == 35


def test_a_tampered_plan_is_refused_and_nothing_of_it_is_shown(run: Run, registry: Registry, plan: Path) -> None:
    found = json.loads(plan.read_text())
    stays = next(row for row in found["table"] if row[1] == "v1")
    found["steps"].append(["app", "delete", None, stays[2], "image", 0])
    plan.write_text(json.dumps(found))
    for yes in ((), ("--yes",)):
        refused = run("apply", registry.url, plan, *yes)
        assert refused.code == BAD_CONTENT
        assert refused.out == ""
        assert "but the table does not say so" in refused.err
        assert "Make a new plan" in refused.err
    assert len(tags(registry)) == 5


def test_journals_without_a_place_of_their_own_are_listed(run: Run, registry: Registry, plan: Path) -> None:
    assert "no journal" in run("journal").err
    assert run("apply", registry.url, plan, "--yes").code == 0
    (listed,) = json.loads(run("journal", "--json").out)
    assert (listed["location"], listed["steps"], listed["done"]) == (registry.url, 3, 3)


def test_the_last_run_is_checked_and_undone_by_its_short_name(run: Run, registry: Registry, plan: Path) -> None:
    done = run("apply", registry.url, plan, "--yes")
    assert "registry garbage-collect" in done.out
    (listed,) = json.loads(run("journal", "--json").out)
    assert listed["name"] in run("journal").out
    for name in ("latest", listed["name"], listed["name"][:8]):
        assert len(json.loads(run("journal", name, "--json").out)["steps"]) == 3
    early = run("journal", "latest", "--check")
    assert early.code == OTHER
    freed = rs.Plan.load(plan).freed_bytes
    assert f"({freed:,} bytes)" in early.out
    registry.garbage_collect()
    for place in ((), (registry.url,), (f"storage:{registry.storage}",)):
        found = run("journal", "latest", "--check", *place, "--json")
        assert found.code == 0, found
        assert json.loads(found.out)["gone_bytes"] == json.loads(found.out)["predicted_bytes"] == freed
    assert "gone," in run("journal", "latest", "--check", "--csv").out.replace("\n", ",")
    assert run("undo", "latest").code == OTHER, "there is no backup"
    assert run("journal", "--check").code == USAGE
    assert run("journal", "20").code == 0
    assert run("undo", registry.url, "latest", "more").code == USAGE
    assert run("undo").code == USAGE


def test_undo_finds_the_registry_in_the_journal(run: Run, registry: Registry, plan: Path) -> None:
    assert run("apply", registry.url, plan, "--yes").code == 0
    assert "would be restored  3 manifests, 3 tags" in run("undo", "latest").out
    assert "restored  3 manifests, 3 tags" in run("undo", registry.url, "latest", "--yes").out
    assert len(tags(registry)) == 5


def test_a_backup_is_thin_unless_all_is_asked_for(run: Run, registry: Registry, plan: Path, tmp_path: Path) -> None:
    thin, whole = tmp_path / "thin", tmp_path / "whole"
    done = run(
        "apply", registry.url, plan, "--yes", "--max-deletes", 1, "--journal", tmp_path / "j", "--backup", f"oci:{thin}"
    )
    assert "300 bytes of layers that stay were not copied" in done.out
    options = ("--journal", tmp_path / "j", "--backup", f"oci:{whole}", "--backup-all")
    assert run("apply", registry.url, plan, "--yes", *options).code == 0
    assert run("apply", registry.url, plan, "--backup-all").code == USAGE
    base = rs.Digest.of(layer("base", 300)).replace(":", "/")
    assert not (thin / "blobs" / base).exists()
    assert (whole / "blobs" / base).exists()


def test_a_bound_of_bytes_is_a_size(run: Run, registry: Registry, plan: Path) -> None:
    none = run("apply", registry.url, plan, "--yes", "--max-bytes", "1kB", "--json")
    assert json.loads(none.out)["freed_bytes"] <= 1000
    assert run("apply", registry.url, plan, "--max-bytes", "many").code == USAGE


def test_what_cannot_be_is_told_in_words(run: Run, registry: Registry, plan: Path, tmp_path: Path) -> None:
    (tmp_path / "nonsense").write_text("{}")
    by_api = tmp_path / "by-api.json"
    run("plan", registry.url, "--keep-last", 2, "--save", by_api)
    with Registry(tmp_path / "other", delete=False) as other:
        Contents(pushes=[("app", "v1", image([], 1))]).push_to(other.url)
        for arguments, code, words in (
            (("apply", registry.url, tmp_path / "absent"), NOT_FOUND, "no plan can be read"),
            (("apply", registry.url, tmp_path / "nonsense"), NOT_FOUND, "is not a plan"),
            (("apply", other.url, by_api), USAGE, "the plan is for"),
            (("apply", other.url, plan, "--yes"), NOT_ALLOWED, "unsupported"),
            (("undo", registry.url, tmp_path / "absent"), NOT_FOUND, "no journal can be read"),
            (("undo", registry.url, tmp_path / "nonsense"), NOT_FOUND, "is no journal"),
            (("journal", tmp_path / "nonsense"), NOT_FOUND, "is no journal"),
            (("apply", registry.url), USAGE, "Missing argument"),
        ):
            found = run(*arguments)
            assert found.code == code, (arguments, found)
            assert words in found.err
            assert "Traceback" not in found.err


def test_a_scan_remembers_another(run: Run, registry: Registry, tmp_path: Path) -> None:
    first = tmp_path / "first"
    run("scan", registry.url, "--save", first)
    Contents(pushes=[("app", "v1", image([layer("new", 5)], 0))]).push_to(registry.url)
    found = run("plan", registry.url, "--untagged", "--known", first, "--json")
    assert [row["tag"] for row in json.loads(found.out)["goes"]] == [None]
    told = run("scan", registry.url, "--known", first)
    assert "have lost their tag since" in told.out
    assert run("scan", registry.url, "--known", tmp_path / "absent").code == NOT_FOUND


def test_a_run_that_was_stopped_says_so_by_its_exit_code_and_is_gone_on_with(
    run: Run, registry: Registry, plan: Path, tmp_path: Path
) -> None:
    with FaultProxy(registry.url) as proxy:

        def dead(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            if request.method == "DELETE" and sum(r.method == "DELETE" for r in proxy.requests) > 2:
                raise ConnectionResetError
            return None

        proxy.rule(dead)
        stopped = run("apply", proxy.url, plan, "--yes", "--json", "--journal", tmp_path / "journal")
        assert stopped.code == UNREACHABLE
        summary = json.loads(stopped.out)
        assert not summary["ok"]
        assert "broke" in summary["stopped_by"]
        proxy.clear()
        assert run("apply", proxy.url, plan, "--yes", "--journal", tmp_path / "journal").code == 0
    assert tags(registry) == ["v1", "v2"]


def test_wrong_arguments_change_nothing(run: Run, registry: Registry, plan: Path, tmp_path: Path) -> None:
    saved = plan.read_bytes()
    damaged = tmp_path / "damaged"
    damaged.write_text(json.dumps({**json.loads(saved), "steps": 7}))
    for arguments, code, words in (
        ((plan, "--yes", "--max-deletes", "-1"), USAGE, "--max-deletes"),
        ((plan, "--yes", "--backup", registry.url), USAGE, "cannot hold a backup"),
        ((plan, "--yes", "--journal", plan), NOT_FOUND, "is no journal"),
        (
            (plan, "--yes", "--journal", plan / "x"),
            BAD_CONTENT,
            "written",
        ),
        ((damaged, "--yes"), BAD_CONTENT, "is damaged"),
    ):
        found = run("apply", registry.url, *arguments)
        assert found.code == code, (arguments, found)
        assert words in found.err
        assert "Traceback" not in found.err
    assert plan.read_bytes() == saved
    assert len(tags(registry)) == 5


def test_a_registrys_storage_is_a_source_to_look_into_and_none_to_change(
    run: Run, registry: Registry, plan: Path
) -> None:
    source = f"storage:{registry.storage}"
    assert "repositories  1" in run("scan", source).out
    found = run("apply", source, plan, "--yes")
    assert found.code == USAGE
    assert "read only" in found.err
    assert len(tags(registry)) == 5
