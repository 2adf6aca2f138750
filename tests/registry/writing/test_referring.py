"""What refers to an image: by the API for it, or under the fallback tag."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from regscope.errors import (
    InvalidManifest,
)
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.referrers import list_referrers
from regscope.registry.tags import Tags
from regscope.spec.digest import Digest
from regscope.spec.manifest import OCIIndex
from regscope.spec.media_types import OCI_INDEX, OCI_MANIFEST
from regscope.spec.referring import fallback_tag
from tests.lab.pushes import put_image
from tests.servers.oci import OCIRegistry
from tests.servers.registry import Registry


def artifact(client: DockerRegistryV2Client, subject: Digest, number: int = 0, repository: str = "app") -> Digest:
    """Push an artifact about `subject`."""
    empty = Blob(repository, Digest.of(b"{}"), fileobj=io.BytesIO(b"{}"), client=client).upload()
    there = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty.digest, "size": 2}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/example",
        "config": there,
        "layers": [there],
        "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": 1},
        "annotations": {"number": str(number)},
    }
    raw = json.dumps(document).encode()
    return ManifestRef(repository, Digest.of(raw), client).put(raw).digest


def referrers(client: DockerRegistryV2Client, subject: Digest) -> dict[str, tuple[str | None, str]]:
    """What refers to `subject`, by the API or under its fallback tag."""
    found = list_referrers(client, "app", subject)
    if found is None:
        index = ManifestRef("app", fallback_tag(subject), client).get(OCI_INDEX)
        assert isinstance(index, OCIIndex)
        found = list(index.manifests)
    return {entry.digest: (entry.artifactType, entry.annotations["number"]) for entry in found}


def test_an_artifact_is_found_by_its_subject(client: DockerRegistryV2Client) -> None:
    subject = put_image(client)
    pushed = [artifact(client, subject, number) for number in range(3)]
    artifact(client, subject, 0)  # once more
    assert referrers(client, subject) == {
        digest: ("application/example", str(number)) for number, digest in enumerate(pushed)
    }
    ManifestRef("app", pushed[1], client).delete()
    assert set(referrers(client, subject)) == {pushed[0], pushed[2]}


def test_where_the_registry_counts_referrers_itself_no_fallback_tag_is_made() -> None:
    with OCIRegistry() as server:
        client = DockerRegistryV2Client(server.url)
        artifact(client, put_image(client))
        assert Tags("app", client).list() == ["1"]


def test_nobodys_referrer_is_lost_when_several_push_at_once(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server:
        clients = [DockerRegistryV2Client(server.url) for _ in range(4)]
        subject = put_image(clients[0])
        artifact(clients[0], subject, 99)  # docker-registry is confused by who pushes one blob at the same time
        with ThreadPoolExecutor(4) as pool:
            pushed = list(pool.map(lambda number: artifact(clients[number % 4], subject, number), range(12)))
        assert set(referrers(clients[0], subject)) > set(pushed)


def test_a_tag_that_should_hold_referrers_and_does_not_is_left_alone(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server:
        client = DockerRegistryV2Client(server.url)
        subject = put_image(client)
        other = put_image(client, tag=fallback_tag(subject), annotations={"a": "b"})
        with pytest.raises(InvalidManifest, match="index of referrers"):
            artifact(client, subject)
        assert ManifestRef("app", fallback_tag(subject), client).fetch().digest == other


def test_the_fallback_tag_of_a_longer_digest_is_cut_as_the_specification_says() -> None:
    digest = Digest.of(b"x", "sha512")
    assert fallback_tag(digest) == f"sha512-{digest.encoded[:64]}"
    assert fallback_tag(Digest.of(b"x")) == f"sha256-{Digest.of(b'x').encoded}"
