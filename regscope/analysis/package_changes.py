"""The packages of an image, and what differs between those of two."""

from __future__ import annotations

import pandas as pd

from regscope.analysis.documented import documented
from regscope.analysis.version_order import natural_order, version_change
from regscope.schema import Column, recast
from regscope.tables import Snapshot

CHANGES = pd.CategoricalDtype(pd.Index(["added", "removed", "upgraded", "downgraded", "changed"], dtype="str"))
MANAGERS = pd.CategoricalDtype(pd.Index(["dpkg", "apk", "rpm", "python", "npm"], dtype="str"))
_NAMED = ["manager", "name", "version"]


def packages_of(snap: Snapshot, files: pd.DataFrame) -> pd.DataFrame:
    """The packages that the lists and descriptions among an image's final files name.

    A list that an upper layer replaced or deleted does not count.

    Args:
        snap: where the `packages` table is.
        files: the image's final files: `layer_digest` and `path`.

    Returns:
        The rows of `packages` without their layer: `path`, `manager`, `name`, `version`, `architecture` (str).
    """
    visible = files[["layer_digest", "path"]].astype("str")
    packages = snap.packages
    near = packages[packages["layer_digest"].isin(visible["layer_digest"].unique())].astype("str")
    return near.merge(visible, on=["layer_digest", "path"]).drop(columns="layer_digest")


PACKAGE_CHANGES = (
    Column("manager", "category", "dpkg, apk, rpm, python or npm"),
    Column("name", "str", "the package"),
    Column("version_before", "str", "absent where the package was not there"),
    Column("version_after", "str", "absent where the package is gone"),
    Column(
        "change", "category", "added, removed, upgraded, downgraded; or changed, where the versions have no known order"
    ),
)


@documented(columns=PACKAGE_CHANGES)
def package_changes(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Packages that came, went, or have another version; where there are several of a name, in order of version.

    A package counts by manager and name, on whatever path and for whatever architecture it is installed.

    Returns:
        By manager and name:

        {columns}
    """
    both = _versions(before).merge(_versions(after), on=_NAMED, how="outer", indicator=True)
    sides = [_ranked(both.loc[both["_merge"] == side, _NAMED]) for side in ("left_only", "right_only")]
    table = sides[0].merge(sides[1], on=["manager", "name", "rank"], how="outer", suffixes=("_before", "_after"))
    table = table.sort_values(["manager", "name", "rank"], ignore_index=True).drop(columns="rank")
    rows = table[["manager", "version_before", "version_after"]].astype(object)
    came, went = rows["version_before"].isna(), rows["version_after"].isna()
    change = [
        "added" if is_new else "removed" if is_gone else version_change(*row)
        for row, is_new, is_gone in zip(rows.itertuples(index=False), came, went, strict=True)
    ]
    table["change"] = pd.Categorical(change, dtype=CHANGES)
    return recast(PACKAGE_CHANGES, table.astype({"manager": MANAGERS}))


def _versions(packages: pd.DataFrame) -> pd.DataFrame:
    return packages[_NAMED].drop_duplicates()


def _ranked(packages: pd.DataFrame) -> pd.DataFrame:
    """With the number of each version among those of its name."""
    packages = packages.sort_values("version", key=lambda versions: versions.map(_place(versions)), kind="stable")
    return packages.assign(rank=packages.groupby(["manager", "name"]).cumcount())


def _place(versions: pd.Series[str]) -> dict[str, int]:
    return {version: place for place, version in enumerate(sorted(versions.unique(), key=natural_order))}
