"""Files that are a security risk: setuid and setgid files, files with capabilities, and secrets."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.capabilities import file_capabilities
from regscope.analysis.documented import documented
from regscope.analysis.file_contents import is_standing
from regscope.analysis.largest_files import OF_LAYER, with_layers
from regscope.analysis.sizes import image_layers
from regscope.file_rows import FileRows
from regscope.schema import Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

SETUID, SETGID = 0o4000, 0o2000
_CAPABILITY = '"security.capability"'


SETUID_FILES = (
    Column("path", "str", "path from the root, without a leading slash"),
    Column("mode", "int64", "permission bits, with setuid, setgid and sticky"),
    Column("setuid", "bool", "whether the setuid bit is set: the file runs as its owner"),
    Column("setgid", "bool", "whether the setgid bit is set: the file runs as its group"),
    Column("uid", "int64", "user id of the owner"),
    Column("gid", "int64", "group id of the owner"),
    Column("capabilities", "str", "file capabilities as `getcap` prints them, `cap_net_raw=ep`; absent if none"),
    *OF_LAYER,
)


@takes_snapshot
@documented(columns=SETUID_FILES)
def setuid(snap: Snapshot) -> pd.DataFrame:
    """Files that run with more rights than their user has: by the setuid or setgid bit, or by file capabilities.

    Files of all distinct layers are listed, also those that a later layer hides.

    Returns:
        One row for each file, by path and layer:

        {columns}
    """
    columns = ["path", "mode", "uid", "gid", "xattrs", "layer_digest"]
    found = []
    for frame in FileRows(snap.files, [*columns, "kind", "whiteout"]).frames():
        is_file = frame["kind"].isin(["file", "hardlink"]).to_numpy() & is_standing(frame)
        has_bit = (frame["mode"] & (SETUID | SETGID) != 0).to_numpy()
        has_attribute = frame["xattrs"].astype("str").str.contains(_CAPABILITY, regex=False, na=False).to_numpy()
        found.append(frame.loc[is_file & (has_bit | has_attribute), columns])
    files = pd.concat([part.astype({"layer_digest": "str", "xattrs": "str"}) for part in found])
    said = [None if pd.isna(xattrs) else file_capabilities(xattrs) for xattrs in files.pop("xattrs")]
    files["capabilities"] = pd.Series(said, index=files.index, dtype="str")
    files = files[(files["mode"] & (SETUID | SETGID) != 0) | files["capabilities"].notna()]
    files["setuid"], files["setgid"] = files["mode"] & SETUID != 0, files["mode"] & SETGID != 0
    files = files.sort_values(["path", "layer_digest"], ignore_index=True)
    return recast(SETUID_FILES, with_layers(snap, files))


SECRETS = (
    Column("secret", "str", "kind of secret that the scan found"),
    Column("path", "str", "path from the root, without a leading slash"),
    *OF_LAYER,
    Column(
        "deleted",
        "bool",
        "whether a later layer of one of these images, or a later entry of the same layer, deletes or overwrites the "
        "file; the registry still serves it",
    ),
)


@takes_snapshot
@documented(columns=SECRETS)
def secrets(snap: Snapshot) -> pd.DataFrame:
    """Files that appear to contain secrets, such as private keys: their paths, never their content.

    Deleted and overwritten files are listed too, because the registry still serves them.

    Returns:
        One row for each file, by kind of secret, path and layer:

        {columns}
    """
    columns = ["secret", "path", "layer_digest", "position", "sha256"]
    parts = [frame[frame["secret"].notna()] for frame in FileRows(snap.files, columns).frames()]
    found = pd.concat([part.astype({"secret": "str", "layer_digest": "str"}) for part in parts])
    found = found.sort_values(["secret", "path", "layer_digest", "position"], ignore_index=True)
    found["deleted"] = _is_deleted(snap, found)
    return recast(SECRETS, with_layers(snap, found))


def _is_deleted(snap: Snapshot, files: pd.DataFrame) -> pd.Series[bool]:
    """For each file, whether a later entry hides it in an image that has it."""
    places = _with_directories(files["path"])
    files = files[["layer_digest", "position", "sha256"]].rename_axis("file").reset_index()
    pairs = files.merge(places, on="file").merge(_hiding(snap, places), on="at", suffixes=("", "_above"))
    is_file, mark = pairs["at"] == pairs["path"], pairs["whiteout"]
    other = mark.isna() & ~(is_file & (pairs["sha256"] == pairs["sha256_above"]))
    hides = (mark == "delete") | ((mark == "opaque") & ~is_file) | other
    pairs = pairs[hides.to_numpy(dtype=np.bool_)]
    within = (pairs["layer_digest"] == pairs["layer_digest_above"]) & pairs["whiteout"].isna()
    deleted = pairs.loc[within & (pairs["position_above"] > pairs["position"]), "file"]
    above = pairs[["layer_digest", "layer_digest_above"]].drop_duplicates()
    above = above.merge(_layers_above(snap, above))
    deleted = pd.concat([deleted, pairs.merge(above)["file"]])
    return files["file"].isin(deleted)


def _with_directories(paths: pd.Series[str]) -> pd.DataFrame:
    """`file`: the number of each path; `at`: the path itself, and each of its parent directories up to the root."""
    place = pd.DataFrame({"file": np.arange(len(paths)), "path": paths, "at": paths})
    places = [place]
    while len(place := place[place["at"] != ""]):
        place = place.assign(at=place["at"].str.replace(r"/?[^/]*$", "", n=1, regex=True))
        places.append(place)
    return pd.concat(places)


def _hiding(snap: Snapshot, places: pd.DataFrame) -> pd.DataFrame:
    """The entries at these paths that can hide a file: an entry of a directory does not hide the files below it."""
    columns = ["layer_digest", "position", "path", "kind", "sha256", "whiteout"]
    is_own = places["at"] == places["path"]
    files = places.loc[is_own, "at"].unique()
    everywhere = places["at"].unique()
    found = []
    for frame in FileRows(snap.files, columns).frames():
        rows = frame[frame["path"].isin(everywhere)].astype({"layer_digest": "str", "whiteout": "str"})
        marks = rows["whiteout"].isin(["delete", "opaque"])
        replaces = rows["whiteout"].isna() & (rows["path"].isin(files) | (rows["kind"] != "directory"))
        found.append(rows[marks | replaces].rename(columns={"path": "at"}))
    return pd.concat(found)


def _layers_above(snap: Snapshot, pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs of layers whose second layer is above the first in at least one image."""
    used = image_layers(snap)[["digest", "blob_digest", "position"]]
    used = used.drop_duplicates(["digest", "blob_digest"], keep="last")  # of a repeated layer the highest counts
    lower = used.rename(columns={"blob_digest": "layer_digest"})
    upper = used.rename(columns={"blob_digest": "layer_digest_above"})
    both = pairs.merge(lower, on="layer_digest").merge(
        upper, on=["digest", "layer_digest_above"], suffixes=("", "_above")
    )
    is_above = both["position_above"] > both["position"]
    return both.loc[is_above, ["layer_digest", "layer_digest_above"]].drop_duplicates()
