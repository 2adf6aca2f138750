"""Lists in pages: the catalog and the tags."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from regscope.errors import (
    ConnectionFailed,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    UnsafeRedirect,
    Unsupported,
)
from regscope.registry import catalog
from regscope.registry.catalog import list_repositories
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.tags import Tags
from regscope.spec.media_types import OCI_CONFIG, OCI_MANIFEST
from tests.images import TAGS as HELD
from tests.images import push, put_blob, put_manifest
from tests.servers import faults
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse, Rule
from tests.servers.registry import Registry

MANY = sorted(f"team-{number % 7}/app-{number}" for number in range(105))
TAGS = [f"{number}.0" for number in range(25)]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry of many repositories with one tiny image each, and pages of at most 50."""
    env = {"REGISTRY_CATALOG_MAXENTRIES": "50"}
    with Registry(tmp_path_factory.mktemp("crowded"), env=env) as server, requests.Session() as web:
        web.trust_env = False
        config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
        digest = put_blob(web, server.url, MANY[0], config)
        for name in MANY:
            mount = {"mount": digest, "from": MANY[0]}
            assert web.post(f"{server.url}/v2/{name}/blobs/uploads/", params=mount).status_code == 201
            entry = {"mediaType": OCI_CONFIG, "digest": digest, "size": len(config)}
            manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": entry, "layers": []}
            put_manifest(web, server.url, name, "1", json.dumps(manifest).encode(), OCI_MANIFEST)
        yield server


def in_pages(size: int, link: Callable[[str], str]) -> Rule:
    """Answer for a list of tags in pages, each with a `Link` made from the address of the next."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        path, _, query = request.path.partition("?")
        if not path.endswith("/tags/list"):
            return None
        start = int(query.removeprefix("at=") or 0)
        headers = [("Link", link(f"{path}?at={start + size}"))] if start + size < len(TAGS) else []
        return ProxyResponse(200, headers, json.dumps({"name": "x", "tags": TAGS[start : start + size]}).encode())

    return rule


def test_a_catalog_of_many_pages_is_whole(crowded: Registry) -> None:
    with FaultProxy(crowded.url) as proxy, requests.Session() as web:
        web.trust_env = False
        assert web.get(f"{crowded.url}/v2/_catalog?n=1000").status_code == 400  # or nothing is tested here
        assert list_repositories(DockerRegistryV2Client(proxy.url)) == MANY
        assert [request.status for request in proxy.requests] == [400, 200, 200, 200]


def test_a_catalog_is_read_in_large_pages_where_that_is_allowed(
    proxy: FaultProxy, proxied: DockerRegistryV2Client
) -> None:
    assert list_repositories(proxied) == ["app", "base", "legacy", "team/api", "team/worker", "tool"]
    assert [request.path for request in proxy.requests] == ["/v2/_catalog?n=1000"]


@pytest.mark.parametrize(
    "link",
    [
        lambda path: f'<{path}>; rel="next"',
        lambda path: f"<{path}>; rel=next",
        lambda path: f'</v2/other>; rel="prev", <{path}>; rel="next"',
        lambda path: f'<?{path.partition("?")[2]}>; rel="next"',
    ],
)
def test_relative_links_are_followed(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, link: Callable[[str], str]
) -> None:
    proxy.rule(in_pages(10, link))
    assert Tags("base", proxied).list() == sorted(TAGS)
    assert len(proxy.requests) == 3


def test_absolute_links_within_the_registry_are_followed(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(in_pages(10, lambda path: f'<{proxy.url}{path}>; rel="next"'))
    assert Tags("base", proxied).list() == sorted(TAGS)


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "https://evil.test", "//evil.test", "http://[bad", "file://"])
def test_a_link_to_elsewhere_is_refused(proxy: FaultProxy, proxied: DockerRegistryV2Client, host: str) -> None:
    proxy.rule(in_pages(10, lambda path: f'<{host}{path}>; rel="next"'))
    with pytest.raises(UnsafeRedirect) as caught:
        Tags("base", proxied).list()
    assert caught.value.next_step
    assert len(proxy.requests) == 1


def test_links_in_a_circle_end(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(in_pages(10, lambda path: f'<{path.replace("at=20", "at=0")}>; rel="next"'))
    with pytest.raises(RequestError, match="in a circle"):
        Tags("base", proxied).list()
    assert len(proxy.requests) == 3


def test_a_page_that_was_cut_is_asked_for_again(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(faults.cut_body("/tags/list", 5, times=2))
    assert Tags("base", proxied).list() == ["1", "stable"]
    proxy.rules[:] = [faults.cut_body("/tags/list", 5, times=None)]
    with pytest.raises(ConnectionFailed) as caught:
        Tags("base", proxied).list()
    assert caught.value.next_step


@pytest.mark.parametrize("body", [b'{"name": "x", "tags": null}', b'{"name": "x"}', b'{"tags": []}', b'{"tags": "no"}'])
def test_a_list_of_nothing_is_empty(proxy: FaultProxy, proxied: DockerRegistryV2Client, body: bytes) -> None:
    proxy.rule(faults.replace_body("/tags/list", body))
    assert Tags("base", proxied).list() == []


def test_tags_are_sorted_and_each_named_once(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(faults.replace_body("/tags/list", b'{"tags": ["b", "a", 7, "b", null]}'))
    assert Tags("base", proxied).list() == ["a", "b"]


def test_a_repository_that_is_not_there_is_said(client: DockerRegistryV2Client) -> None:
    with pytest.raises(ResourceNotFound) as caught:
        Tags("no/such", client).list()
    assert caught.value.code == "NAME_UNKNOWN"


def test_a_tag_is_described_or_is_none(client: DockerRegistryV2Client) -> None:
    found = Tags("base", client).get("stable")
    assert found is not None
    assert (found.mediaType, found.size > 100) == (OCI_MANIFEST, True)
    assert found == Tags("base", client).get("1")
    assert Tags("base", client).get("nothing") is None


@pytest.mark.parametrize("page", [b"[]", b"null", b"<html>", b"", b"[" * 100_000, b"\xff\xfe"])
def test_a_page_that_is_no_page_is_said(proxy: FaultProxy, proxied: DockerRegistryV2Client, page: bytes) -> None:
    proxy.rule(faults.replace_body("/tags/list", page))
    with pytest.raises(RequestErrorWithResponse, match="is not a JSON object"):
        Tags("base", proxied).list()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NOT_FOUND", Unsupported),
        (405, "UNSUPPORTED", Unsupported),
        (403, "DENIED", PermissionDeny),
    ],
)
def test_a_registry_without_a_catalog_says_to_name_the_repositories(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, status: int, code: str, kind: type[RequestErrorWithResponse]
) -> None:
    proxy.rule(faults.refuse("_catalog", status, code, "no"))
    with pytest.raises(RequestErrorWithResponse) as caught:
        list_repositories(proxied)
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert "--repository" in caught.value.next_step


def test_a_catalog_that_is_refused_as_wrong_is_an_error(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(faults.refuse("_catalog", 400, "BAD", "no"))
    with pytest.raises(RequestErrorWithResponse, match="BAD"):
        list_repositories(proxied)
    assert len(proxy.requests) == 2


def test_a_short_page_is_not_the_end(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    pages = {"": (b'{"tags": ["c"]}', "b"), "b": (b'{"tags": []}', "a"), "a": (b'{"tags": ["a", "b"]}', "")}

    def page(request: ProxyRequest, forward: object) -> ProxyResponse:
        body, following = pages[request.path.partition("last=")[2]]
        link = [("Link", f'<{request.path.partition("?")[0]}?n=9&last={following}>; rel="next"')] if following else []
        return ProxyResponse(200, link, body)

    proxy.rule(page)
    assert Tags("base", proxied).list() == ["a", "b", "c"]


def test_a_catalog_without_links_goes_on_after_its_last_name(layout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_PAGE", 2)
    with OCIRegistry("-no-links") as server:
        push(layout, server)
        assert list_repositories(DockerRegistryV2Client(server.url)) == sorted(HELD)


def test_a_registry_that_knows_no_last_does_not_hold_anybody_up(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_PAGE", 2)
    proxy.rule(lambda request, forward: ProxyResponse(200, body=b'{"repositories": ["a", "b"]}'))
    assert list_repositories(proxied) == ["a", "b"]
    assert len(proxy.requests) == 2
