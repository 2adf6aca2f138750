"""What users of other clients reported, one by one: whose report it is stands at each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import ContentError, InvalidInput, RequestErrorWithResponse, ResourceNotFound
from regscope.images.referring import referrers_of
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.tags import Tags
from regscope.spec.digest import Digest
from tests.lab.drawn_registries import Contents, artifact, image, layer
from tests.servers import deleting, faults
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry

IMAGE, OTHER = image([layer("one", 100)], 1), image([layer("two", 100)], 1)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[FaultProxy]:
    with Registry(tmp_path / "registry") as server, FaultProxy(server.url) as made:
        Contents(pushes=[("app", "1", IMAGE), ("app", "2", OTHER)]).push_to(server.url)
        yield made


@pytest.mark.parametrize("listing", ["none", "empty"])
def test_a_referrer_that_is_accepted_and_not_listed_gets_a_fallback_tag(
    proxy: FaultProxy, tmp_path: Path, listing: str
) -> None:
    """sigstore-js#1183, #1187: OCI-Subject in the answer, and no referrers API or an empty one."""

    def says_so(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        answer = forward()
        if request.method == "PUT" and "/manifests/" in request.path:
            answer.set_header("OCI-Subject", IMAGE.digest)
        return answer

    proxy.rule(says_so)
    if listing == "empty":
        index = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
        proxy.rule(
            lambda request: "/referrers/" in request.path,
            lambda request, forward: ProxyResponse(200, [("Content-Type", "application/json")], index),
        )
    note = tmp_path / "note"
    note.write_text("a note")
    attached = rs.attach(proxy.url, "app:1", note, "application/vnd.example.note")
    store = rs.open(proxy.url, cache=False)
    snap = rs.scan(store, progress=False)
    assert snap.referrers["digest"].tolist() == [attached]
    found = referrers_of(store, "app", IMAGE.digest, store.tags("app"))
    assert [(each.digest, each.artifact_type) for each in found] == [(attached, "application/vnd.example.note")]
    rs.copy(store, "app:1", f"oci:{tmp_path / 'layout'}", referrers=True, progress=False)
    assert rs.open(f"oci:{tmp_path / 'layout'}", cache=False).manifest("app", attached).digest == attached


@pytest.mark.parametrize(("status", "code"), [(400, "TAG_INVALID"), (412, "PRECONDITION"), (403, "DENIED")])
def test_a_tag_that_must_not_move_is_no_error_where_it_need_not(proxy: FaultProxy, status: int, code: str) -> None:
    """buildkit#3776, containers-roadmap#2179: the same image copied to the same immutable tag once more."""
    proxy.rule(faults.refuse("/copy/manifests/1", status, code, "the tag is immutable", methods=["PUT"], times=None))
    Contents(pushes=[("copy", "1", IMAGE)]).push_to(proxy.upstream)
    copied = rs.copy(proxy.upstream, "app:1", proxy.url, "copy:1", progress=False)
    assert copied.images[0].digest == IMAGE.digest
    with pytest.raises(RequestErrorWithResponse, match="immutable"):
        rs.copy(proxy.upstream, "app:2", proxy.url, "copy:1", overwrite=True, progress=False)


def test_a_tag_that_stays_listed_after_its_manifest_is_set_again_and_told(tmp_path: Path) -> None:
    """regclient#335, distribution#1293: the stand-in is deleted, and the tag dangles."""
    with Registry(tmp_path / "registry") as server, FaultProxy(server.url) as proxy:
        Contents(pushes=[("app", "1", IMAGE), ("app", "2", OTHER)]).push_to(server.url)

        def listed_on(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
            if not request.path.startswith("/v2/app/tags/list"):
                return None
            body = json.dumps({"name": "app", "tags": ["1", "2"]}).encode()
            return ProxyResponse(200, [("Content-Type", "application/json")], body)

        proxy.rule(listed_on)
        with pytest.raises(rs.RequestError, match="and keeps the tag"):
            Tags("app", DockerRegistryV2Client(proxy.url)).untag("1")
        assert rs.open(server.url, cache=False).resolve("app", "1") == IMAGE.digest


def test_several_errors_in_one_answer_are_all_told(proxy: FaultProxy) -> None:
    """go-containerregistry#709: UNKNOWN first, and what it is about after it."""
    errors = [
        {"code": "UNKNOWN", "message": "unknown error"},
        {"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry"},
    ]
    body = json.dumps({"errors": errors}).encode()
    proxy.rule(lambda request: "/manifests/" in request.path, lambda request, forward: ProxyResponse(400, [], body))
    with pytest.raises(RequestErrorWithResponse) as caught:
        rs.open(proxy.url, cache=False).manifest("app", "1")
    assert caught.value.code == "MANIFEST_BLOB_UNKNOWN"
    assert "blob unknown to registry; UNKNOWN: unknown error" in caught.value.message


def test_a_repository_that_must_be_created_first_is_told_as_such(proxy: FaultProxy, tmp_path: Path) -> None:
    """regclient#203: Amazon's registry makes no repository by itself."""
    proxy.rule(faults.refuse("/new/blobs/uploads/", 404, "NAME_UNKNOWN", "no such repository", methods=["POST"]))
    with pytest.raises(ResourceNotFound) as caught:
        rs.copy(proxy.upstream, "app:1", proxy.url, "new:1", progress=False)
    assert "Create the repository there first" in caught.value.next_step


def test_an_artifact_is_told_from_what_is_not_there(proxy: FaultProxy, tmp_path: Path) -> None:
    """zarf#1244, moby#44405: a Helm chart, looked into as if it were an image."""
    chart = artifact("application/vnd.cncf.helm.config.v1+json", b"a chart", None)
    Contents(pushes=[("chart", "1", chart)]).push_to(proxy.upstream)
    with pytest.raises(InvalidInput, match="is an artifact, application"):
        rs.copy(proxy.url, "chart:1", f"docker-archive:{tmp_path / 'x.tar'}", progress=False)
    snap = rs.scan(rs.open(proxy.url, cache=False), progress=False)
    with pytest.raises(InvalidInput, match="is an artifact, application"):
        rs.diff(snap, "chart:1", "app:1")


def test_the_page_that_a_link_names_wrongly_is_told(proxy: FaultProxy) -> None:
    """nexus-public#1011: the second page of a tag list is not where its Link header says."""

    def first_page(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.path == "/v2/app/tags/list":
            link = '</repository/app/v2/app/tags/list?last=1>; rel="next"'
            return ProxyResponse(200, [("Link", link)], b'{"name": "app", "tags": ["1"]}')
        return ProxyResponse(404) if request.path.startswith("/v2/app/tags/list") else None

    proxy.rule(first_page)
    with pytest.raises(ResourceNotFound, match="page 2 of the tag list of app, which the registry's Link header names"):
        Tags("app", DockerRegistryV2Client(proxy.url)).list()


def test_what_a_tag_list_names_by_digest_is_a_manifest_without_a_tag(proxy: FaultProxy) -> None:
    """zuul-registry lists manifests that were pushed by their digests among the tags."""
    Contents(pushes=[("app", None, image([layer("three", 100)], 1))]).push_to(proxy.upstream)
    loose = image([layer("three", 100)], 1).digest

    def with_digests(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if not request.path.startswith("/v2/app/tags/list"):
            return None
        body = json.dumps({"name": "app", "tags": ["1", "2", loose]}).encode()
        return ProxyResponse(200, [("Content-Type", "application/json")], body)

    proxy.rule(with_digests)
    snap = rs.scan(rs.open(proxy.url, cache=False), progress=False)
    assert snap.tags["tag"].tolist() == ["1", "2"]
    placed = dict(zip(snap.placements["digest"], snap.placements["found"], strict=True))
    assert placed == {IMAGE.digest: "tag", OTHER.digest: "tag", loose: "untagged"}


def test_a_push_with_a_docker_config_that_ends_in_a_line_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """go-containerregistry#280: `echo` instead of `echo -n` before base64."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with Registry(tmp_path / "registry", htpasswd={"ann": "secret"}) as server:
        auth = "YW5uOnNlY3JldA==\n"  # ann:secret
        (tmp_path / "config.json").write_text(json.dumps({"auths": {server.host: {"auth": auth}}}))
        assert rs.open(server.url, cache=False).repositories() == []


def test_a_manifest_that_a_registry_has_rewritten_is_an_error(proxy: FaultProxy) -> None:
    """distribution-spec#333: what is there under the tag is not what was pushed."""
    stated = Digest.of(b"rewritten")

    def rewritten(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        answer = forward()
        if request.method == "PUT" and "/manifests/" in request.path:
            answer.set_header("Docker-Content-Digest", stated)
        return answer

    proxy.rule(rewritten)
    with pytest.raises(ContentError, match="hash to"):
        rs.copy(proxy.upstream, "app:1", proxy.url, "copy:1", progress=False)


def test_referrers_by_api_alone_are_no_fallback_tag(tmp_path: Path) -> None:
    with OCIRegistry() as server, FaultProxy(server.url) as proxy:
        Contents(pushes=[("app", "1", IMAGE)]).push_to(server.url)
        (tmp_path / "note").write_text("a note")
        rs.attach(proxy.url, "app:1", tmp_path / "note", "application/vnd.example.note")
        assert Tags("app", DockerRegistryV2Client(server.url)).list() == ["1"]
        assert not deleting.on_tags(proxy, "app").keys() - {"1"}
