"""The scan, `image referrers` and a copy with referrers find the same, and say the same of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.images.referring import referrers_of
from tests.lab.drawn_registries import (
    Contents,
    Pushed,
    artifact,
    dashed,
    fallback_list,
    image,
    index,
    layer,
    with_attestation,
)
from tests.servers.oci import OCIRegistry
from tests.servers.registry import Registry, distribution_3

IMAGE = image([layer("base", 100)], 1)
SBOM = artifact("application/spdx+json", b"an SBOM", IMAGE)
UNSAID = artifact("application/vnd.example.scan", b"a scan", IMAGE)  # its list does not say its type
COSIGN = {
    suffix: artifact("application/vnd.dev.cosign.simplesigning.v1+json", suffix.encode(), None)
    for suffix in (".sig", ".att", ".sbom")
}


def listed(*referrers: Pushed) -> Pushed:
    """A fallback list whose descriptors have no `artifactType`."""
    raw = fallback_list(list(referrers)).raw.replace(b', "artifactType": "sbom"', b"")
    return Pushed(raw, fallback_list([]).media_type, children=referrers)


@pytest.fixture(params=["docker-registry", "distribution-3", "oci-registry"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    servers: dict[str, Callable[[], Registry | OCIRegistry]] = {
        "docker-registry": lambda: Registry(tmp_path / "registry"),
        "distribution-3": lambda: Registry(tmp_path / "registry", program=distribution_3()),
        "oci-registry": OCIRegistry,
    }
    with servers[request.param]() as server:
        pushes: list[tuple[str, str | None, Pushed]] = [
            ("app", "1", IMAGE),
            ("app", None, SBOM),
            ("app", None, UNSAID),
            ("app", dashed(IMAGE.digest), listed(SBOM, UNSAID)),
            *(("app", dashed(IMAGE.digest, suffix), pushed) for suffix, pushed in COSIGN.items()),
        ]
        Contents(pushes=pushes).push_to(server.url)
        yield server.url


EXPECTED = {
    SBOM.digest: "application/spdx+json",
    UNSAID.digest: "application/vnd.example.scan",
    COSIGN[".sig"].digest: "signature",
    COSIGN[".att"].digest: "attestation",
    COSIGN[".sbom"].digest: "SBOM",
}


def test_all_three_agree(url: str, tmp_path: Path) -> None:
    store = rs.open(url, cache=False)
    snap = rs.scan(store, progress=False)
    assert dict(zip(snap.referrers["digest"], snap.referrers["artifact_type"], strict=True)) == EXPECTED
    found = referrers_of(store, "app", IMAGE.digest, store.tags("app"))
    assert {each.digest: each.artifact_type for each in found} == EXPECTED
    rs.copy(store, "app:1", f"oci:{tmp_path / 'layout'}", referrers=True, progress=False)
    copied = rs.scan(rs.open(f"oci:{tmp_path / 'layout'}", cache=False), progress=False)
    assert dict(zip(copied.referrers["digest"], copied.referrers["artifact_type"], strict=True)) == EXPECTED


def test_an_empty_list_is_no_referrer(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server:
        pushes = [("app", "1", IMAGE), ("app", dashed(IMAGE.digest), fallback_list([]))]
        Contents(pushes=list(pushes)).push_to(server.url)
        snap = rs.scan(rs.open(server.url, cache=False), progress=False)
        assert snap.referrers.empty


def test_each_repository_has_its_own_referrers_whoever_answers_first() -> None:
    """A child that two repositories share is read in one of them; a referrer of it may be in the other alone."""
    child = image([layer("shared", 100)], 1)
    of_child = artifact("application/spdx+json", b"about the child", child)
    whole = index([child])
    with OCIRegistry() as server:
        pushes: list[tuple[str, str | None, Pushed]] = [
            *((repository, "1", whole) for repository in ("a", "b", "c")),
            ("b", None, of_child),
        ]
        random.Random(7).shuffle(pushes)
        Contents(pushes=pushes).push_to(server.url)
        for _ in range(10):
            snap = rs.scan(rs.open(server.url, cache=False), progress=False)
            placed = set(zip(snap.placements["repository"], snap.placements["digest"], strict=True))
            assert ("b", of_child.digest) in placed
            assert not {("a", of_child.digest), ("c", of_child.digest)} & placed


@pytest.mark.parametrize(
    ("suffix", "pushed", "artifact_type"),
    [
        ("", SBOM, "application/spdx+json"),  # a referrer itself, where a list of them should be
        (".sig", index([COSIGN[".att"]]), "signature"),  # an index that is one thing, and no list
        (".sig", fallback_list([]), "signature"),
    ],
)
def test_a_tag_decides_by_its_name_what_refers(tmp_path: Path, suffix: str, pushed: Pushed, artifact_type: str) -> None:
    tag = dashed(IMAGE.digest, suffix)
    with Registry(tmp_path / "registry") as server:
        Contents(pushes=[("app", "1", IMAGE), ("app", tag, pushed)]).push_to(server.url)
        store = rs.open(server.url, cache=False)
        [found] = referrers_of(store, "app", IMAGE.digest, store.tags("app"))
        assert found == (tag, pushed.digest, artifact_type)
        snap = rs.scan(store, progress=False)
        of_image = snap.referrers[snap.referrers["subject"] == IMAGE.digest]
        assert of_image.set_index("digest")["artifact_type"].to_dict() == {pushed.digest: artifact_type}
        rs.copy(store, "app:1", f"oci:{tmp_path / 'layout'}", referrers=True, progress=False)
        assert rs.open(f"oci:{tmp_path / 'layout'}", cache=False).tags("app") == ["1", tag]


def test_an_image_that_a_tag_calls_by_its_own_digest_does_not_refer_to_itself(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server:
        Contents(pushes=[("app", "1", IMAGE), ("app", dashed(IMAGE.digest), IMAGE)]).push_to(server.url)
        store = rs.open(server.url, cache=False)
        assert rs.scan(store, progress=False).referrers.empty
        assert referrers_of(store, "app", IMAGE.digest, store.tags("app")) == []


@pytest.mark.parametrize("attested", ["1", "../1", "", "sha256:1"])
def test_an_attestation_that_names_no_digest_is_about_nothing(tmp_path: Path, attested: str) -> None:
    """One that named a tag was looked for by that, and the tag was in the table twice."""
    whole = with_attestation(IMAGE)
    stated = '"vnd.docker.reference.digest": "%s"'
    raw = whole.raw.replace((stated % IMAGE.digest).encode(), (stated % attested).encode())
    odd = Pushed(raw, whole.media_type, children=whole.children)
    assert odd.raw != whole.raw
    with Registry(tmp_path / "registry") as server:
        Contents(pushes=[("app", "1", IMAGE), ("app", "all", odd)]).push_to(server.url)
        snap = rs.scan(rs.open(server.url, cache=False), progress=False)
        assert snap.tags["tag"].tolist() == ["1", "all"]
        assert snap.referrers.empty
        assert snap.platforms["is_attestation"].tolist() == [False, True]
        assert snap.problems.empty
