"""Layers and the lines that made them, from images whose history does not name one step for each layer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from regscope.analysis.base_drift import base_drift
from regscope.analysis.history_cost import history_cost
from regscope.analysis.sizes import layer_sizes
from regscope.analysis.waste import waste
from regscope.scanning.files import scan_files
from regscope.scanning.metadata import scan
from regscope.schema import BLOCKING
from regscope.spec import media_types
from regscope.spec.json_forms import compact
from regscope.stores.digest_cache import DigestCache
from regscope.stores.layout_writer import LayoutWriter, fields_of, tar_of
from regscope.stores.open_store import open as open_store
from regscope.tables import Snapshot
from tests.lab.images import push
from tests.servers.registry import Registry

RUNS = [{"created_by": f"/bin/sh -c make {number}", "empty_layer": True} for number in range(20)]
CMD = {"created_by": '/bin/sh -c #(nop) CMD ["app"]'}


def write(writer: LayoutWriter, name: str, tars: Sequence[bytes], history: Sequence[dict[str, Any]]) -> None:
    """An image with this very history."""
    layers = [writer.layer(tar, "") for tar in tars]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": list(history),
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": fields_of(writer.blob(compact(config), media_types.OCI_CONFIG)),
        "layers": [fields_of(layer.descriptor) for layer in layers],
    }
    writer.tag(name, writer.blob(json.dumps(manifest).encode(), media_types.OCI_MANIFEST))


def read(folder: Path) -> Snapshot:
    store = open_store(f"oci:{folder}", cache=False)
    return scan_files(scan(store), store)


SHORT = [{"created_by": "RUN /bin/sh -c ls # buildkit"}, {"created_by": "RUN /bin/sh -c echo > 0 # buildkit"}]
FIVE = [*(tar_of({str(number): str(number).encode() * 100}) for number in range(4)), tar_of({"0": b"new"})]


def test_no_line_is_blamed_where_the_history_is_shorter_than_the_layers(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path) as writer:
        write(writer, "app:1", FIVE, SHORT)
    snap = read(tmp_path)
    assert snap.layers["created_by"].isna().all()
    assert snap.history["blob_digest"].isna().all()
    assert snap.history["size"].isna().all()
    assert snap.history["created_by"].tolist() == [step["created_by"] for step in SHORT]
    assert layer_sizes(snap)["created_by"].isna().all()
    assert history_cost(snap)[["instruction", "layers"]].to_numpy().tolist() == [["(no history)", 5]]
    [row] = waste(snap).to_dict("records")
    assert (row["cause"], row["brought_by"], row["caused_by"]) == ("overwritten", "(no history)", "(no history)")
    [problem] = snap.problems.to_dict("records")
    assert (problem["repository"], problem["reference"], problem["what"]) == ("app", "1", "history")
    assert "2 steps with a layer, and the manifest 5 layers" in problem["error"]


def test_a_history_that_does_not_fit_hides_nothing_that_is_held(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path) as writer:
        write(writer, "app:1", FIVE, SHORT)
    snap = read(tmp_path)
    assert "history" not in BLOCKING
    assert snap.tags["digest"].notna().all()
    assert len(snap.layers) == 5


def test_a_history_that_does_not_fit_is_told_again_from_the_cache(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "layout") as writer:
        write(writer, "app:1", FIVE, SHORT)
    cache = DigestCache(tmp_path / "kept")
    with Registry(tmp_path / "registry") as registry:
        push(tmp_path / "layout", registry)
        first, again = (scan(open_store(registry.url, cache=cache)) for _ in range(2))
    assert first.problems["what"].tolist() == again.problems["what"].tolist() == ["history"]
    assert again.layers["created_by"].isna().all()


def test_a_layer_of_many_steps_is_named_so_everywhere(tmp_path: Path) -> None:
    tars = [tar_of({"base": b"b"}), tar_of({"file": b"x" * 100}), tar_of({"file": b"new"})]
    history = [{"created_by": "ADD base /"}, *RUNS, CMD, {"created_by": "RUN last # buildkit"}]
    with LayoutWriter(tmp_path) as writer:
        write(writer, "app:1", tars, history)
    snap = read(tmp_path)
    assert snap.problems.empty, snap.problems.to_string()
    assert snap.layers["created_by"].tolist() == ["ADD base /", "21 steps in one layer", "RUN last # buildkit"]
    together = snap.history[1:22]
    assert together["blob_digest"].isna().all()
    assert together["size"].isna().all()
    assert snap.history["blob_digest"].notna().sum() == 2
    cost = history_cost(snap).set_index("instruction")
    assert cost.loc["21 steps in one layer", ["keyword", "layers"]].tolist() == ["other", 1]
    assert not cost.index.str.contains("CMD").any()
    assert "21 steps in one layer" in layer_sizes(snap)["created_by"].tolist()
    [row] = waste(snap).to_dict("records")
    assert (row["brought_by"], row["caused_by"]) == ("21 steps in one layer", "RUN last")


def test_layers_of_many_steps_are_no_versions_of_each_other(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path) as writer:
        for tag, line in (("1", "a"), ("2", "b")):
            steps = [{"created_by": f"RUN {line}", "empty_layer": True}, CMD]
            write(writer, f"app:{tag}", [tar_of({line: b"x"})], steps)
    assert base_drift(read(tmp_path)).empty


@pytest.mark.parametrize("n_layers", [1, 4])
def test_a_comment_is_the_line_where_a_history_has_nothing_else(tmp_path: Path, n_layers: int) -> None:
    comments = [f"store paths: ['/nix/store/{number}-pkg']" for number in range(n_layers)]
    with LayoutWriter(tmp_path) as writer:
        write(writer, "nix/app:1", FIVE[:n_layers], [{"comment": comment} for comment in comments])
    snap = read(tmp_path)
    assert snap.problems.empty
    assert snap.layers["created_by"].tolist() == comments
    assert snap.history["created_by"].tolist() == comments
    assert snap.history["size"].tolist() == snap.layers["size"].tolist()
    assert sorted(history_cost(snap)["instruction"]) == comments


def test_no_history_at_all_is_no_problem(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path) as writer:
        write(writer, "app:1", FIVE, [])
    snap = read(tmp_path)
    assert snap.problems.empty
    assert snap.history.empty
    assert history_cost(snap)["instruction"].tolist() == ["(no history)"]


def test_what_cannot_be_said_of_layers_is_absent_in_their_table(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path) as writer:
        write(writer, "app:1", FIVE[:1], [{}])
    assert pd.isna(read(tmp_path).layers["created_by"]).all()
