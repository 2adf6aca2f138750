"""Token scopes where the service knows other words than regscope's, and where its words do not do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from regscope.errors import AuthFailed, PermissionDeny, ResourceNotFound
from regscope.registry.catalog import list_repositories
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.scopes import need_of
from regscope.registry.tags import Tags
from regscope.registry.tokens import _lifetime
from regscope.spec.digest import Digest
from tests.registry.guarded import guarded_by
from tests.servers import faults
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.raw import RawServer
from tests.servers.registry import Registry
from tests.servers.tokens import TokenService

ABSENT = Digest.of(b"nothing")
GRANTS = {
    "ann": {"*": ["pull", "push", "delete"], "registry:catalog": ["*"]},
    "bob": {"base": ["pull"]},
    "": {"base": ["pull"]},
}


@pytest.fixture(scope="module")
def _service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenService]:
    users = {"ann": "hunter2", "bob": "word"}
    with TokenService(tmp_path_factory.mktemp("tokens"), users=users, grants=GRANTS) as server:
        yield server


@pytest.fixture(scope="module")
def _guarded(tmp_path_factory: pytest.TempPathFactory, layout: Path, _service: TokenService) -> Iterator[Registry]:
    with guarded_by(_service, tmp_path_factory.mktemp("guarded"), layout, "ann:hunter2") as server:
        yield server


class Guard:
    """A registry and its token service, each behind a proxy, so that both can be made to speak otherwise."""

    def __init__(self, registry: FaultProxy, tokens: FaultProxy, service: TokenService) -> None:
        self.registry, self.tokens, self.service = registry, tokens, service
        self.scope: str | None = None

    def challenge(self, scope: str) -> str:
        named = f',scope="{scope}"' if scope else ""
        return f'Bearer realm="{self.tokens.url}/token",service="{self.service.service}"{named}'

    def client(self, name: str = "ann", secret: str = "hunter2") -> DockerRegistryV2Client:
        return DockerRegistryV2Client(self.registry.url, name, secret)

    def delete(self, client: DockerRegistryV2Client, repository: str) -> None:
        with pytest.raises(ResourceNotFound):  # whoever may not delete is told so, and not this
            client.delete(client.url(repository, "manifests", ABSENT))

    @property
    def asked(self) -> list[tuple[str, int]]:
        return [
            (request.path.partition("scope=")[2].replace("%3A", ":"), request.status)
            for request in self.tokens.requests
        ]

    def statuses(self, method: str) -> list[int]:
        return [request.status for request in self.registry.requests if request.method == method]


@pytest.fixture
def guard(_guarded: Registry, _service: TokenService) -> Iterator[Guard]:
    """As distribution does it, but that a DELETE is challenged in the words of whoever pushes."""
    with FaultProxy(_guarded.url) as registry, FaultProxy(_service.url) as tokens:
        found = Guard(registry, tokens, _service)

        def speak(request: ProxyRequest, forward: Forward) -> ProxyResponse:
            answer = forward()
            if answer.status == 401:
                name = request.path.removeprefix("/v2/").partition("/")[0]
                words = {"GET": "pull", "DELETE": "pull,push"}[request.method]
                scope = (
                    f"repository:{name}:{words}" if "/manifests/" in request.path or "/tags/" in request.path else ""
                )
                answer.set_header("WWW-Authenticate", found.challenge(scope))
            return answer

        def pushers_delete(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            scope = request.path.partition("scope=")[2].replace("%3A", ":").replace("%2C", ",")
            if not scope.endswith(":pull,push"):
                return None
            access = [{"type": "repository", "name": scope.split(":")[1], "actions": ["pull", "push", "delete"]}]
            return ProxyResponse(200, body=b'{"token": "%s"}' % _service.sign("ann", access).encode())

        registry.rule(speak)
        tokens.rule(pushers_delete)
        yield found


def quay(guard: Guard) -> None:
    """Refuse the words that Quay does not know, and let any token see the catalog."""

    def catalog(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if "_catalog" not in request.path:
            return None
        known = request.headers.get("Authorization", "").startswith("Bearer ")
        return ProxyResponse(200, body=b'{"repositories": ["base", "tool"]}' if known else b'{"repositories": []}')

    for words in ("%3Adelete", "%3Acatalog%3A"):
        guard.tokens.rules.insert(0, faults.refuse(words, 400, "INVALID_REQUEST", "unable to decode"))
    guard.registry.rules.insert(0, catalog)


def test_words_that_the_service_refuses_are_given_up_for_those_of_the_challenge(guard: Guard) -> None:
    quay(guard)
    client = guard.client()
    for repository in ("base", "base", "tool", "base"):
        guard.delete(client, repository)
    assert guard.asked == [
        ("repository:base:delete", 400),
        ("", 200),
        ("repository:base:pull%2Cpush", 200),
        ("repository:tool:pull%2Cpush", 200),
    ]
    assert guard.statuses("DELETE") == [401, 404, 404, 404, 404]


def test_a_catalog_whose_scope_is_refused_is_read_with_a_token_without_one(guard: Guard) -> None:
    quay(guard)
    client = guard.client()
    for _ in range(2):
        assert list_repositories(client) == ["base", "tool"]
    assert guard.asked == [("registry:catalog:%2A", 400), ("", 200)]


def test_a_token_that_deletes_is_used_again(guard: Guard) -> None:
    """Pulp's service grants `delete` to whoever asks for `pull,push`, and nothing to whoever asks for `delete`."""
    guard.tokens.rules.insert(
        0,
        lambda request, forward: (
            ProxyResponse(200, body=b'{"token": "%s"}' % guard.service.sign("ann", []).encode())
            if request.path.endswith("delete")
            else None
        ),
    )
    client = guard.client()
    for repository in ("base", "base", "base", "tool"):
        guard.delete(client, repository)
    assert [scope for scope, _ in guard.asked] == [
        "repository:base:delete",
        "repository:base:pull%2Cpush",
        "repository:tool:pull%2Cpush",
    ]
    assert guard.statuses("DELETE") == [401, 404, 404, 404, 404]


def test_another_scope_that_a_refusal_with_403_names_is_asked_for(guard: Guard) -> None:
    """Keppel's answer to a token without the scope."""

    def forbid(request: ProxyRequest, forward: Forward) -> ProxyResponse:
        answer = forward()
        if answer.status == 401 and "Authorization" in request.headers:
            answer.status = 403
        return answer

    guard.registry.rules.insert(0, forbid)
    guard.tokens.rules.insert(0, faults.replace_body("delete", b'{"token": "lacks-it"}'))
    client = guard.client()
    for _ in range(2):
        guard.delete(client, "base")
    assert guard.statuses("DELETE") == [403, 404, 404]
    with pytest.raises(PermissionDeny):
        Tags("tool", guard.client("bob", "word")).list()


def test_reading_is_asked_for_in_the_usual_words_all_the_while(guard: Guard) -> None:
    quay(guard)
    client = guard.client()
    guard.delete(client, "base")
    assert Tags("base", client).list() == ["1", "stable"]
    assert guard.asked[-1] == ("repository:base:pull", 200)


def test_a_wrong_password_is_told_where_words_are_refused_too(guard: Guard) -> None:
    quay(guard)
    with pytest.raises(AuthFailed, match="incorrect username or password"):
        list_repositories(guard.client("ann", "wrong"))


def test_what_is_denied_stays_denied_whatever_the_words(guard: Guard) -> None:
    guard.tokens.rules.clear()
    client = guard.client("bob", "word")
    for _ in range(3):
        with pytest.raises(PermissionDeny, match="these credentials may not"):
            client.delete(client.url("base", "manifests", ABSENT))
    assert len(guard.asked) == 2
    assert guard.statuses("DELETE") == [401, 401, 401, 401]
    assert Tags("base", client).list()


def test_a_service_that_refuses_one_repository_gives_the_others(guard: Guard) -> None:
    guard.tokens.rule(faults.refuse("tool", 403, "DENIED", "access forbidden"))
    client = guard.client()
    for _ in range(2):
        with pytest.raises((AuthFailed, PermissionDeny)):
            Tags("tool", client).list()
        assert Tags("base", client).list() == ["1", "stable"]
    assert [scope for scope, _ in guard.asked].count("repository:tool:pull") == 1


@pytest.mark.parametrize(
    ("path", "repository", "kind"),
    [
        ("/v2/team/tags/app/manifests/1", "team/tags/app", "manifests"),
        ("/v2/team/manifests/tags/list", "team/manifests", "tags"),
        ("/v2/blobs/blobs/uploads/", "blobs", "blobs"),
        ("/v2/v2/app/manifests/1", "v2/app", "manifests"),
        ("/artifactory/api/docker/key/v2/app/referrers/sha256:ab", "app", "referrers"),
        ("/v2/", "", "https://registry.example.test/v2"),
        ("/v2/_catalog", "", "_catalog"),
    ],
)
def test_a_path_is_about_the_repository_before_its_last_word(path: str, repository: str, kind: str) -> None:
    need = need_of("GET", f"https://registry.example.test{path}")
    assert (need.repository, need.kind) == (repository, kind)
    if repository:
        assert need.scopes == {f"repository:{repository}:pull"}


def expires_in(lifetime: bytes) -> RawServer:
    """A token service whose tokens live for so long, as JSON has it."""
    body = b'{"token": "abc", "expires_in": %b}' % lifetime
    return RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@pytest.mark.parametrize(
    "lifetime",
    [
        *(b"300", b"300.5", b'"300"', b"1" + b"0" * 400, b"-1" + b"0" * 400, b"1e999", b"-1e999", b"NaN", b"-5", b"0"),
        *(b"true", b"null", b"[]", b"{}", b'""', b'"soon"', b'"nan"', b'"1e999"', b'"-1"', b'"\\u0000"', b"1e-300"),
    ],
)
def test_whatever_is_said_of_a_tokens_lifetime_it_is_taken(lifetime: bytes) -> None:
    with expires_in(lifetime) as tokens:
        no = f'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="{tokens.url}/t"\r\nContent-Length: 0\r\n\r\n'
        with RawServer(no.encode(), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as server:
            client = DockerRegistryV2Client(server.url)
            assert client.get(client.url("app", "tags", "list")).status_code == 200
        assert b"Authorization: Bearer abc" in server.requests[1]


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [(300, 300), ("300", 300), (0.5, 0.5), (10**400, 86400), (1e308, 86400), (float("inf"), 86400), ("1e999", 86400)]
    + [(odd, 60) for odd in (0, -1, float("nan"), float("-inf"), -(10**400), True, None, "", "soon", "nan", [], {})],
)
def test_a_token_is_good_for_a_day_at_most_and_for_a_minute_where_nothing_is_said(
    stated: object, seconds: float
) -> None:
    assert _lifetime(stated) == seconds
