"""A plan takes what it says, keeps what it says, and what is kept is whole afterwards."""

from __future__ import annotations

from pathlib import Path

import regscope as rs
from tests.field.contents import made, multi
from tests.field.kinds import chosen
from tests.field.servers.server import FieldServer
from tests.field.wire import Wire
from tests.lab.drawn_registries import index

SERVERS = chosen(lambda kind: kind.deletes)


def planned(store: rs.ContentStore, repository: str, **rules: object) -> rs.Plan:
    snapshot = rs.scan(store, repositories=[repository], progress=False)
    assert snapshot.problems.empty
    return rs.plan(snapshot, rs.Retention(repositories=[repository], **rules))


def applied(store: rs.ContentStore, plan: rs.Plan, folder: Path) -> rs.Applied:
    """With a backup: where blobs go with their manifests a plan is not carried out without one."""
    backup = f"oci:{folder / 'backup'}"
    return plan.apply(store, dry_run=False, journal=folder / "journal", backup=backup, progress=False)


def test_what_matches_goes_and_what_is_protected_stays_whole(
    store: rs.ContentStore, server: FieldServer, wire: Wire, repository: str, tmp_path: Path
) -> None:
    kept, gone = made(repository, "kept", 1), made(repository, "gone", 90)
    many, old_many = multi(repository, "kept index"), multi(repository, "old index")
    for image, tags in (
        (kept, ["v1", "old-v1"]),  # one tag goes, its manifest stays
        (gone, ["old-gone", "old-too"]),
        (many, ["v1-multi"]),
        (old_many, ["old-multi"]),
    ):
        wire.push(repository, image, *tags)
    plan = planned(store, repository, tags=["old-*"], protect=["v*"])
    done = applied(store, plan, tmp_path)
    server.settle()
    assert done.ok, done
    # Pulp takes the children along with their index.
    assert set(done.table["outcome"]) <= {"done", "gone already"}, done.table
    assert wire.state(repository) == {"v1": kept.digest, "v1-multi": many.digest}
    lost = (gone, old_many, *old_many.children)
    assert [wire.digest(repository, image.digest) for image in lost] == [None] * 4
    assert wire.missing(repository, "v1") == wire.missing(repository, "v1-multi") == []
    server.collect()
    assert wire.missing(repository, "v1") == wire.missing(repository, "v1-multi") == []


def test_a_child_that_another_index_needs_stays(
    store: rs.ContentStore, server: FieldServer, wire: Wire, repository: str, tmp_path: Path
) -> None:
    shared, own, other = (made(repository, name) for name in ("shared", "own", "other"))
    kept, gone = index([shared, own]), index([shared, other])
    wire.push(repository, kept, "v1")
    wire.push(repository, gone, "old")
    done = applied(store, planned(store, repository, tags=["old"]), tmp_path)
    server.settle()
    server.collect()
    assert done.ok, done
    assert wire.state(repository) == {"v1": kept.digest}
    assert wire.missing(repository, "v1") == []
    assert [wire.digest(repository, image.digest) for image in (gone, other)] == [None] * 2


def test_a_tag_of_a_child_goes_and_the_index_stays_whole(
    store: rs.ContentStore, server: FieldServer, wire: Wire, repository: str, tmp_path: Path
) -> None:
    index_ = multi(repository)
    for machine, child in zip(("amd64", "arm64"), index_.children, strict=True):
        wire.push(repository, child, f"1.0-{machine}", by_digest=False)
    headers = {"Content-Type": index_.media_type}
    assert wire.ask("PUT", repository, "manifests/1.0", data=index_.raw, headers=headers).status_code == 201
    done = applied(store, planned(store, repository, tags=["1.0-*"]), tmp_path)
    server.settle()
    assert done.ok, done
    assert wire.state(repository) == {"1.0": index_.digest}
    assert wire.missing(repository, "1.0") == []


def test_what_is_attached_goes_with_its_image(
    store: rs.ContentStore, server: FieldServer, wire: Wire, repository: str, tmp_path: Path
) -> None:
    kept, gone = made(repository, "kept"), made(repository, "gone")
    wire.push(repository, kept, "v1")
    wire.push(repository, gone, "old")
    sboms = []
    for tag in ("v1", "old"):
        (tmp_path / tag).write_text(f"{repository} {tag}")
        sboms.append(rs.attach(store, f"{repository}:{tag}", tmp_path / tag, "application/vnd.example.sbom"))
    done = applied(store, planned(store, repository, tags=["old"]), tmp_path)
    server.settle()
    assert done.ok, done
    left = wire.state(repository)
    assert left.pop("v1") == kept.digest
    assert all(tag == str(kept.digest).replace(":", "-") for tag in left), left
    assert wire.missing(repository, sboms[0]) == []
    assert [wire.digest(repository, digest) for digest in (gone.digest, sboms[1])] == [None] * 2


def test_applied_again_with_its_journal_it_finds_all_gone(
    store: rs.ContentStore, server: FieldServer, wire: Wire, repository: str, tmp_path: Path
) -> None:
    wire.push(repository, made(repository, "kept"), "v1")
    wire.push(repository, made(repository, "gone"), "old", "older")
    plan = planned(store, repository, tags=["old*"])
    assert applied(store, plan, tmp_path).ok
    server.settle()
    again = applied(store, plan, tmp_path)
    assert again.ok, again
    assert set(again.table["outcome"]) <= {"done", "gone already"}
    assert wire.tags(repository) == ["v1"]
