"""Where an answer begins and ends (RFC 9112), whatever is sent: no hang, no mix-up, no half answer taken for whole."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
import zlib

import pytest

from regscope.errors import ConnectionFailed, RequestError
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.retry_policy import RetryPolicy
from tests.servers.raw import RawServer

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"


def client_of(server: RawServer) -> DockerRegistryV2Client:
    return DockerRegistryV2Client(server.url, retry_policy=RetryPolicy(failures=0, refusals=0), default_timeout=5)


def body_of(*answers: bytes, hangs_up: bool = False, method: str = "GET") -> bytes:
    with RawServer(*answers, hangs_up=hangs_up) as server, client_of(server) as client:
        content: bytes = client.request(method, client.url()).raw.read()
        return content


def error_of(*answers: bytes, hangs_up: bool = True) -> str:
    started = time.monotonic()
    with pytest.raises(RequestError) as caught:
        body_of(*answers, hangs_up=hangs_up)
    assert time.monotonic() - started < 4  # found out, not waited for
    assert caught.value.next_step
    return str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(HELLO, id="counted"),
        pytest.param(OK + b"content-LENGTH:5\r\n\r\nhello", id="any case, no blank"),
        pytest.param(OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", id="the same length twice"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", id="chunked"),
        pytest.param(OK + b"Transfer-Encoding: Chunked\r\n\r\n2;x=y\r\nhe\r\n003 \r\nllo\r\n0\r\n\r\n", id="chunks"),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            id="chunks count more than a length",
        ),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", id="fields after the chunks"
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HELLO, id="interim"),
        pytest.param(b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", id="no reason"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", id="bare line feeds"),
        pytest.param(OK + b"X-Folded: a\r\n b\r\nContent-Length: 5\r\n\r\nhello", id="a folded line"),
        pytest.param(OK + b"X: " + b"y" * 60_000 + b"\r\nContent-Length: 5\r\n\r\nhello", id="a long field"),
        pytest.param(
            OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(b"hello"))
            + gzip.compress(b"hello"),
            id="gzip that nobody asked for",
        ),
        pytest.param(
            OK + b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(zlib.compress(b"hello"))
            + zlib.compress(b"hello"),
            id="deflate that nobody asked for",
        ),
        *(
            pytest.param(
                OK + b"Content-Encoding: %b\r\nContent-Length: 5\r\n\r\nhello" % label,
                id=f"labelled {label.decode()} and sent as it is",
            )
            for label in (b"gzip", b"x-gzip", b"aws-chunked", b"utf-8", b"identity", b"aws-chunked, identity")
        ),
    ],
)  # fmt: skip
def test_a_body_is_read_to_its_end(answer: bytes) -> None:
    with RawServer(answer) as server, client_of(server) as client:
        for _ in range(2):
            assert client.get(client.url()).raw.read() == b"hello"
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK + b"\r\nhello", id="no length"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nhello", id="HTTP/1.0"),
        pytest.param(OK + b"Transfer-Encoding: identity\r\n\r\nhello", id="identity"),
        pytest.param(OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", id="closed"),
    ],
)
def test_a_body_may_end_with_its_connection(answer: bytes) -> None:
    with RawServer(answer, hangs_up=True) as server, client_of(server) as client:
        for _ in range(2):
            assert client.get(client.url()).raw.read() == b"hello"
        assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(b"", "without an answer", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", "header that was cut short", id="half a header"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "response is not HTTP", id="no HTTP"),
        pytest.param(b"HTTP/2 200\r\n\r\n", "response is not HTTP", id="another version"),
        pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", "response is not HTTP", id="no status"),
        pytest.param(OK + b"Content-Length: 10\r\n\r\nhello", "5 bytes before its end", id="too short"),
        pytest.param(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "invalid Content", id="two lengths"),
        pytest.param(OK + b"Content-Length: -5\r\n\r\nhello", "invalid Content", id="a negative length"),
        pytest.param(OK + b"Content-Length: five\r\n\r\nhello", "invalid Content", id="no number"),
        pytest.param(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "unsupported", id="TE"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", "cut short", id="half a chunk"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "how long they are", id="no last chunk"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nhello", "how long they are", id="no size"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n", "longer", id="a longer chunk"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 9999, "how long they are", id="endless size"),
        pytest.param(OK + b"X: " + b"y" * 300_000, "header of more than", id="an endless field"),
        pytest.param(OK + b"X: y\r\n" * 50_000, "header of more than", id="endless fields"),
        pytest.param(b"HTTP/1.1 101 Switching\r\n\r\n", "unexpected status", id="another protocol"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 40, "unexpected status", id="endless interim answers"),
        pytest.param(
            OK + b"Content-Encoding: br\r\nContent-Length: 5\r\n\r\nhello", "not requested", id="an unknown encoding"
        ),
        pytest.param(
            OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x1f\x8b\x08lo", "damaged gzip",
            id="gzip in its first bytes alone",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_a_whole_answer_is_an_error(answer: bytes, said: str) -> None:
    assert said in error_of(answer)


def test_no_memory_is_taken_for_what_is_only_announced() -> None:
    tracemalloc.start()
    try:
        assert "cut short" in error_of(OK + b"Content-Length: 8000000000\r\n\r\nhello")
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", OK + b"Content-Length: 5\r\n\r\n"),
        ("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("GET", OK + b"Content-Length: 0\r\n\r\n"),
    ],
)
def test_what_has_no_body_is_not_waited_for(method: str, answer: bytes) -> None:
    with RawServer(answer) as server, client_of(server) as client:
        for _ in range(2):
            assert client.request(method, client.url()).raw.read() == b""
        assert server.connections == 1


def test_what_comes_after_the_end_is_no_answer_to_the_next_request() -> None:
    with RawServer(HELLO + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", HELLO) as server:
        client = client_of(server)
        assert [client.get(client.url()).raw.read() for _ in range(2)] == [b"hello", b"hello"]
        assert server.connections == 2


def test_a_connection_that_was_dropped_meanwhile_is_replaced() -> None:
    with RawServer(HELLO, hangs_up=True) as server:
        client = DockerRegistryV2Client(server.url)  # with the usual patience
        assert [client.get(client.url()).raw.read() for _ in range(3)] == [b"hello"] * 3


def test_a_body_in_pieces_ends_where_it_ends() -> None:
    with RawServer(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n7\r\no world\r\n0\r\n\r\n") as server:
        client = client_of(server)
        assert list(client.get(client.url()).raw.stream(3)) == [b"hel", b"lo ", b"wor", b"ld"]
        body = client.get(client.url()).raw
        assert [body.read(6), body.read(100), body.read(1), body.read()] == [b"hello ", b"world", b"", b""]
        assert server.connections == 1


def test_a_header_that_arrives_byte_by_byte_is_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                for position in range(len(HELLO)):
                    connection.sendall(HELLO[position : position + 1])
                    time.sleep(0.001)
                connection.recv(1)

        dripping = threading.Thread(target=drip)
        dripping.start()
        client = DockerRegistryV2Client(f"http://127.0.0.1:{listening.getsockname()[1]}")
        with client:
            assert client.get(client.url()).raw.read() == b"hello"
        dripping.join()


def test_an_answer_in_latin_1_is_no_accident() -> None:
    with RawServer("HTTP/1.1 200 Für immer\r\nX-Name: Zoë\r\nContent-Length: 0\r\n\r\n".encode("latin-1")) as server:
        answer = client_of(server).get(server.url + "/v2/")
    assert answer.headers["x-name"] == "Zoë"
    assert answer.reason == "Für immer"


def test_repeated_fields_are_joined() -> None:
    with RawServer(OK + b"X-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n") as server:
        assert client_of(server).get(server.url + "/v2/").headers["X-A"] == "1, 2"


def test_a_connection_that_breaks_while_a_body_is_read_says_so() -> None:
    with RawServer(OK + b"Content-Length: 3000000\r\n\r\n" + b"x" * 2_500_000, hangs_up=True) as server:
        answer = client_of(server).get(server.url + "/v2/")
        assert len(answer.raw.read(2**20)) == 2**20
        with pytest.raises(ConnectionFailed, match="cut short"):
            answer.raw.read()
