"""The embedded sample has what it promises."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from regscope.analysis.file_duplicates import file_duplicates
from regscope.analysis.lineage import lineage
from regscope.analysis.risky_files import secrets, setuid
from regscope.analysis.stale import stale
from regscope.analysis.twins import twins
from regscope.analysis.waste import waste
from regscope.demo import build_demo
from regscope.errors import InvalidInput
from regscope.images.copying import copy
from regscope.scanning.files import scan_files
from regscope.scanning.metadata import scan
from regscope.stores.digest_cache import DigestCache
from regscope.stores.open_store import open as open_store
from regscope.stores.removal import open_removal
from regscope.tables import Snapshot


@pytest.fixture(scope="module")
def snap(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("demo")
    store = open_store(f"oci:{build_demo(folder / 'layout')}")
    return scan_files(scan(store), store, cache=DigestCache(folder / "cache"))


def test_it_has_a_dozen_images_and_no_problems(snap: Snapshot) -> None:
    assert (snap.manifests["kind"] == "image").sum() >= 12
    assert snap.problems.empty
    assert snap.sees_everything


def test_it_shares_bases_and_has_old_ones(snap: Snapshot) -> None:
    found = lineage(snap)
    assert found["base_name"].nunique() >= 2
    assert found["base_is_old"].any()
    assert not found["base_is_old"].all()


def test_it_has_an_index_with_an_attestation_and_an_sbom(snap: Snapshot) -> None:
    assert set(snap.platforms["architecture"].dropna()) >= {"amd64", "arm64"}
    assert snap.platforms["is_attestation"].sum() == 1
    assert "application/spdx+json" in set(snap.referrers["artifact_type"])


def test_it_has_an_untagged_leftover_and_a_build_done_twice(snap: Snapshot) -> None:
    assert (snap.placements["found"] == "untagged").sum() == 1
    nightly = snap.tags.loc[snap.tags["repository"] == "team/nightly", "digest"]
    layers = [snap.layers[snap.layers["digest"] == digest] for digest in nightly]
    assert layers[0]["created_by"].tolist()[-1].startswith("RUN") and layers[0]["size"].iloc[-1] > 0  # noqa: PT018
    assert layers[0]["blob_digest"].iloc[-1] != layers[1]["blob_digest"].iloc[-1]


def test_its_files_have_what_the_reports_show(snap: Snapshot) -> None:
    wasted = waste(snap)
    assert set(wasted["name"]) == {"team/importer:1", "team/shop:3"}
    assert {"attributes only", "deleted"} <= set(wasted["cause"])
    assert "mtimes" in set(twins(snap)["reason"])
    assert file_duplicates(snap)["repositories"].max() > 1
    assert setuid(snap)["path"].tolist() == ["usr/local/bin/as-root"]


def test_its_secrets_are_found_and_one_is_deleted_too_late(snap: Snapshot) -> None:
    found = secrets(snap).set_index("path")
    assert found["secret"].to_dict() == {"srv/shop/.env": "environment file", "srv/shop/deploy.pem": "private key"}
    assert found["deleted"].to_dict() == {"srv/shop/.env": False, "srv/shop/deploy.pem": True}


def test_some_of_it_is_stale_whenever_it_is_built(snap: Snapshot) -> None:
    assert 0 < len(stale(snap)) < len(snap.tags)


def test_building_it_again_replaces_it(tmp_path: Path) -> None:
    first = {path.name for path in build_demo(tmp_path / "d").rglob("*")}
    assert {path.name for path in build_demo(tmp_path / "d").rglob("*")} == first


def test_one_from_which_something_was_deleted_is_replaced(tmp_path: Path) -> None:
    layout = build_demo(tmp_path / "d")
    first = {path.name for path in layout.rglob("*")}
    open_removal(open_store(f"oci:{layout}")).untag("team/api", "1.0")
    assert {path.name for path in build_demo(layout).rglob("*")} == first


@pytest.mark.parametrize("kind", ["a file", "a layout", "a file in the sample", "an image in the sample", "a link"])
def test_what_is_not_its_own_is_left_alone(tmp_path: Path, layout: Path, kind: str) -> None:
    folder = tmp_path / "mine"
    if kind in ("a file in the sample", "an image in the sample"):
        build_demo(folder)
    if kind == "an image in the sample":
        copy(f"oci:{layout}", "app:1.0", f"oci:{folder}", progress=False)
    elif kind == "a layout":
        shutil.copytree(layout, folder)
    elif kind == "a link":
        folder.symlink_to(build_demo(tmp_path / "sample"))
    else:
        folder.mkdir(exist_ok=True)
        (folder / "thesis.txt").write_text("precious")
    before = {path.name for path in folder.rglob("*")}
    with pytest.raises(InvalidInput, match="nothing was changed"):
        build_demo(folder)
    assert {path.name for path in folder.rglob("*")} == before
