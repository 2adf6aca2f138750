from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from regscope.spec.descriptor import Descriptor, DockerConfigDescriptor, DockerLayerDescriptor
from regscope.spec.digest import Digest
from regscope.spec.media_types import DOCKER_CONFIG, DOCKER_LAYER
from tests.lab.documents import DIGEST, LAYER


def test_every_field_of_the_specification_is_read() -> None:
    descriptor = Descriptor.model_validate(
        {
            **LAYER,
            "urls": ["https://example.com/layer"],
            "annotations": {"org.opencontainers.image.title": "a.txt"},
            "data": "e30=",
            "artifactType": "application/x-sbom",
            "platform": {"os": "windows", "architecture": "amd64", "os.version": "10.0.14393"},
        }
    )
    assert descriptor.urls == ["https://example.com/layer"]
    assert descriptor.annotations == {"org.opencontainers.image.title": "a.txt"}
    assert (descriptor.data, descriptor.artifactType) == ("e30=", "application/x-sbom")
    assert descriptor.platform is not None
    assert descriptor.platform.os_version == "10.0.14393"
    assert type(descriptor.digest) is Digest


def test_null_is_an_empty_map_or_list_as_go_writes_it() -> None:
    descriptor = Descriptor.model_validate({**LAYER, "urls": None, "annotations": None, "platform": None})
    assert (descriptor.urls, descriptor.annotations, descriptor.platform) == ([], {}, None)


def test_an_unknown_field_survives() -> None:
    descriptor = Descriptor.model_validate({**LAYER, "x-vendor": {"deep": [1, None]}})
    assert descriptor.model_dump()["x-vendor"] == {"deep": [1, None]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", -1),
        ("size", 2**63),
        ("size", 10**40),
        ("size", 1.5),
        ("size", float("nan")),
        ("size", None),
        ("size", "many"),
        ("digest", "sha256:abc"),
        ("digest", None),
        ("mediaType", None),
        ("mediaType", 5),
        ("urls", "https://example.com"),
        ("annotations", {"a": 1}),
        ("annotations", ["a"]),
        ("platform", "linux/amd64"),
    ],
)
def test_a_field_of_the_wrong_form_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Descriptor.model_validate({**LAYER, field: value})
    assert caught.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize("size", [0, 2**63 - 1])
def test_the_smallest_and_the_largest_size_are_read(size: int) -> None:
    assert Descriptor.model_validate({**LAYER, "size": size}).size == size


@pytest.mark.parametrize("field", ["mediaType", "size", "digest"])
def test_what_the_specification_requires_may_not_be_missing(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        Descriptor.model_validate({name: value for name, value in LAYER.items() if name != field})


def test_a_descriptor_can_be_changed_and_checks_what_it_gets() -> None:
    descriptor = Descriptor.model_validate(LAYER)
    descriptor.size = 1
    descriptor.digest = "sha256:" + "c" * 64  # type: ignore[assignment]
    assert (descriptor.size, type(descriptor.digest)) == (1, Digest)
    with pytest.raises(ValidationError, match="greater than or equal"):
        descriptor.size = -1


def test_dockers_descriptors_know_their_usual_media_type() -> None:
    assert DockerConfigDescriptor(size=1, digest=Digest(DIGEST)).mediaType == DOCKER_CONFIG
    assert DockerLayerDescriptor(size=1, digest=Digest(DIGEST)).mediaType == DOCKER_LAYER
    assert DockerLayerDescriptor(size=1, digest=Digest(DIGEST), mediaType="x").mediaType == "x"
