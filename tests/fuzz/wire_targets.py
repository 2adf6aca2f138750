"""What registries and token services send, and where logins are kept: header fields, answers, docker's own files."""

from __future__ import annotations

import gzip
import json
import warnings
from functools import cache
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from regscope.registry.challenge import parse_challenges
from regscope.registry.connections import Connections
from regscope.registry.credentials import Credentials
from regscope.registry.docker_config import find_logins
from regscope.registry.links import next_link
from regscope.registry.origin import cut, origin, resolved, same_origin, without_secrets
from regscope.registry.responses import error_from, read_json
from regscope.registry.scopes import need_of
from regscope.registry.server_warnings import ServerWarnings
from regscope.registry.tokens import Tokens, TokenService, claims
from regscope.spec.rate_limit import parse_rate_limit
from regscope.spec.retry_after import wait_asked_for
from tests.fuzz.answering import Answering
from tests.fuzz.json_mutation import json_changed
from tests.fuzz.mutation import changed
from tests.fuzz.target import Target, each_of, of_header, these

_HOST = "registry.example.com"
_BASE = f"https://{_HOST}/v2/app/tags/list?n=1"
_NEED = need_of("GET", f"https://{_HOST}/v2/team/app/manifests/1")
_LIMIT = 2**20

_CHALLENGES = (
    b'Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a:pull",error="invalid_token"',
    b'Basic realm="Registry Realm"', b"Bearer realm=https://a/token, service=b", b"Negotiate YII=, Basic realm=x",
    b'Bearer realm="a\\"b", Basic realm="", Digest qop="auth,auth-int", nonce=x', b'Bearer realm="a" service="b"',
)  # fmt: skip
_LINKS = (
    b'</v2/app/tags/list?n=1&last=a>; rel="next"', b"<https://a/b>; rel=prev, </c>; title=x; rel=next", b"/a?last=a",
    b'<a>; rel="x next y"; title*=UTF-8\'\'%e2', b"<//other/a?b#c>;rel=next", b"<?last=b>",
)  # fmt: skip
_URLS = (
    b"https://user:pw@Host.example.com:443/p/a?q=1#f", b"http://[::1]:5000/v2/", b"//[fe80::1%25eth0]/a", b"ftp://a/b",
    b"user:pass@host/path", b"http://2130706433/", b"https://a:b:c@d@e/f",
)  # fmt: skip
_WAITS = (b"120", b"Fri, 31 Dec 1999 23:59:59 GMT", b"Sat, 28 Nov 2026 03:50:05 +0000", b"76;w=21600", b"100", b"0")
_WARNINGS = (b'299 - "a \\"quoted\\" text", 299 registry "other"', b'199 - "no", 299 - ""')
_LOGINS = {
    "auths": {
        _HOST: {"auth": "YTpi"}, f"https://{_HOST}/v1/": {"username": "a", "password": "b"},
        f"{_HOST}/team": {"identitytoken": "x"}, f"{_HOST}/other": {"registrytoken": "y"},
    },
    "credHelpers": {"x": "y"}, "credsStore": "", "HttpHeaders": {"A": "b"},
}  # fmt: skip
_JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIiLCJhY2Nlc3MiOltdfQ.c2ln"  # {"sub": "", "access": []}
_TOKENS = (
    {"token": "abc", "expires_in": 300, "issued_at": "2020-01-01T00:00:00Z"},
    {"access_token": _JWT, "refresh_token": "d", "expires_in": 60.5, "scope": "repository:a:pull"},
)


def _answers() -> list[bytes]:
    """Answers of all forms: with a length, in chunks, up to the end; errors; encoded; after an interim one."""
    json_type, chunked = b"Content-Type: application/json\r\n", b"Transfer-Encoding: chunked\r\n"
    body = json.dumps({"errors": [{"code": "DENIED", "message": "no"}, {"code": "UNKNOWN", "detail": [1]}]}).encode()
    packed = gzip.compress(b'{"name": "app", "tags": ["1"]}', mtime=0)
    length = b"Content-Length: %d\r\n"
    return [
        b"HTTP/1.1 200 OK\r\n" + json_type + length % 13 + b'\r\n{"tags": [1]}',
        b"HTTP/1.1 200 OK\r\n" + chunked + b"\r\n5;a=b\r\n{\"a\":\r\n3\r\n 1}\r\n0\r\nT: r\r\n\r\n",
        b"HTTP/1.0 200 OK\nX: y\n z\nLink: </a>; rel=next\n\n{}",
        b"HTTP/1.1 403 Forbidden\r\n" + json_type + length % len(body) + b"\r\n" + body,
        b"HTTP/1.1 429 Slow\r\nRetry-After: 5\r\nRateLimit-Remaining: 0;w=10\r\n" + length % 0 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" + length % len(packed) + b"\r\n" + packed,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nWWW-Authenticate: " + _CHALLENGES[0] + b"\r\n\r\nplease",
    ]  # fmt: skip


@cache
def _server() -> tuple[Answering, Connections]:
    answering = Answering()
    return answering, Connections(answering.url, 1)


def _http(data: bytes) -> None:
    """One answer over a real connection, which is closed after it; what follows it as an answer to the next request."""
    answering, connections = _server()
    answering.answer = data
    answer = connections.send("GET", answering.url + "/v2/", {}, None, (5, 5), lambda: None)
    try:
        if answer.status_code >= 400:
            raise error_from(answer)
        parse_rate_limit(answer.headers)
        read_json(answer, _LIMIT, "a list")
    finally:
        answer.close()


def _address(location: str) -> None:
    for read in (cut, origin, without_secrets):
        read(location)
    same_origin(location, _BASE)
    cut(resolved(_BASE, location))


def _link(header: str) -> None:
    if target := next_link(header):
        _address(target)


def _wait(value: str) -> None:
    wait_asked_for({"Retry-After": value})
    str(parse_rate_limit({"RateLimit-Remaining": value, "RateLimit-Limit": value}))


def _warn(header: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ServerWarnings().show(header, _BASE)


def _token(raw: bytes) -> None:
    """A token service's answer, to a login and to nobody."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        service = TokenService(f"https://{_HOST}/token", "registry")
        for login in (None, Credentials("a", "b")):
            claims(Tokens(lambda _: document).get(service, _NEED, login))


def _saved_logins(raw: bytes) -> None:
    """Docker's config.json and podman's auth.json; `surroundings` has them looked for in the working folder."""
    for name in ("config.json", "auth.json"):
        Path(name).write_bytes(raw)
    for host in (_HOST, "docker.io"):
        keychain = find_logins(host, "team")
        keychain.login()
        keychain.login("team/app")


def _drawn_challenges() -> SearchStrategy[bytes]:
    token = st.from_regex(r"[A-Za-z0-9_.~+/-]{1,12}", fullmatch=True)
    quoted = st.text(st.characters(max_codepoint=255), max_size=12).map(lambda text: f'"{text}"')
    parameter = st.tuples(token | st.sampled_from(["realm", "service", "scope"]), st.sampled_from(["=", " = ", ""]),
                          token | quoted | st.just("")).map("".join)  # fmt: skip
    challenge = st.tuples(st.sampled_from(["Bearer", "basic", "Digest"]) | token,
                          st.lists(parameter, max_size=4).map(", ".join)).map(" ".join)  # fmt: skip
    return st.lists(challenge, max_size=3).map(",".join).map(lambda text: text.encode("latin-1", "replace"))


def _drawn_links() -> SearchStrategy[bytes]:
    text = st.text(st.characters(max_codepoint=255), max_size=12)
    target = st.tuples(st.sampled_from(["<{}>", "{}", "< {}", "{} >"]), text)
    relation = st.tuples(
        st.sampled_from([';rel="{}"', "; REL={}", ";rel = '{}'", ";title={}", ";rel"]), text | st.just("next")
    )
    link = st.tuples(target, st.lists(relation, max_size=3)).map(
        lambda drawn: "".join(form.format(text) for form, text in [drawn[0], *drawn[1]])
    )
    return st.lists(link, max_size=4).map(", ".join).map(lambda header: header.encode("latin-1", "replace"))


def _documents(*documents: object) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


TARGETS = (
    Target("challenges", of_header(parse_challenges), these(*_CHALLENGES), changed, 100, _drawn_challenges),
    Target("links", of_header(_link), these(*_LINKS), changed, 120, _drawn_links),
    Target("addresses", each_of(of_header(_address)), these(*_URLS), changed, 80),
    Target("waits", of_header(_wait), these(*_WAITS), changed, 150),
    Target("warnings", of_header(_warn), these(*_WARNINGS), changed, 80),
    Target("http", _http, _answers, changed, 30),
    Target("tokens", _token, these(*_documents(*_TOKENS)), json_changed, 60),
    Target("logins", _saved_logins, these(*_documents(_LOGINS)), json_changed, 30),
)
