"""An artifact beside an image: found where referrers are looked for, in every kind of store."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import ContentMissing, InvalidInput
from regscope.registry.referrers import list_referrers
from regscope.spec.descriptor import Descriptor
from regscope.spec.manifest import OCIIndex, OCIManifestSchema1
from regscope.spec.referring import fallback_tag
from regscope.stores.content_store import ContentStore
from tests.servers.places import Places

SPDX, REPORT = "application/spdx+json", "application/vnd.example.report"


@pytest.fixture
def sbom(tmp_path: Path) -> Path:
    """A file to attach."""
    (tmp_path / "sbom.json").write_bytes(b'{"spdxVersion": "SPDX-2.3"}')
    return tmp_path / "sbom.json"


@pytest.fixture(params=["layout", "docker-registry", "oci-registry"])
def where(request: pytest.FixtureRequest, place: Places, layout: Path) -> str:
    """A place of each kind with `app:1.0` in it."""
    made = place(request.param)
    rs.copy(f"oci:{layout}", ["app:1.0", "team/api:1.0"], made)
    return made


def referrers(store: ContentStore, digest: str) -> list[Descriptor]:
    """By the store's own list, else under the fallback tag."""
    listed = store.referrers("app", digest)
    if listed is None:
        index = store.manifest("app", fallback_tag(rs.Digest(digest))).parse()
        assert isinstance(index, OCIIndex)
        return list(index.manifests)
    return listed


def test_it_refers_to_the_image_and_holds_the_file(where: str, sbom: Path) -> None:
    digest = rs.attach(where, "app:1.0", sbom, SPDX, annotations={"tool": "mine"})
    assert rs.attach(where, "app:1.0", sbom, SPDX, annotations={"tool": "mine"}) == digest
    store = rs.open(where, cache=False)
    image = store.resolve("app", "1.0")
    found = referrers(store, image)
    assert [(entry.digest, entry.artifactType) for entry in found] == [(digest, SPDX)]
    artifact = store.manifest("app", digest).parse()
    assert isinstance(artifact, OCIManifestSchema1)
    assert artifact.subject is not None
    assert (artifact.subject.digest, artifact.annotations) == (image, {"tool": "mine"})
    assert b"".join(store.blob("app", artifact.layers[0].digest)) == sbom.read_bytes()
    assert image in rs.scan(store, repositories="app").referrers["subject"].tolist()


def test_the_registry_is_asked_for_one_type_alone(place: Places, layout: Path, sbom: Path) -> None:
    where = place("oci-registry")
    rs.copy(f"oci:{layout}", "app:1.0", where)
    rs.attach(where, "app:1.0", sbom, SPDX)
    report = rs.attach(where, "app:1.0", sbom, REPORT)
    client = rs.DockerRegistryV2Client(where)
    image = rs.open(where).resolve("app", "1.0")
    only = list_referrers(client, "app", image, REPORT)
    assert only is not None
    assert [entry.digest for entry in only] == [report]
    assert list_referrers(client, "app", image, "application/none") == []


def test_to_an_index_too(where: str, sbom: Path) -> None:
    digest = rs.attach(where, "team/api:1.0", sbom, SPDX)
    store = rs.open(where, cache=False)
    artifact = store.manifest("team/api", digest).parse()
    assert isinstance(artifact, OCIManifestSchema1)
    assert artifact.subject is not None
    assert artifact.subject.digest == store.resolve("team/api", "1.0")


@pytest.mark.parametrize(
    ("image", "artifact_type", "error"),
    [("app:9", SPDX, ContentMissing), ("app:1.0", "sbom", InvalidInput), ("app:", SPDX, InvalidInput)],
)
def test_what_cannot_be_attached(
    layout: Path, own_layout: Path, sbom: Path, image: str, artifact_type: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        rs.attach(f"oci:{own_layout}", image, sbom, artifact_type)


def test_an_archive_holds_no_artifacts(
    place: Places,
    layout: Path,
    sbom: Path,
) -> None:
    where = place("archive")
    rs.copy(f"oci:{layout}", "app:1.0", where)
    opened = rs.open(where)
    with pytest.raises(InvalidInput, match="nothing can be added"):
        rs.attach(opened, "app:1.0", sbom, SPDX)
    assert rs.open(where).tags("app") == ["1.0"]
