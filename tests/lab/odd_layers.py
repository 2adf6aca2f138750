"""Stacks of odd layers, drawn: few names, so that entries meet, through links, replaced, deleted and made again."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import zstandard

from regscope.spec.digest import Digest
from regscope.spec.media_types import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from regscope.stores.layout_writer import Layer, LayoutWriter

CREATED = "2024-01-01T00:00:00Z"
NAMES = ["a", "b", "c", "d"]
KINDS = ["file"] * 5 + ["folder"] * 5 + ["symlink"] * 4 + ["link"] * 3 + ["delete"] * 3 + ["opaque"] * 2 + ["other"]


def _gzip_members(tar: bytes) -> bytes:
    half = len(tar) // 3
    return gzip.compress(tar[:half], mtime=0) + gzip.compress(tar[half:], mtime=0)


def _zstd_frames(tar: bytes) -> bytes:
    half = len(tar) // 3
    return zstandard.compress(tar[:half]) + zstandard.compress(tar[half:])


STORED: list[tuple[Callable[[bytes], bytes], str]] = [
    (bytes, OCI_LAYER),
    (lambda tar: gzip.compress(tar, mtime=0), OCI_LAYER_GZIP),
    (_gzip_members, OCI_LAYER_GZIP),
    (zstandard.compress, OCI_LAYER_ZSTD),
    (_zstd_frames, OCI_LAYER_ZSTD),
]


class Drawn:
    """A stack that is always the same for the same seed.

    Much that containerd would refuse is not drawn: entries below files, hardlinks to nothing, directories that their
    own layer deletes.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._files: set[str] = set()  # as they are named
        self._folders: set[str] = set()  # of this layer
        self.layers = [self._layer() for _ in range(self._random.randint(1, 4))]

    def _path(self) -> str:
        while True:
            path = "/".join(self._random.choices(NAMES, k=self._random.choice([1, 1, 2, 2, 2, 3])))
            if not any(path.startswith(f"{file}/") for file in self._files):
                return path

    def _name(self, path: str) -> str:
        """As some tars write it."""
        return self._random.choice([path] * 8 + [f"./{path}", f"/{path}", f"x/../{path}", f"../{path}"])

    def _layer(self) -> bytes:
        buffer = io.BytesIO()
        self._folders = set()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for _ in range(self._random.randint(1, 9)):
                member, content = self._member()
                archive.addfile(member, io.BytesIO(content))
        return buffer.getvalue()

    def _member(self) -> tuple[tarfile.TarInfo, bytes]:
        draw, kind = self._random, self._random.choice(KINDS)
        path, content = self._path(), b""
        if kind == "link" and not self._files:
            kind = "file"
        if kind == "delete":
            while any(f"{folder}/".startswith(f"{path}/") for folder in self._folders):
                path = self._path()
            self._files -= {file for file in self._files if f"{file}/".startswith(f"{path}/")}
            folder, _, name = path.rpartition("/")
            path = f"{folder}/.wh.{name}".lstrip("/")
        elif kind == "opaque":
            path = draw.choice([f"{path}/.wh..wh..opq", ".wh..wh..opq"] + [f"{path}/.wh..wh..opq"] * 8)
        elif kind == "other" and draw.random() < 0.5:
            path = f"{path}/.wh..wh.plnk"
        member = tarfile.TarInfo(self._name(path))
        member.mode, member.uid, member.gid = (
            draw.choice([0o644, 0o600, 0o4755]),
            draw.choice([0, 7]),
            draw.choice([0, 8]),
        )
        member.mtime = draw.choice([0, 1_600_000_000])
        if kind == "folder":
            member.type, member.mode = tarfile.DIRTYPE, draw.choice([0o755, 0o700])
        elif kind == "symlink":
            member.type, member.linkname = tarfile.SYMTYPE, self._target()
        elif kind == "link":
            member.type, member.linkname = tarfile.LNKTYPE, draw.choice(sorted(self._files))
        elif kind == "other" and not path.endswith("plnk"):
            member.type = tarfile.FIFOTYPE
        elif kind == "file":
            content = draw.choice([b"", b"1", b"22", draw.randbytes(700)])
            member.size = len(content)
        self._note(kind, path)
        return member, content

    def _note(self, kind: str, path: str) -> None:
        if kind == "folder":
            self._folders.add(path)
        if kind in ("file", "link") or (kind == "other" and not path.endswith("plnk")):
            below = f"{path}/"
            self._folders = {folder for folder in self._folders if not f"{folder}/".startswith(below)}
            self._files = {file for file in self._files if not file.startswith(below)} | {path}
        elif kind in ("folder", "symlink"):
            self._files.discard(path)

    def _target(self) -> str:
        path = self._path()
        return self._random.choice([path, path, f"/{path}", f"../{path}", f"./{path}/", f"../../{path}", ".", ".."])

    def write(self, writer: LayoutWriter, tag: str, as_stored: int) -> None:
        """Put it into a layout, its layers stored in several ways."""
        layers = []
        for number, tar in enumerate(self.layers):
            pack, media_type = STORED[(as_stored + number) % len(STORED)]
            layers.append(Layer(writer.blob(pack(tar), media_type), Digest.of(tar), f"step {number}"))
        writer.tag(tag, writer.image(layers, created=CREATED))

    def __repr__(self) -> str:
        return "\n".join(map(_listed, self.layers))


def _listed(layer: bytes) -> str:
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        lines = [f"  {member.type!r} {member.name} {member.linkname} {member.mode:o}" for member in archive]
    return "\n".join(["layer", *lines])


def write(folder: Path, seeds: list[int]) -> None:
    """A layout of the stacks of these seeds, each called `drawn:SEED`."""
    with LayoutWriter(folder) as writer:
        for seed in seeds:
            Drawn(seed).write(writer, f"drawn:{seed}", seed)
