"""`Scratch`: a new layer in a temporary file, which is deleted with the object."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable

from regscope.layers.compression import Stored, compressed
from regscope.registry.local_content import LocalContent
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest, Passing


class Scratch(LocalContent):
    """A tar, compressed or not; equal tars give equal bytes.

    Attributes:
        digest: the digest of the stored bytes, compressed or not.
        diff_id: the digest of the tar.
    """

    def __init__(self, tar: Iterable[bytes], compression: Stored = "gzip", level: int | None = None) -> None:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # the file is open as long as this object exists
        weakref.finalize(self, file.close)
        unpacked, packed = Passing(), Passing()
        file.writelines(packed.through(compressed(unpacked.through(tar), compression, level)))
        file.seek(0)
        super().__init__(None, file)
        self.digest: Digest = packed.digest
        self.diff_id: Digest = unpacked.digest

    def descriptor(self, media_type: str) -> Descriptor:
        """The layer's descriptor; without annotations of an earlier one, which may be an index of the old bytes."""
        assert self.size is not None  # the size of a file is known
        return Descriptor(mediaType=media_type, digest=self.digest, size=self.size)
