"""Copying between registries, layouts and archives: everything arrives, byte for byte, and nothing travels in vain."""

from __future__ import annotations

import io
import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import ContentMissing, DigestMismatch, InvalidInput, InvalidReference, NotAStore
from regscope.images.copying import copy_to
from regscope.registry.manifests import RawManifest
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import DockerManifestList, ImageManifest, OCIIndex
from regscope.spec.media_types import DOCKER_FOREIGN_LAYER
from regscope.spec.referring import fallback_tag
from regscope.stores.content_store import ContentStore
from regscope.stores.destination import Destination
from regscope.stores.layout_writer import Layer, LayoutWriter
from regscope.stores.open_destination import open_destination
from tests.lab.images import TAGS, skopeo
from tests.servers import faults
from tests.servers.oci import OCIRegistry
from tests.servers.places import Places
from tests.servers.proxy import FaultProxy, ProxyResponse
from tests.servers.registry import Registry


@pytest.fixture
def store(layout: Path) -> ContentStore:
    """The layout of `tests.lab.images`."""
    return rs.open(f"oci:{layout}", cache=False)


def everything_below(store: ContentStore, repository: str, reference: str) -> dict[str, int]:
    """Digest and size of all content of an image, each read and verified."""
    found = store.manifest(repository, reference)
    parsed = found.parse()
    content = {found.digest: len(found.raw)}
    if isinstance(parsed, OCIIndex | DockerManifestList):
        for child in parsed.manifests:
            content |= everything_below(store, repository, child.digest)
        return content
    assert isinstance(parsed, ImageManifest)
    for blob in (parsed.config, *parsed.layers):
        content[blob.digest] = sum(map(len, store.blob(repository, blob.digest)))
    return content


@pytest.mark.parametrize("kind", ["layout", "docker-registry", "oci-registry"])
def test_a_copy_has_the_same_digests_and_all_of_the_content(store: ContentStore, place: Places, kind: str) -> None:
    where = place(kind)
    names = [f"{repository}:{tag}" for repository, tags in TAGS.items() for tag in tags]
    done = rs.copy(store, names, where)
    copied = rs.open(where, cache=False)
    for image, name in zip(done.images, names, strict=True):
        assert image.name == image.source == name
        repository, tag = name.split(":")
        assert image.digest == store.resolve(repository, tag) == copied.resolve(repository, tag)
        assert everything_below(copied, repository, tag) == everything_below(store, repository, tag)


@pytest.mark.parametrize("kind", ["docker-registry", "oci-registry"])
def test_from_a_registry_to_a_layout_and_back(
    kind: str, registry: Registry, oci_registry: OCIRegistry, place: Places, tmp_path: Path
) -> None:
    source = rs.open((registry if kind == "docker-registry" else oci_registry).url, cache=False)
    there = rs.copy(source, "team/api:*", f"oci:{tmp_path / 'kept'}").images
    back = rs.copy(f"oci:{tmp_path / 'kept'}", "team/api:*", place(kind)).images
    assert [image.digest for image in there] == [image.digest for image in back]
    assert [image.digest for image in back] == [source.resolve("team/api", tag) for tag in TAGS["team/api"]]


def test_an_archive_keeps_the_manifests_digest(store: ContentStore, place: Places) -> None:
    where = place("archive")
    rs.copy(store, ["app:1.0", "app:1.1", "app:latest", "legacy:1"], where)
    saved = rs.open(where)
    assert saved.tags("app") == ["1.0", "1.1", "latest"]
    for repository, tag in (("app", "1.0"), ("app", "latest"), ("legacy", "1")):
        assert saved.resolve(repository, tag) == store.resolve(repository, tag)
        assert everything_below(saved, repository, tag) == everything_below(store, repository, tag)
    assert not Path(where.partition(":")[2] + ".unfinished").exists()


def test_skopeo_reads_a_saved_archive(store: ContentStore, place: Places, tmp_path: Path) -> None:
    where = place("archive")
    rs.copy(store, ["app:1.0", "base:1"], where)
    skopeo("copy", "-q", f"{where}:app:1.0", f"dir:{tmp_path / 'dir'}")
    assert len(json.loads((tmp_path / "dir" / "manifest.json").read_bytes())["layers"]) == 3
    skopeo("copy", "-q", f"oci-archive:{where.partition(':')[2]}:app:1.0", f"oci:{tmp_path / 'oci'}:app:1.0")
    assert rs.open(f"oci:{tmp_path / 'oci'}").resolve("app", "1.0") == store.resolve("app", "1.0")


def test_an_archive_holds_images_alone_and_says_so_before_anything_is_written(
    store: ContentStore, place: Places
) -> None:
    where = place("archive")
    with pytest.raises(InvalidInput, match="a docker-archive can have only images"):
        rs.copy(store, ["app:1.0", "team/api:1.0"], where)
    assert not Path(where.partition(":")[2]).exists()
    rs.copy(store, "team/api:1.0", where, platforms="linux/arm64")
    assert rs.open(where).tags("team/api") == ["1.0"]


def test_an_index_whose_other_platforms_were_never_saved_is_copied_by_those_that_were(
    own_layout: Path, tmp_path: Path
) -> None:
    """As docker 29 and `podman save` leave them."""
    layout = rs.open(f"oci:{own_layout}")
    index = layout.manifest("team/api", "1.0").parse()
    assert isinstance(index, OCIIndex)
    kept, *lost = index.manifests
    for child in lost:
        (own_layout / "blobs" / child.digest.replace(":", "/")).unlink()
    with pytest.raises(ContentMissing, match=lost[0].digest) as caught:
        rs.copy(layout, "team/api:1.0", f"oci:{tmp_path / 'new'}")
    assert f"Choose a stored platform: {kept.platform}" in caught.value.next_step
    done = rs.copy(layout, "team/api:1.0", f"oci:{tmp_path / 'new'}", platforms=str(kept.platform))
    assert done.images[0].digest == kept.digest


def test_one_platform_takes_the_place_of_its_index(store: ContentStore, place: Places) -> None:
    index = store.manifest("team/api", "1.0").parse()
    assert isinstance(index, OCIIndex)
    done = rs.copy(store, "team/api:1.0", place("layout"), platforms="linux/arm64/v8")
    assert done.images[0].digest == index.manifests[1].digest


def test_the_best_image_for_a_platform_is_taken_wherever_it_stands_in_the_index(tmp_path: Path) -> None:
    when = "2024-01-01T00:00:00Z"
    with LayoutWriter(tmp_path / "arm") as writer:
        old, new = (writer.image([], created=when, architecture="arm", variant=variant) for variant in ("v5", "v7"))
        writer.tag("app:1", writer.index([old, new]))
    source = f"oci:{tmp_path / 'arm'}"
    for wanted, taken in (("linux/arm", new), ("linux/arm/v6", old), ("armhf", new), (["linux/arm/v8", "arm"], new)):
        done = rs.copy(source, "app:1", f"oci:{tmp_path / 'copy'}", platforms=wanted, overwrite=True)
        assert done.images[0].digest == taken.digest
    with pytest.raises(ContentMissing, match="no image for linux/arm/v4"):
        rs.copy(source, "app:1", f"oci:{tmp_path / 'copy'}", platforms="linux/arm/v4")


def test_several_platforms_are_an_index_of_these_and_their_attestations(store: ContentStore, place: Places) -> None:
    where = place("layout")
    done = rs.copy(store, "team/api:1.0", where, platforms=["linux/amd64", "linux/s390x"])
    whole, kept = (rs.open(f).manifest("team/api", "1.0").parse() for f in (store.location, where))
    assert isinstance(whole, OCIIndex)
    assert isinstance(kept, OCIIndex)
    assert kept.manifests == [whole.manifests[0], whole.manifests[2]]  # the second one is for arm64
    assert kept.annotations == whole.annotations
    assert done.images[0].digest == kept.digest != whole.digest


def test_a_platform_that_is_not_there_is_an_error_that_lists_those_that_are(store: ContentStore, place: Places) -> None:
    with pytest.raises(ContentMissing, match="no image for linux/s390x") as caught:
        rs.copy(store, "team/api:1.0", place("layout"), platforms="linux/s390x")
    assert "linux/arm64/v8" in str(caught.value)


@pytest.mark.parametrize("kind", ["layout", "docker-registry", "oci-registry"])
@pytest.mark.parametrize("source", ["layout", "docker-registry", "oci-registry"])
def test_referrers_come_along(
    source: str,
    kind: str,
    place: Places,
    layout: Path,
    registry: Registry,
    oci_registry: OCIRegistry,
    images: dict[str, Descriptor],
) -> None:
    """An SBOM by API, index entry or fallback tag, and a signature under cosign's tag."""
    urls = {"layout": f"oci:{layout}", "docker-registry": registry.url, "oci-registry": oci_registry.url}
    where = place(kind)
    rs.copy(rs.open(urls[source], cache=False), "app:1.0", where, referrers=True)
    copied = rs.open(where, cache=False)
    digest = images["app:1.0"].digest
    listed = copied.referrers("app", digest)
    if listed is None:
        fallback = copied.manifest("app", fallback_tag(digest)).parse()
        assert isinstance(fallback, OCIIndex)
        listed = list(fallback.manifests)
    assert [entry.digest for entry in listed] == [images["sbom"].digest]
    assert everything_below(copied, "app", images["sbom"].digest)
    signature = f"{fallback_tag(digest)}.sig"
    assert copied.resolve("app", signature) == images[f"app:{signature}"].digest


def test_without_being_asked_for_referrers_stay(store: ContentStore, place: Places) -> None:
    where = place("layout")
    rs.copy(store, "app:1.0", where)
    assert rs.open(where).tags("app") == ["1.0"]
    assert rs.open(where).referrers("app", store.resolve("app", "1.0")) == []


def test_within_a_registry_blobs_are_mounted_and_none_is_read(place: Places, layout: Path) -> None:
    with_tags = place("oci-registry")
    rs.copy(f"oci:{layout}", "app:*", with_tags)
    done = rs.copy(with_tags, "app:*", with_tags, "copies/app")
    assert (done.sent, done.sent_bytes) == (0, 0)
    assert done.mounted > 4
    assert rs.open(with_tags).resolve("copies/app", "1.0") == rs.open(with_tags).resolve("app", "1.0")


@pytest.mark.parametrize("status", [201, 202, 400, 401, 403, 404, 405, 415, 500])
@pytest.mark.parametrize("kind", ["docker-registry", "oci-registry"])
def test_where_mounts_are_refused_a_copy_within_a_registry_arrives(
    store: ContentStore, place: Places, kind: str, status: int
) -> None:
    with FaultProxy(place(kind)) as proxy:
        rs.copy(store, ["app:1.0", "base:1"], proxy.url)
        proxy.rule(lambda request, forward: ProxyResponse(status) if "mount=" in request.path else None)
        done = rs.copy(proxy.url, ["app:1.0", "base:1"], proxy.url, "copies/")
        assert (done.mounted, done.sent > 0) == (0, True)
        copied = rs.open(proxy.url, cache=False)
        assert everything_below(copied, "copies/app", "1.0") == everything_below(store, "app", "1.0")


def test_a_copy_within_a_registry_costs_a_mount_and_no_look_for_each_blob(store: ContentStore, place: Places) -> None:
    with FaultProxy(place("docker-registry")) as proxy:
        rs.copy(store, "app:1.0", proxy.url)
        proxy.clear()
        done = rs.copy(rs.open(proxy.url, cache=False), "app:1.0", proxy.url, "copies/app")
        asked = [request.method for request in proxy.requests if "/blobs/" in request.path]
        assert asked == ["POST"] * done.mounted


class Watched:
    """A destination that notes which manifests are written at the same time."""

    def __init__(self, place: Destination) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._under_way: Counter[Digest] = Counter()
        self.most_of_one = self.most_at_once = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._place, name)

    def take_manifest(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        with self._lock:
            self._under_way[manifest.digest] += 1
            self.most_of_one = max(self.most_of_one, self._under_way[manifest.digest])
            self.most_at_once = max(self.most_at_once, self._under_way.total())
        time.sleep(0.05)
        self._place.take_manifest(repository, reference, manifest)
        with self._lock:
            self._under_way[manifest.digest] -= 1


def test_one_manifest_is_never_written_twice_at_once_and_others_are(store: ContentStore, place: Places) -> None:
    names = ["app:1.0", "app:latest", "base:1", "team/api:1.0", "team/worker:2.0"]
    source = place("layout")
    for name in names:
        for number in range(3):
            rs.copy(store, name, source, f"{name}-{number}")
    watched = Watched(open_destination(place("docker-registry")))
    copied = rs.open(source, cache=False)
    wanted = [f"{repository}:{tag}" for repository in copied.repositories() for tag in copied.tags(repository)]
    done = copy_to(copied, wanted, watched)
    assert len(done.images) == 15
    assert watched.most_of_one == 1
    assert watched.most_at_once > 1


def test_an_error_of_a_copy_says_what_is_there_already(store: ContentStore, place: Places) -> None:
    with FaultProxy(place("docker-registry")) as proxy:
        refused = faults.refuse("/base/manifests/", 403, "DENIED", "not for you", methods=("PUT",))
        proxy.rule(refused)
        with pytest.raises(rs.RequestError, match="not for you") as caught:
            rs.copy(store, ["app:1.0", "base:1"], proxy.url, concurrency=1)
        told = caught.value.next_step.splitlines()[-1]
        whole = rs.copy(store, ["app:1.0", "base:1"], place("docker-registry"))
        blobs = whole.sent + whole.mounted + whole.there
        assert told.startswith(f"1 of 2 images and {blobs} of {blobs} blobs were copied to {proxy.url}")
        assert "repeat the command to continue" in told
        proxy.clear()
        assert rs.copy(store, ["app:1.0", "base:1"], proxy.url).sent == 0


def test_a_second_copy_sends_nothing(store: ContentStore, place: Places) -> None:
    where = place("docker-registry")
    first = rs.copy(store, ["app:1.0", "base:1"], where)
    again = rs.copy(store, ["app:1.0", "base:1"], where)
    assert first.sent
    assert (again.sent, again.sent_bytes) == (0, 0)
    assert again.there == first.sent


def test_what_one_repository_has_got_the_next_one_takes_over(store: ContentStore, place: Places) -> None:
    """`base` is part of each of these: its blobs travel once."""
    done = rs.copy(store, ["base:1", "app:1.0", "app:1.1", "team/worker:2.0"], place("docker-registry"))
    assert done.mounted
    distinct = {
        digest
        for name in ("base:1", "app:1.0", "app:1.1", "team/worker:2.0")
        for digest in everything_below(store, *name.split(":"))
    }
    manifests = 4
    assert done.sent == len(distinct) - manifests


@pytest.mark.parametrize(
    ("images", "to", "named"),
    [
        ("app:1.0", None, ["app:1.0"]),
        ("app:1.0", "mine:new", ["mine:new"]),
        ("app:1.0", "mine", ["mine:1.0"]),
        ("app:1.0", "mirror/", ["mirror/app:1.0"]),
        ("app:1.*", "mine", ["mine:1.0", "mine:1.1"]),
        (["app:1.0", "base:1"], "mirror/", ["mirror/app:1.0", "mirror/base:1"]),
        ("team/*:2.0", None, ["team/api:2.0", "team/worker:2.0"]),
    ],
)
def test_names(store: ContentStore, place: Places, images: str | list[str], to: str | None, named: list[str]) -> None:
    where = place("layout")
    assert [image.name for image in rs.copy(store, images, where, to).images] == named
    copied = rs.open(where)
    assert [f"{name}:{tag}" for name in copied.repositories() for tag in copied.tags(name)] == sorted(named)


def test_by_digest_it_gets_no_tag(store: ContentStore, place: Places, images: dict[str, Descriptor]) -> None:
    digest = images["app:1.0"].digest
    where = place("docker-registry")
    done = rs.copy(store, f"app@{digest}", where)
    assert done.images[0].name == f"app@{digest}"
    assert rs.open(where, cache=False).manifest("app", digest).raw == store.manifest("app", digest).raw
    folder = place("layout")
    rs.copy(store, f"app@{digest}", folder)
    assert (rs.open(folder).repositories(), rs.open(folder).untagged("app")) == (["app"], [digest])


@pytest.mark.parametrize(
    ("images", "to", "error", "says"),
    [
        (["app:1.0", "app:1.1"], "mine:1", InvalidInput, "cannot all be called"),
        (["app:1.0", "base:1"], "mine", InvalidInput, "several repositories"),
        ([], None, InvalidInput, "no image"),
        ("app:", None, InvalidInput, "is no image"),
        ("app:1.0", "mine:", InvalidInput, "is no name"),
        ("app:9.*", None, ContentMissing, "has no image"),
        ("app:9", None, ContentMissing, "app:9"),
        ("nothing:1", None, ContentMissing, "nothing"),
    ],
)
def test_names_that_mean_nothing(
    store: ContentStore, place: Places, images: str | list[str], to: str | None, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        rs.copy(store, images, place("layout"), to)


def test_a_name_that_a_registry_does_not_take_is_told_before_anything_is_sent(
    store: ContentStore, place: Places
) -> None:
    where = place("docker-registry")
    with pytest.raises(InvalidReference):
        rs.copy(store, ["app:1.0"], where, "Not/Good:1.0")
    assert rs.open(where).repositories() == []


def test_damaged_content_is_not_copied(own_layout: Path, place: Places, images: dict[str, Descriptor]) -> None:
    manifest = json.loads((own_layout / "blobs" / images["base:1"].digest.replace(":", "/")).read_bytes())
    layer = own_layout / "blobs" / manifest["layers"][0]["digest"].replace(":", "/")
    layer.write_bytes(layer.read_bytes()[:-1] + b"?")
    for kind in ("layout", "docker-registry"):
        where = place(kind)
        with pytest.raises(DigestMismatch):
            rs.copy(f"oci:{own_layout}", "base:1", where)
        copied = rs.open(where, cache=False) if kind == "docker-registry" else None
        assert copied is None or copied.repositories() in ([], ["base"])
        assert not list((Path(str(where.partition(":")[2])) / "blobs").glob("*/" + layer.name))


def test_a_folder_that_is_no_layout_is_left_alone(store: ContentStore, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(NotAStore, match="is not an OCI image layout"):
        rs.copy(store, "app:1.0", f"oci:{tmp_path / 'mine'}")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_an_archive_that_is_open_for_reading_takes_nothing(store: ContentStore, place: Places) -> None:
    where = place("archive")
    rs.copy(store, "app:1.0", where)
    with pytest.raises(InvalidInput, match="nothing can be added"):
        rs.copy(store, "app:1.1", rs.open(where))


def test_an_open_layout_shows_what_was_copied_into_it(store: ContentStore, place: Places) -> None:
    where = place("layout")
    rs.copy(store, "app:1.0", where)
    opened = rs.open(where)
    assert opened.tags("app") == ["1.0"]
    rs.copy(store, "app:1.1", opened)
    rs.copy(store, "app:1.1", opened, "app:1.0", overwrite=True)
    assert opened.tags("app") == ["1.0", "1.1"]
    assert opened.resolve("app", "1.0") == store.resolve("app", "1.1")


def test_skopeo_reads_a_layout_that_was_copied_to(store: ContentStore, place: Places, tmp_path: Path) -> None:
    where = place("layout")
    rs.copy(store, ["app:1.0", "team/api:1.0"], where)
    for name in ("app:1.0", "team/api:1.0"):
        skopeo("copy", "-q", "--all", "--preserve-digests", f"{where}:{name}", f"dir:{tmp_path / name[:3]}")
        copied = (tmp_path / name[:3] / "manifest.json").read_bytes()
        assert copied == store.manifest(*name.split(":")).raw


def test_a_copy_says_what_it_did(store: ContentStore, place: Places) -> None:
    done = rs.copy(store, "app:1.0", place("layout"))
    assert "Copied to oci:" in repr(done)
    assert f"{done.sent} blobs" in repr(done)
    assert "app:1.0" in done._repr_html_()


def test_a_foreign_layer_stays_where_it_is(tmp_path: Path, place: Places) -> None:
    with LayoutWriter(tmp_path / "windows") as writer:
        elsewhere = Descriptor(
            mediaType=DOCKER_FOREIGN_LAYER,
            size=1_000_000,
            digest=Digest.of(b"not here"),
            urls=("https://example.com/layer",),
        )
        writer.tag(
            "win:1", writer.image([Layer(elsewhere, Digest.of(b"nor this"), "ADD")], created="2024-01-01T00:00:00Z")
        )
    where = place("docker-registry")
    done = rs.copy(f"oci:{tmp_path / 'windows'}", "win:1", where)
    assert done.sent == 1  # the config
    with pytest.raises(InvalidInput, match="docker-archive can have only images"):
        rs.copy(f"oci:{tmp_path / 'windows'}", "win:1", place("archive"))


@pytest.mark.parametrize("kind", ["docker-registry", "layout"])
def test_a_schema_1_image_keeps_its_signature(tmp_path: Path, place: Places, kind: str) -> None:
    with Registry(tmp_path / "old") as server:
        client = rs.DockerRegistryV2Client(server.url)
        layer = rs.Blob("old", fileobj=io.BytesIO(b"layer"), client=client).upload()
        document = {
            "schemaVersion": 1, "name": "old", "tag": "1", "architecture": "amd64",
            "fsLayers": [{"blobSum": layer.digest}], "history": [{"v1Compatibility": json.dumps({"id": "a" * 64})}],
        }  # fmt: skip
        pushed = rs.ManifestRef("old", "1", client).put(rs.ManifestSchema1.model_validate(document))
        where = place(kind)
        rs.copy(server.url, "old:1", where)
        copied = rs.open(where, cache=False)
        assert copied.manifest("old", "1").raw == rs.ManifestRef("old", "1", client).fetch().raw
        assert copied.resolve("old", "1") == pushed.digest
        assert b"".join(copied.blob("old", layer.digest)) == b"layer"
