"""What refers to a manifest, by the registry's API where it has one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regscope.errors import InvalidManifest, RequestErrorWithResponse, UnsafeRedirect
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.referrers import has_referrers_api, list_referrers
from regscope.registry.retry_policy import RetryPolicy
from regscope.scanning.metadata import scan
from regscope.spec.descriptor import Descriptor
from regscope.spec.media_types import OCI_INDEX, OCI_MANIFEST
from regscope.stores.registry_store import RegistryStore
from tests.lab.images import push
from tests.servers import faults
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse, Rule

Images = dict[str, Descriptor]
HEX = "ab" * 32


def entry(letter: str) -> dict[str, object]:
    return {"mediaType": OCI_MANIFEST, "digest": f"sha256:{letter * 64}", "size": 7, "artifactType": "application/x"}


def referrers(about: str, *, extra: object = None) -> Rule:
    """The API of a registry where two manifests refer to `about`, on two pages."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if "/referrers/" not in request.path:
            return None
        first = about in request.path and "?" not in request.path
        entries = [entry("a" if first else "b")] if about in request.path else []
        if extra is not None and about in request.path:
            entries.append(extra)  # type: ignore[arg-type]
        headers = [("Content-Type", OCI_INDEX)]
        if first:
            headers.append(("Link", f'<{request.path}?page=2>; rel="next"'))
        return ProxyResponse(200, headers, json.dumps({"schemaVersion": 2, "manifests": entries}).encode())

    return rule


def test_a_registry_without_the_api_is_asked_once(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images
) -> None:
    for _ in range(3):
        assert list_referrers(proxied, "app", images["app:1.0"].digest) is None
    assert len(proxy.requests) == 1
    assert proxied.has_referrers_api is False


def test_all_pages_of_referrers_are_read(proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images) -> None:
    digest = images["app:1.0"].digest
    proxy.rule(referrers(digest))
    found = list_referrers(proxied, "app", digest)
    assert found is not None
    assert [item.digest[7] for item in found] == ["a", "b"]
    assert found[0].artifactType == "application/x"
    assert list_referrers(proxied, "app", images["app:1.1"].digest) == []
    assert len(proxy.requests) == 4


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_refusal_means_that_there_is_no_api(proxy: FaultProxy, proxied: DockerRegistryV2Client, status: int) -> None:
    proxy.rule(faults.refuse("/referrers/", status, "NO", "no"))
    assert not has_referrers_api(proxied, "app")


def test_a_page_for_every_address_is_no_api(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(lambda request, forward: ProxyResponse(200, [("Content-Type", "text/html")], b"<html>app"))
    assert not has_referrers_api(proxied, "app")


def test_an_answer_without_manifests_is_no_api(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(lambda request, forward: ProxyResponse(200, body=b"{}"))
    assert not has_referrers_api(proxied, "app")


def test_a_failing_api_is_an_error_and_not_an_absence(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxied.retry_policy = RetryPolicy(backoff=0)
    proxy.rule(faults.refuse("/referrers/", 500, "UNKNOWN", "no"))
    with pytest.raises(RequestErrorWithResponse):
        list_referrers(proxied, "app", f"sha256:{HEX}")
    assert proxied.has_referrers_api is None


@pytest.mark.parametrize("extra", [{}, {"digest": "x"}, 7, "x", [], {**entry("c"), "size": -1}])
def test_referrers_that_cannot_be_read_are_said(
    proxy: FaultProxy, proxied: DockerRegistryV2Client, images: Images, extra: object
) -> None:
    proxy.rule(referrers(images["app:1.0"].digest, extra=extra))
    with pytest.raises(InvalidManifest, match="the referrers of"):
        list_referrers(proxied, "app", images["app:1.0"].digest)


def test_referrers_elsewhere_are_refused(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    link = [("Link", '<https://evil.test/>; rel="next"')]
    proxied.has_referrers_api = True
    proxy.rule(lambda request, forward: ProxyResponse(200, link, b'{"manifests": []}'))
    with pytest.raises(UnsafeRedirect):
        list_referrers(proxied, "app", f"sha256:{HEX}")


def test_a_real_api_names_what_refers_to_an_image(oci_registry: OCIRegistry, images: dict[str, Descriptor]) -> None:
    client = DockerRegistryV2Client(oci_registry.url)
    found = list_referrers(client, "app", images["app:1.0"].digest)
    assert found is not None
    assert [(one.digest, one.artifactType) for one in found] == [(images["sbom"].digest, "application/spdx+json")]
    assert list_referrers(client, "app", images["app:1.1"].digest) == []
    snap = scan(RegistryStore(client))
    assert snap.problems.empty
    assert snap.referrers.set_index("digest")["found"].to_dict()[images["sbom"].digest] == "api"


def test_where_the_api_is_switched_off_the_fallback_tag_tells(layout: Path, images: dict[str, Descriptor]) -> None:
    with OCIRegistry("-no-referrers") as server:
        push(layout, server)
        client = DockerRegistryV2Client(server.url)
        assert list_referrers(client, "app", images["app:1.0"].digest) is None
        snap = scan(RegistryStore(client))
    assert images["sbom"].digest in set(snap.referrers["digest"])


def test_a_registry_that_states_no_digest_is_read_all_the_same(layout: Path, images: dict[str, Descriptor]) -> None:
    with OCIRegistry("-no-digest") as server:
        push(layout, server)
        snap = scan(RegistryStore(DockerRegistryV2Client(server.url)))
    found = {f"{row.repository}:{row.tag}": row.digest for row in snap.tags.itertuples()}
    assert {name: found[name] for name in found if name in images} == {
        name: descriptor.digest for name, descriptor in images.items() if ":" in name
    }
