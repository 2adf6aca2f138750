"""A provider's JSON API, asked with the connections and the limits of the registry's client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from regscope.errors import (
    AuthFailed,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    TooLarge,
    TooManyRequests,
    UnsafeRedirect,
)
from regscope.hosted.rest_api import RestAPI
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.retry_policy import RetryPolicy
from tests.servers.hosted.hosted import answered
from tests.servers.proxy import FaultProxy, ProxyRequest, ProxyResponse

QUICK = RetryPolicy(failures=1, refusals=1, backoff=0.01)
Answer = Callable[[ProxyRequest], ProxyResponse]


class Login:
    """A token, and the ones that follow when it is refused."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.tokens[0]}"} if self.tokens else {}

    def renew(self) -> bool:
        return bool(self.tokens) and bool(self.tokens.pop(0)) and bool(self.tokens)


@pytest.fixture
def server() -> Iterator[FaultProxy]:
    """A server with an API below `/api`, which the rules of a test are."""
    with FaultProxy("http://127.0.0.1:1") as proxy:
        yield proxy


def api(server: FaultProxy, *tokens: str, **options: Any) -> RestAPI:
    client = DockerRegistryV2Client("https://registry.example.com", "ann", "secret", retry_policy=QUICK, **options)
    return RestAPI(client, f"{server.url}/api/", Login(*tokens), {"X-Version": "2"})


def answers(server: FaultProxy, *found: ProxyResponse) -> None:
    """One after the other, the last one for ever."""
    left = list(found)
    server.rule(lambda request, _: left.pop(0) if len(left) > 1 else left[0])


def sent(request: ProxyRequest) -> str:
    return request.headers.get("Authorization", "")


def test_a_request_has_the_headers_of_the_api_and_of_its_login(server: FaultProxy) -> None:
    answers(server, answered({"a": 1}, ("X-Quota", "7")))
    answer = api(server, "token").get("things/1", {"q": "a b", "page": 2})
    assert (answer.document, answer.headers["X-Quota"]) == ({"a": 1}, "7")
    (asked,) = server.requests
    assert (asked.method, asked.path) == ("GET", "/api/things/1?q=a+b&page=2")
    assert (asked.headers["Authorization"], asked.headers["X-Version"]) == ("Bearer token", "2")
    assert asked.headers["Accept"] == "application/json"
    assert "Content-Type" not in asked.headers


def test_without_a_login_for_it_an_api_is_asked_anonymously(server: FaultProxy) -> None:
    answers(server, answered([]))
    api(server).get("things")
    assert "Authorization" not in server.requests[0].headers


def test_a_document_is_sent_as_json_and_an_empty_answer_is_none(server: FaultProxy) -> None:
    answers(server, ProxyResponse(204))
    assert api(server, "token").send("PATCH", "/things/1", {"é": [1]}).document is None
    (asked,) = server.requests
    assert (asked.method, asked.path, json.loads(asked.body)) == ("PATCH", "/api/things/1", {"é": [1]})
    assert asked.headers["Content-Type"] == "application/json"


def test_an_address_with_a_query_keeps_it(server: FaultProxy) -> None:
    answers(server, answered({}))
    api(server).get("things?a=1", {"b": 2})
    assert server.requests[0].path == "/api/things?a=1&b=2"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthFailed), (403, PermissionDeny), (404, ResourceNotFound), (409, RequestErrorWithResponse)],
)
def test_a_refusal_is_an_error_with_the_services_own_words(
    server: FaultProxy, status: int, kind: type[RequestErrorWithResponse]
) -> None:
    answers(server, answered({"message": "Not for you"}, status=status))
    with pytest.raises(kind) as caught:
        api(server, "token").get("things")
    assert caught.value.status_code == status
    assert status == 401 or "Not for you" in caught.value.message


@pytest.mark.parametrize("body", [b"<html>", b"{", b'{"a": }', b"[" * 100_000], ids=["html", "cut", "fault", "deep"])
def test_an_answer_that_is_no_json_is_an_error(server: FaultProxy, body: bytes) -> None:
    answers(server, ProxyResponse(200, [], body))
    with pytest.raises(RequestErrorWithResponse, match="is no JSON") as caught:
        api(server).get("things")
    assert "address" in caught.value.next_step


def test_a_server_error_is_outlasted_and_a_post_is_sent_once(server: FaultProxy) -> None:
    answers(server, ProxyResponse(503), answered({"a": 1}))
    assert api(server).get("things").document == {"a": 1}
    server.clear()
    answers(server, ProxyResponse(503))
    with pytest.raises(RequestErrorWithResponse):
        api(server).send("POST", "things", {})
    assert len(server.requests) == 1


def test_a_limit_is_waited_for(server: FaultProxy) -> None:
    answers(server, ProxyResponse(429, [("Retry-After", "0")]), answered([1]))
    assert api(server).get("things").document == [1]
    server.clear()
    answers(server, ProxyResponse(429, [("Retry-After", "9999")]))
    with pytest.raises(TooManyRequests):
        api(server).get("things")


def test_after_401_other_credentials_are_sent_once(server: FaultProxy) -> None:
    server.rule(lambda request, _: answered({}, status=200 if sent(request) == "Bearer b" else 401))
    assert api(server, "a", "b").get("things").document == {}
    assert sent(server.requests[0]) == "Bearer a"
    assert sent(server.requests[-1]) == "Bearer b"
    server.requests.clear()
    with pytest.raises(AuthFailed):
        api(server, "x", "y", "b").get("things")
    assert "Bearer b" not in map(sent, server.requests)


def test_the_registrys_own_login_is_not_sent(server: FaultProxy) -> None:
    challenge = ("WWW-Authenticate", 'Basic realm="api"')
    answers(server, answered({}, challenge, status=401))
    with pytest.raises(AuthFailed):
        api(server).get("things")
    assert not [request for request in server.requests if "Authorization" in request.headers]


def test_a_redirect_to_another_host_gets_no_credentials(server: FaultProxy) -> None:
    with FaultProxy("http://127.0.0.1:1") as other:
        answers(other, answered({"a": 1}))
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        answers(server, ProxyResponse(302, [("Location", f"{elsewhere}/api/things")]))
        assert api(server, "token").get("things").document == {"a": 1}
        assert "Authorization" not in other.requests[0].headers
    with pytest.raises(UnsafeRedirect):
        api(server, "token").send("DELETE", "things")


def linked(server: FaultProxy, *targets: str) -> None:
    """Pages, each with a link to the next."""
    pages = [
        answered([{"at": at}], *([("Link", f'<{target}>; rel="next"')] if target else []))
        for at, target in enumerate(targets)
    ]
    answers(server, *pages)


def test_pages_are_read_by_their_links(server: FaultProxy) -> None:
    linked(server, f"{server.url}/api/things?page=2", "/api/things?page=3", "")
    found = [*api(server).linked_pages("things", {"per_page": 1}, "the things")]
    assert found == [[{"at": 0}], [{"at": 1}], [{"at": 2}]]
    assert [request.path for request in server.requests] == [
        "/api/things?per_page=1",
        "/api/things?page=2",
        "/api/things?page=3",
    ]


def test_a_page_on_another_host_is_not_read(server: FaultProxy) -> None:
    linked(server, "https://example.com/api/things?page=2")
    with pytest.raises(UnsafeRedirect, match="the things is on another host"):
        [*api(server, "token").linked_pages("things", {}, "the things")]
    assert len(server.requests) == 1


@pytest.mark.parametrize("targets", [("/api/things",), ("/api/things?page=2", "/api/things")])
def test_pages_that_link_in_a_circle_are_an_error(server: FaultProxy, targets: tuple[str, ...]) -> None:
    linked(server, *targets)
    with pytest.raises(RequestError, match="never ends"):
        [*api(server).linked_pages("things", {}, "the things")]


def test_pages_are_read_by_their_numbers_until_one_is_empty(server: FaultProxy) -> None:
    answers(server, answered({"data": [1, 2]}), answered({"data": [2, 3]}), answered({"data": []}))
    assert [*api(server).numbered_pages("things", {"size": 2}, "the things", "data")] == [[1, 2], [3], []]
    assert [request.path for request in server.requests] == [f"/api/things?size=2&page={at}" for at in (1, 2, 3)]


def test_a_list_with_more_entries_than_are_read_is_an_error(server: FaultProxy) -> None:
    answers(server, *[answered([at * 3, at * 3 + 1, at * 3 + 2]) for at in range(9)])
    with pytest.raises(TooLarge, match="more than 10 entries"):
        [*api(server, most_names=10).numbered_pages("things", {}, "the things")]


def test_a_login_is_not_sent_over_a_connection_that_others_can_read() -> None:
    client = DockerRegistryV2Client("https://registry.example.com", retry_policy=QUICK)
    with pytest.raises(AuthFailed, match="not private"):
        RestAPI(client, "http://api.example.com", Login("token")).get("things")
