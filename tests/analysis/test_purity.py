"""What holds for every question: the columns it promises, and that it only looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regscope.analysis.base_drift import base_drift
from regscope.analysis.diff import diff
from regscope.analysis.dive_efficiency import dive_efficiency
from regscope.analysis.file_duplicates import dedup_ratios, file_duplicates
from regscope.analysis.final_tree import final_files
from regscope.analysis.growth import growth
from regscope.analysis.history_cost import history_cost
from regscope.analysis.largest_files import file_types, largest_files
from regscope.analysis.lineage import lineage
from regscope.analysis.names import image_names, tagged_manifests
from regscope.analysis.published import published
from regscope.analysis.risky_files import secrets, setuid
from regscope.analysis.sharing import sharing, tag_weights
from regscope.analysis.sizes import image_sizes, layer_sizes
from regscope.analysis.stale import stale
from regscope.analysis.stored_layers import stored_layers
from regscope.analysis.twins import twins
from regscope.analysis.waste import waste, wasted_files
from regscope.analysis.what_if import what_if
from regscope.demo import build_demo
from regscope.scanning.files import scan_files
from regscope.scanning.metadata import scan
from regscope.stores.oci_layout import OCILayoutStore
from regscope.tables import Snapshot
from tests.lab import layered
from tests.lab.corners import entry, tar
from tests.lab.drawn_snapshots import NOW, Drawn, digest, registries
from tests.lab.file_snapshots import FilesRegistry, directory, file, hardlink, symlink, whiteout
from tests.lab.snapshots import empty

LEVELS = ["registry", "repository", "tag", "image"]
UTC_TIME = "datetime64[us, UTC]"
Question = Callable[[Snapshot], pd.DataFrame]


def in_two_days(snap: Snapshot) -> pd.DataFrame:
    """How an empty registry grew into this one."""
    before = dataclasses.replace(empty(), taken_at=snap.taken_at - timedelta(days=1))
    return growth([snap, before])


def near_twins(snap: Snapshot) -> pd.DataFrame:
    """Layers that have half of their bytes in common."""
    return twins(snap, threshold=0.5)


def names_as_table(snap: Snapshot) -> pd.DataFrame:
    return image_names(snap).rename("name").rename_axis("digest").reset_index()


TWINS = {
    "group": "int64",
    **dict.fromkeys(["layer_digest", "diff_id"], "str"),
    "size": "int64",
    "similarity": "float64",
    "reason": "str",
    "saved": "int64",
    "created_by": "str",
    "images": "int64",
}
PROMISED: dict[Question, dict[str, str]] = {
    layer_sizes: {
        "blob_digest": "str",
        "size": "Int64",
        "images": "int64",
        "repositories": "int64",
        "saved": "Int64",
        "created_by": "str",
        "media_type": "str",
    },
    image_sizes: {
        **dict.fromkeys(["repository", "tag", "digest", "platform"], "str"),
        "size": "Int64",
        "n_layers": "Int64",
        "created": UTC_TIME,
    },
    stored_layers: {
        "digest": "str",
        "size": "int64",
        "owner": "str",
        "is_shared": "bool",
        "created_by": "str",
    },
    sharing: {
        "level": "category",
        **dict.fromkeys(["repository", "tag", "digest"], "str"),
        **dict.fromkeys(["total", "unique", "shared", "exclusive"], "int64"),
        "dedup_ratio": "float64",
    },
    history_cost: {
        "instruction": "str",
        "keyword": "category",
        **dict.fromkeys(["images", "layers", "stored", "referenced"], "int64"),
    },
    lineage: {
        **dict.fromkeys(["digest", "name", "base_digest", "base_name"], "str"),
        **dict.fromkeys(["shared_layers", "own_layers"], "int64"),
        **dict.fromkeys(["shared_size", "own_size"], "Int64"),
        "base_is_old": "bool",
        "newer_base": "str",
    },
    stale: {
        **dict.fromkeys(["repository", "tag", "digest"], "str"),
        "created": UTC_TIME,
        "age": "timedelta64[us]",
        "unique": "Int64",
        "exclusive": "Int64",
    },
    in_two_days: {
        "taken_at": UTC_TIME,
        "level": "category",
        "repository": "str",
        **dict.fromkeys(["tags", "manifests", "stored"], "int64"),
        **dict.fromkeys(["added", "removed"], "Int64"),
    },
    tag_weights: {
        **dict.fromkeys(["repository", "tag", "digest"], "str"),
        **dict.fromkeys(["unique", "exclusive"], "Int64"),
        "created": UTC_TIME,
    },
    tagged_manifests: {**dict.fromkeys(["repository", "tag", "digest"], "str"), "is_direct": "bool"},
    names_as_table: {"digest": "str", "name": "str"},
    file_duplicates: {
        "sha256": "str",
        **dict.fromkeys(["size", "copies", "layers", "images", "repositories", "wasted"], "int64"),
        "wasted_stored": "Int64",
        **dict.fromkeys(["path", "name", "instruction"], "str"),
    },
    dedup_ratios: {"level": "category", "before": "int64", "after": "int64", "ratio": "float64"},
    twins: TWINS,
    near_twins: TWINS,
    base_drift: {
        "group": "int64",
        **dict.fromkeys(["instruction", "parent"], "str"),
        **dict.fromkeys(["version", "versions"], "int64"),
        "layer_digest": "str",
        "created": UTC_TIME,
        **dict.fromkeys(["size", "images"], "int64"),
        **dict.fromkeys(["added", "removed", "changed", "new_bytes"], "Int64"),
    },
    largest_files: {
        "path": "str",
        "size": "int64",
        **dict.fromkeys(["sha256", "magic", "layer_digest", "created_by"], "str"),
        **dict.fromkeys(["images", "repositories"], "int64"),
    },
    file_types: {
        "by": "category",
        "type": "str",
        **dict.fromkeys(["files", "bytes", "distinct_bytes"], "int64"),
    },
    setuid: {
        "path": "str",
        "mode": "int64",
        **dict.fromkeys(["setuid", "setgid"], "bool"),
        **dict.fromkeys(["uid", "gid"], "int64"),
        **dict.fromkeys(["capabilities", "layer_digest", "created_by"], "str"),
        **dict.fromkeys(["images", "repositories"], "int64"),
    },
    secrets: {
        **dict.fromkeys(["secret", "path", "layer_digest", "created_by"], "str"),
        **dict.fromkeys(["images", "repositories"], "int64"),
        "deleted": "bool",
    },
    published: {
        "figure": "str",
        **dict.fromkeys(["here", "published"], "float64"),
        **dict.fromkeys(["unit", "source"], "str"),
        "how_sure": "category",
    },
    waste: {
        **dict.fromkeys(["name", "digest"], "str"),
        "cause": "category",
        **dict.fromkeys(["brought_by", "caused_by"], "str"),
        **dict.fromkeys(["brought_layer", "caused_layer", "files", "bytes"], "int64"),
        "compressed": "Int64",
    },
    dive_efficiency: {
        **dict.fromkeys(["name", "digest"], "str"),
        "efficiency": "float64",
        "wasted_bytes": "int64",
        "user_wasted_percent": "float64",
        "size": "int64",
    },
}
each_question = pytest.mark.parametrize("ask", list(PROMISED), ids=lambda ask: ask.__name__)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """The sample, scanned to its last file."""
    store = OCILayoutStore(build_demo(tmp_path_factory.mktemp("demo") / "layout"))
    return scan_files(scan(store, progress=False), store, progress=False)


def odd() -> Snapshot:
    """What real registries hold as well: nested and broken indexes, unknown and foreign layers, schema 1, lost tags;
    layers that were read, some of them more than once as it were, and some not."""
    made = FilesRegistry(windows=1000, unknown=None, blank=32)
    made.foreign.add("windows")
    amd = made.image("amd", ["windows", "blank", "blank=RUN a"], created=None)
    arm = made.image("arm", ["blank=RUN b"], platform="linux/arm64/v8", created=NOW - timedelta(days=400))
    old = made.image("schema 1", ["unknown"], "old:1", "a:old", kind="schema1", chained=0)
    inner = made.index("inner", [amd, arm, arm, digest("not there")])
    made.index("outer", [inner, amd], "a:1", "b:1.0", "b:1.1")
    for repository in ("a", "b"):
        for child in (inner, amd, arm):
            made.place(repository, child)
    made.image("rebuilt", ["blank=RUN c"], "b:0.9", "c:1", created=NOW - timedelta(days=3))
    made.image("same again", ["blank=RUN d"], "c:2", created=NOW - timedelta(days=3))
    made.image("on top", ["blank=RUN e", "more"], "d:1", "d:2", created=NOW - timedelta(days=2))
    made.place("c", made.image("left over", ["blank", "own"], created=NOW - timedelta(days=1)), "untagged")
    sbom = made.image("sbom", ["document"], kind="artifact")
    made.place("old", sbom, "referrer")
    made.rows["referrers"].append((old, sbom, "sbom", "subject"))
    made.layer("blank")
    made.layer("more", file("etc/motd", "hello"), file("a", "big", size=1000), symlink("bin", "usr/bin"))
    made.layer("own", symlink("bin", "usr/bin"), file("a", "big", size=1000), file("etc/motd", "hello", uid=7))
    made.layer("first", directory("home"), file("home/key", "key", mode=0o4755, secret="private key"), file("b", "b"))
    made.layer("second", file("home/key", "other"), hardlink("b", "home/key"), file("c", "big", size=1000, magic="ELF"))
    made.layer("third", whiteout("home"), file("home/a.TXT", "b"), file("home/a.TXT", "c"))
    made.image("built", ["first=RUN apt", "third"], "e:1", created=NOW - timedelta(days=9))
    made.image("built again", ["second=RUN apt", "third"], "e:2", created=NOW - timedelta(days=8))
    made.rows["tags"] += [
        ("a", "lost", digest("lost"), None, None, None),
        ("lost", "1", digest("lost"), None, None, None),
    ]
    return made.snapshot()


@pytest.mark.parametrize(("ask", "columns"), PROMISED.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_columns_and_dtypes_are_those_that_are_promised_with_rows_and_without(
    ask: Question, columns: dict[str, str], demo: Snapshot
) -> None:
    full, strange, nothing = ask(demo), ask(odd()), ask(empty())
    for table in (full, strange, nothing):
        assert {name: str(dtype) for name, dtype in table.dtypes.items()} == columns
        assert list(table.columns) == list(columns)
        assert table.index.equals(pd.RangeIndex(len(table)))
    assert len(full) or len(strange)
    # Equal, and not only of the same name: a category has its categories.
    assert nothing.dtypes.to_dict() == strange.dtypes.to_dict() == full.dtypes.to_dict()


def test_what_if_on_the_columns_that_it_promises(demo: Snapshot) -> None:
    answer = what_if(demo, delete=["base/*", "team/api:2.0"])
    assert {name: str(dtype) for name, dtype in answer.blobs.dtypes.items()} == {
        "digest": "str",
        "kind": "category",
        "size": "int64",
    }
    assert list(answer.gone.columns) == ["repository", "digest", "kind", "tags"]
    assert list(answer.kept.columns) == ["repository", "tag", "digest", "reason"]


def test_diff_on_the_columns_that_it_promises(demo: Snapshot) -> None:
    some, none = diff(demo, "team/api:1.0", "team/api:2.0"), diff(demo, "team/api:2.0", "team/api:2.0")
    for answer in (some, none):
        assert list(answer.files.columns) == [
            "path", "kind", "change", "size_before", "size_after", "growth", "differs",
        ]  # fmt: skip
        assert list(answer.packages.columns) == ["manager", "name", "version_before", "version_after", "change"]
        assert list(answer.config.columns) == ["key", "before", "after"]
        assert list(answer.layers.columns) == ["blob_digest", "held_by", "size", "created_by"]
        assert list(answer.history.columns) == [
            "change", "instruction", "step_before", "step_after", "size_before", "size_after",
        ]  # fmt: skip
    for name in ("files", "packages", "config", "layers", "history"):
        assert getattr(some, name).dtypes.to_dict() == getattr(none, name).dtypes.to_dict()


OF_AN_IMAGE: dict[Callable[[Snapshot, str], pd.DataFrame], dict[str, str]] = {
    final_files: {
        "path": "str",
        "kind": "category",
        **dict.fromkeys(["size", "mode", "uid", "gid"], "int64"),
        "mtime": UTC_TIME,
        **dict.fromkeys(["link_target", "device", "xattrs", "sha256"], "str"),
        "layer": "int64",
        "layer_digest": "str",
        "inode": "int64",
    },
    wasted_files: {
        "path": "str",
        "bytes": "int64",
        "compressed": "Int64",
        "sha256": "str",
        "cause": "category",
        **dict.fromkeys(["brought_by", "caused_by"], "str"),
        **dict.fromkeys(["brought_layer", "caused_layer"], "int64"),
    },
}


@pytest.mark.parametrize(("ask", "columns"), OF_AN_IMAGE.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_of_an_image_columns_and_dtypes_are_those_that_are_promised_with_rows_and_without(
    ask: Callable[[Snapshot, str], pd.DataFrame], columns: dict[str, str]
) -> None:
    snap = layered.tables({"full:1": [tar(entry("d/a")), tar(entry("d/a", content=b"2"))], "nothing:1": [tar()]})
    before = {name: table.copy(deep=True) for name, table in snap.tables.items()}
    full, nothing = ask(snap, "full:1"), ask(snap, "nothing:1")
    for table in (full, nothing, ask(odd(), "c:1")):  # whose layer is no file system
        assert {name: str(dtype) for name, dtype in table.dtypes.items()} == columns
        assert table.index.equals(pd.RangeIndex(len(table)))
    assert len(full) > len(nothing) == 0
    assert nothing.dtypes.to_dict() == full.dtypes.to_dict()
    for name, table in snap.tables.items():
        pd.testing.assert_frame_equal(table, before[name])


@each_question
def test_no_table_of_the_snapshot_is_changed(ask: Question) -> None:
    for snap in (odd(), empty()):
        before = {name: table.copy(deep=True) for name, table in snap.tables.items()}
        answer = ask(snap)
        for column in answer.columns:  # nor is it changed through the answer
            answer[column] = answer[column].iloc[:0].reindex(answer.index)
        for name, table in snap.tables.items():
            pd.testing.assert_frame_equal(table, before[name])


def shuffled(snap: Snapshot, seed: int) -> Snapshot:
    """The same rows in another order; those of a layer's files stay together, as in the tar."""
    tables = {name: table.sample(frac=1, random_state=seed, ignore_index=True) for name, table in snap.tables.items()}
    layers = tables["unpacked"]["layer_digest"].tolist()
    tables["files"] = snap.tables["files"].sort_values(
        "layer_digest", key=lambda column: column.astype("str").map(layers.index), kind="stable", ignore_index=True
    )
    return dataclasses.replace(snap, **tables)


@each_question
def test_the_order_of_the_rows_does_not_matter(ask: Question, demo: Snapshot) -> None:
    for snap, seed in ((demo, 0), (odd(), 0), (odd(), 1)):
        pd.testing.assert_frame_equal(ask(shuffled(snap, seed)), ask(snap))


@settings(max_examples=4, deadline=None)
@given(registries(), st.integers(0, 1000))
def test_the_order_of_the_rows_of_a_drawn_registry_does_not_matter(drawn: Drawn, seed: int) -> None:
    snap = drawn.snapshot()
    for ask in PROMISED:
        pd.testing.assert_frame_equal(ask(shuffled(snap, seed)), ask(snap))


@pytest.mark.parametrize("seed", range(2))
def test_the_answer_of_what_if_does_not_depend_on_the_order_of_the_rows(seed: int, demo: Snapshot) -> None:
    for snap, delete in ((demo, ["base/*", "team/api:*", "team/cli"]), (odd(), ["b:1.0", "a", digest("arm")])):
        one, other = what_if(snap, delete=delete), what_if(shuffled(snap, seed), delete=delete)
        assert one.freed_bytes == other.freed_bytes
        pd.testing.assert_frame_equal(one.blobs, other.blobs, check_categorical=False)
        pd.testing.assert_frame_equal(one.gone, other.gone, check_categorical=False)
        pd.testing.assert_frame_equal(one.kept, other.kept)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Snapshot, Snapshot]]:
    """Snapshots, each with itself after saving and loading."""
    folder: Path = tmp_path_factory.mktemp("saved")
    snaps = {"odd": odd(), "empty": empty()}
    return [(snap, Snapshot.load(snap.save(folder / name))) for name, snap in snaps.items()]


@each_question
def test_a_saved_snapshot_gives_the_same(ask: Question, loaded: list[tuple[Snapshot, Snapshot]]) -> None:
    for snap, again in loaded:
        pd.testing.assert_frame_equal(ask(again), ask(snap))


@each_question
def test_rows_with_another_index_give_the_same(ask: Question) -> None:
    snap = odd()
    tables = {name: table.set_axis(range(7, 7 + len(table))) for name, table in snap.tables.items()}
    pd.testing.assert_frame_equal(ask(dataclasses.replace(snap, **tables)), ask(snap))
