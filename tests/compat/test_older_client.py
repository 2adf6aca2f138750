"""What the README of moby-distribution shows works here, with its name replaced, and a test registry for Docker Hub."""

from __future__ import annotations

import inspect
import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

import regscope
from regscope import (
    OFFICIAL_ENDPOINT,
    APIEndpoint,
    AuthFailed,
    Blob,
    DockerRegistryV2Client,
    ImageRef,
    LayerRef,
    ManifestRef,
    ManifestSchema1,
    ManifestSchema2,
    OCIIndex,
    OCIManifestSchema1,
    PermissionDeny,
    Platform,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    Tags,
    UnSupportMediaType,
    default_client,
)
from regscope.spec.digest import Digest
from tests.lab.images import push, skopeo
from tests.servers.certificates import CertificateAuthority
from tests.servers.proxy import FaultProxy, ProxyResponse
from tests.servers.registry import Registry


def test_the_default_client_is_docker_hubs_and_asks_nobody_before_its_time() -> None:
    assert isinstance(default_client, DockerRegistryV2Client)
    assert default_client.api_base_url == "https://registry-1.docker.io"
    assert Tags("library/python").client is default_client


def test_the_default_client_can_be_another(hub: Registry) -> None:
    assert regscope.default_client.api_base_url == hub.url
    assert default_client.ping()


def test_1_list_tags(hub: Registry) -> None:
    assert Tags(repo="legacy").list() == ["1"]


def test_2_get_a_manifest_of_a_kind(hub: Registry, tmp_path: Path) -> None:
    assert isinstance(ManifestRef(repo="legacy", reference="1").get(ManifestSchema2.content_type()), ManifestSchema2)
    old = ManifestRef(repo="legacy", reference="1").get(ManifestSchema1.content_type())
    assert isinstance(old, ManifestSchema1)
    assert old.fsLayers[0].blobSum
    assert json.loads(old.history[0].v1Compatibility)
    for ask in (ManifestRef(repo="legacy", reference="1").get, ManifestRef(repo="legacy", reference="1").get_metadata):
        with pytest.raises(UnSupportMediaType):
            ask("text/plain")


@pytest.mark.parametrize(("repo", "reference"), [("legacy", "1"), ("app", "1.0")])
def test_3_get_the_config(hub: Registry, repo: str, reference: str) -> None:
    manifest = ManifestRef(repo=repo, reference=reference).get()
    fh = BytesIO()
    Blob(fileobj=fh, repo=repo, digest=manifest.config.digest).download()
    fh.seek(0)
    config = fh.read()
    assert json.loads(config)["architecture"] == "amd64"


def test_of_an_index_the_config_is_that_of_a_platform(hub: Registry, layout: Path) -> None:
    push(layout, hub, only="team/api:1.0")
    for platform, architecture in ((None, "amd64"), ("linux/arm64", "arm64"), (Platform.parse("linux/arm64"), "arm64")):
        asked = {"platform": platform} if platform else {}
        manifest = ManifestRef("team/api", "1.0").get(**asked)  # type: ignore[arg-type]
        assert json.loads(Blob("team/api", manifest.config.digest).read(2**20))["architecture"] == architecture
        image = ImageRef.from_image("team/api", "1.0", **asked)  # type: ignore[arg-type]
        assert image.image_json.architecture == architecture
    assert isinstance(ManifestRef("team/api", "1.0").get(OCIIndex.content_type()), OCIIndex)
    with pytest.raises(ResourceNotFound, match="linux/s390x"):
        ManifestRef("team/api", "1.0").get(platform="linux/s390x")


def test_4_push_blobs(hub: Registry, tmp_path: Path) -> None:
    client = DockerRegistryV2Client.from_api_endpoint(APIEndpoint(url=hub.url), username="name", password="password")
    fh = BytesIO(b"just a demo")
    assert Blob(repo="your-username/demo", fileobj=fh, client=client).upload()
    (tmp_path / "file").write_bytes(b"another demo")
    assert Blob(repo="your-username/demo", local_path=str(tmp_path / "file"), client=client).upload_at_one_time()


def test_an_endpoint_whose_certificate_is_not_valid_is_asked_all_the_same(tmp_path: Path) -> None:
    certificate = CertificateAuthority(tmp_path / "authority").issue()
    with Registry(tmp_path / "tls", tls=certificate) as server:
        found = DockerRegistryV2Client.from_api_endpoint(APIEndpoint(url=server.host), https_detect_timeout=5)
        assert found.api_base_url == server.url
        assert found.ping()
        strict = DockerRegistryV2Client.from_api_endpoint(APIEndpoint(url=server.host), verify_certificate=True)
        assert not strict.ping()
        assert not DockerRegistryV2Client.from_api_endpoint(APIEndpoint(url=server.url)).ping()  # its scheme was stated


def test_an_endpoint_without_tls_is_asked_by_http_and_others_are_still_verified(hub: Registry) -> None:
    found = DockerRegistryV2Client.from_api_endpoint(APIEndpoint(url=hub.host), None, None, None, 5, 5, 5)
    assert (found.api_base_url, found.verify_certificate, found.default_timeout) == (hub.url, True, 5)
    assert found.ping()


def test_5_push_a_manifest(hub: Registry) -> None:
    config = Blob(repo="your-username/demo", fileobj=BytesIO(b"{}")).upload()
    layer = Blob(repo="your-username/demo", fileobj=BytesIO(b"just a demo")).upload()
    manifest = ManifestSchema2(
        schemaVersion=2,
        mediaType="application/vnd.docker.distribution.manifest.v2+json",
        config={"digest": config.digest, "size": config.size},  # type: ignore[arg-type]
        layers=[{"digest": layer.digest, "size": layer.size}],  # type: ignore[list-item]
    )
    assert ManifestRef(repo="your-username/demo", reference="latest").put(manifest)
    assert ManifestRef(repo="your-username/demo").get() == manifest


@pytest.mark.parametrize(("repo", "reference"), [("legacy", "1"), ("app", "1.0")])
def test_6_an_image_under_another_name_is_the_same_image(hub: Registry, repo: str, reference: str) -> None:
    ImageRef.from_image(from_repo=repo, from_reference=reference, to_reference="the-new-reference").push()
    ImageRef.from_image(repo, reference, to_repo="other/place").push()
    digest = ManifestRef(repo, reference).fetch().digest
    assert ManifestRef(repo, "the-new-reference").fetch().digest == digest
    assert ManifestRef("other/place", reference).fetch().digest == digest


def layer_file(folder: Path) -> Path:
    file = folder / "layer.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        entry = tarfile.TarInfo("hello")
        entry.size = 5
        archive.addfile(entry, BytesIO(b"hello"))
    return file


@pytest.mark.parametrize(
    ("repo", "reference", "kind"), [("legacy", "1", ManifestSchema2), ("app", "1.0", OCIManifestSchema1)]
)
def test_a_layer_is_added(hub: Registry, tmp_path: Path, repo: str, reference: str, kind: type) -> None:
    image = ImageRef.from_image(repo, reference, to_reference="more")
    before = image.image_json.model_copy(deep=True)
    added = image.add_layer(LayerRef(local_path=layer_file(tmp_path)))
    pushed = image.push()
    assert isinstance(pushed, kind)
    assert (pushed.layers[-1].digest, pushed.layers[-1].size) == (added.digest, added.size)
    assert len(image.image_json.rootfs.diff_ids) == len(before.rootfs.diff_ids) + 1
    assert image.image_json.history[:-1] == before.history
    assert ManifestRef(repo, "more").get() == pushed
    skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{hub.host}/{repo}:more", f"oci:{tmp_path / 'copy'}:x")
    again = ImageRef.from_image(repo, reference, to_reference="again")
    again.add_layer(LayerRef(local_path=layer_file(tmp_path)))
    assert len(again.push().layers) == len(pushed.layers)


def test_a_layer_of_the_registry_is_added(hub: Registry) -> None:
    image = ImageRef.from_image("legacy", "1", to_reference="more")
    layer = ManifestRef("app", "1.0").get().layers[-1]
    image.add_layer(LayerRef(repo="app", digest=layer.digest, size=layer.size, exists=True))
    pushed = image.push()
    assert pushed.layers[-1].digest == layer.digest
    config = ManifestRef("app", "1.0").get().config
    theirs = json.loads(Blob("app", config.digest).read(2**20))["rootfs"]["diff_ids"]
    assert image.image_json.rootfs.diff_ids[-1] == theirs[-1]


def test_what_is_said_of_a_layer_must_be_so(hub: Registry, tmp_path: Path) -> None:
    image = ImageRef.from_image("legacy", "1")
    file = layer_file(tmp_path)
    for layer in (
        LayerRef(),
        LayerRef(local_path=file, size=1),
        LayerRef(local_path=file, digest=Digest.of(b"other")),
    ):
        with pytest.raises((ValueError, regscope.RegscopeError)):
            image.add_layer(layer)


@pytest.mark.parametrize(("repo", "reference"), [("legacy", "1"), ("app", "1.0")])
def test_an_image_is_saved_and_comes_back_from_its_tarball(
    hub: Registry, tmp_path: Path, repo: str, reference: str
) -> None:
    image = ImageRef.from_image(repo, reference)
    saved = Path(image.save(str(tmp_path / "saved.tar")))
    skopeo("copy", "-q", f"docker-archive:{saved}", f"dir:{tmp_path / 'read'}")
    back = ImageRef.from_tarball(tmp_path, saved, to_repo="back", to_reference="1")
    assert back.image_json_str == image.image_json_str
    pushed = back.push()
    assert len(pushed.layers) == len(image.layers)
    assert ManifestRef("back", "1").get() == pushed
    named = ImageRef.from_tarball(tmp_path, saved)
    assert named.reference == reference
    assert named.repo in (repo, f"library/{repo}")


def test_an_image_is_pushed_as_the_kind_that_is_wanted(hub: Registry) -> None:
    docker = ImageRef.from_image("app", "1.0", to_reference="docker").push_v2()
    assert isinstance(docker, ManifestSchema2)
    oci = ImageRef.from_image("legacy", "1", to_reference="oci").push(OCIManifestSchema1.content_type())
    assert isinstance(oci, OCIManifestSchema1)
    with pytest.raises(ValueError, match="not as"):
        ImageRef.from_image("legacy", "1").push(ManifestSchema1.content_type())


def test_a_blob_is_mounted_and_deleted(hub: Registry) -> None:
    digest = ManifestRef("legacy", "1").get().config.digest
    assert Blob("elsewhere", digest).mount_from("legacy").digest == digest
    assert Blob("elsewhere").delete(digest)
    with pytest.raises(ResourceNotFound):
        Blob("elsewhere").stat(digest)


def test_untagging_and_deleting(hub: Registry) -> None:
    assert Tags("legacy").get("1")
    assert ManifestRef("legacy", "1").get_metadata()
    assert Tags("legacy").untag("1")
    assert Tags("legacy").get("1") is None
    assert ManifestRef("app", "1.0").delete()
    assert ManifestRef("app", "1.0").get_metadata() is None
    assert ManifestRef("app", "1.0").delete(raise_not_found=False) is False


def test_its_arguments_have_their_places() -> None:
    expected = [
        "api_base_url", "username", "password", "verify_certificate", "authenticator_class", "default_timeout",
        "auth_timeout",
    ]  # fmt: skip
    assert list(inspect.signature(DockerRegistryV2Client).parameters)[:7] == expected
    assert list(inspect.signature(DockerRegistryV2Client.from_api_endpoint).parameters)[:7] == [
        "api_endpoint", "username", "password", "authenticator_class", "default_timeout", "https_detect_timeout",
        "auth_timeout",
    ]  # fmt: skip
    assert list(inspect.signature(ManifestRef).parameters) == ["repo", "reference", "client", "timeout"]
    assert list(inspect.signature(Blob).parameters)[:6] == [
        "repo", "digest", "local_path", "fileobj", "client", "timeout",
    ]  # fmt: skip
    assert list(inspect.signature(Tags).parameters) == ["repo", "client", "timeout"]
    assert list(inspect.signature(ImageRef).parameters)[:5] == [
        "repo", "reference", "layers", "initial_config", "client",
    ]  # fmt: skip
    assert OFFICIAL_ENDPOINT.official


def test_its_errors_are_ours() -> None:
    for error in (RequestErrorWithResponse, AuthFailed, PermissionDeny, ResourceNotFound):
        assert issubclass(error, RequestError)
    for error in (RequestError, UnSupportMediaType):
        assert issubclass(error, regscope.RegscopeError)


def test_an_authenticator_of_ones_own_answers(hub: Registry) -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    class Provider:
        def provide(self) -> str:
            return "Custom secret"

    class Own:
        def __init__(self, www_authenticate: str) -> None:
            self.asked = www_authenticate

        def authenticate(
            self, username: str | None = None, password: str | None = None, *, timeout: object = None
        ) -> Provider:
            seen.append((self.asked, username, password))
            return Provider()

    with FaultProxy(hub.url) as proxy:
        proxy.rule(
            lambda request, forward: (
                None
                if request.headers.get("Authorization") == "Custom secret"
                else ProxyResponse(401, [("WWW-Authenticate", 'Custom realm="x"')])
            )
        )
        client = DockerRegistryV2Client(proxy.url, "ann", "hunter2", authenticator_class=Own)
        assert Tags("legacy", client).list() == ["1"]
        assert Tags("app", client).list() == ["1.0"]
    assert seen == [('Custom realm="x"', "ann", "hunter2")]
