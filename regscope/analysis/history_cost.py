"""Which build instruction costs what."""

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
        "without what differs from build to build; `(no history)` where none is recorded, or it does not fit the "
        "layers; `21 steps in one layer` where a builder made one layer of so many",
    ),
    Column("keyword", "category", "RUN, COPY, ADD … or other"),
    Column("images", "int64", "images with a layer that it made"),
    Column("layers", "int64", "distinct layers that it made"),
    Column("stored", "int64", "of these layers, each once", "bytes"),
    Column("referenced", "int64", "of these layers, once for each image", "bytes"),
)


@takes_snapshot
@documented(columns=HISTORY_COST)
def history_cost(snap: Snapshot) -> pd.DataFrame:
    """Bytes by build instruction over the whole registry, instructions normalised.

    A layer that two different instructions are said to have made counts for both. One of unknown size, or one that
    lives elsewhere, takes no bytes.

    Returns:
        One row for each instruction, most stored bytes first:

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
