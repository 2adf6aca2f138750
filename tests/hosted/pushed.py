"""What the registries of these tests hold: tags that moved, an index, an attachment, and what lost its tag."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from regscope.tables import Snapshot
from tests.lab.drawn_registries import Contents, Pushed, artifact, image, index, layer
from tests.servers.hosted.upstream import Upstream
from tests.servers.registry import Registry

OLD, NEW = image([layer("base", 2000), layer("old", 500)], 50), image([layer("base", 2000), layer("new", 300)], 40)
AMD, ARM = image([layer("amd", 100)], 30), image([layer("arm", 120)], 30, "arm64")
BOTH = index([AMD, ARM])
SBOM = artifact("application/spdx+json", b"sbom", BOTH)
LONE = index([image([layer("lone", 90)], 60)])
PUSHES: list[tuple[str, str | None, Pushed]] = [
    ("team/app", "latest", OLD),
    ("team/app", "latest", NEW),  # OLD has lost its tag
    ("team/app", "1.0", NEW),
    ("team/app", "2.0", BOTH),
    ("team/app", None, SBOM),
    ("team/app", None, LONE),
    ("team/tools/base", "1", OLD),
    ("other/app", "1", image([layer("other", 80)], 10)),
]

FOUND = {
    NEW.digest: "tag",
    BOTH.digest: "tag",
    AMD.digest: "index child",
    ARM.digest: "index child",
    SBOM.digest: "referrer",
    OLD.digest: "untagged",
    LONE.digest: "untagged",
    LONE.children[0].digest: "index child",
}
"""How a scan that sees untagged manifests finds each manifest of `team/app`."""


def fill(registry: Registry) -> None:
    """Push all of it."""
    Contents(pushes=PUSHES).push_to(registry.url)


def found(snap: Snapshot, repository: str = "team/app") -> dict[str, str]:
    """How each manifest of a repository was found, by its digest."""
    rows = snap.placements[snap.placements["repository"] == repository]
    return dict(zip(rows["digest"], rows["found"], strict=True))


def uploaded(registry: Registry, repository: str, pushed: Pushed, days: int) -> datetime:
    """Let a manifest have been uploaded so many days ago; when that was."""
    when = (datetime.now(UTC) - timedelta(days=days)).replace(microsecond=0)
    Upstream(registry).upload_at(repository, pushed.digest, when)
    return when
