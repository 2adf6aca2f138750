"""The layers that form the file system of each image, and the instructions that made them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.documented import documented
from regscope.analysis.history_cost import UNKNOWN
from regscope.analysis.image_choice import no_image
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.selection import Selection, select
from regscope.analysis.sizes import image_layers
from regscope.errors import InvalidInput
from regscope.schema import Column, recast
from regscope.spec.instructions import normalised
from regscope.spec.media_types import is_filesystem_layer
from regscope.tables import Snapshot

_READ_THEM = "Read the layers first: snap = rs.scan_files(snap, store)."


LAYER_STACKS = (
    Column("digest", "str", "digest of the image"),
    Column("position", "int64", "position among all layers of the image, from 0, lowest first"),
    Column("blob_digest", "str", "digest of the layer as stored"),
    Column("instruction", "str", "normalised build instruction, or `(no history)`"),
    Column("size", "Int64", "size as stored (compressed)", "bytes"),
    Column("tar_size", "Int64", "uncompressed size", "bytes"),
)


@documented(columns=LAYER_STACKS)
def layer_stacks(snap: Snapshot, images: Selection | None = None) -> pd.DataFrame:
    """The layers of images, without foreign layers and layers that are not file systems.

    Args:
        images: the images; by default all images whose layers were all read.

    Returns:
        One row for each layer of each image, by image and position:

        {columns}

    Raises:
        InvalidInput: `images` names no image, or an image with a layer that was not read; or without `images`, no layer
            of the snapshot was read.
    """
    layers = _file_systems(image_layers(snap))
    unpacked = snap.unpacked.set_index(snap.unpacked["layer_digest"].astype("str"))
    unread = ~layers["blob_digest"].isin(unpacked.index)
    if images is not None:
        layers = layers[layers["digest"].isin(_images(snap, images))]
        _all_were_read(layers[unread.reindex(layers.index)])
    elif len(layers) and unpacked.empty:
        raise InvalidInput("no layer of this snapshot was read", next_step=_READ_THEM)
    else:
        layers = layers[~layers["digest"].isin(layers.loc[unread, "digest"])]
    lines = {line: normalised(line) or UNKNOWN for line in layers["created_by"].dropna().unique()}
    table = layers[["digest", "position", "blob_digest"]].assign(
        instruction=layers["created_by"].map(lines).astype("str").fillna(UNKNOWN),
        size=layers["blob_digest"].map(unpacked["size"]),
        tar_size=layers["blob_digest"].map(unpacked["tar_size"]),
    )
    return recast(LAYER_STACKS, table.reset_index(drop=True))


def check_were_read(snap: Snapshot, layers: pd.DataFrame) -> None:
    """Check that all file system layers among these rows of `image_layers` were read.

    Raises:
        InvalidInput: a layer was not read.
    """
    layers = _file_systems(layers)
    _all_were_read(layers[~layers["blob_digest"].isin(snap.unpacked["layer_digest"])])


def _file_systems(layers: pd.DataFrame) -> pd.DataFrame:
    is_filesystem = {kind: is_filesystem_layer(kind) for kind in layers["media_type"].dropna().unique()}
    # Layers of schema 1 have no media type: all are file systems.
    is_filesystem_layers = layers["media_type"].map(is_filesystem).fillna(True).astype("bool")
    return layers[is_filesystem_layers & ~layers["foreign"]]


def _images(snap: Snapshot, wanted: Selection) -> pd.Index[str]:
    """The digests of all images that `wanted` refers to, directly or through an index."""
    graph = ReferenceGraph(snap)
    tags, nodes = select(graph, wanted)
    named = np.concatenate([graph.tag_node[tags & (graph.tag_node >= 0)], np.flatnonzero(nodes)])
    _, found = graph.children.closure(named)
    digests = graph.manifests[np.unique(graph.node_manifest[found])]
    images = digests[digests.isin(snap.manifests.loc[snap.is_image, "digest"].astype("str"))]
    if images.empty:
        if isinstance(wanted, str):
            raise no_image(snap, digests, wanted)
        raise InvalidInput("the selection has no image", next_step="Give an image as repository:tag or by its digest.")
    return images


def _all_were_read(unread: pd.DataFrame) -> None:
    if len(unread):
        missing = unread["blob_digest"].drop_duplicates()
        some = ", ".join(missing.head(3)) + (" …" if len(missing) > 3 else "")
        raise InvalidInput(
            f"of the layers of these images, {len(missing)} were not read: {some}",
            next_step=_READ_THEM,
        )
