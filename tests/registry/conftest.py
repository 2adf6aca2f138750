"""A blob to read, and certificates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from tests.servers.certificates import Certificate, CertificateAuthority


@pytest.fixture(scope="session")
def layer(layout: Path, images: dict[str, Descriptor]) -> tuple[Digest, bytes]:
    """The digest and the bytes of the layer in `base:1`."""
    manifest = json.loads((layout / "blobs" / images["base:1"].digest.replace(":", "/")).read_bytes())
    digest = Digest(manifest["layers"][0]["digest"])
    return digest, (layout / "blobs" / digest.replace(":", "/")).read_bytes()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """A private certificate authority."""
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: CertificateAuthority) -> Certificate:
    """A certificate for this machine."""
    return authority.issue()
