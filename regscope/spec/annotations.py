"""The annotation keys that regscope reads or writes.

OCI image-spec, annotations.md; BuildKit, attestation-storage.md; containerd, `images/annotations.go`.
"""

from __future__ import annotations

from typing import Final

CREATED: Final = "org.opencontainers.image.created"
REF_NAME: Final = "org.opencontainers.image.ref.name"
TITLE: Final = "org.opencontainers.image.title"
VERSION: Final = "org.opencontainers.image.version"

CONTAINERD_NAME: Final = "io.containerd.image.name"

REFERENCE_TYPE: Final = "vnd.docker.reference.type"
"""On an entry of an index: its relation to the entry that `REFERENCE_DIGEST` names. BuildKit defines one value."""
REFERENCE_DIGEST: Final = "vnd.docker.reference.digest"
ATTESTATION_MANIFEST: Final = "attestation-manifest"
"""The value of `REFERENCE_TYPE` for an attestation; by BuildKit's rules an entry with any other value is ignored."""

STANDS_IN: Final = "regscope.stands-in"
"""On a manifest that is pushed over a tag to remove the tag: information for people, which no program reads."""
