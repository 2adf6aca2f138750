"""Files that were not hashed, such as those with very large holes: they count as equal to no other file."""

from __future__ import annotations

import pandas as pd


def told_apart(files: pd.DataFrame) -> pd.DataFrame:
    """Rows of files to compare: a regular file without `sha256` has the digest of its layer in its place.

    So it equals the file at that path of the same layer, and no file of another one.

    Args:
        files: with `kind`, `sha256` and `layer_digest`; `whiteout`, where whiteouts are among them.
    """
    is_unhashed = files["sha256"].isna() & (files["kind"] == "file")
    if "whiteout" in files:
        is_unhashed &= files["whiteout"].isna()
    if not is_unhashed.any():
        return files
    own = files["layer_digest"].astype("str")
    return files.assign(sha256=files["sha256"].astype("str").mask(is_unhashed, own))
