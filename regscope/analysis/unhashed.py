"""Files that were not hashed, such as those with very large holes; they count as different from all other files."""

from __future__ import annotations

import pandas as pd


def told_apart(files: pd.DataFrame) -> pd.DataFrame:
    """`files` for comparison: regular files without `sha256` have the digest of their layer in its place.

    Such a file equals only the file at the same path of the same layer.

    Args:
        files: rows with `kind`, `sha256` and `layer_digest`, and with `whiteout` if there are whiteouts among them.
    """
    is_unhashed = files["sha256"].isna() & (files["kind"] == "file")
    if "whiteout" in files:
        is_unhashed &= files["whiteout"].isna()
    if not is_unhashed.any():
        return files
    own = files["layer_digest"].astype("str")
    return files.assign(sha256=files["sha256"].astype("str").mask(is_unhashed, own))
