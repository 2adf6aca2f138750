"""Whatever holds the images, it is asked in the same words and says the same."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from regscope.errors import ContentMissing, ResourceNotFound
from regscope.registry.client import DockerRegistryV2Client
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.image_config import parse_image_config
from regscope.spec.manifest import ManifestSchema2, OCIIndex, OCIManifestSchema1
from regscope.stores.cached_store import CachedStore
from regscope.stores.content_store import ContentStore
from regscope.stores.digest_cache import DigestCache
from regscope.stores.docker_archive import DockerArchiveStore
from regscope.stores.oci_layout import OCILayoutStore
from regscope.stores.registry_store import RegistryStore
from tests.servers.registry import Registry

LIMIT = 2**22
NOBODY = "sha256:" + "0" * 64


@pytest.fixture
def stores(registry: Registry, layout: Path, archive: Path, tmp_path: Path) -> dict[str, ContentStore]:
    in_registry = RegistryStore(DockerRegistryV2Client(registry.url))
    return {
        "registry": in_registry,
        "layout": OCILayoutStore(layout),
        "archive": DockerArchiveStore(archive),
        "cached": CachedStore(in_registry, DigestCache(tmp_path / "c")),
    }


def config_of(store: ContentStore, repository: str, tag: str) -> bytes:
    manifest = store.manifest(repository, tag).parse()
    assert isinstance(manifest, OCIManifestSchema1 | ManifestSchema2)
    return store.read_blob(repository, manifest.config.digest, LIMIT)


def test_each_is_a_content_store(stores: dict[str, ContentStore]) -> None:
    for store in stores.values():
        assert store.location
    assert [name for name, store in stores.items() if store.sees_untagged] == ["layout", "archive"]


def test_a_registry_holds_what_its_layout_held(stores: dict[str, ContentStore], images: dict[str, Descriptor]) -> None:
    for name in ("registry", "cached"):
        there, here = stores[name], stores["layout"]
        assert there.repositories() == here.repositories()
        for repository in here.repositories():
            assert there.tags(repository) == here.tags(repository)
            assert there.untagged(repository) == []
            for tag in here.tags(repository):
                digest = here.resolve(repository, tag)
                assert there.resolve(repository, tag) == digest == images[f"{repository}:{tag}"].digest
                assert there.manifest(repository, tag).raw == here.manifest(repository, tag).raw
                assert there.manifest(repository, digest).raw == here.manifest(repository, digest).raw


def test_each_gives_the_same_blobs(stores: dict[str, ContentStore]) -> None:
    manifest = stores["layout"].manifest("app", "1.0").parse()
    assert isinstance(manifest, OCIManifestSchema1)
    for blob in (manifest.config, *manifest.layers):
        for name in ("registry", "layout", "cached"):
            content = b"".join(stores[name].blob("app", blob.digest))
            assert Digest.of(content) == blob.digest
            assert stores[name].blob_size("app", blob.digest) == len(content) == blob.size


def test_an_index_and_its_children_are_the_same_everywhere(stores: dict[str, ContentStore]) -> None:
    index = stores["layout"].manifest("team/api", "1.0").parse()
    assert isinstance(index, OCIIndex)
    for child in index.manifests:
        assert stores["registry"].manifest("team/api", child.digest).raw == (
            stores["layout"].manifest("team/api", child.digest).raw
        )
    variants = [child.platform.variant for child in index.manifests if child.platform]
    assert variants == [None, "v8", None]
    assert index.manifests[2].annotations["vnd.docker.reference.digest"] == index.manifests[0].digest


def test_an_archive_keeps_the_config_of_an_image(stores: dict[str, ContentStore]) -> None:
    configs = {name: config_of(store, "app", "1.0") for name, store in stores.items()}
    assert configs["registry"] == configs["layout"] == configs["cached"]
    kept = [parse_image_config(raw) for raw in (configs["archive"], configs["layout"])]
    assert kept[0].rootfs == kept[1].rootfs
    assert kept[0].history == kept[1].history
    assert kept[0].config.Labels == kept[1].config.Labels


def test_each_says_what_it_does_not_have(stores: dict[str, ContentStore]) -> None:
    for store in stores.values():
        for ask in (
            lambda store=store: store.tags("no/such"),
            lambda store=store: store.resolve("app", "nothing"),
            lambda store=store: store.manifest("app", "nothing"),
            lambda store=store: store.manifest("app", NOBODY),
            lambda store=store: list(store.blob("app", NOBODY)),
            lambda store=store: store.read_blob("app", NOBODY, LIMIT),
            lambda store=store: store.blob_size("app", NOBODY),
        ):
            with pytest.raises((ContentMissing, ResourceNotFound)):
                ask()


def test_each_pickles_and_goes_on(stores: dict[str, ContentStore]) -> None:
    for store in stores.values():
        store.manifest("app", "1.0")
        copy = pickle.loads(pickle.dumps(store))
        assert copy.location == store.location
        assert copy.manifest("app", "1.0").raw == store.manifest("app", "1.0").raw


def test_each_says_what_it_is(stores: dict[str, ContentStore]) -> None:
    assert stores["registry"].location.startswith("http://127.0.0.1:")
    assert repr(stores["registry"]) == f"RegistryStore({stores['registry'].location!r})"
    for store in stores.values():
        assert store.location in store._repr_html_() or "<table>" in store._repr_html_()  # type: ignore[attr-defined]
        assert "\n" not in repr(store)


def test_a_folders_name_is_escaped_in_html(tmp_path: Path, archive: Path) -> None:
    path = tmp_path / "<script>.tar"
    path.write_bytes(archive.read_bytes())
    assert "<script>" not in DockerArchiveStore(path)._repr_html_()


def test_a_registry_without_the_api_knows_no_referrers(
    stores: dict[str, ContentStore], images: dict[str, Descriptor]
) -> None:
    assert stores["registry"].referrers("app", images["app:1.0"].digest) is None
    assert stores["archive"].referrers("app", images["app:1.0"].digest) is None
    assert [found.digest for found in stores["layout"].referrers("app", images["app:1.0"].digest) or ()] == [
        images["sbom"].digest
    ]
