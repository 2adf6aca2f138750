"""Stored bytes by build instruction."""

from __future__ import annotations

import pandas as pd

from regscope.analysis.documented import documented
from regscope.analysis.sizes import image_layers
from regscope.schema import Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.spec.instructions import KEYWORDS, OTHER, keyword, normalised
from regscope.tables import Snapshot

UNKNOWN = "(no history)"


HISTORY_COST = (
    Column(
        "instruction",
        "str",
        "normalised build instruction, without the parts that differ from build to build; `(no history)` if none is "
        "recorded, or the history does not fit the layers; `21 steps in one layer` if a builder squashed that many",
    ),
    Column("keyword", "category", "Dockerfile keyword: RUN, COPY, ADD … or other"),
    Column("images", "int64", "number of images with a layer that the instruction made"),
    Column("layers", "int64", "number of distinct layers that the instruction made"),
    Column("stored", "int64", "size of these layers, each counted once", "bytes"),
    Column("referenced", "int64", "size of these layers, each counted once for every image", "bytes"),
)


@takes_snapshot
@documented(columns=HISTORY_COST)
def history_cost(snap: Snapshot) -> pd.DataFrame:
    """Stored bytes by normalised build instruction, over the whole registry.

    A layer counts for each instruction that a history records for it. Layers of unknown size and foreign layers (served
    from elsewhere) count as 0 bytes.

    Returns:
        One row for each instruction, in descending order of `stored`:

        {columns}
    """
    layers = image_layers(snap).drop_duplicates(["digest", "blob_digest", "created_by"])
    lines = layers["created_by"].unique()
    by_line = {line: normalised(line) or UNKNOWN for line in lines if isinstance(line, str)}
    layers = layers.assign(
        instruction=layers["created_by"].map(by_line).astype("str").fillna(UNKNOWN),
        size=layers["size"].fillna(0).mask(layers["foreign"], 0),
    )
    layers = layers.drop_duplicates(["digest", "blob_digest", "instruction"])
    by_instruction = layers.groupby("instruction", sort=True)
    distinct = layers.drop_duplicates(["blob_digest", "instruction"]).groupby("instruction")
    table = pd.DataFrame(
        {
            "images": by_instruction["digest"].nunique(),
            "layers": distinct.size(),
            "stored": distinct["size"].sum(),
            "referenced": by_instruction["size"].sum(),
        }
    )
    table = table.rename_axis("instruction").reset_index()
    keywords = [keyword(line) for line in table["instruction"]]
    table["keyword"] = pd.Categorical(keywords, categories=[*KEYWORDS, OTHER])
    return recast(HISTORY_COST, table).sort_values("stored", ascending=False, kind="stable", ignore_index=True)
