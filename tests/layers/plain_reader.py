"""The rows of a layer by Python's own `tarfile`: slow, and plain to see. What reads faster is held against it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import posixpath
import tarfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from regscope.layers.compression import uncompressed
from regscope.schema import make_table
from regscope.spec.digest import Digest
from regscope.spec.media_types import is_filesystem_layer
from regscope.stores.content_store import ContentStore
from regscope.tables import Snapshot

KINDS = {
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "fifo",
}
XATTR = "SCHILY.xattr."
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rows(layer: str, tar: bytes) -> list[tuple[Any, ...]]:
    """The rows of `files` for an uncompressed layer, in the order of the table's columns."""
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        return [_row(layer, position, archive, member) for position, member in enumerate(archive)]


def _row(layer: str, position: int, archive: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[Any, ...]:
    kind = KINDS.get(member.type, "file")
    path, whiteout = _place(member.name)
    content = archive.extractfile(member) if kind == "file" else None
    return (
        layer,
        position,
        path,
        kind,
        member.size,
        member.mode & 0o7777,
        member.uid,
        member.gid,
        _time(member),
        {"symlink": member.linkname, "hardlink": normalised(member.linkname)}.get(kind),
        f"{member.devmajor}:{member.devminor}" if kind.endswith("device") else None,
        _xattrs(member),
        hashlib.sha256(content.read()).hexdigest() if content else None,
        None,  # what the content is, and what secrets it holds, is not for this reader to say
        None,
        whiteout,
    )


def normalised(name: str) -> str:
    """A name in a tar as a path from the root."""
    return posixpath.normpath("/" + name).lstrip("/")


def _place(name: str) -> tuple[str, str | None]:
    """What an entry is about, and which whiteout it is (OCI image-spec, layer.md, Whiteouts)."""
    path = normalised(name)
    folder, base = posixpath.split(path)
    if base == ".wh..wh..opq":
        return folder, "opaque"
    if base.startswith(".wh..wh."):
        return path, "ignored"
    if base.startswith(".wh."):
        return normalised(posixpath.join(folder, base.removeprefix(".wh."))), "delete"
    return path, None


def _time(member: tarfile.TarInfo) -> datetime | None:
    try:
        return EPOCH + timedelta(microseconds=int(Decimal(member.pax_headers.get("mtime", member.mtime)) * 1_000_000))
    except OverflowError:
        return None


def _xattrs(member: tarfile.TarInfo) -> str | None:
    found = {
        key.removeprefix(XATTR): base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
        for key, value in member.pax_headers.items()
        if key.startswith(XATTR)
    }
    return json.dumps(found, sort_keys=True, separators=(",", ":")) if found else None


def with_files(store: ContentStore, snap: Snapshot) -> Snapshot:
    """`snap` with the tables `unpacked` and `files` of all its layers that are file systems."""
    layers = snap.layers.astype({"digest": "str", "blob_digest": "str", "media_type": "str"})
    layers = layers[layers["media_type"].map(is_filesystem_layer)].drop_duplicates("blob_digest")
    placed = snap.placements.astype("str").drop_duplicates("digest").set_index("digest")["repository"]
    files: list[tuple[Any, ...]] = []
    unpacked: list[tuple[Any, ...]] = []
    for image, layer in zip(layers["digest"], layers["blob_digest"], strict=True):
        packed = b"".join(store.blob(placed[image], Digest(layer)))
        tar = b"".join(uncompressed([packed]))
        found = rows(layer, tar)
        compression = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}.get(packed[:2], "none")
        unpacked.append((layer, Digest.of(tar), compression, len(packed), len(tar), len(found)))
        files += found
    return dataclasses.replace(snap, files=make_table("files", files), unpacked=make_table("unpacked", unpacked))
