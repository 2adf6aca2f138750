"""A registry's figures next to published figures of other registries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from regscope.analysis.documented import documented
from regscope.analysis.file_contents import FileContents, is_standing
from regscope.file_rows import FileRows
from regscope.schema import Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

READ, REPORTED = "read in the source", "reported"

ZHAO = (
    "Zhao et al., Large-Scale Analysis of the Docker Hub Dataset, IEEE CLUSTER 2019, doi:10.1109/CLUSTER.2019.8891000"
)
DUPHUNTER = "Zhao et al., DupHunter: Flexible High-Performance Deduplication for Docker Registries, USENIX ATC 2020"
ANWAR = "Anwar et al., Improving Docker Registry Design Based on Production Workload Analysis, USENIX FAST 2018"
SLACKER = "Harter et al., Slacker: Fast Distribution with Lazy Docker Containers, USENIX FAST 2016"
EROFS = "EROFS documentation, deduplication: ten versions of ubuntu:jammy, 766.1 MiB as tar, 282.5 MiB as tar.gz"


class Published(NamedTuple):
    """A figure, its value, unit and source, and whether it was read in the source or is only cited by others."""

    figure: str
    value: float
    unit: str
    source: str
    how_sure: str


FIGURES = (
    Published("uncompressed layers, more than", 167e12, "bytes", ZHAO, READ),
    Published("compressed layers", 47e12, "bytes", ZHAO, REPORTED),
    Published("distinct layers", 1_792_609, "layers", ZHAO, REPORTED),
    Published("files", 5.28e9, "files", ZHAO, REPORTED),
    Published("distinct files of all files", 0.03, "share", ZHAO, READ),
    Published("bytes of files that file-level deduplication saves", 0.8569, "share", ZHAO, REPORTED),
    Published("file-level deduplication ratio", 6.99, "ratio", ZHAO, REPORTED),
    Published("layers under 4 MB, about", 0.5, "share", ZHAO, REPORTED),
    Published("uncompressed layer, 90th percentile", 177e6, "bytes", ZHAO, REPORTED),
    Published("compressed layer, 90th percentile", 63e6, "bytes", ZHAO, REPORTED),
    Published("compression ratio of a layer, median", 2.6, "ratio", ZHAO, REPORTED),
    Published("layers of an image, median below", 8, "layers", ZHAO, REPORTED),
    Published("layers of an image, 90th percentile below", 18, "layers", ZHAO, REPORTED),
    Published("storage saved, at most", 6.9, "ratio", DUPHUNTER, READ),
    Published("latency of getting a layer, lower at most", 2.8, "ratio", DUPHUNTER, READ),
    Published("deduplication ratio of compressed layers", 1.0, "ratio", DUPHUNTER, REPORTED),
    Published("deduplication ratio of uncompressed layers, at least", 2.1, "ratio", DUPHUNTER, REPORTED),
    Published("deduplication ratio of uncompressed layers, at most", 4.0, "ratio", DUPHUNTER, REPORTED),
    Published("requests for layers under 1 MB", 0.65, "share", ANWAR, REPORTED),
    Published("requests for layers under 10 MB", 0.8, "share", ANWAR, REPORTED),
    Published("data read at the start of a container, of what is pulled", 0.064, "share", SLACKER, REPORTED),
    Published("compression ratio of all layers", 766.1 / 282.5, "ratio", EROFS, READ),
    Published("layers deduplicated by file system, against uncompressed", 766.1 / 109.5, "ratio", EROFS, READ),
)


PUBLISHED = (
    Column("figure", "str", "what was measured"),
    Column("here", "float64", "value in this registry; absent if the snapshot does not tell it"),
    Column("published", "float64", "value in the source"),
    Column("unit", "str", "unit of both values: bytes, layers, files, share or ratio"),
    Column("source", "str", "publication, with its DOI if it has one"),
    Column("how_sure", "category", "read in the source; or reported: cited by others and not checked in the source"),
)


@takes_snapshot
@documented(columns=PUBLISHED)
def published(snap: Snapshot) -> pd.DataFrame:
    """Figures of this registry next to published figures of other registries.

    The figures here are of the distinct layers whose files were read, and of their regular files. Figures that a
    snapshot does not tell, such as requests and latencies, are absent. Ratios of files are of uncompressed bytes; for
    the bytes that are saved by storing each layer once see `dedup_ratios`.

    Returns:
        One row for each figure, by source:

        {columns}
    """
    here = {**_of_layers(snap), **_of_files(snap)}
    table = pd.DataFrame(FIGURES, columns=["figure", "published", "unit", "source", "how_sure"])
    table["here"] = table["figure"].map(here)
    table["how_sure"] = pd.Categorical(table["how_sure"], categories=[READ, REPORTED])
    return recast(PUBLISHED, table)


def _of_layers(snap: Snapshot) -> dict[str, float]:
    layers = snap.unpacked
    size, tar_size = (layers[name].to_numpy(dtype=np.float64) for name in ("size", "tar_size"))
    has_bytes = size > 0
    per_image = snap.manifests.loc[snap.is_image, "n_layers"].dropna().to_numpy(dtype=np.float64)
    return {
        "uncompressed layers, more than": tar_size.sum() if len(layers) else np.nan,
        "compressed layers": size.sum() if len(layers) else np.nan,
        "distinct layers": len(layers) or np.nan,
        "layers under 4 MB, about": _share((size < 4e6).sum(), len(layers)),
        "uncompressed layer, 90th percentile": _quantile(tar_size, 0.9),
        "compressed layer, 90th percentile": _quantile(size, 0.9),
        "compression ratio of a layer, median": _quantile(tar_size[has_bytes] / size[has_bytes], 0.5),
        "layers of an image, median below": _quantile(per_image, 0.5),
        "layers of an image, 90th percentile below": _quantile(per_image, 0.9),
        "compression ratio of all layers": _share(tar_size.sum(), size.sum()),
    }


def _of_files(snap: Snapshot) -> dict[str, float]:
    contents = FileContents(snap)
    empty = _empty_files(snap)
    files, distinct = len(contents.row) + empty, len(contents.size) + (empty > 0)
    before, after = contents.size[contents.content].sum(), contents.size.sum()
    return {
        "files": files or np.nan,
        "distinct files of all files": _share(distinct, files),
        "bytes of files that file-level deduplication saves": _share(before - after, before),
        "file-level deduplication ratio": _share(before, after),
    }


def _empty_files(snap: Snapshot) -> int:
    rows = FileRows(snap.files, ["layer_digest", "path", "kind", "size", "whiteout"])
    return sum(
        int(((frame["kind"] == "file") & (frame["size"] == 0) & is_standing(frame)).sum()) for frame in rows.frames()
    )


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else np.nan


def _quantile(values: npt.NDArray[np.float64], share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else np.nan
