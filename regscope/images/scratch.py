"""What a change makes of a layer, in a file that is gone when nobody needs it any more."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable

from regscope.layers.compression import Stored, compressed
from regscope.registry.local_content import LocalContent
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest, Passing


class Scratch(LocalContent):
    """A tar, compressed or not: the same bytes for the same tar.

    Attributes:
        digest: of the compressed bytes.
        diff_id: of the tar.
    """

    def __init__(self, tar: Iterable[bytes], compression: Stored = "gzip", level: int | None = None) -> None:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as this object does
        weakref.finalize(self, file.close)
        unpacked, packed = Passing(), Passing()
        file.writelines(packed.through(compressed(unpacked.through(tar), compression, level)))
        file.seek(0)
        super().__init__(None, file)
        self.digest: Digest = packed.digest
        self.diff_id: Digest = unpacked.digest

    def descriptor(self, media_type: str) -> Descriptor:
        """What a manifest says of it. What one said of other bytes, such as where each file begins, is not so here."""
        assert self.size is not None  # it is a file
        return Descriptor(mediaType=media_type, digest=self.digest, size=self.size)
