"""`published`: a registry's figures beside those of others."""

from __future__ import annotations

import math

import pytest

from regscope.analysis.published import FIGURES, READ, published
from tests.lab.drawn_file_snapshots import both_ways
from tests.lab.file_snapshots import FilesRegistry, file, hardlink, symlink
from tests.lab.snapshots import empty

NOT_IN_TABLES = {
    "storage saved, at most",
    "latency of getting a layer, lower at most",
    "deduplication ratio of compressed layers",
    "deduplication ratio of uncompressed layers, at least",
    "deduplication ratio of uncompressed layers, at most",
    "requests for layers under 1 MB",
    "requests for layers under 10 MB",
    "data read at the start of a container, of what is pulled",
    "layers deduplicated by file system, against uncompressed",
}


def test_each_figure_is_what_one_works_out_on_paper() -> None:
    made = FilesRegistry(one=4_000_000, two=1_000_000, unread=7)
    made.layer("one", file("a", "x", size=900), file("b", "x", size=900), file("c"), tar_size=12_000_000)
    made.layer("two", file("d", "y", size=200), file("e"), hardlink("f", "d"), symlink("g", "d"), tar_size=2_000_000)
    made.image("image 1", ["one", "two", "unread"], "r:1")
    made.image("image 2", ["one"], "r:2")
    with both_ways(made.snapshot()) as ways:
        for way in ways:
            here = published(way).set_index("figure")["here"].dropna()
            assert here.to_dict() == pytest.approx(
                {
                    "uncompressed layers, more than": 14_000_000,
                    "compressed layers": 5_000_000,
                    "distinct layers": 2,
                    "files": 5,
                    "distinct files of all files": 3 / 5,  # x, y and the empty one
                    "bytes of files that file-level deduplication saves": 900 / 2000,
                    "file-level deduplication ratio": 2000 / 1100,
                    "layers under 4 MB, about": 1 / 2,
                    "uncompressed layer, 90th percentile": 11_000_000,
                    "compressed layer, 90th percentile": 3_700_000,
                    "compression ratio of a layer, median": 2.5,
                    "layers of an image, median below": 2,
                    "layers of an image, 90th percentile below": 2.8,
                    "compression ratio of all layers": 2.8,
                }
            )


def test_what_tables_cannot_tell_is_absent() -> None:
    made = FilesRegistry()
    made.layer("one", file("a", "x"))
    made.image("image", ["one"], "r:1")
    table = published(made.snapshot()).set_index("figure")
    assert set(table.index[table["here"].isna()]) == NOT_IN_TABLES


def test_nothing_is_claimed_of_a_registry_whose_layers_were_not_read() -> None:
    assert published(empty())["here"].isna().all()


def test_every_published_figure_names_its_source_and_how_sure_it_is() -> None:
    table = published(empty())
    assert len(table) == len(FIGURES)
    assert table["figure"].is_unique
    assert table[["published", "unit", "source", "how_sure"]].notna().all(axis=None)
    sure = table[table["how_sure"] == READ].set_index("figure")["published"]
    assert sure["uncompressed layers, more than"] == 167e12
    assert sure["distinct files of all files"] == 0.03
    assert math.isclose(sure["compression ratio of all layers"], 2.712, abs_tol=0.001)
    assert table["source"].str.contains("doi:10.1109/CLUSTER.2019.8891000").sum() == 13
