"""Whole registries and policies, drawn by hypothesis and pushed into a real registry."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import requests
from hypothesis import strategies as st

import regscope as rs
from regscope.spec.digest import Digest
from regscope.spec.media_types import ACCEPT_MANIFESTS

NOW = datetime.now(UTC).replace(microsecond=0)
REPOSITORIES = ("base", "team/app", "team/web")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
PLATFORMS = ("amd64", "arm64", "riscv64")


@dataclass(frozen=True, repr=False)
class Pushed:
    """A manifest, byte for byte, and the blobs and manifests that it needs."""

    raw: bytes
    media_type: str
    blobs: tuple[bytes, ...] = ()
    children: tuple[Pushed, ...] = ()

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    def __repr__(self) -> str:
        below = f" of {list(self.children)}" if self.children else ""
        return f"<{json.loads(self.raw).get('artifactType', 'manifest')} {self.digest[7:15]}{below}>"


@dataclass
class Contents:
    """What is done to an empty registry, in this order: every push, then every deletion of a manifest."""

    pushes: list[tuple[str, str | None, Pushed]] = field(default_factory=list)  # repository, tag
    deletions: list[tuple[str, Digest]] = field(default_factory=list)
    uploads: list[tuple[str, bytes]] = field(default_factory=list, repr=False)  # blobs that no manifest ever names

    def push_to(self, url: str) -> None:
        """Do it, as any client would."""
        with requests.Session() as web:
            web.trust_env = False
            for repository, blob in self.uploads:
                _push_blob(web, f"{url}/v2/{repository}", blob)
            for repository, tag, pushed in self.pushes:
                _push(web, f"{url}/v2/{repository}", pushed, tag)
            for repository, digest in self.deletions:
                done = web.delete(f"{url}/v2/{repository}/manifests/{digest}")
                assert done.status_code in (202, 404), done.text


def _push(web: requests.Session, base: str, pushed: Pushed, tag: str | None) -> None:
    for blob in pushed.blobs:
        _push_blob(web, base, blob)
    for child in pushed.children:
        _push(web, base, child, None)
    done = web.put(
        f"{base}/manifests/{tag or pushed.digest}", data=pushed.raw, headers={"Content-Type": pushed.media_type}
    )
    assert done.status_code == 201, done.text


def _push_blob(web: requests.Session, base: str, blob: bytes) -> None:
    digest = Digest.of(blob)
    if web.head(f"{base}/blobs/{digest}").status_code == 200:
        return
    place = urljoin(base, web.post(f"{base}/blobs/uploads/").headers["Location"])
    done = web.put(f"{place}{'&' if '?' in place else '?'}digest={digest}", data=blob)
    assert done.status_code == 201, done.text


def layer(name: str, size: int) -> bytes:
    """Bytes that are the same for the same name."""
    return random.Random(hashlib.sha256(name.encode()).digest()).randbytes(size)


def descriptor(media_type: str, content: bytes, **more: Any) -> dict[str, Any]:
    """What a manifest says of this content."""
    return {"mediaType": media_type, "digest": Digest.of(content), "size": len(content), **more}


def image(layers: list[bytes], days: float | None, architecture: str = "amd64", **labels: str) -> Pushed:
    """An image built so many days ago, or one that does not say when."""
    diff_ids = [Digest.of(each) for each in layers]
    about: dict[str, Any] = {"architecture": architecture, "os": "linux", "config": {"Labels": labels}}
    if days is not None:
        about["created"] = (NOW - timedelta(days=days)).isoformat()
    config = json.dumps({**about, "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": []}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER, each) for each in layers],
    }
    return Pushed(json.dumps(manifest).encode(), MANIFEST, (config, *layers))


def index(children: list[Pushed]) -> Pushed:
    """A multi-platform index; a child that is an artifact is an attestation of the first."""
    entries = [
        descriptor(child.media_type, child.raw, platform={"os": "linux", "architecture": PLATFORMS[at % 3]})
        for at, child in enumerate(children)
    ]
    raw = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    return Pushed(raw, INDEX, children=tuple(children))


def with_attestation(child: Pushed) -> Pushed:
    """An index of an image and what BuildKit attests of it."""
    statement = f'{{"about": "{child.digest}"}}'.encode()
    config = json.dumps({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": []}})
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config.encode()),
        "layers": [descriptor("application/vnd.in-toto+json", statement)],
    }
    attestation = Pushed(json.dumps(manifest).encode(), MANIFEST, (config.encode(), statement))
    annotations = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": child.digest}
    entries = [
        descriptor(MANIFEST, child.raw, platform={"os": "linux", "architecture": "amd64"}),
        descriptor(
            MANIFEST, attestation.raw, platform={"os": "unknown", "architecture": "unknown"}, annotations=annotations
        ),
    ]
    raw = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    return Pushed(raw, INDEX, children=(child, attestation))


def build_cache(layers: list[bytes]) -> Pushed:
    """A cache as BuildKit wrote it before image manifests: an index of layers and of a config, none of them a manifest.

    Distribution 3 refuses it.
    """
    config = json.dumps({"layers": [Digest.of(each) for each in layers]}).encode()
    entries = [descriptor(f"{LAYER}+gzip", each) for each in layers]
    entries.append(descriptor("application/vnd.buildkit.cacheconfig.v0", config))
    raw = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    return Pushed(raw, INDEX, (config, *layers))


def artifact(kind: str, content: bytes, subject: Pushed | None) -> Pushed:
    """A signature or an SBOM that says what it is about, or (cosign's) leaves that to its tag."""
    config = b"{}"
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": descriptor("application/vnd.oci.empty.v1+json", config),
        "layers": [descriptor("application/vnd.example.content", content)],
    }
    if subject is not None:
        manifest["subject"] = descriptor(subject.media_type, subject.raw)
    return Pushed(json.dumps(manifest).encode(), MANIFEST, (config, content))


def fallback_list(referrers: list[Pushed]) -> Pushed:
    """What stands under `sha256-…` where a registry keeps no list of referrers."""
    raw = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [descriptor(each.media_type, each.raw, artifactType="sbom") for each in referrers],
        }
    ).encode()
    return Pushed(raw, INDEX, children=tuple(referrers))


def dashed(digest: Digest, suffix: str = "") -> str:
    """The tag of what is attached to a manifest."""
    return digest.replace(":", "-") + suffix


@st.composite
def contents(draw: st.DrawFn, build_caches: bool = True) -> Contents:
    """Images that share layers, indexes that share children, attestations, signatures of all manners, tags that moved,
    manifests that were deleted, uploads that nothing names, build caches; some of it in several repositories."""
    found = Contents()
    layers = [layer(f"layer {number}", draw(st.integers(0, 3000))) for number in range(draw(st.integers(1, 5)))]
    made: list[Pushed] = []
    for number in range(draw(st.integers(1, 7))):
        chosen = [layers[at] for at in draw(st.lists(st.integers(0, len(layers) - 1), max_size=3))]
        own = [layer(f"own {number}", draw(st.integers(1, 500)))]
        days = draw(st.one_of(st.none(), st.integers(0, 90)))
        made.append(image(chosen + own, days, PLATFORMS[number % 3]))
    indexes: list[Pushed] = []
    for _ in range(draw(st.integers(0, 3))):
        indexes.append(index(draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))))
    if draw(st.booleans()):
        indexes.append(with_attestation(draw(st.sampled_from(made))))
    everything = made + indexes * 3  # deleting goes wrong with these
    for _ in range(draw(st.integers(1, 8))):
        tag = draw(st.sampled_from(["latest", "v1.0", "v1.1", "v2.0", "nightly", "pr-1", "pr-2"]))
        found.pushes.append((draw(st.sampled_from(REPOSITORIES)), tag, draw(st.sampled_from(everything))))
    placed = [(repository, pushed) for repository, _, pushed in found.pushes]
    for number, (repository, pushed) in enumerate(draw(st.lists(st.sampled_from(placed), max_size=3))):
        _attach(draw, found, repository, pushed, number)
    for repository in draw(st.sets(st.sampled_from(REPOSITORIES), max_size=2)):
        found.pushes.append((repository, None, draw(st.sampled_from(everything))))
    for repository, pushed in draw(st.lists(st.sampled_from(placed), max_size=2)):
        found.deletions.append((repository, pushed.digest))
    if build_caches and draw(st.booleans()):
        cached = [layers[0], layer("cached", 900)]
        found.pushes.append((draw(st.sampled_from(REPOSITORIES)), "nightly", build_cache(cached)))
    if draw(st.booleans()):
        found.uploads.append((draw(st.sampled_from(REPOSITORIES)), layer("never named", 700)))
    return found


def _attach(draw: st.DrawFn, found: Contents, repository: str, subject: Pushed, number: int) -> None:
    content = layer(f"attached {number}", draw(st.integers(1, 300)))
    manner = draw(st.sampled_from(["cosign tag", "fallback tag", "subject alone", "with a tag"]))
    if manner == "cosign tag":
        found.pushes.append((repository, dashed(subject.digest, ".sig"), artifact("signature", content, None)))
        return
    sbom = artifact("application/spdx+json", content, subject)
    found.pushes.append((repository, f"sbom-{number}" if manner == "with a tag" else None, sbom))
    if manner == "fallback tag":
        found.pushes.append((repository, dashed(subject.digest), fallback_list([sbom])))


def policies() -> st.SearchStrategy[rs.Retention | list[rs.Retention]]:
    """One rule, or several of which the first decides."""
    return st.one_of(rules(), st.lists(rules(), min_size=2, max_size=3))


@st.composite
def rules(draw: st.DrawFn) -> rs.Retention:
    """Rules of every kind that can match something."""
    said: dict[str, Any] = {
        "tags": draw(st.sampled_from([(), ("*",), ("pr-*", "nightly"), ("/v[0-9.]+/",), ("v*",)])),
        "exclude_tags": draw(st.sampled_from([(), (), ("latest",), ("buildcache",)])),
        "keep_last": draw(st.sampled_from([None, None, 0, 1, 2])),
        "older_than": draw(st.sampled_from([None, None, "1d", "30d"])),
        "untagged": draw(st.sampled_from([False, True, "10d"])),
        "orphans": draw(st.booleans()),
        "protect": draw(st.sampled_from([(), ("latest",), ("v1.*", "team/app:nightly")])),
        "repositories": draw(st.sampled_from([("*",), ("team/*",)])),
    }
    if said["keep_last"] is not None:
        said["keep_last_per"] = draw(st.sampled_from([None, "(pr|v)", "v([0-9]+)", "(.+)-[a-z0-9]+"]))
        said["keep_last_by"] = draw(st.sampled_from(["created", "created", "version"]))
    if not any((said["tags"], said["keep_last"] is not None, said["older_than"], said["untagged"])):
        said["orphans"] = True
    return rs.Retention(**said)


def state(url: str, snap: rs.Snapshot) -> dict[tuple[str, str], str | None]:
    """What a registry answers now: each tag's digest, and whether each manifest of a snapshot is there."""
    found: dict[tuple[str, str], str | None] = {}
    with requests.Session() as web:
        web.trust_env = False
        for repository in sorted(set(snap.placements["repository"])):
            listed = web.get(f"{url}/v2/{repository}/tags/list")
            names = (listed.json()["tags"] or []) if listed.status_code == 200 else []
            for name in [*names, *snap.placements.loc[snap.placements["repository"] == repository, "digest"]]:
                answer = web.head(f"{url}/v2/{repository}/manifests/{name}", headers={"Accept": ACCEPT_MANIFESTS})
                found[repository, name] = answer.headers.get("Docker-Content-Digest") if answer.ok else None
    return found
