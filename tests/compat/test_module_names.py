"""The older client's modules: `moby_distribution` replaced by `regscope.compat.moby` in an import is enough."""

from __future__ import annotations

import importlib
import json
import re
import socket
import subprocess
import sys
from importlib import resources
from io import BytesIO
from pathlib import Path

import pytest
from libtrust.keys import ec_key

import regscope
from regscope import APIEndpoint, DockerRegistryV2Client, ManifestRef, ManifestSchema1, Tags
from regscope.compat import moby
from regscope.compat.moby.registry import exceptions
from regscope.compat.moby.registry.auth import (
    BasicAuthAuthorizationProvider,
    DockerRegistryTokenAuthentication,
    HTTPBasicAuthentication,
    TokenAuthorizationProvider,
    UniversalAuthentication,
)
from regscope.compat.moby.registry.client import URLBuilder
from regscope.compat.moby.registry.utils import (
    LazyProxy,
    NamedImage,
    client_default_timeout,
    get_private_key,
    parse_image,
    validate_media_type,
)
from regscope.compat.moby.spec.auth import TokenResponse
from regscope.compat.moby.spec.manifest import (
    DockerManifestConfigDescriptor,
    DockerManifestLayerDescriptor,
    OCIManifestConfigDescriptor,
    OCIManifestLayerDescriptor,
)
from regscope.errors import AuthFailed, TimedOut
from regscope.spec.schema1 import signed_schema1
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService

MODULES = {
    "registry.client": ["DockerRegistryV2Client", "default_client", "set_default_client"],
    "registry.resources.blobs": ["Blob"],
    "registry.resources.image": ["ImageRef", "LayerRef"],
    "registry.resources.manifests": ["ManifestRef", "ManifestSchema1", "ManifestSchema2", "OCIManifestSchema1"],
    "registry.resources.tags": ["Tags"],
    "registry.exceptions": ["RequestError", "RequestErrorWithResponse", "ResourceNotFound", "AuthFailed"],
    "spec.endpoint": ["APIEndpoint", "OFFICIAL_ENDPOINT"],
    "spec.image_json": ["ImageJSON"],
    "spec.manifest": ["ManifestSchema1", "ManifestSchema2", "OCIManifestSchema1"],
    "spec.base": ["Platform"],
}


@pytest.mark.parametrize("module", MODULES)
def test_its_modules_hold_the_same_objects(module: str) -> None:
    found = importlib.import_module(f"regscope.compat.moby.{module}")
    for name in MODULES[module]:
        assert getattr(found, name) is getattr(regscope, name)


def test_its_names_are_at_the_top() -> None:
    for name in moby.__all__:
        assert getattr(moby, name) is getattr(regscope, name)


def test_its_addresses() -> None:
    at = "https://registry.test"
    assert URLBuilder.build_v2_url(at) == f"{at}/v2/"
    assert URLBuilder.build_blobs_url(at, "a/b", "d") == f"{at}/v2/a/b/blobs/d"
    assert URLBuilder.build_manifests_url(at, "a/b", "1") == f"{at}/v2/a/b/manifests/1"
    assert URLBuilder.build_upload_blobs_url(at, "a/b") == f"{at}/v2/a/b/blobs/uploads/"
    assert URLBuilder.build_tags_url(at, "a/b") == f"{at}/v2/a/b/tags/list"


@pytest.mark.parametrize(
    ("image", "home", "expected"),
    [
        ("alpine", "docker.io", NamedImage("docker.io", "library/alpine")),
        ("team/app:1.0", "docker.io", NamedImage("docker.io", "team/app", "1.0")),
        ("docker.io/alpine:3", "docker.io", NamedImage("docker.io", "library/alpine", "3")),
        ("localhost:5000/alpine:3", "docker.io", NamedImage("localhost:5000", "alpine", "3")),
        ("localhost/alpine", None, NamedImage("localhost", "alpine")),
        ("docker.io/alpine", "registry.test", NamedImage("docker.io", "alpine")),
        ("alpine", None, NamedImage("registry-1.docker.io", "library/alpine")),
    ],
)
def test_the_name_of_an_image_in_its_parts(image: str, home: str | None, expected: NamedImage) -> None:
    assert parse_image(image, home) == expected


def test_what_is_no_name_of_an_image_is_refused() -> None:
    with pytest.raises(ValueError, match="not an image reference"):
        parse_image("Not An Image")


def test_descriptors_know_their_media_types_and_a_validator_checks_them() -> None:
    for kind in (DockerManifestConfigDescriptor, OCIManifestConfigDescriptor):
        assert validate_media_type(kind, kind.content_type()) == kind.content_type()  # type: ignore[attr-defined]
    for kind in (DockerManifestLayerDescriptor, OCIManifestLayerDescriptor):
        for media_type in kind.content_types():  # type: ignore[attr-defined]
            assert validate_media_type(kind, media_type) == media_type
        with pytest.raises(ValueError, match="unknown media type"):
            validate_media_type(kind, "text/plain")


def test_a_lazy_proxy_makes_what_it_stands_for_once_and_late() -> None:
    made: list[Path] = []

    def make() -> Path:
        made.append(Path("x"))
        return made[-1]

    proxy = LazyProxy(make)
    assert made == []
    assert (proxy.name, repr(proxy), "name" in dir(proxy)) == ("x", repr(Path("x")), True)
    assert len(made) == 1


def test_the_clients_own_timeout_has_a_name(hub: Registry) -> None:
    assert Tags("legacy", timeout=client_default_timeout).list() == ["1"]


def test_basic_authentication_needs_both_name_and_password() -> None:
    provided = HTTPBasicAuthentication('Basic realm="x"').authenticate("ann", "hunter2")
    assert isinstance(provided, BasicAuthAuthorizationProvider)
    assert provided.provide() == "Basic YW5uOmh1bnRlcjI="
    for name, password in (("ann", None), (None, "hunter2"), (None, None)):
        with pytest.raises(AuthFailed, match="user name and a password"):
            HTTPBasicAuthentication("").authenticate(name, password)


def test_a_token_is_had_for_a_challenge(tmp_path: Path) -> None:
    with TokenService(tmp_path, users={"ann": "right"}, grants={"ann": {"*": ["pull"]}}) as tokens:
        asked = f'Bearer realm="{tokens.realm}",service="{tokens.service}",scope="repository:app:pull"'
        way = DockerRegistryTokenAuthentication(asked)
        assert (way.backend, way.service, way.scope) == (tokens.realm, tokens.service, "repository:app:pull")
        provided = way.authenticate("ann", "right", timeout=5)
        assert isinstance(provided.token_response, TokenResponse)
        assert provided.provide() == f"Bearer {provided.token_response.token}"
        with pytest.raises(AuthFailed):
            way.authenticate("ann", "wrong")
    with pytest.raises(AuthFailed, match="names no token service"):
        DockerRegistryTokenAuthentication('Basic realm="x"')
    with pytest.raises(AuthFailed, match="not private"):
        DockerRegistryTokenAuthentication('Bearer realm="http://tokens.test/",service="x"').authenticate("a", "b")


def test_a_token_response_has_a_token_by_either_name() -> None:
    assert TokenAuthorizationProvider(TokenResponse(access_token="b")).provide() == "Bearer b"
    with pytest.raises(AuthFailed, match="no token"):
        TokenAuthorizationProvider(TokenResponse()).provide()


def test_universal_authentication_serves_a_client_either_way(tmp_path: Path, registry: Registry) -> None:
    grants = {"ann": {"*": ["pull", "push"]}}
    with (
        TokenService(tmp_path / "tokens", users={"ann": "right"}, grants=grants) as tokens,
        Registry(tmp_path / "by-token", token=tokens) as by_token,
        Registry(tmp_path / "by-basic", htpasswd={"ann": "right"}) as by_basic,
    ):
        for server in (by_token, by_basic):
            client = DockerRegistryV2Client(server.url, "ann", "right", authenticator_class=UniversalAuthentication)
            assert regscope.Blob("app", fileobj=BytesIO(b"content"), client=client).upload()


def test_a_schema_1_manifest_is_signed_by_the_key_of_the_environment(
    hub: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ec_key.generate_private_key()
    pem = key.to_pem()
    monkeypatch.setenv("MOBY_DISTRIBUTION_PRIVATE_KEY", pem if isinstance(pem, str) else pem.decode())
    assert get_private_key().to_jwk() == key.to_jwk()
    manifest = ManifestRef("legacy", "1").get(ManifestSchema1.content_type())
    assert isinstance(manifest, ManifestSchema1)
    manifest.tag = "mine"
    [signature] = json.loads(signed_schema1(manifest, get_private_key()))["signatures"]
    assert signature["header"]["jwk"]["kid"] == key.key_id()
    assert ManifestRef("legacy", "mine").put(manifest)
    monkeypatch.setenv("MOBY_DISTRIBUTION_PRIVATE_KEY", "nonsense")
    assert get_private_key().to_jwk() != key.to_jwk()


def test_a_host_that_does_not_say_whether_it_speaks_tls_times_out_as_sockets_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = APIEndpoint(url=f"127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(socket.timeout) as caught:  # by which name users of the older client know it
            endpoint.is_secure_repository(timeout=0.2)
    assert isinstance(caught.value, TimedOut)


def test_its_errors_are_those_of_regscope() -> None:
    for name in exceptions.__all__:
        assert issubclass(getattr(exceptions, name), regscope.RegscopeError)
    assert str(exceptions.ResourceNotFound("gone")) == "gone"


def test_libtrust_loads_with_schema_1_alone() -> None:
    code = "import sys, regscope.compat.moby as m; m.ManifestRef, m.ImageRef; print('libtrust' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.split() == ["False"]


def test_the_manual_tells_of_each_name() -> None:
    page = (resources.files("regscope") / "manual" / "older-client.md").read_text(encoding="utf-8")
    for name in moby.__all__:
        assert f"`{name}`" in page
    for code in re.findall(r"(?m)^from regscope\.compat.*$", page):
        exec(code, {})
