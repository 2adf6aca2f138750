"""The packages of an image, and the differences between the packages of two images."""

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
    """The packages named by the package lists and descriptions among an image's final files.

    Lists that a higher layer replaced or deleted do not count.

    Args:
        snap: the snapshot with the table `packages`.
        files: the image's final files: `layer_digest` and `path`.

    Returns:
        The rows of `packages` without `layer_digest`: `path`, `manager`, `name`, `version`, `architecture` (str).
    """
    visible = files[["layer_digest", "path"]].astype("str")
    packages = snap.packages
    near = packages[packages["layer_digest"].isin(visible["layer_digest"].unique())].astype("str")
    return near.merge(visible, on=["layer_digest", "path"]).drop(columns="layer_digest")


PACKAGE_CHANGES = (
    Column("manager", "category", "package manager: dpkg, apk, rpm, python or npm"),
    Column("name", "str", "name of the package"),
    Column("version_before", "str", "version before; absent for an added package"),
    Column("version_after", "str", "version after; absent for a removed package"),
    Column(
        "change", "category", "added, removed, upgraded, downgraded; or changed, if the versions have no known order"
    ),
)


@documented(columns=PACKAGE_CHANGES)
def package_changes(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Packages that were added or removed, or whose version differs.

    Packages are compared by manager and name, regardless of path and architecture; several versions of one name are
    compared in order of version.

    Returns:
        One row for each change, by manager and name:

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
    """`packages` with the number of each version among the versions of the same name."""
    packages = packages.sort_values("version", key=lambda versions: versions.map(_place(versions)), kind="stable")
    return packages.assign(rank=packages.groupby(["manager", "name"]).cumcount())


def _place(versions: pd.Series[str]) -> dict[str, int]:
    return {version: place for place, version in enumerate(sorted(versions.unique(), key=natural_order))}
