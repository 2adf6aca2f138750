"""The files and packages of a layer, and their cache by the layer's digest: each layer is read only once."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from regscope.layers.entry_rows import SCHEMA
from regscope.schema import TABLES
from regscope.spec.json_forms import one_line
from regscope.stores.cached_store import or_without_it
from regscope.stores.digest_cache import DigestCache
from regscope.version import __version__

# Another version may find other content; other columns always change it.
_MADE_BY = hashlib.sha256(f"{__version__} {TABLES}".encode()).hexdigest()[:16]
_ABOUT = b"regscope"
_WORDS = ["kind", "mode", "uid", "gid", "mtime", "device", "magic", "secret", "whiteout"]


@dataclass(frozen=True, slots=True)
class LayerFiles:
    """The files and packages of a layer.

    Attributes:
        files: the layer's rows of the table `files`, without `layer_digest`.
        unpacked: the layer's row of the table `unpacked`, without `layer_digest`.
        packages: the layer's rows of the table `packages`, without `layer_digest`.
    """

    files: pa.Table
    unpacked: tuple[str, str, int, int, int]
    packages: list[tuple[str, str, str, str, str | None]]

    def to_parquet(self) -> bytes:
        """The three attributes as the content of one Parquet file."""
        about = one_line({"unpacked": self.unpacked, "packages": self.packages}).encode()
        table = self.files.replace_schema_metadata({_ABOUT: about})
        written = pa.BufferOutputStream()
        pq.write_table(
            table, written, compression="zstd", compression_level=1, use_dictionary=_WORDS, write_statistics=False
        )
        return bytes(written.getvalue().to_pybytes())

    @classmethod
    def from_parquet(cls, content: bytes) -> LayerFiles:
        """Read the result of `to_parquet`.

        Raises:
            ValueError, LookupError, TypeError, ArrowException: the content was not written by `to_parquet`.
        """
        table = pq.ParquetFile(io.BytesIO(content)).read(use_threads=False)
        about = json.loads(table.schema.metadata[_ABOUT])
        diff_id, compression, size, tar_size, entries = about["unpacked"]
        packages = [(path, manager, *rest) for path, manager, *rest in about["packages"]]
        table = table.replace_schema_metadata(None)
        if not table.schema.equals(SCHEMA) or table.num_rows != entries:
            raise ValueError("the columns are not those of a layer's files")
        return cls(table, (diff_id, compression, size, tar_size, entries), packages)


def known_files(cache: DigestCache | None, digest: str) -> LayerFiles | None:
    """The files of the layer `digest` from the cache; None if they are not cached."""
    if cache is None:
        return None
    kept: bytes | None = None
    with or_without_it():
        kept = cache.recall(_name(digest))
    try:
        return None if kept is None else LayerFiles.from_parquet(kept)
    except (ValueError, LookupError, TypeError, pa.ArrowException):  # the cached file was not written by this version
        return None


def keep_files(cache: DigestCache | None, digest: str, found: LayerFiles) -> None:
    """Write the files of a layer to the cache, if there is one."""
    if cache is not None:
        with or_without_it():
            cache.keep(_name(digest), found.to_parquet())


def _name(digest: str) -> str:
    return f"files {_MADE_BY} {digest}"
