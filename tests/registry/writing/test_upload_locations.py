"""Where an upload goes on: all forms of a `Location` that registries and the proxies before them answer with."""

from __future__ import annotations

import io
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from regscope.errors import RequestError
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.upload_location import upload_location
from regscope.spec.digest import Digest
from tests.lab.pushes import LARGE
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse, Rule
from tests.servers.registry import Registry


def located(as_proxied: Callable[[str], str]) -> Rule:
    """Name the upload's address otherwise."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method not in ("POST", "PATCH"):
            return None
        answer = forward()
        answer.set_header("Location", as_proxied(answer.header("Location") or ""))
        return answer

    return rule


def without_port(location: str) -> str:
    parts = urlsplit(location)
    return parts._replace(netloc=parts.hostname or "").geturl()


FORMS: dict[str, Callable[[str], str]] = {
    "a path": lambda location: location[location.index("/v2/") :],
    "another name of the host": lambda location: location.replace("127.0.0.1", "localhost"),
    "no port": without_port,
    "https": lambda location: location.replace("http:", "https:"),
    "an internal name": lambda location: location.replace("127.0.0.1", "registry.internal.invalid"),
    "a fragment": lambda location: location + "#fragment",
    "a space": lambda location: location + ("&" if "?" in location else "?") + "note=a b",
}


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("form", FORMS)
def test_an_upload_is_found_by_any_form_of_its_address(faulty: FaultProxy, form: str, content: bytes) -> None:
    faulty.rule(located(FORMS[form]))
    client = DockerRegistryV2Client(faulty.url)
    sent = Blob("app", fileobj=io.BytesIO(content), client=client).upload()
    assert sent.digest == Digest.of(content)
    assert Blob("app", sent.digest, client=client).read(2**23) == content


def test_an_address_that_wants_credentials_is_asked_at_the_registry_itself(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Credentials stay at the registry's own origin, and another name of it is another origin."""
    with (
        Registry(tmp_path_factory.mktemp("registry"), htpasswd={"ann": "hunter2"}) as server,
        FaultProxy(server.url) as proxy,
        FaultProxy(server.url) as other,
    ):
        proxy.rule(located(lambda location: location.replace(proxy.host, other.host)))
        client = DockerRegistryV2Client(proxy.url, "ann", "hunter2")
        for content in (b"small", LARGE):
            assert Blob("app", fileobj=io.BytesIO(content), client=client).upload().digest == Digest.of(content)
        assert len(other.requests) == 1
        assert "Authorization" not in other.requests[0].headers


def test_another_host_that_answers_is_used_and_asked_once_whether_it_does(faulty: FaultProxy) -> None:
    with FaultProxy(faulty.upstream) as other:
        faulty.rule(located(lambda location: other.url + location[location.index("/v2/") :]))
        client = DockerRegistryV2Client(faulty.url)
        for content in (LARGE, b"small"):
            Blob("app", fileobj=io.BytesIO(content), client=client).upload()
        assert [request.method for request in other.requests] == ["GET", "PATCH", "PUT", "PUT"]


def test_an_object_storage_is_never_mistaken_for_the_registry(faulty: FaultProxy) -> None:
    client = DockerRegistryV2Client(faulty.url)
    asked = client.url("app", "blobs", "uploads", "")
    with FaultProxy(faulty.url) as storage:
        signed = f"{storage.url}/bucket/key?X-Signature=a%2Fb%3D"
        assert upload_location(client, asked, signed) == signed
        assert not storage.requests


def test_an_address_that_must_not_be_followed_is_asked_at_the_registry_if_it_is_one_of_its_own() -> None:
    client = DockerRegistryV2Client("https://registry.example.com/mirror")
    asked = client.url("app", "blobs", "uploads", "")
    at_home = "https://registry.example.com/mirror/v2/app/blobs/uploads/1?_state=x"
    for stated in ("http://registry.example.com/mirror/v2/app/blobs/uploads/1?_state=x",
                   "https://10.0.0.1:5000/mirror/v2/app/blobs/uploads/1?_state=x"):  # fmt: skip
        assert upload_location(client, asked, stated) == at_home
    with pytest.raises(RequestError, match="not followed"):
        upload_location(client, asked, "http://10.0.0.1/latest/meta-data")
