"""Manifests are read whole, bounded and verified."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from regscope.errors import (
    ConnectionFailed,
    DigestMismatch,
    DigestWarning,
    InvalidManifest,
    InvalidReference,
    PermissionDeny,
    RegscopeError,
    ResourceNotFound,
    TooLarge,
    UnSupportMediaType,
)
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.responses import METADATA_LIMIT
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import ManifestSchema2, OCIIndex, OCIManifestSchema1
from regscope.spec.media_types import DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from regscope.spec.platform import Platform
from regscope.stores.registry_store import RegistryStore
from tests.lab.images import put_blob, put_manifest
from tests.servers import faults
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry

EMPTY = Digest.of(b"{}")
Images = dict[str, Descriptor]


@pytest.mark.parametrize("name", ["base:1", "team/api:1.0", "legacy:1"])
def test_a_manifest_is_the_bytes_that_were_pushed(client: DockerRegistryV2Client, images: Images, name: str) -> None:
    repository, tag = name.split(":")
    by_tag = ManifestRef(repository, tag, client).fetch()
    by_digest = ManifestRef(repository, images[name].digest, client).fetch()
    assert by_tag == by_digest
    assert (by_tag.digest, by_tag.media_type, len(by_tag.raw)) == (
        images[name].digest,
        images[name].mediaType,
        images[name].size,
    )
    assert Digest.of(by_tag.raw) == by_tag.digest


def test_an_index_is_not_resolved_by_the_registry(client: DockerRegistryV2Client) -> None:
    assert isinstance(ManifestRef("team/api", "1.0", client).fetch().parse(), OCIIndex)


def test_an_image_for_a_platform_is_found_through_its_index(client: DockerRegistryV2Client) -> None:
    ref = ManifestRef("team/api", "1.0", client)
    arm = ref.get(platform=Platform.parse("linux/arm64"))
    amd = ref.get()
    assert isinstance(arm, OCIManifestSchema1)
    assert isinstance(amd, OCIManifestSchema1)
    assert arm.digest != amd.digest
    assert ref.get(platform=Platform.parse("linux/arm64/v8")).digest == arm.digest
    with pytest.raises(ResourceNotFound, match="no image for windows/amd64") as caught:
        ref.get(platform=Platform.parse("windows/amd64"))
    assert "linux/arm64/v8" in caught.value.next_step


def test_a_kind_of_manifest_can_be_wanted(client: DockerRegistryV2Client) -> None:
    assert isinstance(ManifestRef("legacy", "1", client).get(DOCKER_MANIFEST), ManifestSchema2)
    assert isinstance(ManifestRef("team/api", "1.0", client).get(OCI_INDEX), OCIIndex)
    with pytest.raises(RegscopeError):
        ManifestRef("base", "1", client).get(OCI_INDEX)
    with pytest.raises(UnSupportMediaType):
        ManifestRef("base", "1", client).get("text/html")


def test_metadata_costs_one_head(proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images) -> None:
    found = ManifestRef("base", "1", proxied).get_metadata()
    assert found == Descriptor(mediaType=OCI_MANIFEST, digest=images["base:1"].digest, size=images["base:1"].size)
    assert [request.method for request in proxy.requests] == ["HEAD"]
    assert ManifestRef("base", "nothing", proxied).get_metadata() is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("Docker-Content-Digest", None), ("Docker-Content-Digest", ""), ("Content-Length", None)],
)
def test_metadata_that_a_head_leaves_out_are_read_from_the_manifest(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images, name: str, value: str | None
) -> None:
    proxy.rule(faults.replace_header("/manifests/", name, value))
    found = ManifestRef("base", "1", proxied).get_metadata()
    assert found is not None
    assert (found.digest, found.size) == (images["base:1"].digest, images["base:1"].size)
    assert [request.method for request in proxy.requests] == ["HEAD", "GET"]
    assert ManifestRef("base", "1", proxied).fetch().digest == images["base:1"].digest


USABLE: dict[str, Callable[[str], str]] = {
    "quoted": lambda digest: f'"{digest}"',
    "in capitals": lambda digest: digest.upper(),
    "with its digits in capitals": lambda digest: "sha256:" + digest[7:].upper(),
    "twice": lambda digest: f"{digest}, {digest}",
}
UNUSABLE: dict[str, Callable[[str], str]] = {
    "without its algorithm": lambda digest: digest[7:],
    "nonsense": lambda digest: "nonsense",
    "of another algorithm": lambda digest: "md5:" + "0" * 32,
    "too short": lambda digest: digest[:-1],
    "two of them": lambda digest: f"{digest}, sha256:{'0' * 64}",
}


def state(proxy: FaultProxy, form: Callable[[str], str], methods: tuple[str, ...] = ("GET", "HEAD", "PUT")) -> None:
    """Let the registry state the digest of each manifest in this form."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if "/manifests/" not in request.path or request.method not in methods:
            return None
        answer = forward()
        if (digest := answer.header("Docker-Content-Digest")) is not None:
            answer.set_header("Docker-Content-Digest", form(digest))
        return answer

    proxy.rule(rule)


@pytest.mark.parametrize("form", [*USABLE, *UNUSABLE])
def test_a_stated_digest_of_another_form_is_a_warning_once_a_client_and_the_manifest_is_read(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images, form: str
) -> None:
    state(proxy, {**USABLE, **UNUSABLE}[form])
    with pytest.warns(DigestWarning, match="Docker-Content-Digest") as caught:
        found = ManifestRef("base", "1", proxied).fetch()
    assert len(caught) == 1
    assert found.digest == images["base:1"].digest
    assert ManifestRef("base", images["base:1"].digest, proxied).fetch()  # another warning would be an error here
    assert ManifestRef("app", "1.0", proxied).describe().digest == images["app:1.0"].digest
    with pytest.warns(DigestWarning):
        ManifestRef("base", "1", DockerRegistryV2Client(proxy.url)).fetch()


@pytest.mark.filterwarnings("ignore::regscope.errors.DigestWarning")
@pytest.mark.parametrize("form", [*USABLE, *UNUSABLE])
def test_a_head_is_enough_where_it_states_one_digest_and_else_the_manifest_is_hashed(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images, form: str
) -> None:
    state(proxy, {**USABLE, **UNUSABLE}[form])
    assert ManifestRef("base", "1", proxied).describe().digest == images["base:1"].digest
    asked = [request.method for request in proxy.requests]
    assert asked == (["HEAD"] if form in USABLE else ["HEAD", "GET"])


def test_a_registry_that_states_another_manifests_digest_is_read_and_its_heads_are_not_believed_any_longer(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images
) -> None:
    state(proxy, lambda digest: images["app:1.1"].digest)
    with pytest.warns(DigestWarning, match=images["app:1.1"].digest):
        found = ManifestRef("base", "1", proxied).fetch()
    assert found.digest == Digest.of(found.raw) == images["base:1"].digest
    for name in ("team/api:1.0", "legacy:1"):
        repository, tag = name.split(":")
        assert ManifestRef(repository, tag, proxied).describe().digest == images[name].digest
        assert RegistryStore(proxied).resolve(repository, tag) == images[name].digest
    assert "HEAD" not in [request.method for request in proxy.requests]


def test_a_manifest_by_its_digest_shows_as_well_that_stated_digests_are_wrong(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images
) -> None:
    state(proxy, lambda digest: "sha256:" + "0" * 64)
    with pytest.warns(DigestWarning):
        assert ManifestRef("base", images["base:1"].digest, proxied).fetch()
    assert ManifestRef("base", "1", proxied).describe().digest == images["base:1"].digest
    assert [request.method for request in proxy.requests] == ["GET", "GET"]


def test_the_digest_that_a_head_states_of_another_one_is_not_taken(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images
) -> None:
    state(proxy, lambda digest: images["app:1.1"].digest, methods=("HEAD",))
    assert ManifestRef("base", images["base:1"].digest, proxied).describe().digest == images["base:1"].digest


def test_a_manifest_that_the_registry_does_not_have_under_its_own_digest_is_a_damaged_one(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images
) -> None:
    proxy.rule(faults.replace_body("/manifests/1", b'{"schemaVersion": 2, "manifests": []}'))
    for _ in range(2):
        with pytest.raises(DigestMismatch, match=f"was asked for as {images['base:1'].digest}") as caught:
            ManifestRef("base", "1", proxied).fetch()
        assert caught.value.next_step
    with pytest.raises(DigestMismatch):
        ManifestRef("base", "1", proxied).delete()
    assert "DELETE" not in [request.method for request in proxy.requests]


@pytest.mark.parametrize("status", [400, 403, 404, 405, 415, 500, 501, 502, 503, 504])
def test_where_head_is_refused_the_manifest_is_read_at_once(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images, status: int
) -> None:
    proxy.rule(faults.refuse("/manifests/", status, "DENIED", "", methods=["HEAD"]))
    found = ManifestRef("base", "1", proxied).get_metadata()
    assert found is not None
    assert (found.digest, found.size) == (images["base:1"].digest, images["base:1"].size)
    assert RegistryStore(proxied).resolve("base", "1") == images["base:1"].digest
    assert [request.method for request in proxy.requests] == ["HEAD", "GET"] * 2


def test_a_head_of_a_file_and_no_digest_as_artifactorys_is_followed_by_the_manifest(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images
) -> None:
    proxy.rule(faults.replace_header("/manifests/", "Docker-Content-Digest", None))
    proxy.rule(faults.replace_header("/manifests/", "Content-Type", "application/octet-stream"))
    found = ManifestRef("legacy", "1", proxied).describe()
    assert (found.mediaType, found.digest) == (DOCKER_MANIFEST, images["legacy:1"].digest)


def test_where_get_is_refused_as_well_its_reason_is_told(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(faults.refuse("/manifests/", 403, "DENIED", "not for you"))
    with pytest.raises(PermissionDeny, match="DENIED: not for you"):
        ManifestRef("base", "1", proxied).get_metadata()


def test_what_neither_head_nor_get_finds_is_not_there(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    assert ManifestRef("base", "nothing", proxied).get_metadata() is None
    with pytest.raises(ResourceNotFound) as caught:
        RegistryStore(proxied).resolve("base", "nothing")
    assert caught.value.code == "MANIFEST_UNKNOWN"
    assert [request.method for request in proxy.requests] == ["HEAD", "GET"] * 2


@pytest.mark.parametrize("kind", [DOCKER_MANIFEST, OCI_MANIFEST, OCI_INDEX, "text/plain; charset=utf-8", None])
def test_a_registry_that_calls_all_manifests_the_same_is_read(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images, kind: str | None
) -> None:
    proxy.rule(faults.replace_header("/manifests/", "Content-Type", kind))
    for name in ("base:1", "legacy:1", "team/api:1.0"):
        repository, tag = name.split(":")
        found = ManifestRef(repository, tag, proxied).fetch()
        assert (found.digest, found.parse().media_type) == (images[name].digest, images[name].mediaType)


def test_another_manifest_than_asked_for_is_refused(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images
) -> None:
    proxy.rule(faults.replace_body(images["base:1"].digest, b"{}"))
    with pytest.raises(DigestMismatch):
        ManifestRef("base", images["base:1"].digest, proxied).fetch()


def test_a_corrupt_manifest_is_noticed(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(faults.corrupt_body("/manifests/"))
    with pytest.raises(DigestMismatch):
        ManifestRef("base", "1", proxied).fetch()


def test_a_manifest_that_was_cut_is_asked_for_again(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(faults.cut_body("/manifests/", 10, times=2))
    assert ManifestRef("base", "1", proxied).fetch()
    assert len(proxy.requests) == 3


def test_a_manifest_that_is_always_cut_is_given_up(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(faults.cut_body("/manifests/", 10, times=None))
    with pytest.raises(ConnectionFailed) as caught:
        ManifestRef("base", "1", proxied).fetch()
    assert len(proxy.requests) == 3
    assert caught.value.next_step


@pytest.mark.parametrize("announced", ["whole", "nothing", "short", "nonsense"])
def test_a_huge_manifest_is_not_read(proxy: FaultProxy, proxied: DockerRegistryV2Client, announced: str) -> None:
    huge = ProxyResponse(200, body=b"{" + b" " * 100_000_000)
    huge.chunked = announced == "nothing"
    huge.content_length = {"short": 100, "nonsense": 10**30}.get(announced)
    proxy.rule(lambda request, forward: huge)
    start = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(RegscopeError) as caught:
            ManifestRef("base", "1", proxied).fetch().parse()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    kinds = {"short": InvalidManifest, "nonsense": ConnectionFailed}  # 100 bytes of blanks are no manifest
    assert isinstance(caught.value, kinds.get(announced, TooLarge))
    assert caught.value.next_step or announced == "short"
    assert time.monotonic() - start < 5
    assert peak < 5 * METADATA_LIMIT
    assert proxy.requests[0].sent < 60_000_000


def test_a_manifest_that_unpacks_to_a_huge_one_is_not_read(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    packed = gzip.compress(b" " * 60_000_000)
    proxy.rule(lambda request, forward: ProxyResponse(200, [("Content-Encoding", "gzip")], packed))
    with pytest.raises(TooLarge):
        ManifestRef("base", "1", proxied).fetch()


def test_a_manifest_of_four_mebibytes_is_read(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    """The distribution specification asks for as much."""
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"filler": "x" * 2**22}}
    raw = json.dumps(document).encode()
    proxy.rule(lambda request, forward: ProxyResponse(200, [("Content-Type", OCI_INDEX)], raw))
    assert ManifestRef("base", "1", proxied).fetch().raw == raw


def test_parameters_of_a_media_type_are_no_matter(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(faults.replace_header("/manifests/", "Content-Type", f"{OCI_MANIFEST}; charset=utf-8"))
    assert isinstance(ManifestRef("base", "1", proxied).get(), OCIManifestSchema1)


def test_every_kind_of_manifest_is_offered_at_once(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    accepted: list[str] = []

    def look(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        accepted.append(request.headers["Accept"])
        return None

    proxy.rule(look)
    ManifestRef("base", "1", proxied).fetch()
    for kind in (OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST, "manifest.list.v2+json", "manifest.v1+prettyjws"):
        assert kind in accepted[0]


@pytest.mark.parametrize(("repository", "reference"), [("../x", "1"), ("Base", "1"), ("base", "a b"), ("base", "../1")])
def test_a_reference_that_is_none_is_not_asked_for(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, repository: str, reference: str
) -> None:
    with pytest.raises(InvalidReference):
        ManifestRef(repository, reference, proxied).fetch()
    assert proxy.requests == []


def test_a_manifest_without_media_type_is_what_its_header_says(tmp_path: Path) -> None:
    document = {"schemaVersion": 2, "config": {"mediaType": OCI_CONFIG, "digest": EMPTY, "size": 2}, "layers": []}
    with Registry(tmp_path / "r") as registry, requests.Session() as web:
        web.trust_env = False
        put_blob(web, registry.url, "app", b"{}")
        digest = put_manifest(web, registry.url, "app", "1", json.dumps(document).encode(), OCI_MANIFEST)
        found = ManifestRef("app", "1", DockerRegistryV2Client(registry.url)).get()
    assert isinstance(found, OCIManifestSchema1)
    assert (found.config.digest, Digest.of(found.raw)) == (EMPTY, digest)


def test_a_child_of_an_index_that_names_no_platform_is_for_linux_amd64(tmp_path: Path) -> None:
    image = {"schemaVersion": 2, "config": {"mediaType": OCI_CONFIG, "digest": EMPTY, "size": 2}, "layers": []}
    raw = json.dumps(image).encode()
    with Registry(tmp_path / "r") as registry, requests.Session() as web:
        web.trust_env = False
        put_blob(web, registry.url, "app", b"{}")
        child = put_manifest(web, registry.url, "app", "child", raw, OCI_MANIFEST)
        entry = {"mediaType": OCI_MANIFEST, "digest": child, "size": len(raw)}
        named = {**entry, "platform": {"os": "linux", "architecture": "s390x"}}
        index = {"schemaVersion": 2, "manifests": [entry, named]}
        put_manifest(web, registry.url, "app", "1", json.dumps(index).encode(), OCI_INDEX)
        client = DockerRegistryV2Client(registry.url)
        assert isinstance(ManifestRef("app", "1", client).get(OCI_INDEX), OCIIndex)
        assert ManifestRef("app", "1", client).get().digest == child
        with pytest.raises(ResourceNotFound, match="linux/arm64"):
            ManifestRef("app", "1", client).get(platform="linux/arm64")
        found = ManifestRef("app", "1", client).get(platform=Platform(os="linux", architecture="s390x"))
    assert isinstance(found, OCIManifestSchema1)


def test_a_header_that_contradicts_a_manifest_which_does_not_name_its_type_is_an_error(
    proxy: FaultProxy, proxied: DockerRegistryV2Client
) -> None:
    image = {"schemaVersion": 2, "config": {"mediaType": OCI_CONFIG, "digest": EMPTY, "size": 2}, "layers": []}
    proxy.rule(lambda request, forward: ProxyResponse(200, [("Content-Type", OCI_INDEX)], json.dumps(image).encode()))
    with pytest.raises(InvalidManifest, match="the registry states the media type") as caught:
        ManifestRef("base", "1", proxied).fetch().parse()
    assert caught.value.next_step
