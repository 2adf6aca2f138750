"""A step has one key: in the plan, in the lines of the journal and in what came of it; old journals have the same."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import regscope as rs
from regscope.registry.manifests import RawManifest
from regscope.remediation.journal import Predicted
from regscope.remediation.journal_reader import read_journal
from regscope.remediation.journal_writer import JournalWriter
from regscope.remediation.planned_step import PlannedStep, StepKey
from regscope.spec.digest import Digest
from tests.lab.drawn_registries import Contents, image, index, layer
from tests.servers.registry import Registry

RAW = b'{"schemaVersion": 2}'
DIGEST, STAND_IN = Digest.of(RAW), Digest.of(b"x")
UNTAG = PlannedStep(StepKey("team/app", "untag", "old"), DIGEST, ("old",), 0)
DELETE = PlannedStep(StepKey("web", "delete", DIGEST), DIGEST, ("1", "2"), 20)
BEGUN = f'"digest":"{DIGEST}","media_type":null,"raw":"eyJzY2hlbWFWZXJzaW9uIjogMn0=","frees":'
# As regscope wrote it before steps had a key of a type of their own.
FORMAT_3 = f"""\
{{"regscope_journal":3,"regscope":"0.1.0","location":"http://localhost","plan":"a","started":"2026-11-28T07:59:40+00:00"}}
{{"planned":"4h1N+CRnWcB0mgCWOn2EznfHKn0dXHw+"}}
{{"predicted":[["{DIGEST}",20,1]],"shared":[]}}
{{"repository":"team/app","action":"untag","tags":["old"],{BEGUN}0}}
{{"stand_in":"{STAND_IN}","step":"team/app:old"}}
{{"done":"team/app:old"}}
{{"repository":"web","action":"delete","tags":["1","2"],{BEGUN}20}}
{{"done":"web@{DIGEST}"}}
"""


def test_a_journal_of_format_3_is_read_and_written_as_before(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text(FORMAT_3)
    record = read_journal(old)
    assert [entry.key for entry in record.entries] == [UNTAG.key, DELETE.key]
    assert record.done == {UNTAG.key, DELETE.key}
    assert record.entries[0].stand_ins == (STAND_IN,)
    manifest = RawManifest(RAW, DIGEST, None)
    with JournalWriter(new, "http://localhost", "a") as writer:
        writer.plans([UNTAG, DELETE])
        writer.predict([Predicted(DIGEST, 20, 1)], [])
        writer.begin(UNTAG, manifest)
        writer.stand_in(UNTAG.key, STAND_IN)
        writer.end(UNTAG.key)
        writer.begin(DELETE, manifest)
        writer.end(DELETE.key)
    assert new.read_text().splitlines()[1:] == FORMAT_3.splitlines()[1:]
    assert json.loads(new.read_text().splitlines()[0])["regscope_journal"] == 3


def test_the_plan_the_journal_and_the_result_name_each_step_alike(tmp_path: Path) -> None:
    kept, old = image([layer("base", 500)], 1), image([layer("old", 80)], 90)
    child = image([layer("child", 90)], 9)
    with Registry(tmp_path / "registry") as registry:
        pushes = {"stable": kept, "old-alias": kept, "old-1": old, "old-2": old, "old-multi": index([child])}
        Contents(pushes=[("app", tag, made) for tag, made in pushes.items()]).push_to(registry.url)
        snap = rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)
        plan = rs.plan(snap, rs.Retention(tags="old*"))
        done = plan.apply(registry.url, dry_run=False, journal=tmp_path / "journal", progress=False)
    steps = plan.planned_steps()
    keys = {step.key for step in steps}
    assert len(keys) == len(steps) == 4
    assert {step.key.name: set(step.tags) for step in steps} == {
        "old-alias": {"old-alias"}, old.digest: {"old-1", "old-2"}, index([child]).digest: {"old-multi"},
        child.digest: set(),
    }  # fmt: skip
    assert read_journal(tmp_path / "journal").done == keys
    rows = done.table.astype(object).where(done.table.notna(), None).to_dict("records")
    assert [StepKey.of(row["repository"], row["action"], row["tag"], row["digest"]) for row in rows] == [
        step.key for step in steps
    ]
    assert pickle.loads(pickle.dumps(plan)).planned_steps() == steps


def test_a_tag_and_a_manifest_have_keys_of_their_own() -> None:
    assert StepKey.of("app", "untag", "1.0", DIGEST) != StepKey.of("app", "delete", None, DIGEST)
    assert str(StepKey.of("app", "untag", "1.0", DIGEST)) == "app:1.0"
    assert str(StepKey.of("app", "delete", None, DIGEST)) == f"app@{DIGEST}"
