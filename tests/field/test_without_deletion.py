"""Servers that delete nothing: each way to ask for it is refused, and told so that one knows what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import PermissionDeny, Unsupported
from regscope.registry.blobs import Blob
from regscope.registry.manifests import ManifestRef
from regscope.registry.tags import Tags
from tests.field.contents import made
from tests.field.kinds import chosen
from tests.field.refusals import Ask, check_refused
from tests.field.wire import Wire

SERVERS = chosen(lambda kind: not kind.deletes)


def untags(store: rs.ContentStore, repository: str, folder: Path) -> None:
    Tags(repository, store.client).untag("one")


def deletes_a_manifest(store: rs.ContentStore, repository: str, folder: Path) -> None:
    ManifestRef(repository, made(repository, "one").digest, store.client).delete()


def deletes_a_blob(store: rs.ContentStore, repository: str, folder: Path) -> None:
    blob = made(repository, "one").blobs[1]
    Blob(repository, rs.Digest.of(blob), client=store.client).delete()


def applies_a_plan(store: rs.ContentStore, repository: str, folder: Path) -> None:
    snapshot = rs.scan(store, repositories=[repository], progress=False)
    plan = rs.plan(snapshot, rs.Retention(repositories=[repository], tags=["one"]))
    done = plan.apply(store, dry_run=False, journal=folder / "journal", progress=False)
    assert done.stopped_by is not None, done
    raise done.stopped_by


@pytest.mark.parametrize("ask", [untags, deletes_a_manifest, deletes_a_blob, applies_a_plan])
def test_what_is_not_deleted_is_told_and_stays(
    store: rs.ContentStore, filling: Wire, repository: str, tmp_path: Path, ask: Ask
) -> None:
    check_refused(ask, store, filling, repository, tmp_path)


def test_a_plan_is_refused_as_what_the_server_does_not_do_and_not_as_something_missing(
    store: rs.ContentStore, filling: Wire, repository: str, tmp_path: Path
) -> None:
    filling.push(repository, made(repository, "one"), "one")
    with pytest.raises((Unsupported, PermissionDeny)):
        applies_a_plan(store, repository, tmp_path)
