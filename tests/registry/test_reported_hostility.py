"""Servers made to harm, as reports on other clients describe them: whose report it is stands at each."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from regscope.errors import AuthFailed, RegscopeError, RequestError, TooLarge
from regscope.registry.blobs import Blob
from regscope.registry.catalog import list_repositories
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.tags import Tags
from regscope.registry.uploads import open_upload
from regscope.scanning.files import scan_files
from regscope.scanning.metadata import scan
from regscope.spec.digest import Digest
from regscope.spec.media_types import OCI_MANIFEST
from regscope.stores.open_store import open as open_store
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.raw import Answer, RawServer

Layer = tuple[Digest, bytes]
OK = b"HTTP/1.1 200 OK\r\n"
NO = "HTTP/1.1 401 No\r\nWWW-Authenticate: %s\r\nContent-Length: 0\r\n\r\n"


def ok(body: bytes) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


def endless(status: bytes, header: bytes = b"") -> Callable[[], Iterable[bytes]]:
    head = b"HTTP/1.1 %b\r\n%b\r\n" % (status, header)
    return lambda: itertools.chain([head], itertools.repeat(b"x" * 2**16))


def hasty(url: str, *login: str, timeout: float = 5) -> DockerRegistryV2Client:
    return DockerRegistryV2Client(url, *login, default_timeout=timeout, retry_policy=RetryPolicy(0, 0))


def test_a_page_after_the_last_that_is_the_first_again_ends_the_catalog(proxy: FaultProxy) -> None:
    """craneoperator#52: what follows the last name is the first page again."""
    names = [f"app-{number:04}" for number in range(1000)]
    proxy.rule(lambda *_: ProxyResponse(200, body=json.dumps({"repositories": names}).encode()))
    assert list_repositories(hasty(proxy.url)) == names
    assert len(proxy.requests) == 2


@pytest.mark.parametrize("status", [b"401 No", b"403 No", b"404 No", b"500 No", b"429 No"])
@pytest.mark.parametrize(
    "header", [b"", b'WWW-Authenticate: Basic realm="x"\r\n', b"Content-Type: application/json\r\n"]
)
def test_an_error_without_end_is_an_error(status: bytes, header: bytes) -> None:
    """go-containerregistry#2204, #2296: the bodies of errors were read whole, before any login."""
    with RawServer(endless(status, header)) as server, pytest.raises(RequestError) as caught:
        Tags("app", hasty(server.url, "ann", "hunter2")).list()
    assert caught.value.next_step


def test_a_token_without_end_is_an_error() -> None:
    """go-containerregistry#2204, #2296."""
    with RawServer(endless(b"200 OK")) as tokens:
        challenge = NO % f'Bearer realm="{tokens.url}/t"'
        with RawServer(challenge.encode()) as server, pytest.raises(RegscopeError) as caught:
            Tags("app", hasty(server.url)).list()
        assert isinstance(caught.value, TooLarge | RequestError)
        assert caught.value.next_step


def test_a_blob_that_stalls_is_gone_on_with(layer: Layer) -> None:
    """container-libs#777, containerd#11650: a connection that brings nothing any longer was read from for good."""
    content = bytes(range(256)) * 20_000
    let_go = threading.Event()

    def stalling() -> Iterator[bytes]:
        yield OK + b"Content-Length: %d\r\n\r\n" % len(content) + content[: 3 * 2**20]
        let_go.wait(30)

    start = 3 * 2**20
    rest = b"HTTP/1.1 206 Partial\r\nContent-Range: bytes %d-%d/%d\r\n" % (start, len(content) - 1, len(content))
    rest += b"Content-Length: %d\r\n\r\n" % (len(content) - start) + content[start:]
    with RawServer(stalling, rest) as server:
        blob = Blob("app", Digest.of(content), client=hasty(server.url, timeout=0.5), size=len(content))
        assert b"".join(blob.chunks()) == content
        let_go.set()
        assert b"Range: bytes=%d-" % start in server.requests[1]


@pytest.mark.parametrize("after", ["POST", "PATCH"])
def test_an_upload_that_goes_on_elsewhere_does_not_take_the_login_along(after: str) -> None:
    """oras-go#1152, #1273, ocx#272: a Location on another host got the Authorization header."""
    with RawServer(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n") as elsewhere:
        moved = b"HTTP/1.1 202 Accepted\r\nLocation: %b/upload\r\nContent-Length: 0\r\n\r\n" % elsewhere.url.encode()
        stays = b"HTTP/1.1 202 Accepted\r\nLocation: /v2/app/blobs/uploads/1\r\nContent-Length: 0\r\n\r\n"
        first = stays if after == "PATCH" else moved
        greeting = (NO % 'Basic realm="x"').encode()
        with RawServer(greeting, first, moved) as server:
            client = hasty(server.url, "ann", "hunter2")
            content = io.BytesIO(b"x" * (2**21 if after == "PATCH" else 10))
            with contextlib.suppress(RegscopeError):  # nothing is really there in the end
                Blob("app", client=client, fileobj=content).upload()
        assert elsewhere.requests
        assert not any(b"uthorization" in request for request in elsewhere.requests)
        assert any(b"Authorization: Basic" in request for request in server.requests)


def test_another_registry_that_a_redirect_leads_to_gets_no_token_and_has_no_say() -> None:
    """go-containerregistry#2333: its challenge was answered by a token that its realm gave."""
    with RawServer(ok(b'{"token": "of-the-other"}')) as tokens:
        challenge = NO % f'Bearer realm="{tokens.url}/t"'
        with RawServer(challenge.encode()) as other:
            redirect = f"HTTP/1.1 307 There\r\nLocation: {other.url}/v2/app/tags/list\r\nContent-Length: 0\r\n\r\n"
            with RawServer(redirect.encode()) as server, pytest.raises(AuthFailed) as caught:
                Tags("app", hasty(server.url, "ann", "hunter2")).list()
        assert caught.value.next_step
        assert tokens.requests == []
        assert not any(b"uthorization" in request for request in other.requests)


def test_a_token_service_beside_a_private_registry_is_asked() -> None:
    """go-containerregistry#2258, #2302, model-runner#1050: a guard against realms inside refused these as well."""
    answers: list[Answer] = [b"", ok(b'{"token": "abc"}'), ok(b'{"tags": ["1"]}')]
    with RawServer(*answers) as server:
        server._answers = [(NO % f'Bearer realm="{server.url}/token"').encode(), *answers[1:]]
        assert Tags("app", hasty(server.url)).list() == ["1"]
        assert b"Authorization: Bearer abc" in server.requests[2]


def test_words_of_a_challenge_do_not_add_to_the_question() -> None:
    """devcontainers-cli#1276: `service` and `scope` brought parameters of their own, or cut the rest off."""
    with RawServer(ok(b'{"token": "abc"}')) as tokens:
        odd = f'Bearer realm="{tokens.url}/t?a=1#gone",service="x&account=root#y",scope="repository:app:pull&scope=*"'
        with RawServer((NO % odd).encode(), ok(b'{"tags": ["1"]}')) as server:
            assert Tags("app", hasty(server.url)).list() == ["1"]
        asked = parse_qs(urlsplit(tokens.requests[0].split(b" ")[1].decode()).query)
    assert asked == {"a": ["1"], "service": ["x&account=root#y"], "scope": ["repository:app:pull&scope=*"]}


@pytest.mark.parametrize("media_type", ["application/vnd.oci.image.layer.nondistributable.v1.tar", None])
def test_what_a_manifest_names_by_a_url_is_not_fetched_from_there(proxy: FaultProxy, media_type: str | None) -> None:
    """go-containerregistry#2259, #2293, containerd#13775, regclient GHSA-qvqc-4c52-x6qp: any address could be asked."""
    with RawServer(ok(b"secret")) as inside:
        raw = ManifestRef("base", "1", hasty(proxy.url)).fetch().raw
        document = json.loads(raw)
        for each in [document["config"], *document["layers"]]:
            each["urls"] = [f"{inside.url}/latest/meta-data/", "http://169.254.169.254/latest/"]
        for each in document["layers"]:
            each["mediaType"] = media_type or each["mediaType"]
        changed = json.dumps(document).encode()

        def named(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            if "/manifests/" not in request.path:
                return None
            about = [("Content-Type", OCI_MANIFEST), ("Docker-Content-Digest", Digest.of(changed))]
            return ProxyResponse(200, about, changed)  # type: ignore[arg-type]

        proxy.rule(named)
        store = open_store(proxy.url, cache=False)
        snap = scan(store, repositories=["base"])
        scan_files(snap, store, progress=False)
        assert inside.requests == []


def test_a_length_beyond_the_descriptors_is_refused(proxy: FaultProxy, layer: Layer) -> None:
    """apple-containerization#932, go-containerregistry#1044: the disk filled, whatever the descriptor said."""
    digest, content = layer

    def larger(request: ProxyRequest, forward: Forward) -> ProxyResponse:
        return ProxyResponse(200, [], content + bytes(2**22))

    proxy.rule(larger)
    got: list[int] = []
    with pytest.raises(TooLarge):
        got.extend(map(len, Blob("base", digest, client=hasty(proxy.url), size=len(content)).chunks()))
    assert sum(got) <= len(content)


def test_a_claim_of_an_impossible_size_is_an_error() -> None:
    """oras-go GHSA-f36w-mj3v-6jqv: memory was taken for a size that was only said."""
    for size in (2**63 - 1, 2**63, 10**19 - 1, 10**30):
        with RawServer(OK + b"Content-Length: %d\r\n\r\n{}" % size, hangs_up=True) as server:
            reads: list[Callable[[DockerRegistryV2Client], Any]] = [
                lambda client: ManifestRef("app", "1", client).fetch(),
                lambda client: Blob("app", Digest.of(b"x"), client=client).read(100),
                lambda client: list(Blob("app", Digest.of(b"x"), client=client).chunks()),
                lambda client: Tags("app", client).list(),
            ]
            for read in reads:
                with pytest.raises(RegscopeError) as caught:
                    read(hasty(server.url))
                assert caught.value.next_step


@pytest.mark.parametrize(("stated", "held"), [("5242880", 5242880), ("9" * 19, 2**27), ("9" * 300, 0), ("-1", 0)])
def test_a_registry_cannot_have_a_whole_blob_held(stated: str, held: int) -> None:
    """distribution-spec, Pushing a blob in chunks: a minimum has no maximum there."""
    answer = f"HTTP/1.1 202 OK\r\nLocation: /up\r\nOCI-Chunk-Min-Length: {stated}\r\nContent-Length: 0\r\n\r\n"
    with RawServer(answer.encode()) as server:
        assert open_upload(hasty(server.url), "app").chunk_minimum == held


@pytest.mark.parametrize(
    "location", ["/up\0load", "http://a\0.test/", "http://127.0.0.1\0.test/", "//\0", "http://a b/"]
)
@pytest.mark.parametrize("status", ["202 Accepted", "307 There"])
def test_a_location_with_a_nul_is_an_error(status: str, location: str) -> None:
    """What no address has in it: a traceback of the resolver, or of the socket."""
    answer = f"HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    with RawServer(answer.encode()) as server:
        reads: list[Callable[[], object]] = [lambda: open_upload(hasty(server.url), "app")]
        if status.startswith("307"):
            reads.append(lambda: Tags("app", hasty(server.url)).list())
        for read in reads:
            with pytest.raises(RegscopeError) as caught:
                read()
            assert caught.value.next_step
            assert "\0" not in str(caught.value)


@pytest.mark.parametrize("realm", ["http://a\0.test/t", "http://127.0.0.1/t\0", "\0", "http://a b/", "http://[::1\0]/"])
def test_a_realm_with_a_nul_is_an_error(realm: str) -> None:
    with RawServer((NO % f'Bearer realm="{realm}"').encode()) as server, pytest.raises(RegscopeError) as caught:
        Tags("app", hasty(server.url)).list()
    assert caught.value.next_step
    assert "\0" not in str(caught.value)


@pytest.mark.parametrize("link", ["/v2/app/tags/list?\0", "http://a\0.test/v2/app/tags/list?n=1", "\0", "http://a b/x"])
def test_a_link_with_a_nul_is_an_error_or_the_end(link: str) -> None:
    pages = f'HTTP/1.1 200 OK\r\nLink: <{link}>; rel="next"\r\nContent-Length: 14\r\n\r\n{{"tags":["a"]}}'
    with RawServer(pages.encode()) as server, pytest.raises(RegscopeError) as caught:
        Tags("app", hasty(server.url)).list()
    assert caught.value.next_step
