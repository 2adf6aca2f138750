"""dive's figures, held against dive itself."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from regscope.analysis.dive_efficiency import dive_efficiency
from regscope.analysis.waste import waste
from regscope.errors import InvalidInput
from regscope.tables import Snapshot
from tests.lab import layered
from tests.lab.corners import CORNERS, FOLDER, LINK, MORE_CORNERS, entry, tar
from tests.lab.real_images import real_images

NAMED = {
    "B": [tar(entry("a", content=bytes(1000))), tar(entry(".wh.a", content=b""))],
    "D": [tar(entry("a", content=bytes(100))), tar(entry("a", content=bytes(range(100))))],
    "E": [
        tar(entry("app", FOLDER), entry("app/data.bin", content=bytes(4096))),
        tar(entry("app", FOLDER), entry("app/.wh.tmp", content=b""), entry("app/data.bin", content=bytes(4096))),
    ],
    "G": [tar(entry("d", FOLDER), entry("d/a", content=bytes(1000))), tar(entry(".wh.d", content=b""))],
}
ODD = {
    "a folder without a header is none": [
        tar(entry("d", FOLDER), entry("d/a", content=bytes(50))),
        tar(entry("d/b", content=bytes(20))),
        tar(entry(".wh.d", content=b"")),
    ],
    "a folder with a header, whatever is in it": [
        tar(entry("d", FOLDER), entry("d/a", content=bytes(50)), entry("d/e/f", content=bytes(7))),
        tar(entry("d", FOLDER), entry("d/b", content=bytes(20))),
        tar(entry(".wh.d", content=b"")),
        tar(entry("d", FOLDER), entry("d/a", content=bytes(9))),
    ],
    "the lowest layer deletes its own": [
        tar(entry("d", FOLDER), entry("d/a", content=bytes(50)), entry(".wh.d", content=b""), entry("x", content=b"1")),
        tar(entry("x", content=b"22"), entry(".wh.x", content=b"")),
    ],
    "the lowest layer deletes nothing": [
        tar(entry("a", content=bytes(10)), entry("b/.wh.c", content=b""), entry("d", content=bytes(30))),
        tar(entry("d", content=bytes(5))),
    ],
    "a whiteout that is not empty": [
        tar(entry("a", content=bytes(10)), entry(".wh.a", content=b"four"), entry("z", content=b"z")),
        tar(entry(".wh.z", content=b"five")),
    ],
    "a file becomes a folder": [
        tar(entry("a", content=bytes(10))),
        tar(entry("a", FOLDER), entry("a/b", content=bytes(5))),
        tar(entry("a", content=bytes(3))),
    ],
    "empty folders": [tar(entry("a", FOLDER)), tar(entry("a", FOLDER)), tar(entry("a/.wh.b", content=b""))],
    "a whiteout of a whiteout's folder": [
        tar(entry("a/b/c", content=bytes(8)), entry("a", FOLDER), entry("a/b", FOLDER)),
        tar(entry("a/b/.wh.c", content=b"")),
        tar(entry(".wh.a", content=b"")),
    ],
    "AUFS": [tar(entry(".wh..wh.plnk", FOLDER), entry(".wh..wh.aufs", content=b"aufs"), entry("a", content=b"a"))],
    "links": [tar(entry("a", content=bytes(9)), entry("b", LINK, linkname="a")), tar(entry("b", content=bytes(9)))],
    "one layer only": [tar(entry("a", content=bytes(9)), entry("a", content=bytes(4)))],
    "the same entry over and over": [tar(entry("a", content=bytes(n))) for n in (5, 3, 8)],
}
HAND_MADE = {**NAMED, **ODD, **CORNERS, **MORE_CORNERS}


def test_the_figures_that_are_known_by_heart(tmp_path: Path) -> None:
    layered.write(tmp_path / "layout", NAMED)
    table = waste(layered.read(tmp_path / "layout"), compat="dive").set_index("name")
    table.index = table.index.map({name: case for case, name in layered.named(NAMED).items()})
    assert table["efficiency"].to_dict() == {"B": 0.0, "D": 0.5, "E": 0.999755859375, "G": 1.0}
    assert table["wasted_bytes"].to_dict() == {"B": 1000, "D": 200, "E": 0, "G": 0}
    assert table["size"].to_dict() == {"B": 1000, "D": 200, "E": 8192, "G": 1000}
    assert table["user_wasted_percent"]["D"] == 2
    assert math.isinf(table["user_wasted_percent"]["B"])
    assert math.isnan(table["user_wasted_percent"]["G"])


def dive() -> str:
    """The program; a skip that says so where it is not there."""
    found = shutil.which("dive", path=str(Path(sys.executable).parent)) or shutil.which("dive")
    if found is None:
        pytest.skip("needs dive: .ci/prepare builds it where Go is")
    return found


def said_by_dive(layers: list[bytes], folder: Path) -> dict[str, Any]:
    """What `dive --json` says of an image."""
    archive, answer = folder / "image.tar", folder / "answer.json"
    answer.unlink(missing_ok=True)  # dive writes over it, and leaves what was longer
    layered.save(archive, layers)
    command = [dive(), f"docker-archive://{archive}", "--json", str(answer)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return dict(json.loads(answer.read_bytes())["image"])


def assert_as_dive_says(snap: Snapshot, images: dict[str, list[bytes]], folder: Path) -> None:
    table = dive_efficiency(snap).set_index("name")
    for image, name in layered.named(images).items():
        said, found = said_by_dive(images[image], folder), table.loc[name]
        assert found["efficiency"] == pytest.approx(said["efficiencyScore"], abs=1e-9), image
        assert (found["wasted_bytes"], found["size"]) == (said["inefficientBytes"], said["sizeBytes"]), image


def test_hand_made_images_are_scored_as_dive_scores_them(tmp_path: Path) -> None:
    dive()
    layered.write(tmp_path / "layout", HAND_MADE)
    assert_as_dive_says(layered.read(tmp_path / "layout"), HAND_MADE, tmp_path)


def test_real_images_are_scored_as_dive_scores_them(tmp_path: Path) -> None:
    dive()
    images = real_images()
    assert len(images) > 10
    layered.write(tmp_path / "layout", images)
    snap = layered.read(tmp_path / "layout")
    assert_as_dive_says(snap, images, tmp_path)
    assert (dive_efficiency(snap)["efficiency"] < 1).sum() > 10


def test_figures_of_another_tool_are_not_to_be_had(tmp_path: Path) -> None:
    layered.write(tmp_path / "layout", NAMED)
    snap = layered.read(tmp_path / "layout")
    with pytest.raises(InvalidInput, match="dove"):
        waste(snap, compat="dove")  # type: ignore[arg-type]
