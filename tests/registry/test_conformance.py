"""What the OCI conformance suite asks of a registry, asked by this client: who answers how stands in CONFORMANCE.md.

Each heading gives a word for the table; that the client makes the right thing of every answer is asserted on the way.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regscope.demo_registry import DemoRegistry
from regscope.errors import RegscopeError, RequestErrorWithResponse, ResourceNotFound
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.mounting import mount_or_open
from regscope.registry.referrers import list_referrers
from regscope.registry.responses import discard
from regscope.registry.tags import Tags
from regscope.registry.uploads import open_upload
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import OCIIndex, OCIManifestSchema1
from regscope.spec.media_types import OCI_CONFIG, OCI_EMPTY, OCI_LAYER, OCI_MANIFEST
from regscope.spec.referring import fallback_tag
from tests.servers.oci import OCIRegistry
from tests.servers.registry import Registry, distribution_3

TABLE = Path(__file__).with_name("CONFORMANCE.md")
KINDS = ("docker-registry 2.8", "distribution 3", "oci-registry", "DemoRegistry")
CONTENT = bytes(range(256)) * 20
SHA512 = Digest.of(CONTENT, "sha512")
CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar"

Heading = Callable[[DockerRegistryV2Client], str]
HEADINGS: dict[str, Heading] = {}


def heading(name: str) -> Callable[[Heading], Heading]:
    """One line of the table."""

    def noted(ask: Heading) -> Heading:
        HEADINGS[name] = ask
        return ask

    return noted


def refused(call: Callable[[], object]) -> int | None:
    """The status with which a registry refuses; None where it does not."""
    try:
        call()
    except RequestErrorWithResponse as error:
        return error.status_code
    return None


def in_words(status: int | None) -> str:
    """As the table has it."""
    return "yes" if status is None else f"no ({status})"


def blob(client: DockerRegistryV2Client, content: bytes = CONTENT, repository: str = "app") -> Descriptor:
    """A blob that was pushed."""
    return Blob(repository, fileobj=io.BytesIO(content), client=client).upload()


def read(client: DockerRegistryV2Client, digest: str, repository: str = "app") -> bytes:
    """The whole of a blob, verified."""
    return Blob(repository, digest, client=client).read(10**7)


@heading("ping")
def _(client: DockerRegistryV2Client) -> str:
    assert client.ping()
    return "yes"


@heading("tags of an empty repository")
def _(client: DockerRegistryV2Client) -> str:
    status = refused(lambda: Tags("empty/repository", client).list())
    assert status in (None, 404)
    return "empty list" if status is None else f"{status}"


@heading("referrers of an unknown digest")
def _(client: DockerRegistryV2Client) -> str:
    blob(client)
    found = list_referrers(client, "app", Digest.of(b"unknown"))
    assert not found
    return "no API" if found is None else "empty list"


@heading("a missing blob")
def _(client: DockerRegistryV2Client) -> str:
    missing = Digest.of(b"missing")
    for ask in (Blob("app", missing, client=client).stat, lambda: read(client, missing)):
        with pytest.raises(ResourceNotFound):
            ask()
    return "404"


@heading("blob: POST only")
def _(client: DockerRegistryV2Client) -> str:
    content = b"by one POST"
    url = client.url("app", "blobs", "uploads", "")
    octets = {"Content-Type": "application/octet-stream"}
    response = client.post(url, params={"digest": Digest.of(content)}, data=content, headers=octets)
    discard(response)
    if response.status_code == 201:
        assert read(client, Digest.of(content)) == content
        return "yes"
    return f"no ({response.status_code}, an open upload)"


@heading("blob: POST and PUT")
def _(client: DockerRegistryV2Client) -> str:
    found = Blob("app", fileobj=io.BytesIO(CONTENT), client=client).upload_at_one_time()
    assert read(client, found.digest) == CONTENT
    return "yes"


@heading("blob: streamed PATCH")
def _(client: DockerRegistryV2Client) -> str:
    large = CONTENT * 1000
    assert read(client, blob(client, large).digest) == large
    return "yes"


def chunked(client: DockerRegistryV2Client, *chunks: bytes, last: bytes = b"") -> str:
    """A blob in chunks, the last of them perhaps in the PUT."""
    upload, start = open_upload(client, "app"), 0
    whole = b"".join([*chunks, last])
    for chunk in chunks:
        upload.append(lambda chunk=chunk: iter([chunk]), start=start, length=len(chunk))  # type: ignore[misc]
        start += len(chunk)
    upload.finish(Digest.of(whole), last, start=start if last else 0)
    assert read(client, Digest.of(whole)) == whole
    return "yes"


@heading("blob: one chunk")
def _(client: DockerRegistryV2Client) -> str:
    return chunked(client, b"one chunk" * 1000)


@heading("blob: several chunks")
def _(client: DockerRegistryV2Client) -> str:
    return chunked(client, b"first" * 1000, b"second" * 1000, b"third" * 1000)


@heading("blob: last chunk in the PUT")
def _(client: DockerRegistryV2Client) -> str:
    return chunked(client, b"first" * 1000, last=b"last" * 1000)


@heading("blob: a chunk out of order")
def _(client: DockerRegistryV2Client) -> str:
    upload = open_upload(client, "app")
    upload.append(lambda: iter([b"a" * 1000]), start=0, length=1000)
    status = refused(lambda: upload.append(lambda: iter([b"c" * 1000]), start=2000, length=1000))
    received = upload.received() if status == 416 else None
    upload.cancel()
    assert received in (None, 1000)
    return "416, then its status" if received else "taken" if status is None else f"{status}"


@heading("blob: mounted")
def _(client: DockerRegistryV2Client) -> str:
    found = blob(client, b"to be mounted", "source")
    upload = mount_or_open(client, "mounted", found.digest, "source")
    if upload is not None:
        upload.cancel()
        return "no (an open upload)"
    assert read(client, found.digest, "mounted") == b"to be mounted"
    return "yes"


@heading("blob: mounted from wherever it is")
def _(client: DockerRegistryV2Client) -> str:
    found = blob(client, b"to be found", "source")
    url = client.url("anonymous", "blobs", "uploads", "")
    response = client.post(url, params={"mount": found.digest}, data=b"")
    discard(response)
    assert response.status_code in (201, 202)
    return "yes" if response.status_code == 201 else "no (an open upload)"


@heading("blob: one that is not there, mounted")
def _(client: DockerRegistryV2Client) -> str:
    blob(client, b"something", "source")
    url = client.url("mounted", "blobs", "uploads", "")
    asked = {"mount": Digest.of(b"nowhere"), "from": "source"}
    status = refused(lambda: discard(client.post(url, params=asked, data=b"")))
    mount_or_open(client, "mounted", Digest.of(b"nowhere"), "source").cancel()  # type: ignore[union-attr]
    with pytest.raises(ResourceNotFound):
        Blob("mounted", Digest.of(b"nowhere"), client=client).mount_from("source")
    return "an open upload" if status is None else f"{status}"


@heading("blob: an upload cancelled")
def _(client: DockerRegistryV2Client) -> str:
    upload = open_upload(client, "app")
    status = refused(lambda: discard(client.delete(upload.location)))
    gone = refused(upload.received)
    return f"yes, then {gone}" if status is None and gone else in_words(status)


@heading("blob: ranges")
def _(client: DockerRegistryV2Client) -> str:
    digest = blob(client).digest
    url = client.url("app", "blobs", digest)
    asked = {"500-1499": CONTENT[500:1500], "500-": CONTENT[500:], "-500": CONTENT[-500:], "5000-99999": CONTENT[5000:]}
    kept = []
    for wanted, expected in asked.items():
        header = {"Range": f"bytes={wanted}"}
        if (status := refused(lambda header=header: client.get(url, headers=header).close())) is not None:
            assert status == 416
            continue
        response = client.get(url, headers=header)
        body = response.raw.read()
        assert body == (expected if response.status_code == 206 else CONTENT)
        if response.status_code == 206:
            kept.append(wanted)
    assert b"".join(Blob("app", digest, client=client).rest(500, len(CONTENT))) == CONTENT[500:]
    missed = ", ".join(wanted for wanted in asked if wanted not in kept)
    return f"all but {missed}" if missed else "all"


@heading("blob: a range that is none")
def _(client: DockerRegistryV2Client) -> str:
    url = client.url("app", "blobs", blob(client).digest)
    return f"{refused(lambda: client.get(url, headers={'Range': 'bytes=99999-'}).close())}"


@heading("blob: a range turned round")
def _(client: DockerRegistryV2Client) -> str:
    url = client.url("app", "blobs", blob(client).digest)
    status = refused(lambda: client.get(url, headers={"Range": "bytes=1499-500"}).close())
    return "all of it" if status is None else f"{status}"


@heading("blob: an empty one")
def _(client: DockerRegistryV2Client) -> str:
    status = refused(lambda: blob(client, b""))
    if status is None:
        assert read(client, Digest.of(b"")) == b""
    return in_words(status)


@heading("blob: a wrong digest")
def _(client: DockerRegistryV2Client) -> str:
    upload = open_upload(client, "app")
    status = refused(lambda: upload.finish(Digest.of(b"another"), b"content"))
    assert status is not None
    with pytest.raises(ResourceNotFound):
        read(client, Digest.of(b"another"))
    return f"{status}"


@heading("blob: sha512")
def _(client: DockerRegistryV2Client) -> str:
    status = refused(lambda: Blob("app", SHA512, fileobj=io.BytesIO(CONTENT), client=client).upload_at_one_time())
    if status is not None:
        return in_words(status)
    found = refused(lambda: read(client, SHA512))
    return "yes" if found is None else f"taken, then {found}"


@heading("blob: deleted")
def _(client: DockerRegistryV2Client) -> str:
    found = blob(client, b"to be deleted")
    status = refused(lambda: Blob("app", found.digest, client=client).delete())
    if status is None:
        with pytest.raises(ResourceNotFound):
            read(client, found.digest)
    return in_words(status)


def image(client: DockerRegistryV2Client, **fields: Any) -> OCIManifestSchema1:
    """A manifest whose blobs are there."""
    config, layer = blob(client, CONFIG), blob(client)
    given: dict[str, Any] = {
        "config": config.model_copy(update={"mediaType": OCI_CONFIG}),
        "layers": (layer.model_copy(update={"mediaType": OCI_LAYER}),),
    }
    return OCIManifestSchema1(**{**given, **fields})


def round_trip(client: DockerRegistryV2Client, manifest: OCIManifestSchema1 | OCIIndex) -> str:
    """Pushed, listed, asked for, read, deleted, gone."""
    at = ManifestRef("app", "round", client)
    status = refused(lambda: at.put(manifest))
    if status is not None:
        return in_words(status)
    assert "round" in Tags("app", client).list()
    by_digest = ManifestRef("app", manifest.digest, client)
    for ref in (at, by_digest):
        described = ref.get_metadata()
        assert described is not None
        assert (described.digest, described.size, described.mediaType) == (
            manifest.digest,
            len(manifest.raw),
            manifest.media_type,
        )
        assert ref.fetch().raw == manifest.raw
    assert by_digest.delete()
    assert by_digest.get_metadata() is None
    assert not by_digest.delete(raise_not_found=False)
    return "yes"


@heading("manifest: image")
def _(client: DockerRegistryV2Client) -> str:
    return round_trip(client, image(client))


@heading("manifest: one of 3 MB")
def _(client: DockerRegistryV2Client) -> str:
    return round_trip(client, image(client, annotations={"large": "x" * 3_000_000}))


@heading("manifest: without layers")
def _(client: DockerRegistryV2Client) -> str:
    return round_trip(client, image(client, layers=()))


@heading("manifest: with fields of its own")
def _(client: DockerRegistryV2Client) -> str:
    return round_trip(client, image(client, **{"org.example.field": {"kept": True}}))


@heading("manifest: with a data field")
def _(client: DockerRegistryV2Client) -> str:
    config = blob(client, b"{}").model_copy(update={"mediaType": OCI_EMPTY, "data": "e30="})
    return round_trip(client, image(client, config=config, artifactType="application/vnd.example"))


@heading("manifest: with a layer kept elsewhere")
def _(client: DockerRegistryV2Client) -> str:
    foreign = Descriptor(
        mediaType=NONDISTRIBUTABLE, digest=Digest.of(b"away"), size=4, urls=("https://example.com/away",)
    )
    return round_trip(client, image(client, layers=(foreign,)))


@heading("manifest: artifact")
def _(client: DockerRegistryV2Client) -> str:
    return round_trip(client, image(client, artifactType="application/vnd.example"))


@heading("manifest: under a wrong digest")
def _(client: DockerRegistryV2Client) -> str:
    manifest = image(client)
    url = client.url("app", "manifests", Digest.of(b"another"))
    status = refused(lambda: discard(client.put(url, headers={"Content-Type": OCI_MANIFEST}, data=manifest.raw)))
    assert status is not None
    return f"{status}"


@heading("manifest: under its sha512")
def _(client: DockerRegistryV2Client) -> str:
    manifest = image(client)
    digest = Digest.of(manifest.raw, "sha512")
    status = refused(lambda: ManifestRef("app", digest, client).put(manifest))
    if status is not None:
        return in_words(status)
    found = refused(lambda: ManifestRef("app", digest, client).fetch())
    return "yes" if found is None else f"taken, then {found}"


def child(client: DockerRegistryV2Client, manifest: OCIManifestSchema1 | OCIIndex) -> Descriptor:
    """An entry of an index, pushed."""
    return ManifestRef("app", manifest.digest, client).put(manifest)


@heading("index: of images")
def _(client: DockerRegistryV2Client) -> str:
    return round_trip(client, OCIIndex(manifests=(child(client, image(client)),)))


@heading("index: within an index")
def _(client: DockerRegistryV2Client) -> str:
    inner = OCIIndex(manifests=(child(client, image(client)),))
    return round_trip(client, OCIIndex(manifests=(child(client, inner),)))


@heading("index: empty")
def _(client: DockerRegistryV2Client) -> str:
    return round_trip(client, OCIIndex(manifests=()))


@heading("index: a child that is missing")
def _(client: DockerRegistryV2Client) -> str:
    missing = Descriptor(mediaType=OCI_MANIFEST, digest=Digest.of(b"missing"), size=7)
    return in_words(refused(lambda: ManifestRef("app", "sparse", client).put(OCIIndex(manifests=(missing,)))))


def referring(client: DockerRegistryV2Client, subject: Descriptor, kind: str) -> Descriptor:
    """An artifact about `subject`, pushed."""
    return child(client, image(client, artifactType=kind, subject=subject))


def listed(client: DockerRegistryV2Client, subject: Digest, kind: str | None = None) -> list[Digest]:
    """The referrers, wherever they are kept."""
    found = list_referrers(client, "app", subject, kind)
    if found is None:
        index = ManifestRef("app", fallback_tag(subject), client).fetch().parse()
        assert isinstance(index, OCIIndex)
        found = [entry for entry in index.manifests if kind in (None, entry.artifactType)]
    return [entry.digest for entry in found]


@heading("referrers: of an image")
def _(client: DockerRegistryV2Client) -> str:
    subject = child(client, image(client, annotations={"who": "subject"}))
    first = referring(client, subject, "application/vnd.example.one")
    second = referring(client, subject, "application/vnd.example.two")
    assert set(listed(client, subject.digest)) == {first.digest, second.digest}
    assert listed(client, subject.digest, "application/vnd.example.two") == [second.digest]
    ManifestRef("app", first.digest, client).delete()
    assert listed(client, subject.digest) == [second.digest]
    return "by its API" if client.has_referrers_api else "under the fallback tag"


@heading("referrers: of an image that is missing")
def _(client: DockerRegistryV2Client) -> str:
    subject = Descriptor(mediaType=OCI_MANIFEST, digest=Digest.of(b"not yet"), size=7)
    artifact = referring(client, subject, "application/vnd.example.early")
    assert listed(client, subject.digest) == [artifact.digest]
    return "kept"


@heading("referrers: OCI-Subject in the answer")
def _(client: DockerRegistryV2Client) -> str:
    subject = child(client, image(client, annotations={"who": "again"}))
    artifact = image(client, artifactType="application/vnd.example", subject=subject)
    url = client.url("app", "manifests", artifact.digest)
    response = client.put(url, headers={"Content-Type": OCI_MANIFEST}, data=artifact.raw)
    discard(response)
    return "yes" if response.headers.get("OCI-Subject") == subject.digest else "no"


@heading("referrers: OCI-Filters-Applied")
def _(client: DockerRegistryV2Client) -> str:
    url = client.url("app", "referrers", Digest.of(b"unknown"))
    try:
        response = client.get(url, params={"artifactType": "application/vnd.example"})
    except RegscopeError:
        return "no API"
    discard(response)
    return "yes" if "artifactType" in response.headers.get("OCI-Filters-Applied", "") else "no"


@heading("a tag deleted alone")
def _(client: DockerRegistryV2Client) -> str:
    manifest = image(client, annotations={"who": "has two tags"})
    for tag in ("one", "other"):
        ManifestRef("app", tag, client).put(manifest)
    status = refused(lambda: discard(client.delete(client.url("app", "manifests", "no-such-tag"))))
    Tags("app", client).untag("one")
    assert ManifestRef("app", "one", client).get_metadata() is None
    assert ManifestRef("app", "other", client).fetch().raw == manifest.raw
    return "yes" if status in (None, 404) else f"by a stand-in ({status})"


@heading("tags in pages")
def _(client: DockerRegistryV2Client) -> str:
    manifest = image(client)
    for number in range(5):
        blob(client, CONFIG, "pages")
        blob(client, CONTENT, "pages")
        ManifestRef("pages", f"t{number}", client).put(manifest)
    assert Tags("pages", client).list() == [f"t{number}" for number in range(5)]
    response = client.get(client.url("pages", "tags", "list"), params={"n": 2})
    found = len(re.findall(rb'"t\d"', response.raw.read()))
    return "yes" if found == 2 and "Link" in response.headers else "no (all at once)"


@pytest.fixture(scope="module", params=KINDS)
def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, DockerRegistryV2Client]]:
    """Each registry, and a client of it."""
    kind = request.param
    server: Registry | OCIRegistry | DemoRegistry
    if kind == "oci-registry":
        server = OCIRegistry()
    elif kind == "DemoRegistry":
        server = DemoRegistry()
    else:
        program = distribution_3() if kind == "distribution 3" else None
        server = Registry(tmp_path_factory.mktemp("conformance") / "registry", program=program)
    with server, DockerRegistryV2Client(server.url) as client:
        yield kind, client


def known_table() -> dict[str, dict[str, str]]:
    """What the table says, by heading and registry."""
    rows = [line.strip("| \n").split(" | ") for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    kinds = rows[0][1:]
    return {row[0]: dict(zip(kinds, row[1:], strict=True)) for row in rows[1:]}


@pytest.mark.parametrize("name", HEADINGS)
def test_the_registry_answers_as_the_table_says(asked: tuple[str, DockerRegistryV2Client], name: str) -> None:
    kind, client = asked
    answer = HEADINGS[name](client)
    if os.environ.get("WRITE_CONFORMANCE"):
        write(name, kind, answer)
    assert known_table()[name][kind] == answer


def write(name: str, kind: str, answer: str) -> None:
    """Put an answer into the table: with WRITE_CONFORMANCE=1 in the environment."""
    known = known_table() if TABLE.exists() else {}
    table = {heading: dict.fromkeys(KINDS, "?") | known.get(heading, {}) for heading in HEADINGS}
    table[name][kind] = answer
    lines = [
        ["asked for", *KINDS],
        *([heading, *(answers[kind] for kind in KINDS)] for heading, answers in table.items()),
    ]
    text = [
        "# What registries answer",
        "",
        "Written by `test_conformance.py` (`WRITE_CONFORMANCE=1`), and held against each of them by every run of it.",
        "`oci-registry` is the one in `tests/servers/oci_registry`.",
        "",
        *(f"| {' | '.join(line)} |" for line in lines[:1]),
        "|" + "---|" * len(lines[0]),
        *(f"| {' | '.join(line)} |" for line in lines[1:]),
        "",
    ]
    TABLE.write_text("\n".join(text))


def test_the_table_has_no_other_lines() -> None:
    assert list(known_table()) == list(HEADINGS)
