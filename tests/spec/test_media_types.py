from __future__ import annotations

import pytest

from regscope.spec import media_types
from regscope.spec.manifest import MODELS


@pytest.mark.parametrize(
    ("header", "bare"),
    [
        (None, ""),
        ("", ""),
        ("application/json", "application/json"),
        ("Application/JSON; charset=utf-8", "application/json"),
        (" application/vnd.oci.image.index.v1+json ;q=1;x=y", media_types.OCI_INDEX),
        ("; charset=utf-8", ""),
    ],
)
def test_a_header_is_reduced_to_its_bare_type(header: str | None, bare: str) -> None:
    assert media_types.without_parameters(header) == bare


def test_every_manifest_type_is_asked_for_and_can_be_read() -> None:
    assert set(media_types.ACCEPT_MANIFESTS.split(", ")) == media_types.MANIFESTS == set(MODELS)


def test_an_index_is_asked_for_before_an_image() -> None:
    order = media_types.ACCEPT_MANIFESTS.split(", ")
    last_index = max(map(order.index, media_types.INDEXES))
    first_image = min(map(order.index, media_types.IMAGE_MANIFESTS))
    assert last_index < first_image < min(map(order.index, media_types.SCHEMA1))


@pytest.mark.parametrize(
    ("media_type", "is_layer", "is_foreign"),
    [
        (media_types.DOCKER_LAYER, True, False),
        (media_types.DOCKER_LAYER_TAR, True, False),
        (media_types.DOCKER_FOREIGN_LAYER, True, True),
        (media_types.OCI_LAYER, True, False),
        (media_types.OCI_LAYER_GZIP, True, False),
        (media_types.OCI_LAYER_ZSTD, True, False),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", True, True),
        (media_types.OCI_CONFIG, False, False),
        (media_types.OCI_EMPTY, False, False),
        ("application/vnd.in-toto+json", False, False),
        ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", False, False),
        ("", False, False),
    ],
)
def test_layers_of_files_and_layers_stored_elsewhere_are_told_apart(
    media_type: str, is_layer: bool, is_foreign: bool
) -> None:
    assert media_types.is_filesystem_layer(media_type) is is_layer
    assert media_types.is_foreign_layer(media_type) is is_foreign
