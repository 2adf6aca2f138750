"""Which of several images with the same layers is the base: the one whose history an image begins with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from regscope.analysis.lineage import lineage
from regscope.spec.digest import Digest
from regscope.spec.image_config import chain_ids
from regscope.tables import Snapshot
from tests.lab.drawn_snapshots import NOW, digest

OLD, NEW = NOW - timedelta(days=100), NOW - timedelta(days=1)
PYTHON = ["os=ADD rootfs", 'CMD ["bash"]', "python=RUN install python"]
COPY = "app=COPY app /"


class Built:
    """Images by their steps: `layer=line` made a layer, `line` made none; `stored` says how layers are compressed."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in ("manifests", "layers", "history", "tags")}
        self.rows["placements"] = []

    def image(
        self,
        name: str,
        steps: list[str],
        *,
        created: datetime | None = NOW,
        stored: str = "gzip",
        history: list[str] | None = None,
        platform: str = "amd64",
        tagged: bool = True,
    ) -> None:
        """Add an image; `history` are its lines, by default those of `steps`."""
        repository, _, tag = name.partition(":")
        image = digest(f"{name} {stored} {created} {platform}")
        layers = [step.partition("=")[0] for step in steps if _makes_layer(step)]
        diff_ids = [Digest.of(layer.encode()) for layer in layers]
        self.rows["manifests"].append(
            (image, "m", "image", 10, None, None, None, "linux", platform, None, created, len(layers), len(layers))
        )
        for position, (layer, chain) in enumerate(zip(layers, chain_ids(diff_ids), strict=True)):
            blob = digest(f"{layer} {stored}")
            self.rows["layers"].append((image, position, blob, diff_ids[position], chain, "l", 1, None))
        for number, step in enumerate(steps if history is None else history):
            made = _makes_layer(step)
            line = step.partition("=")[2] if made else step
            self.rows["history"].append((image, number, created, line or None, None, not made, None, None))
        if tagged:
            self.rows["tags"].append((repository, tag, image, None, None, None))
        self.rows["placements"].append((repository, image, "tag" if tagged else "untagged", None, False, None))

    def snapshot(self) -> Snapshot:
        return Snapshot.from_rows(self.rows, location="made", taken_at=NOW, sees_untagged=True)


def _makes_layer(step: str) -> bool:
    return "=" in step.split(" ")[0]


def bases(made: Built) -> dict[str, str]:
    table = lineage(made.snapshot())
    return dict(zip(table["name"], table["base_name"], strict=True))


def newer(made: Built, name: str) -> Any:
    return lineage(made.snapshot()).set_index("name")["newer_base"].get(name)


def with_newer_python() -> Built:
    """`app:1` on `python:3.11`, which is out of date."""
    made = Built()
    made.image("python:3.11", PYTHON, created=OLD)
    made.image("python:3.12", [PYTHON[0], PYTHON[1], "python12=RUN install python"], created=NEW)
    made.image("app:1", [*PYTHON, COPY])
    return made


SETTINGS = {
    "a label": ["LABEL team=x"],
    "a variable": ["ENV A=b"],
    "another command": ['CMD ["lint"]'],
    "many settings": ["ENV A=b", "USER app", 'ENTRYPOINT ["lint"]'],
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("stored", ["gzip", "zstd"])
@pytest.mark.parametrize("created", [OLD - timedelta(days=9), NEW, None])
def test_a_child_with_other_settings_is_nobody_s_base(name: str, stored: str, created: datetime | None) -> None:
    made = with_newer_python()
    made.image("tools/lint:1", [*PYTHON, *SETTINGS[name]], created=created, stored=stored)
    assert bases(made) == {"app:1": "python:3.11", "tools/lint:1": "python:3.11"}
    assert newer(made, "app:1") == newer(made, "tools/lint:1") == "python:3.12"


def test_a_sibling_is_no_base_even_if_the_real_one_is_not_there() -> None:
    made = Built()
    made.image("tools/lint:1", [*PYTHON, "LABEL team=x"])
    made.image("debian:12", PYTHON[:2])
    made.image("app:1", [*PYTHON, COPY])
    assert bases(made) == {"app:1": "debian:12", "tools/lint:1": "debian:12"}


def test_a_child_with_settings_is_the_base_of_what_has_them_too() -> None:
    made = with_newer_python()
    made.image("tools/lint:1", [*PYTHON, "LABEL team=x"])
    made.image("on-lint:1", [*PYTHON, "LABEL team=x", COPY])
    assert bases(made)["on-lint:1"] == "tools/lint:1"
    assert bases(made)["app:1"] == "python:3.11"


def test_bases_nest() -> None:
    made = with_newer_python()
    made.image("debian:12", PYTHON[:2], created=OLD)
    made.image("framework:1", [*PYTHON, "ENV F=1", "framework=RUN pip install"], created=OLD)
    made.image("site:1", [*PYTHON, "ENV F=1", "framework=RUN pip install", COPY])
    found = bases(made)
    assert found["site:1"] == "framework:1"
    assert found["framework:1"] == found["app:1"] == "python:3.11"
    assert found["python:3.11"] == "debian:12"


@pytest.mark.parametrize("created", [OLD - timedelta(days=9), OLD, NEW])
@pytest.mark.parametrize("copy", ["a-mirror:zstd", "python:3.11-zstd", "z-mirror:3.11"])
def test_a_copy_that_was_compressed_again_is_no_base_of_what_has_the_other_blobs(copy: str, created: datetime) -> None:
    made = with_newer_python()
    made.image(copy, PYTHON, created=created, stored="zstd")
    assert bases(made) == {"app:1": "python:3.11"}
    assert newer(made, "app:1") == "python:3.12"


def test_a_copy_in_another_repository_does_not_hide_that_the_real_base_is_old() -> None:
    made = with_newer_python()
    made.image("a-mirror:3.11", PYTHON, created=OLD, stored="zstd")
    made.image("app:zstd", [*PYTHON, COPY], stored="zstd")
    assert bases(made)["app:zstd"] == "a-mirror:3.11"
    assert newer(made, "app:zstd") == "python:3.12"


def test_of_a_base_that_was_rebuilt_to_the_same_bytes_the_oldest_counts() -> None:
    made = with_newer_python()
    made.image("python:3.11-again", PYTHON, created=NEW)
    assert bases(made) == {"app:1": "python:3.11"}
    assert newer(made, "app:1") == "python:3.12"


def test_a_squashed_image_has_no_base_and_is_none() -> None:
    made = with_newer_python()
    made.image("squashed:1", ["all=21 steps"])
    assert bases(made) == {"app:1": "python:3.11"}


def test_a_base_without_history_is_found_by_its_layers() -> None:
    made = Built()
    made.image("nix:1", ["a=", "b=", "c="], history=[], created=OLD)
    made.image("nix:2", ["a=", "b=", "d="], history=[], created=NEW)
    made.image("app:1", ["a=", "b=", "c=", "run=RUN ls"], history=["run=RUN ls"])
    made.image("set:1", ["a=", "b=", "c="], history=["ENV A=b"])
    assert bases(made) == {"app:1": "nix:1", "set:1": "nix:1"}
    assert newer(made, "app:1") == newer(made, "set:1") == "nix:2"


def test_a_history_of_own_steps_on_a_base_without_one_tells_siblings_apart() -> None:
    made = Built()
    made.image("app:1", ["a=", "b=", "run=RUN ls"], history=["run=RUN ls"])
    made.image("set:1", ["a=", "b=", "run=RUN ls"], history=["run=RUN ls", "LABEL a=b"])
    made.image("top:1", ["a=", "b=", "run=RUN ls", COPY], history=["run=RUN ls", COPY])
    assert bases(made) == {"set:1": "app:1", "top:1": "app:1"}


def test_an_image_without_history_is_on_the_one_of_the_same_layers_with_fewer_steps() -> None:
    made = with_newer_python()
    made.image("tools/lint:1", [*PYTHON, "LABEL team=x"], created=OLD - timedelta(days=9))
    made.image("imported:1", [*PYTHON, COPY], history=[])
    assert bases(made)["imported:1"] == "python:3.11"


def test_a_copy_without_history_is_not_the_base_of_the_image_that_has_it() -> None:
    made = with_newer_python()
    made.image("copy:1", PYTHON, history=[], created=OLD - timedelta(days=9))
    assert bases(made) == {"app:1": "python:3.11"}


def test_a_tool_that_drops_steps_without_a_layer_hides_no_base() -> None:
    made = with_newer_python()
    layers = [PYTHON[0], PYTHON[2], "app=Layer: 'app', Created by buildpack"]
    made.image("built:1", layers)
    assert bases(made)["built:1"] == "python:3.11"


def test_many_siblings_are_compared_in_no_more_than_linear_time() -> None:
    # Pair by pair these would be a million rows.
    made = Built()
    made.image("python:3.11", PYTHON, created=OLD)
    for number in range(1000):
        made.image(f"set:{number}", [*PYTHON, f"LABEL number={number}"])
        made.image(f"app:{number}", [*PYTHON, COPY], history=[])
    table = lineage(made.snapshot())
    assert len(table) == 2000
    assert set(table["base_name"]) == {"python:3.11"}


def test_no_image_at_all_has_no_base() -> None:
    assert lineage(Built().snapshot()).empty
