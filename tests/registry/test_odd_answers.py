"""Answers that are no registry's, wherever one is read: an error of ours or a row of `problems`, and no crash."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import regscope as rs
from regscope.errors import InvalidManifest, RegscopeError
from regscope.registry.blobs import Blob
from regscope.registry.catalog import list_repositories
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.referrers import list_referrers
from regscope.registry.tags import Tags
from regscope.scanning.metadata import scan
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.stores.registry_store import RegistryStore
from tests.servers import faults
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse

NOTHING = Digest.of(b"nothing")
ODD = {
    "empty": b"",
    "a web page": b"<!DOCTYPE html><html><title>Sign in</title></html>",
    "null": b"null",
    "a list": b"[]",
    "a number": b"7",
    "a string": b'"tags"',
    "an empty object": b"{}",
    "wrong types": b'{"tags": 7, "repositories": {}, "manifests": "x", "config": [], "layers": {}, "token": []}',
    "half": b'{"tags": ["a"',
    "too deep": b'{"tags": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no text": bytes(range(256)),
    "nulls inside": b'{"schemaVersion": 2, "config": null, "layers": null, "manifests": [null], "tags": [null]}',
    "lone surrogates": rb'{"tags": ["\ud800"], "repositories": ["\udfff"], "errors": [{"message": "\ud800"}]}',
}
READING: dict[str, Callable[[DockerRegistryV2Client], object]] = {
    "the catalog": list_repositories,
    "tags": lambda client: Tags("base", client).list(),
    "a manifest": lambda client: ManifestRef("base", "1", client).get(),
    "a manifest by digest": lambda client: ManifestRef("base", NOTHING, client).get(),
    "metadata": lambda client: ManifestRef("base", "1", client).get_metadata(),
    "a blob": lambda client: Blob("base", NOTHING, client=client).read(2**20),
    "a blob's size": lambda client: Blob("base", NOTHING, client=client).stat(),
    "referrers": lambda client: list_referrers(client, "base", NOTHING),
}


@pytest.mark.parametrize("status", [200, 206, 302, 400, 418, 599])
@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
@pytest.mark.parametrize("read", READING.values(), ids=READING)
def test_whatever_is_answered_is_an_answer_or_an_error_of_ours(
    proxy: FaultProxy,
    proxied: DockerRegistryV2Client,
    read: Callable[[DockerRegistryV2Client], object],
    body: bytes,
    status: int,
) -> None:
    proxy.rule(lambda request, forward: ProxyResponse(status, [("Content-Type", "application/json")], body))
    said = ""
    try:
        read(proxied)
    except RegscopeError as error:
        said = str(error)
    assert said.replace("\n", "").isprintable()


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
@pytest.mark.parametrize("place", ["/tags/", "/manifests/", "/blobs/"])
def test_a_scan_goes_on_where_one_place_answers_oddly(proxy: FaultProxy, place: str, body: bytes) -> None:
    def odd_in_one_repository(request: object, forward: object) -> ProxyResponse | None:
        path = getattr(request, "path", "")
        return ProxyResponse(200, body=body) if path.startswith(f"/v2/app{place}") else None

    proxy.rule(odd_in_one_repository)
    snap = scan(RegistryStore(DockerRegistryV2Client(proxy.url)))
    others = {"base", "legacy", "team/api", "team/worker", "tool"}
    assert others <= set(snap.tags["repository"])
    assert set(snap.problems["repository"]) <= {"app"}
    if place == "/tags/":
        assert "app" not in set(snap.tags["repository"])
    else:
        assert not snap.problems.empty


def test_a_challenge_that_is_no_challenge_is_said(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    for challenge in ("", "Bearer", "Bearer realm=", 'Bearer realm=""', "Negotiate", "\xff" * 9000, "a=b,a=b"):
        proxy.clear()
        proxy.rule(lambda request, forward, said=challenge: ProxyResponse(401, [("WWW-Authenticate", said)]))  # type: ignore[misc]
        with pytest.raises(RegscopeError) as caught:
            Tags("base", proxied).list()
        assert caught.value.next_step


def test_of_a_digest_that_is_asked_for_only_its_own_bytes_are_taken(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: dict[str, Descriptor]
) -> None:
    other = ManifestRef("app", "1.0", proxied).fetch().raw
    proxy.rule(lambda request, forward: ProxyResponse(200, body=other))
    with pytest.raises(RegscopeError):
        ManifestRef("base", images["base:1"].digest, proxied).fetch()


@pytest.mark.parametrize("media_type", ["text/html", "application/octet-stream", None])
def test_a_portals_page_is_no_manifest_and_has_no_digest(proxy: FaultProxy, media_type: str | None) -> None:
    """A login page that answers in the registry's place, with 200."""
    page = ProxyResponse(200, [("Content-Type", media_type)] if media_type else [], b"<html>Log in</html>")
    proxy.rule(lambda request: "/manifests/" in request.path, lambda request, forward: page)
    with pytest.raises(InvalidManifest, match="is not a JSON object"):
        rs.open(proxy.url, cache=False).resolve("base", "1")


@pytest.mark.parametrize(("header", "value"), [("Content-Type", None), ("Content-Length", "0")])
def test_what_a_head_leaves_out_of_a_manifest_is_read(proxy: FaultProxy, header: str, value: str | None) -> None:
    client = DockerRegistryV2Client(proxy.url)
    expected = Tags("base", client).get("1")

    def of_a_head(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        rule = faults.replace_header("/manifests/", header, value)
        return rule(request, forward) if request.method == "HEAD" else None

    proxy.rule(of_a_head)
    assert Tags("base", client).get("1") == expected
