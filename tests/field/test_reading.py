"""What plain HTTP has pushed, our client reads: tags, manifests, blobs, referrers, the catalog, and what scans find."""

from __future__ import annotations

import secrets
from pathlib import Path

import pandas as pd
import pytest

import regscope as rs
from regscope.errors import RegscopeError
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.tags import Tags
from regscope.spec.digest import Digest
from regscope.spec.manifest import OCIIndex
from tests.field.contents import made, multi
from tests.field.kinds import chosen
from tests.field.servers.server import FieldServer
from tests.field.wire import Wire
from tests.lab.drawn_registries import artifact
from tests.lab.images import TAGS

SERVERS = chosen()
SBOM = "application/vnd.example.sbom"


def test_a_manifest_is_read_by_tag_and_by_digest(
    client: DockerRegistryV2Client, filling: Wire, repository: str
) -> None:
    image = made(repository, "one")
    filling.push(repository, image, "one")
    for reference in ("one", image.digest):
        found = ManifestRef(repository, reference, client).fetch()
        assert (found.raw, found.digest, found.media_type) == (image.raw, image.digest, image.media_type)


def test_a_manifest_is_described_without_being_read(
    client: DockerRegistryV2Client, filling: Wire, repository: str
) -> None:
    image = made(repository, "one")
    filling.push(repository, image, "one")
    for reference in ("one", image.digest):
        found = ManifestRef(repository, reference, client).get_metadata()
        assert found is not None
        assert (found.digest, found.size, found.mediaType) == (image.digest, len(image.raw), image.media_type)
    assert ManifestRef(repository, "absent", client).get_metadata() is None


def test_an_index_and_its_children_are_read(client: DockerRegistryV2Client, filling: Wire, repository: str) -> None:
    index = multi(repository)
    filling.push(repository, index, "multi")
    parsed = ManifestRef(repository, "multi", client).fetch().parse()
    assert isinstance(parsed, OCIIndex)
    children = [ManifestRef(repository, entry.digest, client).fetch().raw for entry in parsed.manifests]
    assert children == [child.raw for child in index.children]


def test_a_blob_is_read(client: DockerRegistryV2Client, filling: Wire, repository: str) -> None:
    image = made(repository, "one")
    filling.push(repository, image, "one")
    for blob in image.blobs:
        assert Blob(repository, Digest.of(blob), client=client).read(10_000) == blob


def test_all_of_110_tags_are_listed(client: DockerRegistryV2Client, filling: Wire, repository: str) -> None:
    names = sorted(f"t{number}" for number in range(110))
    filling.push(repository, made(repository, "one"), *names, by_digest=False)
    assert Tags(repository, client).list() == names


def test_a_repository_that_is_not_there_is_not_found(store: rs.ContentStore, repository: str) -> None:
    """By an error, or where the registry itself says so by no tags; not by anything made up."""
    try:
        assert store.tags(repository) == []
    except rs.ResourceNotFound as error:
        assert error.status_code == 404  # noqa: PT017


def test_the_catalog_names_every_repository_or_its_error_says_to_name_them(
    store: rs.ContentStore, filling: Wire, wire: Wire, repository: str
) -> None:
    names = [f"{repository}-{number}" for number in range(3)]
    for name in names:
        filling.push(name, made(name, "one"), "one")
        wire.digest(name, "one")  # a cache lists what went through it
    listed = wire.catalog()
    if listed is None:
        with pytest.raises(RegscopeError) as caught:
            store.repositories()
        assert "repositories" in caught.value.next_step
    else:
        assert store.repositories() == listed
        assert set(names) <= set(listed)


def test_referrers_are_listed(store: rs.ContentStore, filling: Wire, wire: Wire, repository: str) -> None:
    """By the registry, or not at all where it has no such API."""
    image = made(repository, "one")
    sbom = artifact(SBOM, repository.encode(), image)
    filling.push(repository, image, "one")
    filling.push(repository, sbom)
    answer = wire.ask("GET", repository, f"referrers/{image.digest}")
    listed = store.referrers(repository, image.digest)
    if answer.status_code == 404:
        assert listed is None
    else:
        assert [(entry.digest, entry.artifactType) for entry in listed or ()] == [(sbom.digest, SBOM)]


@pytest.fixture(scope="module")
def filled(server: FieldServer, layout: Path) -> str:
    """The layout of `tests.lab.images`, pushed by plain HTTP; what its repositories' names begin with."""
    prefix = f"{server.prefix}scan-{secrets.token_hex(4)}/"
    with Wire(server.origin) as filling:
        filling.push_layout(layout, prefix)
    return prefix


@pytest.fixture(scope="module")
def scans(server: FieldServer, layout: Path, filled: str) -> tuple[rs.Snapshot, rs.Snapshot]:
    """The server's, and the layout's."""
    opened = rs.open(server.url, cache=False, **server.login())
    there = rs.scan(opened, repositories=[filled + name for name in TAGS], progress=False)
    return there, rs.scan(rs.open(f"oci:{layout}", cache=False), repositories=list(TAGS), progress=False)


def test_a_scan_finds_the_tags_of_the_source(scans: tuple[rs.Snapshot, rs.Snapshot], filled: str) -> None:
    there, source = (
        {(str(repository).removeprefix(filled), tag, str(digest)) for repository, tag, digest in rows}
        for rows in (
            snapshot.tags[["repository", "tag", "digest"]].itertuples(index=False, name=None) for snapshot in scans
        )
    )
    assert there == source
    assert scans[0].problems.empty


@pytest.mark.parametrize("table", ["manifests", "layers", "history", "labels", "platforms", "referrers"])
def test_a_scan_gives_the_tables_of_the_source(scans: tuple[rs.Snapshot, rs.Snapshot], table: str) -> None:
    found, wanted = (plain(getattr(snapshot, table), set(scans[1].manifests["digest"])) for snapshot in scans)
    pd.testing.assert_frame_equal(found, wanted)


def plain(rows: pd.DataFrame, known: set[str]) -> pd.DataFrame:
    """Rows about the source's own manifests, in an order of their own, without how they were found and where."""
    about = next(name for name in ("digest", "index_digest", "subject") if name in rows)
    kept = rows[rows[about].isin(known)].drop(columns=["repository", "found"], errors="ignore")
    texts = {name: "str" for name, dtype in kept.dtypes.items() if dtype == "category"}
    kept = kept.astype(texts).drop_duplicates()
    return kept.sort_values(list(kept.columns), ignore_index=True)
