"""Registries drawn by hypothesis, and what follows from them by plain sets: the model that analysis is held against."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import strategies as st

from regscope.spec.digest import Digest
from regscope.tables import Snapshot

Nodes = set[tuple[str, str]]  # repository, manifest (or tag)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
REPOSITORIES = ["a", "b/c", "d"]


def digest(name: str) -> str:
    return Digest.of(name.encode())


@dataclass
class Drawn:
    """Manifests by name: what blobs they use, what children they have, what they are about."""

    layers: dict[str, list[str]] = field(default_factory=dict)  # image or artifact: names of its layers
    sizes: dict[str, int] = field(default_factory=dict)  # layer: bytes
    children: dict[str, list[str]] = field(default_factory=dict)  # index: manifests
    subjects: dict[str, str] = field(default_factory=dict)  # manifest: what it refers to
    tags: dict[tuple[str, str], str] = field(default_factory=dict)  # repository, tag: manifest
    untagged: Nodes = field(default_factory=set)  # repository, manifest

    def contents(self, manifest: str) -> dict[str, int]:
        """Blob: bytes."""
        own = {f"manifest {manifest}": 10 + len(manifest)}
        if manifest in self.children:
            return own
        return own | {f"config {manifest}": 7} | {layer: self.sizes[layer] for layer in self.layers[manifest]}

    def placed(self) -> Nodes:
        """Every manifest that a repository keeps."""
        roots = {(repository, manifest) for (repository, _), manifest in self.tags.items()} | self.untagged
        return self.held(roots, everywhere=True)

    def held(self, roots: Nodes, *, everywhere: bool = False) -> Nodes:
        """What `roots` lead to; referrers are found in any repository only while the registry is being made."""
        placed = None if everywhere else self.placed()
        found: Nodes = set()
        todo = list(roots)
        while todo:
            node = todo.pop()
            if node in found:
                continue
            found.add(node)
            repository, manifest = node
            onward = [*self.children.get(manifest, []), *(m for m, s in self.subjects.items() if s == manifest)]
            todo += [(repository, m) for m in onward if placed is None or (repository, m) in placed]
        return found

    def freed(
        self, deleted_tags: set[tuple[str, str]], deleted: set[tuple[str, str]]
    ) -> tuple[int, set[tuple[str, str]]]:
        """Bytes that come back, and the manifests that go."""
        kept_roots = {(tag[0], manifest) for tag, manifest in self.tags.items() if tag not in deleted_tags}
        kept = self.held(kept_roots | (self.standing() - deleted))
        named = {(tag[0], self.tags[tag]) for tag in deleted_tags} | deleted
        gone = self.held(named) - kept
        staying = {blob for node in self.placed() - gone for blob in self.contents(node[1])}
        leaving = {blob: size for node in gone for blob, size in self.contents(node[1]).items()}
        return sum(size for blob, size in leaving.items() if blob not in staying), gone

    def standing(self) -> Nodes:
        """Untagged manifests that nothing tagged leads to."""
        return self.untagged - self.held({(repository, m) for (repository, _), m in self.tags.items()}, everywhere=True)

    def snapshot(self) -> Snapshot:
        """The same as tables."""
        rows: dict[str, list[tuple[object, ...]]] = {name: [] for name in ("manifests", "layers", "blobs", "platforms")}
        blobs: dict[str, tuple[object, ...]] = {}
        for manifest in sorted({m for _, m in self.placed()}):
            is_index = manifest in self.children
            kind = "index" if is_index else "artifact" if manifest in self.subjects else "image"
            layers = self.layers.get(manifest, [])
            config = None if is_index else digest(f"config {manifest}")
            subject = self.subjects.get(manifest)
            rows["manifests"].append(
                (digest(f"manifest {manifest}"), "m", kind, 10 + len(manifest), config, None,
                 subject and digest(f"manifest {subject}"), "linux", "amd64", None, NOW, len(layers), 7)
            )  # fmt: skip
            for position, layer in enumerate(layers):
                rows["layers"].append(
                    (digest(f"manifest {manifest}"), position, digest(layer), None, None, "l", self.sizes[layer], layer)
                )
            for child in self.children.get(manifest, []):
                rows["platforms"].append(
                    (digest(f"manifest {manifest}"), digest(f"manifest {child}"), "linux", "amd64", None, False)
                )
            for blob, size in self.contents(manifest).items():
                kind = blob.partition(" ")[0]
                blobs[blob] = (digest(blob), kind if kind in ("manifest", "config") else "layer", size, "b", False)
        standing = self.standing()
        return Snapshot.from_rows(
            {
                **rows,
                "blobs": list(blobs.values()),
                "tags": [(r, t, digest(f"manifest {m}"), None, None, None) for (r, t), m in self.tags.items()],
                "placements": [
                    (r, digest(f"manifest {m}"), "untagged" if (r, m) in standing else "tag", None, False, None)
                    for r, m in self.placed()
                ],
                "referrers": [
                    (digest(f"manifest {s}"), digest(f"manifest {m}"), None, "subject")
                    for m, s in self.subjects.items()
                ],
            },
            location="drawn",
            taken_at=NOW,
            sees_untagged=True,
        )


@st.composite
def registries(draw: st.DrawFn) -> Drawn:
    """Images that share layers, indexes that share children, nested indexes, referrers of referrers, shared digests."""
    drawn = Drawn()
    drawn.sizes = {f"layer{n}": draw(st.integers(1, 10**6)) for n in range(draw(st.integers(1, 6)))}
    names: list[str] = []
    for n in range(draw(st.integers(1, 8))):
        name = f"m{n}"
        kind = draw(st.sampled_from(["image", "image", "index", "referrer"])) if names else "image"
        if kind == "index":
            drawn.children[name] = draw(st.lists(st.sampled_from(names), unique=True, max_size=3))
        else:
            drawn.layers[name] = draw(st.lists(st.sampled_from(sorted(drawn.sizes)), max_size=4))
        if kind == "referrer":
            drawn.subjects[name] = draw(st.sampled_from(names))
        names.append(name)
    for n in range(draw(st.integers(1, 8))):
        drawn.tags[draw(st.sampled_from(REPOSITORIES)), f"t{n}"] = draw(st.sampled_from(names))
    drawn.untagged = draw(st.sets(st.tuples(st.sampled_from(REPOSITORIES), st.sampled_from(names)), max_size=2))
    return drawn
