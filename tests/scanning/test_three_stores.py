"""The same images in a registry, an OCI layout and a docker-archive give the same layers and history."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from regscope.scanning.metadata import scan
from regscope.stores.open_store import open as open_store
from regscope.tables import Snapshot
from tests.lab.images import skopeo
from tests.servers.registry import Registry

NAMES = ["base:1", "app:1.0", "app:1.1"]

LOST_IN_A_DOCKER_ARCHIVE = {
    "layers": ["digest", "blob_digest", "media_type", "size"],  # layers are stored uncompressed, manifests not at all
    "history": ["digest", "blob_digest", "size"],
}


def of_tags(snap: Snapshot, table: str) -> pd.DataFrame:
    """A table's rows for each of NAMES, by the tag and not by the digest."""
    tags = snap.tags.assign(name=snap.tags["repository"].astype("str") + ":" + snap.tags["tag"])
    tags = tags.loc[tags["name"].isin(NAMES), ["name", "digest"]].astype("str")
    rows = getattr(snap, table)
    found = tags.merge(rows.assign(digest=rows["digest"].astype("str")), on="digest")
    texts = {name: "str" for name, dtype in found.dtypes.items() if dtype == "category"}
    order = ["name", "position" if table == "layers" else "step"]
    return found.astype(texts).sort_values(order, ignore_index=True)


@pytest.fixture(scope="module")
def from_registry(registry: Registry) -> Snapshot:
    return scan(open_store(registry.url, cache=False))


@pytest.fixture(scope="module")
def from_layout(layout: Path) -> Snapshot:
    return scan(open_store(f"oci:{layout}"))


@pytest.fixture(scope="module")
def from_archive(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Snapshot]:
    folder = tmp_path_factory.mktemp("archives")
    found = []
    for number, name in enumerate(NAMES):
        path = folder / f"{number}.tar"
        skopeo("copy", "-q", f"oci:{layout}:{name}", f"docker-archive:{path}:{name}")
        found.append(scan(open_store(f"docker-archive:{path}")))
    return found


@pytest.mark.parametrize("table", ["layers", "history"])
def test_a_registry_and_a_layout_give_the_same_rows(from_registry: Snapshot, from_layout: Snapshot, table: str) -> None:
    rows = of_tags(from_layout, table)
    assert rows["name"].nunique() == len(NAMES)
    pd.testing.assert_frame_equal(of_tags(from_registry, table), rows)


@pytest.mark.parametrize("table", ["layers", "history"])
def test_a_docker_archive_gives_the_same_rows_but_for_what_the_format_loses(
    from_archive: list[Snapshot], from_layout: Snapshot, table: str
) -> None:
    lost = LOST_IN_A_DOCKER_ARCHIVE[table]
    archived = pd.concat([of_tags(snap, table) for snap in from_archive])
    archived = archived.sort_values(["name", "position" if table == "layers" else "step"], ignore_index=True)
    rows = of_tags(from_layout, table)
    pd.testing.assert_frame_equal(archived.drop(columns=lost), rows.drop(columns=lost))


@pytest.mark.parametrize("table", ["layers", "history"])
def test_what_a_docker_archive_is_said_to_lose_is_really_lost(
    from_archive: list[Snapshot], from_layout: Snapshot, table: str
) -> None:
    archived, rows = of_tags(from_archive[1], table), of_tags(from_layout, table)
    rows = rows[rows["name"] == NAMES[1]]
    for column in LOST_IN_A_DOCKER_ARCHIVE[table]:
        assert archived[column].tolist() != rows[column].tolist(), column


def test_an_archives_layers_are_its_diff_ids(from_archive: list[Snapshot]) -> None:
    for snap in from_archive:
        assert snap.layers["blob_digest"].tolist() == snap.layers["diff_id"].tolist()
