"""Every table that analysis gives has the columns and dtypes of its constant, and its docstring names them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import regscope as rs
from regscope.analysis import (
    base_drift,
    diff,
    dive_efficiency,
    file_changes,
    file_duplicates,
    final_tree,
    freed,
    growth,
    history_cost,
    largest_files,
    layer_stacks,
    lineage,
    names,
    package_changes,
    published,
    risky_files,
    sharing,
    sizes,
    stale,
    stored_layers,
    twins,
    waste,
    what_if,
)
from regscope.schema import Column, make_table
from regscope.tables import Snapshot
from tests.lab.snapshots import empty

OF_A_REGISTRY: dict[Callable[..., Any], Sequence[Column]] = {
    base_drift.base_drift: base_drift.BASE_DRIFT,
    dive_efficiency.dive_efficiency: dive_efficiency.DIVE_EFFICIENCY,
    file_duplicates.dedup_ratios: file_duplicates.DEDUP_RATIOS,
    file_duplicates.file_duplicates: file_duplicates.FILE_DUPLICATES,
    history_cost.history_cost: history_cost.HISTORY_COST,
    largest_files.file_types: largest_files.FILE_TYPES,
    largest_files.largest_files: largest_files.LARGEST_FILES,
    layer_stacks.layer_stacks: layer_stacks.LAYER_STACKS,
    lineage.lineage: lineage.LINEAGE,
    names.tagged_manifests: names.TAGGED_MANIFESTS,
    published.published: published.PUBLISHED,
    risky_files.secrets: risky_files.SECRETS,
    risky_files.setuid: risky_files.SETUID_FILES,
    sharing.sharing: sharing.SHARING,
    sharing.tag_weights: sharing.TAG_WEIGHTS,
    sizes.image_sizes: sizes.IMAGE_SIZES,
    sizes.layer_sizes: sizes.LAYER_SIZES,
    stale.stale: stale.STALE,
    stored_layers.stored_layers: stored_layers.STORED_LAYERS,
    twins.twins: twins.TWINS,
    waste.waste: waste.WASTE,
}
OF_AN_IMAGE: dict[Callable[..., Any], Sequence[Column]] = {
    final_tree.final_files: final_tree.FINAL_FILES,
    waste.wasted_files: waste.WASTED_FILES,
}
OF_A_DIFF = {
    "files": file_changes.FILE_CHANGES,
    "packages": package_changes.PACKAGE_CHANGES,
    "config": diff.CONFIG_CHANGES,
    "history": diff.STEP_CHANGES,
    "layers": diff.LAYER_CHANGES,
}
OF_A_WHAT_IF = {"blobs": freed.FREED_BLOBS, "gone": what_if.GONE, "kept": what_if.KEPT}
ELSEWHERE: dict[Callable[..., Any], Sequence[Column]] = {
    file_changes.file_changes: file_changes.FILE_CHANGES,
    freed.blob_table: freed.FREED_BLOBS,
    growth.growth: growth.GROWTH,
    package_changes.package_changes: package_changes.PACKAGE_CHANGES,
}
NO_TABLE = {"diff", "what_if", "Diff", "WhatIf"}


@pytest.fixture(scope="module")
def real(layout: Path) -> Snapshot:
    """A registry of real images, with their files."""
    store = rs.open(f"oci:{layout}")
    return rs.scan_files(rs.scan(store), store)


def assert_conforms(table: pd.DataFrame, columns: Sequence[Column]) -> None:
    assert [(name, str(dtype)) for name, dtype in table.dtypes.items()] == [
        (column.name, column.dtype) for column in columns
    ]


@pytest.mark.parametrize("question", OF_A_REGISTRY, ids=lambda question: question.__name__)
def test_a_table_of_a_registry_has_its_columns(question: Callable[..., Any], real: Snapshot) -> None:
    for snap in (real, empty()):
        assert_conforms(question(snap), OF_A_REGISTRY[question])


@pytest.mark.parametrize("question", OF_AN_IMAGE, ids=lambda question: question.__name__)
def test_a_table_of_an_image_has_its_columns(question: Callable[..., Any], real: Snapshot) -> None:
    assert_conforms(question(real, "app:1.0"), OF_AN_IMAGE[question])


def test_near_twins_have_the_columns_of_twins(real: Snapshot) -> None:
    for snap in (real, empty()):
        assert_conforms(rs.twins(snap, threshold=0.5), twins.TWINS)


def test_growth_has_its_columns(real: Snapshot) -> None:
    for snapshots in ([], [empty()], [empty(), real]):
        assert_conforms(rs.growth(snapshots), growth.GROWTH)


@pytest.mark.parametrize("pair", [("app:1.0", "app:1.1"), ("app:1.0", "app:1.0")])
def test_a_difference_has_its_columns(pair: tuple[str, str], real: Snapshot) -> None:
    unread = dataclasses.replace(real, unpacked=make_table("unpacked", ()))
    for snap in (real, unread):
        found = rs.diff(snap, *pair)
        for name, columns in OF_A_DIFF.items():
            assert_conforms(getattr(found, name), columns)


def test_what_would_be_freed_has_its_columns(real: Snapshot) -> None:
    for found in (rs.what_if(real, delete="app:1.0"), rs.what_if(empty(), delete=[])):
        for name, columns in OF_A_WHAT_IF.items():
            assert_conforms(getattr(found, name), columns)


@pytest.mark.parametrize(
    ("documented", "columns"),
    [
        *(OF_A_REGISTRY | OF_AN_IMAGE | ELSEWHERE).items(),
        *((rs.Diff, columns) for columns in OF_A_DIFF.values()),
        *((rs.WhatIf, columns) for columns in OF_A_WHAT_IF.values()),
    ],
)
def test_a_docstring_names_all_columns(documented: Any, columns: Sequence[Column]) -> None:
    said = " ".join((inspect.getdoc(documented) or "").split())
    for column in columns:
        kind = ", ".join(filter(None, (column.dtype, column.unit)))
        assert f"- `{column.name}` ({kind}): {column.meaning}" in said
    assert "{" not in said


def test_every_public_question_is_held_against_its_columns() -> None:
    public = {name: getattr(rs, name) for name in rs.__all__ if hasattr(getattr(rs, name), "__module__")}
    ours = {name for name, thing in public.items() if str(thing.__module__).startswith("regscope.analysis")}
    known = {question.__name__ for question in (*OF_A_REGISTRY, *OF_AN_IMAGE, *ELSEWHERE)}
    assert ours - NO_TABLE <= known
