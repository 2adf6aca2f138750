"""Sizes that manifests claim: one that no table could hold in sum costs that image its own, and no other anything."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from regscope.scanning.metadata import scan
from regscope.stores.open_store import open as open_store
from tests.lab.documents import CONFIG, LAYER, OTHER_DIGEST, oci_image
from tests.lab.drawn_registries import Pushed
from tests.lab.layouts import write

MOST = 2**63 - 1


@pytest.mark.parametrize(
    ("sizes", "expected"), [([MOST - 10], MOST), ([MOST - 9], None), ([MOST, MOST], None), ([5, 7], 22)]
)
def test_an_image_has_no_size_where_its_parts_claim_more_than_64_bits(
    tmp_path: Path, sizes: list[int], expected: int | None
) -> None:
    digests = [OTHER_DIGEST.replace("b", digit) for digit in "cd"]
    layers = [{**LAYER, "digest": digest, "size": size} for digest, size in zip(digests, sizes, strict=False)]
    images = {
        "app:claims": Pushed(json.dumps(oci_image(config=CONFIG, layers=layers)).encode(), "application/json"),
        "app:honest": Pushed(json.dumps(oci_image()).encode(), "application/json"),
    }
    snap = scan(open_store(f"oci:{write(tmp_path / 'layout', images)}"))
    found = snap.tags.merge(snap.manifests, on="digest").set_index("tag")["image_size"]
    assert found["honest"] == 30
    assert (None if pd.isna(found["claims"]) else found["claims"]) == expected
    claimed = snap.layers[snap.layers["blob_digest"].isin(digests)]
    assert claimed["size"].tolist() == sizes
