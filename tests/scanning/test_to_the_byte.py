"""`what_if` predicts exactly the bytes that a real registry's garbage collection frees."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regscope.analysis.what_if import WhatIf, what_if
from regscope.scanning.metadata import scan
from regscope.spec.media_types import ACCEPT_MANIFESTS
from regscope.stores.open_store import open as open_store
from regscope.tables import Snapshot
from tests.lab.images import push
from tests.servers.registry import Registry

CASES = 25


@pytest.fixture(scope="module")
def storage(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Snapshot]]:
    """The storage of a filled registry that is stopped, and what a scan saw in it."""
    folder = tmp_path_factory.mktemp("filled")
    with Registry(folder) as registry:
        push(layout, registry)
        snap = scan(open_store(registry.url, cache=False))
        yield registry.storage, snap


def wanted(snap: Snapshot) -> list[str]:
    """Everything that can be named for deletion."""
    tags = [f"{row.repository}:{row.tag}" for row in snap.tags.itertuples()]
    manifests = [f"{row.repository}@{row.digest}" for row in snap.placements.itertuples()]
    return [*tags, *manifests, *snap.placements["repository"].unique()]


def carry_out(registry: Registry, answer: WhatIf) -> None:
    """Delete each manifest that the answer says will go; the registry drops its tags with it."""
    with requests.Session() as web:
        web.trust_env = False
        for row in answer.gone.itertuples():
            done = web.delete(f"{registry.url}/v2/{row.repository}/manifests/{row.digest}")
            assert done.status_code == 202, done.text


def assert_all_is_there(registry: Registry, snap: Snapshot, answer: WhatIf) -> None:
    """Every placement that stays has its manifest, and every blob of it has its data."""
    gone = set(zip(answer.gone["repository"], answer.gone["digest"], strict=True))
    on_disk = registry.blob_digests()
    with requests.Session() as web:
        web.trust_env = False
        for row in snap.placements.itertuples():
            url = f"{registry.url}/v2/{row.repository}/manifests/{row.digest}"
            status = web.head(url, headers={"Accept": ACCEPT_MANIFESTS}).status_code
            assert status == (404 if (row.repository, row.digest) in gone else 200)
            if status == 200:
                manifest = snap.manifests[snap.manifests["digest"] == row.digest]
                needed = {*snap.layers.loc[snap.layers["digest"] == row.digest, "blob_digest"], row.digest}
                needed |= set(manifest["config_digest"].dropna())
                assert needed <= set(on_disk)


def test_the_tables_weigh_what_the_disk_weighs(storage: tuple[Path, Snapshot], tmp_path: Path) -> None:
    folder, snap = storage
    with Registry(tmp_path / "copy") as registry:
        shutil.copytree(folder, registry.storage, dirs_exist_ok=True)
        assert registry.blob_digests() == dict(zip(snap.blobs["digest"], snap.blobs["size"], strict=True))


@settings(max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_prediction_is_what_garbage_collection_frees(storage: tuple[Path, Snapshot], data: st.DataObject) -> None:
    folder, snap = storage
    delete = data.draw(st.lists(st.sampled_from(wanted(snap)), min_size=1, max_size=5, unique=True))
    answer = what_if(snap, delete=delete)
    with tempfile.TemporaryDirectory() as place, Registry(Path(place) / "copy") as registry:
        shutil.copytree(folder, registry.storage, dirs_exist_ok=True)
        before = registry.blob_bytes()
        carry_out(registry, answer)
        registry.garbage_collect()
        assert before - registry.blob_bytes() == answer.freed_bytes
        assert_all_is_there(registry, snap, answer)


def test_deleting_everything_frees_the_whole_disk(storage: tuple[Path, Snapshot], tmp_path: Path) -> None:
    folder, snap = storage
    answer = what_if(snap, delete="*")
    with Registry(tmp_path / "copy") as registry:
        shutil.copytree(folder, registry.storage, dirs_exist_ok=True)
        carry_out(registry, answer)
        registry.garbage_collect()
        assert registry.blob_bytes() == 0
    assert answer.freed_bytes == snap.blobs["size"].sum()
