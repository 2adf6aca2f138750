"""Lists in pages: the catalog and the tags."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

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
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.tags import Tags
from regscope.spec.media_types import OCI_CONFIG, OCI_MANIFEST
from tests.lab.images import TAGS as HELD
from tests.lab.images import push, put_blob, put_manifest
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
        start = int(query.removeprefix("at=").partition("&")[0] or 0)
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


@pytest.mark.parametrize(
    "link",
    [
        '<{path}>; Rel="Next"',
        "<{path}>; REL=NEXT",
        '<{path}>; rel="next last"',
        '<{path}>; rel="prefetch next"',
        "<{path}>",
        "{path}",
        '{path}; rel="next"',
        '<{path}>; title="a, <b>; rel=prev"; rel="next"; type="x"',
        '</v2/other>; rel="first", <{path}>; rel="next", </v2/other>; rel="last"',
        '</v2/other>; title="1, 2", <{path}>; rel=next',
        '</v2/other>; rel="prev", <{path}>',
        '<{path}&x=a,b>; rel="next"',
        "<{path}>;rel='next'",
    ],
)
def test_a_link_is_read_in_every_spelling(proxy: FaultProxy, proxied: DockerRegistryV2Client, link: str) -> None:
    proxy.rule(in_pages(10, lambda path: link.format(path=path)))
    assert Tags("base", proxied).list() == sorted(TAGS)
    assert len(proxy.requests) == 3


@pytest.mark.parametrize("link", ['<{path}>; rel="prev"', '<{path}>; rel="nextish"', "", ";", '<>; rel="next"', "<"])
def test_what_is_no_link_to_a_next_page_ends_the_list(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, link: str
) -> None:
    proxy.rule(in_pages(10, lambda path: link.format(path=path)))
    assert Tags("base", proxied).list() == sorted(TAGS[:10])
    assert len(proxy.requests) == 1


def test_two_link_headers_are_read_as_one(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    def two(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        answer = forward()
        answer.headers.insert(0, ("Link", '</v2/other>; rel="first"'))
        return answer

    proxy.rule(two)
    proxy.rule(in_pages(10, lambda path: f'<{path}>; rel="next"'))
    assert Tags("base", proxied).list() == sorted(TAGS)


@pytest.mark.parametrize(
    "host", ["https://{own}", "http://127.0.0.1:1", "http://localhost", "https://evil.test", "//evil.test"]
)
def test_a_link_by_another_host_is_asked_at_the_registry_itself(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, host: str
) -> None:
    proxy.rule(in_pages(10, lambda path: f'<{host.format(own=proxy.host)}{path}>; rel="next"'))
    assert Tags("base", proxied).list() == sorted(TAGS)
    assert [request.path for request in proxy.requests[1:]] == [
        "/v2/base/tags/list?at=10",
        "/v2/base/tags/list?at=20",
    ]


@pytest.mark.parametrize("link", ["http://[bad{path}", "file://{path}", "https://evil.test/other?at=10", "//evil.test"])
def test_a_link_to_something_else_elsewhere_is_refused(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, link: str
) -> None:
    proxy.rule(in_pages(10, lambda path: f'<{link.format(path=path)}>; rel="next"'))
    with pytest.raises(UnsafeRedirect) as caught:
        Tags("base", proxied).list()
    assert caught.value.next_step
    assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    "link", ["/v2/base/tags/list", "https://inside.test/v2/base/tags/list", "/v2/key/base/tags/list"]
)
def test_a_registry_below_a_path_is_asked_there_for_the_next_page(proxy: FaultProxy, link: str) -> None:
    """Artifactory's links leave out the path under which it was reached."""
    proxy.rule(in_pages(10, lambda path: f'<{link}?{path.partition("?")[2]}>; rel="next"'))
    client = DockerRegistryV2Client(f"{proxy.url}/artifactory/api/docker/key")
    assert Tags("base", client).list() == sorted(TAGS)
    paths = {request.path.partition("?")[0] for request in proxy.requests}
    assert paths == {"/artifactory/api/docker/key/v2/base/tags/list"}


def test_links_in_a_circle_end(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(in_pages(10, lambda path: f'<{path.replace("at=20", "at=0")}>; rel="next"'))
    with pytest.raises(RequestError, match="in a circle") as caught:
        Tags("base", proxied).list()
    assert caught.value.next_step
    assert len(proxy.requests) == 3


@pytest.mark.parametrize(("body", "asked"), [(b'{"tags": ["a", "b"]}', 4), (b'{"tags": []}', 100), (b"{}", 100)])
def test_pages_that_bring_nothing_new_end(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, body: bytes, asked: int
) -> None:
    numbers = itertools.count()

    def again(request: ProxyRequest, forward: Forward) -> ProxyResponse:
        return ProxyResponse(200, [("Link", f'</v2/base/tags/list?last={next(numbers)}>; rel="next"')], body)

    proxy.rule(again)
    with pytest.raises(RequestError, match="nothing new") as caught:
        Tags("base", proxied).list()
    assert caught.value.next_step
    assert len(proxy.requests) == asked


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


def names_in_pages(names: list[str], key: str, size: int, links: bool = False, knows_last: bool = True) -> Rule:
    """Answer for a list that is asked for by `n` and `last`, `size` names at most; with `links` by an opaque mark."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse:
        query = parse_qs(request.path.partition("?")[2])
        last = query.get("last", [""])[0]
        if last.startswith("mark-"):
            start = int(last[5:])
        elif last and not knows_last:
            return ProxyResponse(405, [], b'{"errors": [{"code": "UNSUPPORTED", "message": "invalid nextToken"}]}')
        else:
            start = sum(name <= last for name in names)
        end = start + min(int(query.get("n", [str(size)])[0]), size)
        headers = [("Link", f'<?n={size}&last=mark-{end}>; rel="next"')] if links and end < len(names) else []
        return ProxyResponse(200, headers, json.dumps({key: names[start:end]}).encode())

    return rule


@pytest.mark.parametrize(("count", "asked"), [(900, 2), (1000, 2), (1500, 2), (2000, 2)])
def test_after_pages_with_a_link_a_page_without_one_is_the_end(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, count: int, asked: int
) -> None:
    """Amazon's catalog, which takes no name for `last`: the question after a single full page is refused."""
    names = [f"app-{number:05}" for number in range(count)]
    proxy.rule(names_in_pages(names, "repositories", 1000, links=True, knows_last=False))
    assert list_repositories(proxied) == names
    assert len(proxy.requests) == asked
    assert [request.status for request in proxy.requests].count(405) == (count <= 1000)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422])
def test_what_was_read_is_kept_where_the_question_for_more_is_refused(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, status: int
) -> None:
    names = [f"app-{number:05}" for number in range(1000)]
    proxy.rule(faults.refuse("last=", status, "NO", "no such name"))
    proxy.rule(names_in_pages(names, "repositories", 1000))
    proxy.rule(lambda request: status == 401, faults.replace_header("", "WWW-Authenticate", "Basic"))
    assert list_repositories(proxied) == names


def test_a_failure_of_the_question_for_more_is_an_error(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxied.retry_policy = RetryPolicy(refusals=0)
    proxy.rule(faults.refuse("last=", 500, "NO", "no"))
    proxy.rule(names_in_pages([f"app-{number:05}" for number in range(1000)], "repositories", 1000))
    with pytest.raises(RequestErrorWithResponse, match="500"):
        list_repositories(proxied)


@pytest.mark.parametrize("size", [50, 100, 500])
def test_a_catalog_in_smaller_pages_than_asked_for_is_whole_without_links(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, size: int
) -> None:
    names = [f"app-{number:05}" for number in range(1020)]
    proxy.rule(names_in_pages(names, "repositories", size))
    assert list_repositories(proxied) == names


@pytest.mark.parametrize(("count", "asked"), [(99, 1), (100, 2), (250, 3), (300, 4)])
def test_a_full_page_of_tags_without_a_link_is_not_taken_for_the_end(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, count: int, asked: int
) -> None:
    names = [f"v{number:05}" for number in range(count)]
    proxy.rule(names_in_pages(names, "tags", 100))
    assert Tags("base", proxied).list() == names
    assert len(proxy.requests) == asked


def test_all_tags_in_one_page_are_asked_for_once(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    """Gitea's older lists have no links, and are whole unless `n` asks for less."""
    names = [f"v{number:05}" for number in range(1234)]
    proxy.rule(names_in_pages(names, "tags", 10_000))
    assert Tags("base", proxied).list() == names
    assert [request.path for request in proxy.requests] == ["/v2/base/tags/list"]


def test_a_registry_that_knows_no_last_does_not_hold_anybody_up(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_PAGE", 2)
    proxy.rule(lambda request, forward: ProxyResponse(200, body=b'{"repositories": ["a", "b"]}'))
    assert list_repositories(proxied) == ["a", "b"]
    assert len(proxy.requests) == 2
