"""Uploads that break, and registries that do not tell the truth about them: all of the blob arrives, or an error."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from regscope.errors import ContentError, RegscopeError, RequestError, ResourceNotFound
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.local_content import LocalContent
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.sending import Sender
from regscope.registry.uploads import open_upload
from regscope.spec.digest import Digest
from tests.lab.pushes import LARGE
from tests.servers import faults
from tests.servers.empty import KINDS, empty_registry
from tests.servers.loopback import LoopbackHandler, LoopbackServer
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse, Rule
from tests.servers.registry import Registry, distribution_3

MIB = 2**20
SEEDS = range(40)
QUICK = RetryPolicy(failures=1, refusals=1, backoff=0.001)


@pytest.fixture(params=KINDS)
def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultProxy]:
    """An empty registry of each kind, behind a proxy."""
    with empty_registry(request.param, tmp_path / "registry") as server, FaultProxy(server.url) as proxy:
        yield proxy


def patient(proxy: FaultProxy, chunk: int | None = None) -> DockerRegistryV2Client:
    """A client that waits for nothing."""
    client = DockerRegistryV2Client(proxy.url, retry_policy=QUICK)
    client.uploads.chunk = chunk
    return client


def push(client: DockerRegistryV2Client, content: bytes) -> Digest:
    """Push it without a digest that it is to have."""
    return Blob("app", fileobj=io.BytesIO(content), client=client).upload().digest


def hang_up(*numbers: int) -> Rule:
    """Pass these PATCHes on, and hang up before their answers are through."""
    seen = 0

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        nonlocal seen
        if request.method != "PATCH":
            return None
        forward()
        seen += 1
        if seen in numbers:
            raise ConnectionResetError
        return None

    return rule


def status_says(received: str | None) -> Rule:
    """Answer what is asked of an upload's status so."""
    fields = [] if received is None else [("Range", received)]
    return lambda request, forward: (
        ProxyResponse(204, fields) if request.method == "GET" and "/uploads/" in request.path else None
    )


@pytest.mark.parametrize("chunk", [None, MIB], ids=["one PATCH", "chunks"])
@pytest.mark.parametrize(
    "stated",
    [
        "0-9999999",  # more than there is
        f"0-{len(LARGE) - 1}",  # all, of which only a part is there, or more than was sent
        "0-2999999",
        "0-2999",
        "0-0",
        "bytes=0-1999999",
        "5-100",
        "0-",
        "0--1",
        "0-99999999999999999999",
        "nonsense",
        "",
        None,
    ],
)
def test_whatever_an_upload_is_said_to_have_all_of_the_blob_arrives(
    faulty: FaultProxy, stated: str | None, chunk: int | None
) -> None:
    faulty.rule(status_says(stated))
    faulty.rule(hang_up(1 if chunk is None else 3))
    client = patient(faulty, chunk)
    assert push(client, LARGE) == Digest.of(LARGE)
    assert Blob("app", Digest.of(LARGE), client=client).read(2**23) == LARGE


class HalfHeard(LoopbackHandler):
    """Hangs up within the first PATCH, and says then that all of it had come, as Pulp does."""

    kept: dict[str, bytes] = {}
    held = b""
    cut = True

    def _serve(self) -> None:
        owner = type(self)
        if self.command == "POST":
            owner.held = b""
            self._answer(202, Location="/v2/app/blobs/uploads/1", Range="0-0")
        elif self.command == "PATCH" and owner.cut:
            owner.cut = False
            owner.held = self.rfile.read(3_000_000)
            self.close_connection = True
        elif self.command == "PATCH":
            owner.held += self.read_body()
            self._answer(202, Location="/v2/app/blobs/uploads/1", Range=f"0-{len(owner.held) - 1}")
        elif self.command == "GET":
            self._answer(204, Range=f"0-{len(LARGE) - 1}")
        elif self.command == "PUT":
            digest, content = self.path.partition("digest=")[2].replace("%3A", ":"), owner.held + self.read_body()
            if digest == Digest.of(content):
                owner.kept[digest] = content
            self._answer(201 if digest in owner.kept else 400)
        elif self.command == "HEAD":
            content = owner.kept.get(self.path.rpartition("/")[2])
            self._answer(404 if content is None else 200, length=len(content or b""))
        else:
            self._answer(204)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _answer(self, status: int, length: int = 0, **fields: str) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def test_a_blob_that_was_cut_short_gets_no_digest_of_its_first_part() -> None:
    """What was not sent was not hashed, whatever the registry says that it has."""
    with LoopbackServer(HalfHeard) as server:
        client = DockerRegistryV2Client(server.url, retry_policy=QUICK)
        assert push(client, LARGE) == Digest.of(LARGE)
    assert HalfHeard.kept == {Digest.of(LARGE): LARGE}


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "RANGE_INVALID"), (404, "BLOB_UPLOAD_UNKNOWN"), (404, "X"), (409, "X"), (416, "X"), (500, "X"), (502, "X")],
)
def test_a_chunk_that_is_refused_in_the_middle_begins_the_upload_anew(
    faulty: FaultProxy, status: int, code: str
) -> None:
    """As at Gitea, which answers 500 to a chunk that does not fit to what it has."""
    client = patient(faulty, MIB)
    refused = faults.refuse("/uploads/", status, code, "offset mismatch", methods=("PATCH",), times=1)
    faulty.rule(
        lambda request, forward: (
            refused(request, forward) if request.headers.get("Content-Range", "0-").startswith("2097152-") else None
        )
    )
    assert push(client, LARGE) == Digest.of(LARGE)
    assert Blob("app", Digest.of(LARGE), client=client).read(2**23) == LARGE


def test_an_upload_that_nobody_knows_is_begun_anew(faulty: FaultProxy) -> None:
    faulty.rule(faults.refuse("/uploads/", 404, "BLOB_UPLOAD_UNKNOWN", "lost", methods=("PATCH",), times=1))
    client = patient(faulty)
    assert push(client, LARGE) == Digest.of(LARGE)
    assert client.uploads.takes_patch


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize(("status", "code"), [(400, "DIGEST_INVALID"), (404, "BLOB_UPLOAD_UNKNOWN"), (500, "X")])
def test_an_upload_that_is_not_ended_is_begun_anew(faulty: FaultProxy, status: int, code: str, content: bytes) -> None:
    faulty.rule(faults.refuse("/uploads/", status, code, "what came is something else", methods=("PUT",), times=2))
    client = patient(faulty)
    if status == 500:  # which is sent again as it is
        assert push(client, content) == Digest.of(content)
        return
    faulty.clear()
    faulty.rule(faults.refuse("/uploads/", status, code, "what came is something else", methods=("PUT",), times=1))
    assert push(client, content) == Digest.of(content)
    assert Blob("app", Digest.of(content), client=client).read(2**23) == content


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_an_upload_whose_end_was_not_heard_of_is_not_sent_again(faulty: FaultProxy, content: bytes) -> None:
    lost = [True]

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method != "PUT" or not lost:
            return None
        lost.clear()
        forward()
        raise ConnectionResetError

    faulty.rule(rule)
    assert push(patient(faulty), content) == Digest.of(content)
    sent = [request.body_length for request in faulty.requests if request.method == "PATCH"]
    assert sum(sent) == (0 if len(content) < MIB else len(content))


def test_an_upload_that_never_ends_well_is_an_error_after_a_few_attempts(faulty: FaultProxy) -> None:
    for chunk in (None, MIB):
        faulty.clear()
        faulty.rule(faults.refuse("/uploads/", 400, "DIGEST_INVALID", "no", methods=("PUT",)))
        with pytest.raises(RequestError, match="DIGEST_INVALID"):
            push(patient(faulty, chunk), LARGE)
        assert len(faulty.requests) < 50
    with pytest.raises(ResourceNotFound):
        Blob("app", Digest.of(LARGE), client=patient(faulty)).stat()


def test_what_breaks_again_and_again_is_sent_in_chunks(faulty: FaultProxy) -> None:
    """Some proxies hang up on what is too large for them, and say nothing."""

    def hangs_up(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.body_length > 4 * MIB:
            raise ConnectionResetError
        return None

    faulty.rule(hangs_up)
    assert push(patient(faulty), LARGE) == Digest.of(LARGE)


def test_a_file_that_shrinks_or_grows_meanwhile_is_an_error(faulty: FaultProxy, tmp_path: Path) -> None:
    class Changing(LocalContent):
        """Says another size than it has."""

        said = 0

        @property
        def size(self) -> int:
            return self.said

    for chunk in (None, MIB):
        for said in (len(LARGE) - 5, len(LARGE) + 5):
            content = Changing(None, io.BytesIO(LARGE))
            content.said = said
            with pytest.raises((ContentError, RequestError)):
                Sender(patient(faulty, chunk), "app").send(content, None)
    for part in (LARGE, LARGE[:-5]):
        with pytest.raises(ResourceNotFound):
            Blob("app", Digest.of(part), client=patient(faulty)).stat()


@pytest.mark.parametrize("chunk", [None, MIB], ids=["one PATCH", "chunks"])
def test_a_patch_that_came_too_fast_is_sent_again(faulty: FaultProxy, chunk: int | None) -> None:
    too_fast = faults.too_many(1, "0", "/uploads/")
    faulty.rule(lambda request, forward: too_fast(request, forward) if request.method == "PATCH" else None)
    assert push(patient(faulty, chunk), LARGE) == Digest.of(LARGE)
    assert [request.method for request in faulty.requests].count("POST") == 1


def test_an_upload_is_opened_again_where_nobody_answered(faulty: FaultProxy) -> None:
    faulty.rule(faults.refuse("/uploads/", 503, "X", "not now", methods=("POST",), times=2))
    assert open_upload(patient(faulty), "app").received() == 0
    assert [request.method for request in faulty.requests][:3] == ["POST", "POST", "POST"]


class Whims:
    """Draws for each request whether it breaks, before or after it was passed on, is refused, or lied about."""

    def __init__(self, seed: int, size: int) -> None:
        self._random = random.Random(seed)
        self._size = size
        self._left = self._random.randrange(1, 6)

    def __call__(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """The rule."""
        if "/uploads/" not in request.path or not self._left or self._random.random() < 0.4:
            return None
        self._left -= 1
        chance = self._random.choice(["before", "after", "status", "range", "range", "range"])
        if chance == "status":
            status = self._random.choice([400, 404, 405, 409, 411, 413, 415, 416, 500, 502, 503])
            return ProxyResponse(status)
        if chance == "before":
            raise ConnectionResetError
        answer = forward()
        if chance == "after":
            raise ConnectionResetError
        lie = self._random.choice([0, 1, 100, self._size - 1, self._size, self._size // 2, 2 * self._size])
        answer.set_header("Range", self._random.choice([f"0-{lie}", f"0-{lie}", f"{lie}-{lie}", "x"]))
        return answer


@pytest.mark.parametrize("seed", SEEDS)
def test_a_registry_has_the_whole_blob_or_there_was_an_error(seed: int, tmp_path: Path) -> None:
    """Never a blob by another digest than that of the whole content."""
    draw = random.Random(seed)
    content = draw.randbytes(draw.choice([0, 1, 2, 65_536, MIB, MIB + 1, 2 * MIB, 3 * MIB + 7]))
    kind = draw.choice(["docker-registry", "distribution 3"])
    server = Registry(tmp_path / "registry", program=distribution_3() if kind == "distribution 3" else None)
    with server, FaultProxy(server.url) as proxy:
        client = patient(proxy, draw.choice([None, MIB, 2**18]))
        proxy.rule(Whims(seed, len(content)))
        expected = draw.choice([None, Digest.of(content)])
        try:
            sent = Blob("app", expected, fileobj=io.BytesIO(content), client=client).upload()
        except RegscopeError:
            sent = None
        proxy.clear()
        stored = [path.parent.name for path in server.blobs.glob("*/*/*/data")]
        assert set(stored) <= {Digest.of(content).encoded}
        if sent is not None:
            assert (sent.digest, sent.size) == (Digest.of(content), len(content))
            assert Blob("app", sent.digest, client=client).read(2**23) == content
