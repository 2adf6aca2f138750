"""Undoing at GitHub: versions are restored by GitHub as long as it has them, else pushed from a backup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import RegscopeError
from regscope.registry.retry_policy import RetryPolicy
from regscope.remediation.journal_reader import read_journal
from regscope.stores.registry_store import RegistryStore
from tests.hosted.pushed import AMD, ARM, BOTH, LONE, NEW, OLD, SBOM, fill
from tests.lab.drawn_registries import Contents, image, layer, state
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.ghcr import TOKEN, GHCRRegistry
from tests.servers.hosted.hosted import answered, reached
from tests.servers.proxy import ProxyResponse
from tests.servers.registry import Registry

POLICY = rs.Retention(tags=["2.0", "1.0"], untagged=True, repositories="team/app")
GONE = (BOTH, AMD, ARM, SBOM, OLD, LONE, LONE.children[0])


@pytest.fixture
def ghcr(behind: Registry, authority: CertificateAuthority) -> Iterator[GHCRRegistry]:
    fill(behind)
    with reached(GHCRRegistry(behind, authority)) as profile:
        yield profile


def opened(ghcr: GHCRRegistry) -> RegistryStore:
    store = rs.open("ghcr.io/team", username="ann", password=TOKEN, verify=ghcr.ca, cache=False)
    assert isinstance(store, RegistryStore)
    store.client.retry_policy = RetryPolicy(settling=0.3)
    return store


class Cleaned:
    """A clean-up that was carried out, and collected behind the profile."""

    def __init__(self, behind: Registry, ghcr: GHCRRegistry, folder: Path, backup: str | None = None) -> None:
        self.url, self.store, self.journal = behind.url, opened(ghcr), folder / "journal"
        self.snap = rs.scan(self.store, progress=False)
        self.before = state(behind.url, self.snap)
        plan = rs.plan(self.snap, POLICY)
        self.done = plan.apply(self.store, dry_run=False, journal=self.journal, backup=backup, progress=False)
        assert self.done.ok, repr(self.done)
        behind.garbage_collect()
        ghcr.asked()

    def undone(self, dry_run: bool = False, backup: str | None = None) -> rs.Undone:
        return rs.undo(self.journal, self.store, dry_run=dry_run, backup=backup, progress=False)

    def now(self) -> dict[tuple[str, str], str | None]:
        return state(self.url, self.snap)


def by_provider(undone: rs.Undone) -> set[str]:
    rows = undone.table[undone.table["tag"].isna() & (undone.table["blobs_from"] == "provider")]
    return {*rows["digest"]}


def test_a_dry_run_says_that_github_restores_it_and_changes_nothing(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path)  # no backup, and its blobs are gone from the registry
    after = cleaned.now()
    told = cleaned.undone(dry_run=True)
    assert told.ok, repr(told)
    assert by_provider(told) == {each.digest for each in GONE}
    assert not len(told.lacking)
    assert "by whoever runs the registry" in repr(told)
    assert told.facts()["blobs from"] == "provider: 7 manifests"
    assert cleaned.now() == after
    assert not [line for line in ghcr.asked() if not line.startswith(("GET", "HEAD"))]


def test_what_is_restored_is_not_pushed_and_no_download_is_counted(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path)
    undone = cleaned.undone()
    assert undone.ok, repr(undone)
    assert by_provider(undone) == {each.digest for each in GONE}
    assert cleaned.now() == cleaned.before
    asked = ghcr.asked()
    written = [line for line in asked if not line.startswith(("GET", "HEAD"))]
    assert [line for line in written if "/v2/" in line] == ["PUT /v2/team/app/manifests/1.0 201"]  # a tag alone
    assert len([line for line in written if line.endswith("/restore 204")]) == len(GONE)
    read = [line for line in asked if line.startswith("GET /v2/") and "/manifests/" in line]
    assert not [line for line in read if line.endswith(" 200")]


def test_tags_that_do_not_come_back_by_themselves_are_set(
    behind: Registry, authority: CertificateAuthority, tmp_path: Path
) -> None:
    fill(behind)
    with reached(GHCRRegistry(behind, authority, restores_tags=False)) as profile:
        cleaned = Cleaned(behind, profile, tmp_path)
        undone = cleaned.undone()
        assert undone.ok, repr(undone)
        assert cleaned.now() == cleaned.before
        assert "PUT /v2/team/app/manifests/2.0 201" in profile.asked()


def test_undo_can_be_run_again(behind: Registry, ghcr: GHCRRegistry, tmp_path: Path) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path)
    assert cleaned.undone().ok
    ghcr.asked()
    again = cleaned.undone()
    assert {*again.table["outcome"]} == {"there already"}
    assert not [line for line in ghcr.asked() if not line.startswith(("GET", "HEAD"))]


def test_after_thirty_days_it_comes_from_the_backup(behind: Registry, ghcr: GHCRRegistry, tmp_path: Path) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path, backup=f"oci:{tmp_path}/backup")
    ghcr.keeps = timedelta(0)
    told = cleaned.undone(dry_run=True)
    assert told.ok
    assert not by_provider(told)
    assert "backup" in told.facts()["blobs from"]
    undone = cleaned.undone()
    assert undone.ok, repr(undone)
    assert cleaned.now() == cleaned.before
    assert not ghcr.restored


def test_after_thirty_days_without_a_backup_it_is_impossible_and_nothing_is_half_done(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path)
    ghcr.keeps = timedelta(0)
    for undone in (cleaned.undone(dry_run=True), cleaned.undone()):
        rows = undone.table[undone.table["tag"].isna()]
        assert {*rows.loc[rows["outcome"] == "impossible", "digest"]} >= {LONE.digest, BOTH.digest}
        assert OLD.digest not in {*rows.loc[rows["outcome"] == "impossible", "digest"]}  # it is in another repository
        assert len(undone.lacking)
    now = cleaned.now()
    assert now["team/app", "1.0"] == NEW.digest
    assert ("team/app", "2.0") not in now


def test_a_restore_that_is_refused_after_the_list_promised_it_falls_back_to_the_backup(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path, backup=f"oci:{tmp_path}/backup")
    document = answered({"message": "Name reused"}, status=422)
    ghcr.rules.insert(0, lambda request, _: document if request.path.endswith("/restore") else None)
    assert by_provider(cleaned.undone(dry_run=True))
    undone = cleaned.undone()
    assert undone.ok, repr(undone)
    assert not by_provider(undone)
    assert cleaned.now() == cleaned.before


def test_without_the_list_of_deleted_versions_the_journals_ids_do(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path)
    ids = {entry.native_id for entry in read_journal(cleaned.journal).entries if entry.action == "delete"}
    ghcr.rules.insert(0, lambda request, _: answered([]) if "state=deleted" in request.path else None)
    undone = cleaned.undone()
    assert undone.ok, repr(undone)
    assert cleaned.now() == cleaned.before
    assert {str(number) for number in ghcr.restored} == ids


def test_without_ids_in_the_journal_the_list_of_deleted_versions_does(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path)
    lines = [json.loads(line) for line in cleaned.journal.read_text().splitlines()]
    assert any(line.pop("native_id", None) for line in lines)
    cleaned.journal.write_text("".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines))
    assert cleaned.undone().ok
    assert cleaned.now() == cleaned.before
    assert len(ghcr.restored) == len(GONE)


def test_where_the_name_was_used_again_it_comes_from_the_backup(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path, backup=f"oci:{tmp_path}/backup")
    ghcr.reused = {"team/app"}
    undone = cleaned.undone()
    assert undone.ok, repr(undone)
    assert not ghcr.restored
    assert cleaned.now() == cleaned.before


def test_a_tag_that_was_set_anew_stays_where_it_is_though_github_moves_it(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path)
    newer = image([layer("newer", 70)], 1)
    Contents(pushes=[("team/app", "2.0", newer)]).push_to(behind.url)
    told = cleaned.undone(dry_run=True)
    undone = cleaned.undone()
    for found in (told, undone):
        (row,) = found.table[found.table["tag"] == "2.0"].itertuples()
        assert row.outcome == "left alone"
    now = cleaned.now()
    assert now["team/app", "2.0"] == newer.digest
    assert now["team/app", BOTH.digest] == BOTH.digest


def test_what_was_pushed_again_meanwhile_is_there_already(behind: Registry, ghcr: GHCRRegistry, tmp_path: Path) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path)
    Contents(pushes=[("team/app", "2.0", BOTH)]).push_to(behind.url)
    undone = cleaned.undone()
    assert undone.ok, repr(undone)
    rows = undone.table.set_index(undone.table["tag"].fillna(undone.table["digest"]))["outcome"]
    assert rows[BOTH.digest] == rows[AMD.digest] == rows["2.0"] == "there already"
    assert cleaned.now() == cleaned.before


def test_where_github_does_not_allow_to_restore_undo_pushes_and_says_so(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path, backup=f"oci:{tmp_path}/backup")
    document = answered({"message": "Must have admin rights to Package."}, status=403)
    ghcr.rules.insert(0, lambda request, _: document if request.path.endswith("/restore") else None)
    with pytest.warns(rs.RegscopeWarning, match="does not restore its versions: .*admin rights"):
        undone = cleaned.undone()
    assert undone.ok, repr(undone)
    assert cleaned.now() == cleaned.before


def test_a_token_that_may_not_write_is_no_promise_in_a_dry_run(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path)
    ghcr.tokens = {TOKEN: ("read:packages", "delete:packages")}
    told = rs.undo(cleaned.journal, opened(ghcr), progress=False)
    assert not told.ok
    assert not by_provider(told)


def test_an_api_that_fails_stops_undo_and_the_next_one_goes_on(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path)
    left = [3]

    def fails(request: object, _: object) -> ProxyResponse | None:
        if not getattr(request, "path", "").endswith("/restore"):
            return None
        left[0] -= 1
        return ProxyResponse(500) if left[0] < 0 else None

    ghcr.rules.insert(0, fails)
    with pytest.raises(RegscopeError, match="500"):
        cleaned.undone()
    ghcr.rules.remove(fails)
    assert cleaned.undone().ok
    assert cleaned.now() == cleaned.before


def test_a_restore_that_is_not_seen_in_time_is_no_success(behind: Registry, ghcr: GHCRRegistry, tmp_path: Path) -> None:
    cleaned = Cleaned(behind, ghcr, tmp_path, backup=f"oci:{tmp_path}/backup")
    ghcr.rules.insert(0, lambda request, _: ProxyResponse(204) if request.path.endswith("/restore") else None)
    undone = cleaned.undone()
    assert undone.ok, repr(undone)  # from the backup
    assert not by_provider(undone)
    assert cleaned.now() == cleaned.before
