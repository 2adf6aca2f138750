"""The servers the other tests stand on do what they promise."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.servers import faults
from tests.servers.certificates import CertificateAuthority
from tests.servers.proxy import FaultProxy, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService

pytestmark = pytest.mark.skipif(
    not (shutil.which("docker-registry") or shutil.which("registry")), reason="needs a registry program"
)

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
BLOB = bytes(range(256)) * 400


@pytest.fixture
def web() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
def proxy(registry: Registry) -> Iterator[FaultProxy]:
    with FaultProxy(registry.url) as server:
        yield server


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def push_blob(web: requests.Session, url: str, name: str, data: bytes) -> str:
    upload = web.post(f"{url}/v2/{name}/blobs/uploads/")
    assert upload.status_code == 202, upload.text
    done = web.put(upload.headers["Location"], params={"digest": digest_of(data)}, data=data)
    assert done.status_code == 201, done.text
    return digest_of(data)


def manifest_of(config: bytes, *layers: bytes) -> bytes:
    def descriptor(kind: str, data: bytes) -> dict[str, Any]:
        return {"mediaType": kind, "size": len(data), "digest": digest_of(data)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER, layer) for layer in layers],
    }
    return json.dumps(manifest).encode()


def push_image(web: requests.Session, url: str, name: str, tag: str, config: bytes, *layers: bytes) -> bytes:
    for data in (config, *layers):
        push_blob(web, url, name, data)
    manifest = manifest_of(config, *layers)
    done = web.put(f"{url}/v2/{name}/manifests/{tag}", data=manifest, headers={"Content-Type": MANIFEST})
    assert done.status_code == 201, done.text
    return manifest


def write_layout(folder: Path) -> list[bytes]:
    """A tiny OCI layout with the tag "latest"; returns its blobs."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
    blobs = [config.encode(), b"a layer"]
    blobs.append(manifest_of(*blobs))
    store = folder / "blobs" / "sha256"
    store.mkdir(parents=True)
    for blob in blobs:
        (store / hashlib.sha256(blob).hexdigest()).write_bytes(blob)
    entry = {
        "mediaType": MANIFEST,
        "size": len(blobs[-1]),
        "digest": digest_of(blobs[-1]),
        "annotations": {"org.opencontainers.image.ref.name": "latest"},
    }
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return blobs


def skopeo(*arguments: str) -> None:
    if not shutil.which("skopeo"):
        pytest.skip("needs skopeo")
    command = ["skopeo", "--insecure-policy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def token_for(web: requests.Session, challenge: str, user: str = "", password: str = "") -> requests.Response:
    """Follow a Bearer challenge."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = fields.pop("realm")
    return web.get(realm, params=fields, auth=(user, password) if user else None)


# The registry


def test_a_pushed_image_is_on_the_disk_and_in_the_access_log(tmp_path: Path, web: requests.Session) -> None:
    with Registry(tmp_path / "r") as registry:
        assert registry.requests() == []
        assert registry.blob_digests() == {}
        manifest = push_image(web, registry.url, "a/b", "v1", b"{}", BLOB)
        assert web.get(f"{registry.url}/v2/a/b/blobs/{digest_of(BLOB)}").content == BLOB
        assert registry.blob_digests() == {digest_of(data): len(data) for data in (manifest, b"{}", BLOB)}
        assert registry.blob_bytes() == len(manifest) + len(BLOB) + 2
        assert registry.requests()[-2:] == [
            "PUT /v2/a/b/manifests/v1 201",
            f"GET /v2/a/b/blobs/{digest_of(BLOB)} 200",
        ]


def test_a_restart_keeps_port_and_content(tmp_path: Path, web: requests.Session) -> None:
    with Registry(tmp_path / "r") as registry:
        url = registry.url
        push_blob(web, url, "a", BLOB)
        registry.restart()
        assert registry.url == url
        assert web.head(f"{url}/v2/a/blobs/{digest_of(BLOB)}").status_code == 200


def test_skopeo_pushes_an_oci_layout(tmp_path: Path, registry: Registry, web: requests.Session) -> None:
    blobs = write_layout(tmp_path / "layout")
    skopeo(
        "copy",
        "--dest-tls-verify=false",
        "--preserve-digests",
        f"oci:{tmp_path / 'layout'}:latest",
        f"docker://{registry.host}/by/skopeo:latest",
    )
    answer = web.get(f"{registry.url}/v2/by/skopeo/manifests/latest", headers={"Accept": MANIFEST})
    assert answer.content == blobs[-1]
    assert {digest_of(blob) for blob in blobs} <= set(registry.blob_digests())


def test_garbage_collection_frees_exactly_what_nothing_refers_to(tmp_path: Path, web: requests.Session) -> None:
    with Registry(tmp_path / "r") as registry:
        push_image(web, registry.url, "a", "kept", b"{}", BLOB)
        gone = push_image(web, registry.url, "a", "gone", b'{"a":1}', BLOB, b"only here")
        before = registry.blob_bytes()
        assert web.delete(f"{registry.url}/v2/a/manifests/{digest_of(gone)}").status_code == 202
        assert "eligible for deletion" in registry.garbage_collect(dry_run=True)
        assert registry.blob_bytes() == before
        registry.garbage_collect()
        assert before - registry.blob_bytes() == len(gone) + len(b'{"a":1}') + len(b"only here")
        blobs = f"{registry.url}/v2/a/blobs"
        assert web.head(f"{blobs}/{digest_of(BLOB)}").status_code == 200
        assert web.head(f"{blobs}/{digest_of(b'only here')}").status_code == 404


def test_deletion_can_be_switched_off(tmp_path: Path, web: requests.Session) -> None:
    with Registry(tmp_path / "r", delete=False) as registry:
        manifest = push_image(web, registry.url, "a", "v1", b"{}")
        answer = web.delete(f"{registry.url}/v2/a/manifests/{digest_of(manifest)}")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (405, "UNSUPPORTED")


def test_settings_can_be_given_through_the_environment(tmp_path: Path, web: requests.Session) -> None:
    with Registry(tmp_path / "r", env={"REGISTRY_STORAGE_DELETE_ENABLED": "false"}) as registry:
        manifest = push_image(web, registry.url, "a", "v1", b"{}")
        answer = web.delete(f"{registry.url}/v2/a/manifests/{digest_of(manifest)}")
        assert answer.status_code == 405


def test_a_registry_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "r", env={"REGISTRY_HTTP_TLS_CERTIFICATE": "/missing.crt"})
    with pytest.raises(RuntimeError, match=r"missing\.crt"):
        registry.start()


# TLS and passwords


def test_a_private_authority_and_passwords_protect_a_registry(tmp_path: Path, web: requests.Session) -> None:
    certificate = CertificateAuthority(tmp_path / "ca").issue()
    with Registry(tmp_path / "r", tls=certificate, htpasswd={"ann": "secret", "bob": "pass:word"}) as registry:
        with pytest.raises(requests.exceptions.SSLError):
            web.get(f"{registry.url}/v2/")
        web.verify = str(certificate.ca)
        assert web.get(f"{registry.url}/v2/").headers["WWW-Authenticate"].startswith("Basic ")
        assert web.get(f"{registry.url}/v2/", auth=("ann", "secret")).status_code == 200
        assert web.get(f"{registry.url}/v2/", auth=("bob", "pass:word")).status_code == 200
        assert web.get(f"{registry.url}/v2/", auth=("ann", "wrong")).status_code == 401
        with FaultProxy(registry.url, ca=certificate.ca, tls=certificate) as proxy:
            web.auth = ("ann", "secret")
            assert push_blob(web, proxy.url, "a", BLOB) in registry.blob_digests()


def test_an_expired_certificate_makes_requests_fail(tmp_path: Path, web: requests.Session) -> None:
    certificate = CertificateAuthority(tmp_path / "ca").issue(expired=True)
    expired = pytest.raises(requests.exceptions.SSLError, match="expired")
    with Registry(tmp_path / "r", tls=certificate) as registry, expired:
        web.get(f"{registry.url}/v2/", verify=str(certificate.ca))


# Tokens


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TokenService]:
    grants = {
        "": {"public/*": {"pull"}},
        "ann": {"*": {"pull", "push", "delete"}, "registry:catalog": {"*"}},
        "bob": {"*": {"pull"}},
    }
    users = {"ann": "secret", "bob": "word"}
    with TokenService(tmp_path / "tokens", users=users, grants=grants) as server:
        yield server


@pytest.fixture
def guarded(tmp_path: Path, service: TokenService) -> Iterator[Registry]:
    with Registry(tmp_path / "guarded", token=service) as server:
        yield server


def bearer(answer: requests.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def test_a_challenge_leads_to_a_token_the_registry_accepts(
    guarded: Registry, service: TokenService, web: requests.Session
) -> None:
    refused = web.post(f"{guarded.url}/v2/private/x/blobs/uploads/")
    assert refused.status_code == 401
    challenge = refused.headers["WWW-Authenticate"]
    assert f'realm="{service.realm}"' in challenge
    granted = token_for(web, challenge, "ann", "secret")
    web.headers.update(bearer(granted))
    push_blob(web, guarded.url, "private/x", BLOB)
    (seen,) = service.requests
    assert (seen.user, seen.service, seen.grant_type, seen.authorization) == (
        "ann",
        "registry.test",
        "",
        True,
    )
    (scope,) = seen.scopes
    # The registry names the actions in any order.
    assert scope in ("repository:private/x:pull,push", "repository:private/x:push,pull")


def test_a_denied_scope_leaves_a_token_without_it(
    guarded: Registry, service: TokenService, web: requests.Session
) -> None:
    url = f"{guarded.url}/v2/private/x/blobs/uploads/"
    challenge = web.post(url).headers["WWW-Authenticate"]
    denied = web.post(url, headers=bearer(token_for(web, challenge, "bob", "word")))
    assert denied.status_code == 401
    assert 'error="insufficient_scope"' in denied.headers["WWW-Authenticate"]


def test_nobody_may_read_what_is_public_and_nothing_else(
    guarded: Registry, service: TokenService, web: requests.Session
) -> None:
    def tags(name: str) -> int:
        url = f"{guarded.url}/v2/{name}/tags/list"
        token = token_for(web, web.get(url).headers["WWW-Authenticate"])
        return web.get(url, headers=bearer(token)).status_code

    assert (tags("public/x"), tags("private/x")) == (404, 401)
    assert [request.authorization for request in service.requests] == [False, False]
    del service.grants[""]
    assert web.get(service.realm, params={"service": service.service}).status_code == 401


def test_the_catalog_needs_a_grant_of_its_own(guarded: Registry, service: TokenService, web: requests.Session) -> None:
    url = f"{guarded.url}/v2/_catalog"
    challenge = web.get(url).headers["WWW-Authenticate"]
    assert 'scope="registry:catalog:*"' in challenge
    for user, password, status in (("ann", "secret", 200), ("bob", "word", 401)):
        token = token_for(web, challenge, user, password)
        assert web.get(url, headers=bearer(token)).status_code == status


def test_an_expired_token_is_refused(guarded: Registry, service: TokenService, web: requests.Session) -> None:
    service.lifetime = -120
    answer = web.get(f"{guarded.url}/v2/", headers={"Authorization": f"Bearer {service.sign('ann', [])}"})
    assert (answer.status_code, 'error="invalid_token"' in answer.headers["WWW-Authenticate"]) == (401, True)


def test_a_wrong_password_gets_no_token(service: TokenService, web: requests.Session) -> None:
    answer = web.get(service.realm, auth=("ann", "wrong"))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    form = {"grant_type": "password", "username": "ann", "password": "wrong"}
    assert web.post(service.realm, data=form).status_code == 401
    assert [(r.user, r.status, r.grant_type) for r in service.requests] == [
        ("ann", 401, ""),
        ("ann", 401, "password"),
    ]


def test_refresh_tokens_stand_in_for_the_password(
    guarded: Registry, service: TokenService, web: requests.Session
) -> None:
    service.refresh = True
    form = {"service": service.service, "scope": "registry:catalog:* repository:a:pull,push"}
    offline = {**form, "grant_type": "password", "username": "ann", "password": "secret"}
    first = web.post(service.realm, data={**offline, "access_type": "offline"}).json()
    assert first["scope"] == form["scope"]
    form.update(grant_type="refresh_token", refresh_token=first["refresh_token"])
    second = web.post(service.realm, data=form).json()
    headers = {"Authorization": f"Bearer {second['access_token']}"}
    assert web.get(f"{guarded.url}/v2/_catalog", headers=headers).status_code == 200
    assert service.requests[-1].scopes == ("registry:catalog:*", "repository:a:pull,push")
    form["refresh_token"] = "made up"
    assert web.post(service.realm, data=form).status_code == 401
    query = {"service": service.service, "offline_token": "true"}
    assert "refresh_token" in web.get(service.realm, params=query, auth=("ann", "secret")).json()


def test_the_form_of_the_answer_can_be_chosen(service: TokenService, web: requests.Session) -> None:
    assert set(web.get(service.realm).json()) == {"token", "expires_in", "issued_at"}
    service.answer, service.expires_in = "access_token", None
    assert set(web.get(service.realm).json()) == {"access_token"}
    service.answer = "both"
    assert set(web.get(service.realm).json()) == {"token", "access_token"}
    service.oauth = False
    assert web.post(service.realm, data={"grant_type": "password"}).status_code == 405


def test_repeated_scopes_are_all_granted(service: TokenService, web: requests.Session) -> None:
    query = [("scope", "repository:a:pull,push"), ("scope", "repository:b:pull")]
    web.get(service.realm, params=query, auth=("bob", "word"))
    assert service.requests[-1].scopes == ("repository:a:pull,push", "repository:b:pull")
    assert [access["actions"] for access in service.granted("bob", service.requests[-1].scopes)] == [
        ["pull"],
        ["pull"],
    ]


def test_skopeo_pushes_through_tokens(tmp_path: Path, guarded: Registry, service: TokenService) -> None:
    write_layout(tmp_path / "layout")
    target = f"docker://{guarded.host}/private/x:latest"
    skopeo(
        "copy",
        "--dest-tls-verify=false",
        "--dest-creds=ann:secret",
        f"oci:{tmp_path / 'layout'}:latest",
        target,
    )
    assert {request.user for request in service.requests} == {"ann"}


def test_a_token_service_speaks_tls(tmp_path: Path, web: requests.Session) -> None:
    certificate = CertificateAuthority(tmp_path / "ca").issue()
    with TokenService(tmp_path / "t", grants={"": {}}, tls=certificate) as service:
        assert web.get(service.realm, verify=str(certificate.ca)).status_code == 200


# The proxy


@pytest.fixture
def blob(registry: Registry, proxy: FaultProxy, web: requests.Session) -> str:
    """The address, through the proxy, of a blob in the registry."""
    return f"{proxy.url}/v2/some/blobs/{push_blob(web, registry.url, 'some', BLOB)}"


def test_the_proxy_changes_nothing_by_itself(
    tmp_path: Path, registry: Registry, proxy: FaultProxy, web: requests.Session
) -> None:
    write_layout(tmp_path / "layout")
    skopeo(
        "copy",
        "--dest-tls-verify=false",
        f"oci:{tmp_path / 'layout'}:latest",
        f"docker://{proxy.host}/through/proxy:latest",
    )
    pushed = push_blob(web, proxy.url, "through/proxy", b"by requests")
    path = f"/v2/through/proxy/blobs/{pushed}"
    for method in ("GET", "HEAD"):
        direct, proxied = web.request(method, registry.url + path), web.request(method, proxy.url + path)
        direct.headers.pop("Date"), proxied.headers.pop("Date")
        assert (proxied.status_code, proxied.content) == (direct.status_code, direct.content)
        assert proxied.headers == direct.headers
    part = web.get(proxy.url + path, headers={"Range": "bytes=3-10"})
    assert (part.status_code, part.content) == (206, b"requests")
    seen = proxy.requests[-1]
    assert (seen.method, seen.path, seen.headers["range"]) == ("GET", path, "bytes=3-10")
    assert (seen.status, seen.sent) == (206, 8)


def test_an_upload_stays_behind_the_proxy(proxy: FaultProxy, web: requests.Session) -> None:
    location = web.post(f"{proxy.url}/v2/some/blobs/uploads/").headers["Location"]
    assert location.startswith(f"{proxy.url}/v2/some/blobs/uploads/")
    assert proxy.location(f"{proxy.upstream}/v2/x?y=1") == f"{proxy.url}/v2/x?y=1"
    assert proxy.location("http://elsewhere.test/v2/") == "http://elsewhere.test/v2/"


def test_a_chunked_upload_arrives_whole(registry: Registry, proxy: FaultProxy, web: requests.Session) -> None:
    data = b"chunked " * 1000
    location = web.post(f"{proxy.url}/v2/some/blobs/uploads/").headers["Location"]
    chunks = (data[start : start + 999] for start in range(0, len(data), 999))
    location = web.patch(location, data=chunks).headers["Location"]
    assert web.put(location, params={"digest": digest_of(data)}).status_code == 201
    assert registry.blob_digests()[digest_of(data)] == len(data)


def test_a_connection_survives_a_restart_of_the_registry(tmp_path: Path, web: requests.Session) -> None:
    with Registry(tmp_path / "r") as registry, FaultProxy(registry.url) as proxy:
        assert web.get(f"{proxy.url}/v2/").status_code == 200
        registry.restart()
        assert web.get(f"{proxy.url}/v2/").status_code == 200


def test_too_many_ends_after_so_many_times(proxy: FaultProxy, web: requests.Session) -> None:
    proxy.rule(faults.too_many(2, retry_after="7"))
    answers = [web.get(f"{proxy.url}/v2/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert answers[0].json()["errors"][0]["code"] == "TOOMANYREQUESTS"


def test_a_cut_body_arrives_short(proxy: FaultProxy, web: requests.Session, blob: str) -> None:
    proxy.rule(faults.cut_body("/blobs/", 70_000, 1))
    connection = http.client.HTTPConnection(proxy.host)
    connection.request("GET", urlsplit(blob).path)
    answer = connection.getresponse()
    assert answer.headers["Content-Length"] == str(len(BLOB))
    with pytest.raises(http.client.IncompleteRead) as caught:
        answer.read()
    connection.close()
    assert caught.value.partial == BLOB[:70_000]
    assert web.get(blob).content == BLOB


def test_a_corrupt_body_keeps_its_length(proxy: FaultProxy, web: requests.Session, blob: str) -> None:
    proxy.rule(faults.corrupt_body("/blobs/"))
    content = web.get(blob).content
    assert len(content) == len(BLOB)
    assert sum(a != b for a, b in zip(content, BLOB, strict=True)) == 1


def test_a_redirect_leads_readers_away(registry: Registry, proxy: FaultProxy, web: requests.Session, blob: str) -> None:
    proxy.rule(faults.redirect("/blobs/", lambda request: registry.url + request.path))
    answer = web.get(blob)
    assert (answer.content, answer.history[0].status_code) == (BLOB, 307)
    assert answer.url.startswith(registry.url)
    push_blob(web, proxy.url, "some", b"uploads are not redirected")


def test_a_header_is_replaced_or_removed(proxy: FaultProxy, web: requests.Session, blob: str) -> None:
    proxy.rule(faults.replace_header("/blobs/", "docker-content-digest", "sha256:0"))
    proxy.rule(faults.replace_header("/blobs/", "etag", None))
    proxy.rule(faults.replace_header("/blobs/", "content-length", None))
    answer = web.get(blob)
    assert answer.content == BLOB
    assert answer.headers["Docker-Content-Digest"] == "sha256:0"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert not {"etag", "content-length"} & set(answer.headers)
    assert "Content-Length" not in web.head(blob).headers


def test_a_false_length_is_announced(proxy: FaultProxy, web: requests.Session, blob: str) -> None:
    proxy.rule(faults.replace_header("/blobs/", "Content-Length", "5"))
    assert web.head(blob).headers["Content-Length"] == "5"
    assert web.get(blob).content == BLOB[:5]


def test_a_replaced_body_keeps_the_digest_header(proxy: FaultProxy, web: requests.Session, blob: str) -> None:
    proxy.rule(faults.replace_body("/blobs/", b"<html>", "text/html"))
    answer = web.get(blob)
    assert (answer.content, answer.headers["Content-Type"]) == (b"<html>", "text/html")
    assert answer.headers["Docker-Content-Digest"] == digest_of(BLOB)
    assert web.head(blob).headers["Content-Length"] == "6"


def test_a_refusal_has_the_error_form_of_registries(
    registry: Registry, proxy: FaultProxy, web: requests.Session
) -> None:
    before = len(registry.requests())
    proxy.rule(faults.refuse("/tags/", 403, "DENIED", "not for you"))
    answer = web.get(f"{proxy.url}/v2/some/tags/list")
    assert answer.status_code == 403
    assert answer.json() == {"errors": [{"code": "DENIED", "message": "not for you"}]}
    assert len(registry.requests()) == before


def test_a_delay_comes_before_the_answer(proxy: FaultProxy, web: requests.Session) -> None:
    proxy.rule(faults.delay(0.3))
    start = time.monotonic()
    assert web.get(f"{proxy.url}/v2/").status_code == 200
    assert time.monotonic() - start >= 0.3


def test_rules_have_conditions_and_combine(proxy: FaultProxy, web: requests.Session, blob: str) -> None:
    def teapot(request: ProxyRequest, forward: object) -> ProxyResponse:
        return ProxyResponse(418)

    proxy.rule(lambda request: "teapot" in request.headers, teapot)
    proxy.rule(faults.cut_body("/blobs/", 10, times=None))
    proxy.rule(faults.corrupt_body("/blobs/"))
    assert web.get(blob, headers={"Teapot": "yes"}).status_code == 418
    with pytest.raises(requests.exceptions.RequestException):
        web.get(blob)
    proxy.clear()
    assert (web.get(blob).content, len(proxy.requests)) == (BLOB, 1)
