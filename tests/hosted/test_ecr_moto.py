"""Amazon ECR's control plane as moto has written it: what regscope asks is understood by more than its own profile.

moto has no registry beside it, ignores page sizes and `filter`, deletes an image whose tag is moved, and deletes what
an index holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from regscope.errors import ResourceNotFound
from regscope.hosted.aws_login import AWSLogin
from regscope.hosted.ecr import ECR
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credentials import Credentials
from regscope.spec.digest import Digest
from tests.lab.drawn_registries import image, layer
from tests.servers.hosted.ecr import ACCOUNT, REGION

IMAGES = [image([layer(f"layer {at}", 100)], 5) for at in range(3)]


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[ECR]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "anything")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    api = boto3.client("ecr", region_name=REGION)
    api.create_repository(repositoryName="team/app")
    for pushed, tag in zip(IMAGES, ({}, {"imageTag": "latest"}, {"imageTag": "1.0"}), strict=True):
        document = {**json.loads(pushed.raw), "mediaType": pushed.media_type}
        api.put_image(repositoryName="team/app", imageManifest=json.dumps(document), **tag)
    yield ECR(DockerRegistryV2Client(f"https://{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"))
    server.stop()


def test_it_lists_deletes_and_logs_in(provider: ECR) -> None:
    assert provider.repositories("team") == ["team/app"]
    listing = provider.manifests("team/app")
    assert listing is not None
    rows = {row.tag_names: row for row in listing.manifests}
    assert set(rows) == {(), ("latest",), ("1.0",)}
    assert all(row.pushed is not None and not row.archived for row in listing.manifests)
    absent = Digest.of(b"nothing")
    failed = provider.delete("team/app", [rows[()].digest, absent])
    assert {*failed} == {absent}
    assert isinstance(failed[absent], ResourceNotFound)
    provider.check_deletes("team/app")
    left = provider.manifests("team/app")
    assert left is not None
    assert {row.tag_names for row in left.manifests} == {("latest",), ("1.0",)}
    with pytest.raises(ResourceNotFound):
        provider.manifests("team/nothing")
    login = AWSLogin(ECR.place(f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com")).login()
    assert isinstance(login, Credentials)
    assert login.username == "AWS"
