"""Answers without an end, or far larger than what they say: given up, by their bytes, their number or their time."""

from __future__ import annotations

import gzip
import itertools
import json
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import pytest

from regscope.errors import RegscopeError, RequestError, TimedOut, TooLarge
from regscope.registry import framing, list_growth, responses
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.referrers import list_referrers
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.tags import Tags
from regscope.spec.digest import Digest
from tests.servers.proxy import FaultProxy, ProxyResponse
from tests.servers.raw import Answer, RawServer

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = OK + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
MEMORY = 100 * 2**20


def endless(head: bytes, piece: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: itertools.chain([head], itertools.repeat(piece))


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def dripping(*pieces: bytes, pause: float, then: bytes | None = None) -> Callable[[], Iterator[bytes]]:
    """The pieces with pauses between, and maybe one more over and over."""

    def drip() -> Iterator[bytes]:
        yield pieces[0]
        for piece in itertools.chain(pieces[1:], itertools.repeat(then) if then else ()):
            time.sleep(pause)
            yield piece

    return drip


def client_of(server: RawServer, timeout: float = 5, **options: float) -> DockerRegistryV2Client:
    retry_policy = RetryPolicy(failures=0, refusals=0)
    return DockerRegistryV2Client(server.url, retry_policy=retry_policy, default_timeout=timeout, **options)  # type: ignore[arg-type]


def error_of(answer: Answer, timeout: float = 5) -> RegscopeError:
    with RawServer(answer) as server, client_of(server, timeout) as client, pytest.raises(RegscopeError) as caught:
        ManifestRef("app", "1", client).fetch()
    assert caught.value.next_step
    return caught.value


ENDLESS = {
    "after the end of a gzip encoding": endless(PACKED + chunk(gzip.compress(b"{}")), chunk(b"x" * 2**20)),
    "empty blocks in a gzip encoding": endless(
        PACKED + chunk(gzip.compress(b"")[:10]), chunk(b"\0\0\0\xff\xff" * 200_000)
    ),
    "empty gzip members": endless(PACKED, chunk(gzip.compress(b"") * 50_000)),
    "gzip members of one byte": endless(PACKED, chunk(gzip.compress(b"x") * 50_000)),
    "a gzip header's name": endless(PACKED + chunk(b"\x1f\x8b\x08\x08" + bytes(6)), chunk(b"x" * 2**20)),
    "zlib's empty blocks": endless(
        PACKED.replace(b"gzip", b"deflate") + chunk(b"\x78\x9c"), chunk(b"\0\0\0\xff\xff" * 200_000)
    ),
    "what is called gzip and is not": endless(PACKED, chunk(b"x" * 2**20)),
    "fields after the chunks": endless(CHUNKED + chunk(b"{}") + b"0\r\n", b"a: b\r\n" * 10_000),
    "one field after the chunks": endless(CHUNKED + chunk(b"{}") + b"0\r\na: ", b"b" * 2**16),
    "chunks of a byte": endless(CHUNKED, chunk(b"x") * 20_000),
    "an extension of a chunk": endless(CHUNKED + b"1;", b"x" * 2**16),
    "chunks": endless(CHUNKED, chunk(b"x" * 2**20)),
    "a body": endless(OK + b"\r\n", b"x" * 2**20),
    "fields": endless(OK, b"a: b\r\n" * 10_000),
    "one field": endless(OK + b"a: ", b"b" * 2**16),
    "a status line": endless(b"HTTP/1.1 200 ", b"b" * 2**16),
    "interim answers": endless(b"", b"HTTP/1.1 103 Hints\r\n\r\n" * 100),
    "blank lines": endless(b"", b"\r\n" * 2**16),
}


@pytest.mark.parametrize("answer", ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_given_up_and_not_kept(answer: Answer) -> None:
    tracemalloc.start()
    try:
        error_of(answer)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_what_unpacks_to_far_more_than_is_read_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(200 * 2**20), 1)
    tracemalloc.start()
    try:
        answer = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
        assert isinstance(error_of(answer), TooLarge)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_several_gzip_members_are_one_body_and_what_follows_them_is_not() -> None:
    body = gzip.compress(b'{"tags": ["a", ') + gzip.compress(b'"b"]}') + bytes(100)
    for split in range(1, len(body)):
        answer = PACKED + chunk(body[:split]) + chunk(body[split:]) + b"0\r\n\r\n"
        with RawServer(answer) as server, client_of(server) as client:
            assert Tags("app", client).list() == ["a", "b"]


def test_an_encoding_that_was_cut_short_is_no_whole_answer() -> None:
    with (
        RawServer(PACKED + chunk(gzip.compress(b"hello" * 9)[:-9]) + b"0\r\n\r\n") as server,
        client_of(server) as client,
        pytest.raises(RequestError, match="cut short"),
    ):
        client.get(client.url()).raw.read()


def test_many_small_chunks_of_a_sane_size_are_read() -> None:
    tags = [f"v{number:07}" for number in range(100_000)]
    body = json.dumps({"tags": tags}).encode()
    pieces = [body[start : start + 80] for start in range(0, len(body), 80)]
    with RawServer(CHUNKED + b"".join(map(chunk, pieces)) + b"0\r\n\r\n") as server, client_of(server) as client:
        assert Tags("app", client).list() == tags


DRIPS = {
    "a header": dripping(b"H", pause=0.05, then=b"H"),
    "header fields": dripping(OK, pause=0.05, then=b"a: b\r\n"),
    "a counted body": dripping(OK + b"Content-Length: 1000\r\n\r\n", pause=0.05, then=b" "),
    "chunks": dripping(CHUNKED, pause=0.05, then=chunk(b" ")),
    "the size of a chunk": dripping(CHUNKED, pause=0.05, then=b"0"),
    "fields after the chunks": dripping(CHUNKED + b"0\r\n", pause=0.05, then=b"a: b\r\n"),
    "until it is closed": dripping(OK + b"\r\n", pause=0.05, then=b" "),
}


@pytest.mark.parametrize("answer", DRIPS.values(), ids=DRIPS)
def test_what_comes_too_slowly_is_given_up(answer: Answer) -> None:
    error = error_of(answer, timeout=1)
    assert isinstance(error, TimedOut)
    assert "too slowly" in error.message
    assert "REGSCOPE_SLOWEST" in error.next_step


SLOW = dripping(OK + b"Content-Length: 6\r\n\r\n", *[b"%d" % number for number in range(6)], pause=0.3)


def test_slow_answers_can_be_allowed() -> None:
    with RawServer(SLOW) as server:
        with client_of(server, 1, slowest=0) as client:
            assert client.get(client.url()).raw.read() == b"012345"
        with client_of(server, 1, slowest=1) as client:
            assert client.get(client.url()).raw.read() == b"012345"
        with client_of(server, 1) as client, pytest.raises(TimedOut):
            client.get(client.url()).raw.read()


def test_time_that_the_reader_takes_is_not_the_senders() -> None:
    with RawServer(OK + b"Content-Length: 40\r\n\r\n" + b"x" * 40) as server, client_of(server, 0.5) as client:
        body = client.get(client.url()).raw
        for _ in range(4):
            time.sleep(0.2)
            assert len(body.read(10)) == 10


def test_a_registry_may_think_before_it_answers() -> None:
    """What it says then may be short, and is no drip."""
    answer = dripping(b"", OK + b"Content-Length: 2\r\n\r\n", b"{}", pause=0.7)
    with RawServer(answer) as server, client_of(server, 1) as client:
        assert client.get(client.url()).raw.read() == b"{}"


def test_what_is_read_whole_has_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "_LONGEST_READ", -1)
    monkeypatch.setattr(responses, "_PIECE", 16)
    error = error_of(OK + b"Content-Length: 64\r\n\r\n" + b" " * 64)
    assert isinstance(error, TimedOut)
    assert "the manifest app:1 did not arrive" in error.message


def test_a_page_of_millions_of_values_is_not_unfolded() -> None:
    body = b'{"tags": [' + b"[]," * 3_000_000 + b"1]}"
    tracemalloc.start()
    try:
        with RawServer(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body) as server, client_of(server) as client:
            with pytest.raises(TooLarge, match="values") as caught:
                Tags("app", client).list()
            assert caught.value.next_step
            assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def endless_list(
    key: str, entry: Callable[[int, int], object], links: bool, size: int = 100
) -> Callable[..., ProxyResponse]:
    numbers = itertools.count()

    def page(*_: object) -> ProxyResponse:
        number = next(numbers)
        headers = [("Link", f'<?page={number}>; rel="next"')] if links else []
        return ProxyResponse(200, headers, json.dumps({key: [entry(number, each) for each in range(size)]}).encode())

    return page


@pytest.mark.parametrize("links", [True, False])
def test_a_list_that_always_brings_new_names_ends(proxy: FaultProxy, links: bool) -> None:
    proxy.rule(endless_list("tags", lambda page, each: f"v{page}-{each}", links))
    client = DockerRegistryV2Client(proxy.url, most_names=550)
    with pytest.raises(TooLarge, match="more than 550 entries") as caught:
        Tags("base", client).list()
    assert "REGSCOPE_MOST_NAMES" in caught.value.next_step
    assert len(proxy.requests) == 6


def test_a_list_of_as_many_names_as_are_allowed_is_whole(proxy: FaultProxy) -> None:
    proxy.rule(lambda *_: ProxyResponse(200, body=json.dumps({"tags": [f"v{each:03}" for each in range(55)]}).encode()))
    assert len(Tags("base", DockerRegistryV2Client(proxy.url, most_names=55)).list()) == 55


def test_a_list_of_long_names_ends(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_growth, "_MOST_BYTES", 100_000)
    proxy.rule(endless_list("tags", lambda page, each: f"v{page}-{each}" + "x" * 500, links=True))
    with pytest.raises(TooLarge, match="100,000 bytes"):
        Tags("base", proxied).list()
    assert len(proxy.requests) == 2


@pytest.mark.parametrize(("name", "value"), [("_MOST_PAGES", 7), ("_LONGEST", -1)])
def test_a_list_ends_after_so_many_pages_and_so_long(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    monkeypatch.setattr(list_growth, name, value)
    proxy.rule(endless_list("tags", lambda page, _: f"v{page}", links=True, size=1))
    with pytest.raises(RequestError, match="never ends") as caught:
        Tags("base", proxied).list()
    assert caught.value.next_step
    assert len(proxy.requests) == max(value, 0)


def test_a_list_of_referrers_ends(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regscope.registry.paging._MOST_DOCUMENTS", 250)
    descriptor = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1}
    entry = lambda page, each: {**descriptor, "digest": Digest.of(b"%d %d" % (page, each))}  # noqa: E731
    proxy.rule(endless_list("manifests", entry, links=True))
    with pytest.raises(TooLarge, match="250 entries"):
        list_referrers(DockerRegistryV2Client(proxy.url), "base", Digest.of(b"x"))
    assert len(proxy.requests) == 4


def test_the_bounds_are_what_they_are_said_to_be() -> None:
    assert partial(DockerRegistryV2Client, "http://a.test")().slowest == framing.SLOWEST == 1000
    assert DockerRegistryV2Client("http://a.test").most_names == list_growth.MOST_NAMES == 250_000
