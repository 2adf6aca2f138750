"""`layer_sizes` and `image_sizes` against figures worked out by hand, and against plain sets."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings

from regscope.analysis.sizes import image_sizes, layer_sizes
from tests.lab.drawn_snapshots import NOW, Drawn, digest, registries
from tests.lab.snapshots import Registry


@settings(max_examples=25, deadline=None)
@given(registries())
def test_layers_count_the_images_and_repositories_that_plain_sets_count(drawn: Drawn) -> None:
    placed = drawn.placed()
    images = {m for _, m in placed} - set(drawn.children) - set(drawn.subjects)
    expected = set()
    for layer, size in drawn.sizes.items():
        users = {image for image in images if layer in drawn.layers[image]}
        repositories = {repository for repository, manifest in placed if manifest in users}
        if users:
            expected.add((digest(layer), size, len(users), len(repositories), size * (len(users) - 1), layer))
    table = layer_sizes(drawn.snapshot())
    columns = ["blob_digest", "size", "images", "repositories", "saved", "created_by"]
    assert len(table) == len(expected)
    assert set(table[columns].astype(object).itertuples(index=False, name=None)) == expected
    assert table["size"].is_monotonic_decreasing


def test_a_layer_twice_in_one_image_is_in_one_image_and_saves_nothing() -> None:
    made = Registry(base=100)
    made.image("twice", ["base", "top", "base"], "r:1")
    base = layer_sizes(made.snapshot()).iloc[0]
    assert (base["size"], base["images"], base["repositories"], base["saved"]) == (100, 1, 1, 0)


def test_an_image_in_two_repositories_is_one_image() -> None:
    made = Registry(base=100)
    made.image("image", ["base"], "a:1", "a:2", "b:1")
    base = layer_sizes(made.snapshot()).iloc[0]
    assert (base["images"], base["repositories"], base["saved"]) == (1, 2, 0)


def test_the_layers_of_artifacts_are_no_layers_of_images() -> None:
    made = Registry()
    made.image("sbom", ["document"], "r:sbom", kind="artifact")
    assert layer_sizes(made.snapshot()).empty
    assert image_sizes(made.snapshot()).empty


def test_an_unknown_size_is_absent_and_comes_last() -> None:
    made = Registry(unknown=None, small=1)
    made.image("old", ["unknown", "small"], "r:1", kind="schema1", chained=0)
    made.image("older", ["unknown"], "r:2", kind="schema1", chained=0)
    table = layer_sizes(made.snapshot())
    assert table["blob_digest"].tolist() == [digest("small"), digest("unknown")]
    assert table["size"].isna().tolist() == table["saved"].isna().tolist() == [False, True]
    assert table["images"].tolist() == [1, 2]
    assert image_sizes(made.snapshot())["size"].isna().all()


def test_a_size_that_one_image_does_not_know_is_taken_from_another() -> None:
    made = Registry(shared=None)
    made.image("schema 1", ["shared"], "r:1", kind="schema1", chained=0)
    made.sizes["shared"] = 50
    made.image("image", ["shared"], "r:2")
    table = layer_sizes(made.snapshot())
    assert table[["size", "saved"]].to_numpy().tolist() == [[50, 50]]


def test_a_layer_that_lives_elsewhere_has_a_size_and_saves_nothing() -> None:
    made = Registry(windows=1000)
    made.foreign.add("windows")
    made.image("one", ["windows"], "r:1")
    made.image("two", ["windows"], "r:2")
    assert layer_sizes(made.snapshot())[["size", "saved"]].to_numpy().tolist() == [[1000, 0]]


def test_a_layer_without_history_has_no_instruction() -> None:
    made = Registry()
    made.image("image", ["plain", "told=RUN make"], "r:1")
    lines = layer_sizes(made.snapshot()).set_index("blob_digest")["created_by"]
    assert pd.isna(lines[digest("plain")])
    assert lines[digest("told")] == "RUN make"


def test_the_instruction_of_a_layer_is_the_one_that_is_known() -> None:
    made = Registry()
    made.image("squashed", ["base"], "r:1")
    made.image("plain", ["base=ADD rootfs /"], "r:2")
    assert layer_sizes(made.snapshot())["created_by"].tolist() == ["ADD rootfs /"]


def test_an_index_gives_one_row_for_each_platform() -> None:
    made = Registry(base=100, arm=30)
    amd = made.image("amd", ["base"])
    arm = made.image("arm", ["base", "arm"], platform="linux/arm64/v8")
    made.index("index", [amd, arm], "r:1", "r:latest")
    made.place("r", amd)
    made.place("r", arm)
    table = image_sizes(made.snapshot())
    assert table[["tag", "platform", "size"]].to_numpy().tolist() == [
        ["1", "linux/arm64/v8", 137],
        ["latest", "linux/arm64/v8", 137],
        ["1", "linux/amd64", 107],
        ["latest", "linux/amd64", 107],
    ]
    assert table["n_layers"].tolist() == [2, 2, 1, 1]
    assert (table["created"] == NOW).all()


def test_a_nested_index_and_a_child_named_twice_give_each_image_once() -> None:
    made = Registry()
    image = made.image("image", ["base"])
    inner = made.index("inner", [image, image])
    made.index("outer", [inner, image, digest("not there")], "r:1")
    made.place("r", image)
    made.place("r", inner)
    table = image_sizes(made.snapshot())
    assert table[["repository", "tag", "digest"]].to_numpy().tolist() == [["r", "1", image]]


def test_a_tag_whose_manifest_is_missing_has_no_size() -> None:
    made = Registry()
    made.image("image", ["base"], "r:1")
    made.rows["tags"].append(("r", "lost", digest("lost"), None, None, None))
    assert image_sizes(made.snapshot())["tag"].tolist() == ["1"]


def test_an_unknown_platform_is_empty() -> None:
    made = Registry()
    made.image("image", ["base"], "r:1", platform="")
    assert image_sizes(made.snapshot())["platform"].tolist() == [""]


def test_the_size_of_an_image_is_its_config_and_its_distinct_layers() -> None:
    made = Registry(base=100, top=20)
    made.image("image", ["base", "top", "base"], "r:1")
    row = image_sizes(made.snapshot()).iloc[0]
    assert (row["size"], row["n_layers"]) == (127, 3)
