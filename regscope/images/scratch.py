"""What a change makes of a layer, in a file that is gone when nobody needs it any more."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable

from regscope.layers.compression import Compression, compressed
from regscope.registry.local_content import LocalContent
from regscope.spec.digest import Digest, Passing


class Scratch(LocalContent):
    """A tar, compressed: the same bytes for the same tar.

    Attributes:
        digest: of the compressed bytes.
        diff_id: of the tar.
    """

    def __init__(self, tar: Iterable[bytes], compression: Compression = "gzip") -> None:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as this object does
        weakref.finalize(self, file.close)
        unpacked, packed = Passing(), Passing()
        file.writelines(packed.through(compressed(unpacked.through(tar), compression)))
        file.seek(0)
        super().__init__(None, file)
        self.digest: Digest = packed.digest
        self.diff_id: Digest = unpacked.digest
