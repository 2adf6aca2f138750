"""`client.session` and the client's verbs: what users of `requests` do, under the client's own rules."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from regscope import Blob, Digest, DockerRegistryV2Client, ManifestRef, OCIManifestSchema1, Tags
from regscope.errors import AuthFailed, ConnectionFailed, RegscopeError, ResourceNotFound, TooLarge, UnsafeRedirect
from regscope.registry import session as session_module
from regscope.registry.retry_policy import RetryPolicy
from tests.servers import faults
from tests.servers.certificates import CertificateAuthority
from tests.servers.proxy import FaultProxy, ProxyResponse
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService


@pytest.fixture
def elsewhere(registry: Registry) -> Iterator[FaultProxy]:
    """Another origin before the same registry."""
    with FaultProxy(registry.url) as server:
        yield server


def tags_url(client: DockerRegistryV2Client) -> str:
    return client.url("base", "tags", "list")


def test_a_session_asks_as_requests_does(client: DockerRegistryV2Client) -> None:
    session = client.session
    assert isinstance(session, requests.Session)
    assert client.session is session
    response = session.get(tags_url(client), params={"n": 100})
    assert isinstance(response, requests.Response)
    assert (response.ok, response.json()["name"], response.request.method) == (True, "base", "GET")
    assert response.headers["CONTENT-type"].startswith("application/json")
    missing = session.get(client.url("nothing", "tags", "list"))
    assert (missing.status_code, missing.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
    with pytest.raises(requests.HTTPError):
        missing.raise_for_status()
    with session.get(tags_url(client), stream=True) as streamed:
        assert b"".join(streamed.iter_content(5)) == response.content


def test_a_session_uploads_text_bytes_files_and_pieces(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    digest = Digest.of(b"content")
    with Registry(tmp_path / "empty") as server, (tmp_path / "file").open("rb") as file:
        client = DockerRegistryV2Client(server.url)
        for body in ("content", b"content", file, iter([b"con", b"tent"])):
            place = client.session.post(client.url("up", "blobs", "uploads", "")).headers["Location"]
            done = client.session.put(place, params={"digest": digest}, data=body)
            assert done.status_code == 201
        assert Blob("up", digest, client=client).read(10) == b"content"


def test_a_session_logs_in_as_the_client_does(tmp_path: Path) -> None:
    users = {"ann": "right"}
    with (
        TokenService(tmp_path / "tokens", users=users, grants={"ann": {"*": ["pull", "push"]}}) as tokens,
        Registry(tmp_path / "guarded", token=tokens) as server,
    ):
        client = DockerRegistryV2Client(server.url, "ann", "right")
        assert (client.username, client.authorization) == ("ann", "")
        assert client.session.get(client.url("app", "tags", "list")).status_code == 404
        assert client.authorization.startswith("Bearer ")
        stranger = DockerRegistryV2Client(server.url)
        assert stranger.username is None
        for other in (stranger, DockerRegistryV2Client(server.url, "ann", "wrong")):
            with pytest.raises(requests.RequestException) as caught:
                other.session.get(other.url("app", "tags", "list"))
            assert isinstance(caught.value.__cause__, AuthFailed)


def test_header_fields_and_hooks_of_a_session_hold_for_the_client_too(
    proxied: DockerRegistryV2Client, proxy: FaultProxy
) -> None:
    seen: list[tuple[str | None, int, bytes]] = []

    def look(response: requests.Response, **_: Any) -> None:
        seen.append((response.request.method, response.status_code, response.content[:8]))

    proxied.session.headers.update({"X-Asked-By": "me", "user-agent": "mine/1"})
    proxied.session.hooks["response"].append(look)
    assert Tags("base", proxied).list()
    proxied.session.get(tags_url(proxied))
    assert [request.headers["X-Asked-By"] for request in proxy.requests] == ["me"] * len(proxy.requests)
    assert {request.headers["User-Agent"] for request in proxy.requests} == {"mine/1"}
    assert seen == [("GET", 200, b'{"name":')] * 2
    with pytest.raises(ResourceNotFound):
        Tags("nothing", proxied).list()
    assert seen[2:] == [("GET", 404, b'{"errors')]


def test_what_a_session_verifies_the_client_verifies(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "authority")
    with Registry(tmp_path / "tls", tls=authority.issue()) as server:
        client = DockerRegistryV2Client(server.url, retry_policy=RetryPolicy(0, 0))
        with pytest.raises(requests.exceptions.SSLError):
            client.session.get(client.url())
        assert client.session.get(client.url(), verify=False).ok
        assert client.session.verify is True
        assert not client.ping()
        client.session.verify = str(authority.ca)
        assert client.ping()
        assert client.session.get(client.url()).ok
        assert client.verify_certificate == str(authority.ca)


def test_a_login_in_a_session_stays_with_the_registry(
    proxied: DockerRegistryV2Client, proxy: FaultProxy, elsewhere: FaultProxy
) -> None:
    proxied.session.auth = ("ann", "hunter2")
    proxied.session.headers["Cookie"] = "sid=secret"
    proxied.session.get(elsewhere.url + "/v2/base/tags/list")
    proxy.rule(faults.redirect("/tags/", f"{elsewhere.url}/v2/base/tags/list"))
    assert proxied.session.get(tags_url(proxied)).ok
    assert len(elsewhere.requests) == 2
    for request in elsewhere.requests:
        assert "Authorization" not in request.headers
        assert "Cookie" not in request.headers
    assert proxy.requests[-1].headers["Authorization"].startswith("Basic ")
    assert proxy.requests[-1].headers["Cookie"] == "sid=secret"


def test_a_login_in_a_session_is_not_sent_where_others_can_read_it() -> None:
    client = DockerRegistryV2Client("http://registry.test")
    with pytest.raises(requests.RequestException, match="not private"):
        client.session.get("http://registry.test/v2/", auth=("ann", "hunter2"))


def test_a_session_keeps_no_cookies_and_reads_no_netrc(
    proxied: DockerRegistryV2Client, proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    proxy.rule(lambda request, forward: ProxyResponse(200, [("Set-Cookie", "sid=1")], b"{}"))
    for _ in range(2):
        assert proxied.session.get(proxied.url()).ok
    assert not any({"Cookie", "Authorization"} & set(request.headers) for request in proxy.requests)


def test_redirects_of_a_session_are_checked(
    proxied: DockerRegistryV2Client, proxy: FaultProxy, elsewhere: FaultProxy
) -> None:
    target = f"{elsewhere.url}/v2/base/tags/list"
    proxy.rule(faults.redirect("/base/tags/", target))
    proxy.rule(faults.redirect("/app/tags/", "http://169.254.169.254/latest"))
    assert proxied.session.get(tags_url(proxied)).url == target
    for ask in (proxied.session.get, proxied.get):
        left = ask(tags_url(proxied), allow_redirects=False)  # type: ignore[operator]
        assert (left.is_redirect, left.headers["Location"]) == (True, target)
    with pytest.raises(requests.RequestException) as caught:
        proxied.session.get(proxied.url("app", "tags", "list"))
    assert isinstance(caught.value.__cause__, UnsafeRedirect)


def test_a_session_outlasts_errors_and_says_as_requests_does_that_nobody_answers(
    proxied: DockerRegistryV2Client, proxy: FaultProxy
) -> None:
    answers = iter([ProxyResponse(503), ProxyResponse(502)])
    proxy.rule(lambda request, forward: next(answers, None))
    assert proxied.session.get(tags_url(proxied)).ok
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    nobody = DockerRegistryV2Client(f"http://127.0.0.1:{port}", retry_policy=RetryPolicy(0, 0))
    with pytest.raises(requests.ConnectionError) as caught:
        nobody.session.get(nobody.url())
    assert isinstance(caught.value.__cause__, ConnectionFailed)


def test_an_answer_that_is_read_whole_is_bounded(
    client: DockerRegistryV2Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "LARGEST_HELD", 10)
    for ask in (client.session.get, lambda url: client.get(url, stream=False)):
        with pytest.raises(TooLarge, match="at most 10"):
            ask(tags_url(client))
    with client.session.get(tags_url(client), stream=True) as response:
        assert len(response.content) > 10


def test_the_clients_verbs_give_a_response_or_an_error_with_one(client: DockerRegistryV2Client) -> None:
    for stream in (True, False):
        response = client.get(tags_url(client), stream=stream)
        assert isinstance(response, requests.Response)
        assert response.json()["name"] == "base"
    assert client.head(
        client.url("app", "manifests", "1.0"), headers={"accept": OCIManifestSchema1.content_type()}
    ).headers["Content-Length"]
    with pytest.raises(ResourceNotFound) as caught:
        client.get(client.url("nothing", "tags", "list"))
    assert caught.value.response.json()["errors"][0]["code"] == "NAME_UNKNOWN"
    assert caught.value.response.request.method == "GET"


def test_an_option_that_a_verb_does_not_know_is_not_passed_over(client: DockerRegistryV2Client) -> None:
    with pytest.raises(TypeError, match=r"get has no option verify: use client\.session"):
        client.get(client.url(), verify=False)  # type: ignore[call-arg]


def test_an_infinite_timeout_is_the_clients_own(proxied: DockerRegistryV2Client, proxy: FaultProxy) -> None:
    assert ManifestRef("app", "1.0", proxied, timeout=float("-inf")).get()


def test_a_client_with_a_session_can_be_pickled_and_closed(client: DockerRegistryV2Client) -> None:
    assert client.session.get(client.url()).ok
    copy = pickle.loads(pickle.dumps(client))
    assert copy.session is not client.session
    assert copy.session.get(copy.url()).ok
    client.session.close()
    assert client.ping()
    with pytest.raises(RegscopeError):
        client.get(client.url("nothing", "tags", "list"))
