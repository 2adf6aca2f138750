"""Build times in the label or annotation `org.opencontainers.image.created`."""

from __future__ import annotations

import pandas as pd

from regscope.analysis.columns import strings
from regscope.arrays import Bools
from regscope.schema import TIME
from regscope.spec.annotations import CREATED
from regscope.spec.image_config import parse_time
from regscope.tables import Snapshot


def stated(snap: Snapshot, source: str) -> pd.DataFrame:
    """The times in labels of configs (`config`) or in annotations (`annotation`): `digest`, `at` (UTC or absent)."""
    ours = snap.labels[(snap.labels["key"] == CREATED) & (snap.labels["source"] == source)]
    times = [parse_time(value) for value in ours["value"].astype(object)]
    return pd.DataFrame(
        {"digest": ours["digest"].array, "at": pd.to_datetime(pd.Series(times, dtype=object), utc=True).astype(TIME)}
    )


def inherited(snap: Snapshot, table: pd.DataFrame) -> Bools:
    """Which rows repeat the time of their base image, and so do not give their own build time.

    Builders copy the labels of the base. A base that is not in the snapshot cannot be recognized.
    """
    layers = snap.layers.loc[snap.layers["digest"].isin(table["digest"]), ["digest", "position", "chain_id"]]
    layers = pd.DataFrame({name: strings(layers[name]) for name in ("digest", "chain_id")}).assign(
        position=layers["position"].to_numpy()
    )
    layers = layers.merge(table.assign(digest=strings(table["digest"])), on="digest").dropna(subset=["chain_id", "at"])
    is_top = layers["position"] == layers.groupby("digest")["position"].transform("max")
    tops = layers.loc[is_top, ["chain_id", "at"]].drop_duplicates()
    repeated = layers[~is_top].merge(tops, on=["chain_id", "at"])["digest"]
    return strings(table["digest"]).isin(repeated)
