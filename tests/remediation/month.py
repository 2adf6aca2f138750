"""A month of a company that builds images and runs them: what is pushed each day, and what its cluster runs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from regscope.spec.digest import Digest
from tests.lab.drawn_registries import (
    NOW,
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
from tests.lab.odd_manifests import image_cache

DAYS = 30
SERVICES = ("shop/web", "report")
SIGNATURES = "signatures"
"""Where cosign puts the signatures of `report`, by `COSIGN_REPOSITORY`."""

HOST = "registry.example.com"


def evening(day: int) -> datetime:
    """When the nightly job of a day runs; the last one runs now."""
    return NOW - timedelta(days=DAYS - 1 - day)


@dataclass
class Attached:
    """A signature or an SBOM: its repository, and what it is about."""

    repository: str
    subject: Pushed
    manifests: tuple[Pushed, ...]


@dataclass
class Company:
    """What was pushed so far, drawn day by day.

    Attributes:
        tags: what each tag was set to last, whether it is there still or not: repository and tag to image.
        built_on: the day on which each image was built, by digest.
        attached: all signatures and SBOMs.
        made: what was pushed, in this order.
    """

    chance: random.Random
    tags: dict[tuple[str, str], Pushed] = field(default_factory=dict)
    built_on: dict[Digest, int] = field(default_factory=dict)
    attached: list[Attached] = field(default_factory=list)
    made: list[Pushed] = field(default_factory=list)
    _builds: int = 0
    _today: Contents = field(default_factory=Contents)

    def work(self, day: int, there: set[tuple[str, str]]) -> Contents:
        """What is pushed on one day; only tags that are `there` can be promoted."""
        self._today = Contents()
        for repository in SERVICES:
            if self.chance.random() < 0.4:
                self._release(repository, day)
            if self.chance.random() < 0.6:
                self._push(repository, f"main-{day + 1}", self._built(repository, day))
            for _ in range(self.chance.choice([0, 0, 1, 2])):  # twice a day: nobody has seen the first
                self._push(repository, f"pr-{day // 3 + self.chance.randrange(3)}", self._built(repository, day))
            if self.chance.random() < 0.4:
                self._cache(repository, day)
            releases = [key for key in there if key[0] == repository and key in self.tags and _is_release(key[1])]
            if releases and self.chance.random() < 0.3:
                promoted = self.tags[self.chance.choice(sorted(releases))]
                self._push(repository, self.chance.choice(["stable", "latest"]), promoted)
        return self._today

    def _push(self, repository: str, tag: str | None, pushed: Pushed) -> None:
        self._today.pushes.append((repository, tag, pushed))
        self.made.append(pushed)
        if tag is not None:
            self.tags[repository, tag] = pushed

    def _built(self, repository: str, day: int, platform: str = "amd64") -> Pushed:
        self._builds += 1
        base = layer(f"base {day // 12} {platform}", 20_000)
        libraries = layer(f"libraries of {repository} {day // 5} {platform}", 8_000)
        made = image([base, libraries, layer(f"build {self._builds}", 3_000)], DAYS - 1 - day, platform)
        self.built_on[made.digest] = day
        return made

    def _release(self, repository: str, day: int) -> None:
        tag, made = f"v1.{day}", self._built(repository, day)
        if self.chance.random() < 0.6:
            parts = [made, self._built(repository, day, "arm64")]
            made = index(parts)
            if self.chance.random() < 0.5:
                for part, platform in zip(parts, ("amd64", "arm64"), strict=True):
                    self._push(repository, f"{tag}-{platform}", part)
        elif self.chance.random() < 0.5:
            made = with_attestation(made)
        self.built_on[made.digest] = day
        self._push(repository, tag, made)
        self._push(repository, "latest", made)
        if self.chance.random() < 0.7:
            self._sign(repository, made)
        if self.chance.random() < 0.5:
            self._describe(repository, made)

    def _sign(self, repository: str, subject: Pushed) -> None:
        place = SIGNATURES if repository == "report" else repository
        made = artifact("signature", f"signed {subject.digest}".encode(), None)
        self._push(place, dashed(subject.digest, ".sig"), made)
        self.attached.append(Attached(place, subject, (made,)))

    def _describe(self, repository: str, subject: Pushed) -> None:
        sbom = artifact("application/spdx+json", layer(f"bill of {subject.digest}", 600), subject)
        listed = fallback_list([sbom])
        self._push(repository, None, sbom)
        self._push(repository, dashed(subject.digest), listed)
        self.attached.append(Attached(repository, subject, (sbom, listed)))

    def _cache(self, repository: str, day: int) -> None:
        self._builds += 1
        made = image_cache(
            [layer(f"libraries of {repository} {day // 5} amd64", 8_000), layer(f"c {self._builds}", 5_000)]
        )
        self.built_on[made.digest] = day
        self._push(repository, "buildcache", made)


@dataclass(frozen=True)
class Pod:
    """A container that runs: the image by the name that was asked for, and what that was when it was started."""

    repository: str
    tag: str | None
    digest: Digest
    until: int

    @property
    def name(self) -> str:
        """As it stands in the pod's specification."""
        return f"{HOST}/{self.repository}:{self.tag}" if self.tag else f"{HOST}/{self.repository}@{self.digest}"


@dataclass
class Cluster:
    """What runs: new containers each day, some of which stay for weeks on images that were pushed over since."""

    chance: random.Random
    pods: list[Pod] = field(default_factory=list)

    def roll_out(self, company: Company, day: int, there: set[tuple[str, str]]) -> None:
        """Stop some and start some, of the tags that are there; a node runs the index, or its platform's image."""
        self.pods = [pod for pod in self.pods if pod.until > day]
        images = sorted(key for key in there & set(company.tags) if _is_image(key[1]))
        for repository, tag in self.chance.sample(images, min(len(images), self.chance.randrange(1, 4))):
            pushed = company.tags[repository, tag]
            runs = self.chance.choice([pushed, *pushed.children[:1]])
            until = day + self.chance.choice([1, 2, 4, 9, 25])
            self.pods.append(Pod(repository, tag if self.chance.random() < 0.7 else None, runs.digest, until))

    def write(self, path: Path) -> None:
        """As `kubectl get pods -A -o json` prints it, with what comes from other registries."""
        items = [_pod(pod.name, f"{HOST}/{pod.repository}@{pod.digest}") for pod in self.pods]
        items.append(_pod("docker.io/library/redis:7", f"docker.io/library/redis@{Digest.of(b'redis')}"))
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def _pod(name: str, runs: str) -> dict[str, Any]:
    status = {"containerStatuses": [{"name": "main", "image": name, "imageID": runs}]}
    return {"kind": "Pod", "spec": {"containers": [{"name": "main", "image": name}]}, "status": status}


def _is_release(tag: str) -> bool:
    return tag.startswith("v1.") and "-" not in tag


def _is_image(tag: str) -> bool:
    return not tag.startswith("sha256-") and tag != "buildcache"


POLICY: list[dict[str, Any]] = [
    {"tags": "v*", "keep_last": 4, "keep_last_by": "version", "protect": ["latest", "stable"]},
    {"tags": "main-*", "keep_last": 3, "keep_last_per": "(.+)-[0-9]+"},
    {"tags": "pr-*", "older_than": "3d"},
    {"untagged": "2d", "orphans": True},
]
"""What stays, as a list of rules; beside it whatever the cluster runs."""


def kept_tags(company: Company, cluster: Cluster, there: set[tuple[str, str]], day: int) -> set[tuple[str, str]]:
    """Which of the tags that are there `POLICY` keeps, found without regscope."""
    images = {key for key in there if not key[1].startswith("sha256-")}
    running = {pod.digest for pod in cluster.pods}
    kept = {key for key in images if key[1] in ("latest", "stable", "buildcache")}
    kept |= {(pod.repository, pod.tag) for pod in cluster.pods if pod.tag} & there
    for repository in SERVICES:
        tags = [tag for where, tag in images if where == repository]
        versions = [tag for tag in tags if tag.startswith("v1.") and not _is_part(tag, tags)]
        kept |= {(repository, tag) for tag in sorted(versions, key=_version)[-4:]}
        builds = [tag for tag in tags if tag.startswith("main-")]
        kept |= {(repository, tag) for tag in sorted(builds, key=lambda tag: int(tag[5:]))[-3:]}
        young = [tag for tag in tags if tag.startswith("pr-") and day - _built(company, repository, tag) <= 3]
        kept |= {(repository, tag) for tag in young}
    kept |= {key for key in images if running & set(_all_below(company.tags[key]))}
    # A tag on a platform's image stays with the index that a release's tag names, whichever tag keeps that.
    of_indexes = {(key[0], child.digest) for key in kept for child in company.tags[key].children}
    parts = {
        (repository, tag) for repository, tag in images if _is_part(tag, [t for r, t in images if r == repository])
    }
    kept |= {key for key in parts if (key[0], company.tags[key].digest) in of_indexes}
    standing = {digest for key in kept for digest in _all_below(company.tags[key])} | running
    return kept | {key for key in there - images if _subject(key[1]) in standing}


def _all_below(pushed: Pushed) -> Iterator[Digest]:
    yield pushed.digest
    for child in pushed.children:
        yield from _all_below(child)


def _built(company: Company, repository: str, tag: str) -> int:
    return company.built_on[company.tags[repository, tag].digest]


def _is_part(tag: str, tags: list[str]) -> bool:
    """Whether it is `v1.7-amd64`, and `v1.7` is there: once that tag is gone it is a version of its own."""
    release, dash, _ = tag.partition("-")
    return bool(dash) and _is_release(release) and release in tags


def _version(tag: str) -> tuple[int, bool, str]:
    """In the order of semantic versions: what has a suffix comes before the release."""
    number, _, suffix = tag.removeprefix("v1.").partition("-")
    return int(number), not suffix, suffix


def _subject(tag: str) -> str:
    return tag.partition(".")[0].replace("-", ":", 1)
