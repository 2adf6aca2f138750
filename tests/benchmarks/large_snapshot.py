"""Snapshots of large registries, drawn as columns at once: a registry of a million images cannot be pushed for a test.

Repositories of skewed sizes, each of them built on one of a few bases that moves on now and then. Every build is an
image, or an index of two images; it has a version tag, and the last one is `latest` as well. Some builds are promoted
to another repository, some are signed, and some have lost their tag.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from regscope.schema import make_table
from regscope.tables import Snapshot

Ints: TypeAlias = npt.NDArray[np.int64]

TAKEN_AT = datetime(2026, 1, 1, tzinfo=UTC)
LAYERS = 10  # of each image: 5 of its base, 2 of its dependencies, 1 of its repository, 2 of its own
BUILDS = 40  # of each repository, on average
ARCHITECTURES = np.array(["amd64", "arm64"])


def large_snapshot(layer_rows: int, seed: int = 0) -> Snapshot:
    """A snapshot with about `layer_rows` rows of layers; without history, labels, DiffIDs and ChainIDs."""
    return _Draw(layer_rows, np.random.default_rng(seed)).snapshot()


class _Draw:
    """Numbers of things, column by column. Every digest has a number; the names are made at the end."""

    def __init__(self, layer_rows: int, random: np.random.Generator) -> None:
        self.random = random
        self.n_digests = 0
        self._builds(max(layer_rows // LAYERS, 1))
        self._layers()
        self._signatures()
        self.digests = _digests(self.n_digests, random)

    def _new(self, count: int) -> Ints:
        """Numbers of so many new digests."""
        first, self.n_digests = self.n_digests, self.n_digests + count
        return np.arange(first, first + count, dtype=np.int64)

    def _builds(self, n_images: int) -> None:
        self.n_repositories = max(n_images // BUILDS, 1)
        popularity = self.random.lognormal(sigma=1.0, size=self.n_repositories)
        is_multi = self.random.random(self.n_repositories) < 0.25
        n_builds = max(round(n_images / 1.25), 1)
        chosen = self.random.choice(self.n_repositories, size=n_builds, p=popularity / popularity.sum())
        self.repository = np.sort(chosen).astype(np.int64)
        self.number = _counted(self.repository)
        self.is_last = np.append(self.repository[1:] != self.repository[:-1], True)
        self.is_index = is_multi[self.repository]
        self.image_build = np.repeat(np.arange(n_builds), 1 + self.is_index)
        self.image_architecture = _counted(self.image_build)
        self.image = self._new(len(self.image_build))
        self.config = self._new(len(self.image))
        self.built = self.image[np.searchsorted(self.image_build, np.arange(n_builds))]
        self.built[self.is_index] = self._new(int(self.is_index.sum()))
        self.is_untagged = (self.random.random(n_builds) < 0.02) & ~self.is_last
        self.is_promoted = (self.random.random(n_builds) < 0.1) & ~self.is_untagged
        self.is_signed = (self.random.random(n_builds) < 0.05) & ~self.is_untagged

    def _layers(self) -> None:
        """Each image's layers: those of one base, dependencies, repository or build are the same in each."""
        repository, number = self.repository[self.image_build], self.number[self.image_build]
        base = self.random.geometric(0.05, self.n_repositories)[repository]
        parts = [
            _same(base, number // 20, self.image_architecture),
            _same(repository, number // 5, self.image_architecture),
            _same(repository, np.zeros_like(number), self.image_architecture),
            np.arange(len(self.image), dtype=np.int64),
        ]
        columns = []
        for part, n_layers in zip(parts, (5, 2, 1, 2), strict=True):
            columns += [self._new(int(part.max()) + 1)[part] for _ in range(n_layers)]
        self.layer = np.stack(columns, axis=1)

    def _signatures(self) -> None:
        self.signed = np.flatnonzero(self.is_signed)
        self.signature, self.signature_layer = self._new(len(self.signed)), self._new(len(self.signed))
        self.signature_config = self._new(1)  # cosign's is the same, but for its DiffIDs

    def snapshot(self) -> Snapshot:
        """The tables."""
        sizes = self.random.lognormal(mean=13, sigma=2.5, size=self.n_digests).astype(np.int64) + 32
        sizes[self.image], sizes[self.config] = 400 + 200 * LAYERS, 3000 + sizes[self.config] % 5000
        nothing = ("orphans", "history", "labels", "unpacked", "files", "packages", "problems")
        return Snapshot(
            **{name: make_table(name, ()) for name in nothing},
            tags=self._tags(),
            manifests=self._manifests(sizes),
            placements=self._placements(),
            platforms=self._platforms(),
            layers=self._layer_rows(sizes),
            blobs=self._blobs(sizes),
            referrers=self._referrers(),
            location=f"drawn with {self.layer.size:,} layers",
            taken_at=TAKEN_AT,
            sees_untagged=True,
            filtered=(),
        )

    def _tags(self) -> pd.DataFrame:
        tagged, last = np.flatnonzero(~self.is_untagged), np.flatnonzero(self.is_last)
        promoted = np.flatnonzero(self.is_promoted)
        versions = pd.Series(self.number).astype("str").radd("1.")
        attachments = self._named(self.built[self.signed]).str.replace(":", "-") + ".sig"
        names = [versions[tagged], pd.Series(["latest"] * len(last), dtype="str"), versions[promoted], attachments]
        none = np.full(len(tagged) + len(last) + len(promoted), -1)
        return _table(
            "tags",
            repository=self._repositories(
                self.repository[tagged],
                self.repository[last],
                self.repository[promoted] + self.n_repositories,
                self.repository[self.signed],
            ),
            tag=pd.concat(names, ignore_index=True),
            digest=self._category(self.built[tagged], self.built[last], self.built[promoted], self.signature),
            subject=self._category(none, self.built[self.signed]),
        )

    def _manifests(self, sizes: Ints) -> pd.DataFrame:
        indexes = self.built[self.is_index]
        counts = [len(self.image), len(indexes), len(self.signature)]
        every = np.concatenate([self.image, indexes, self.signature])
        none = np.full(len(indexes), -1)
        architecture = np.concatenate([self.image_architecture, np.full(counts[1] + counts[2], -1)])
        age = pd.to_timedelta(self.random.integers(0, 1000 * 86400, len(every)), unit="s")
        return _table(
            "manifests",
            digest=self._category(every),
            media_type=_repeated(["application/vnd.oci.image.manifest.v1+json"], [len(every)]),
            kind=_repeated(["image", "index", "artifact"], counts),
            size=sizes[every],
            config_digest=self._category(self.config, none, self.signature_config.repeat(counts[2])),
            architecture=pd.Categorical.from_codes(architecture, categories=pd.Index(ARCHITECTURES, dtype="str")),
            os=_repeated(["linux", None], [counts[0], counts[1] + counts[2]]),
            created=pd.Series(pd.Timestamp(TAKEN_AT) - age),
            n_layers=pd.array(np.repeat([LAYERS, 0, 1], counts), dtype="Int64"),
        )

    def _placements(self) -> pd.DataFrame:
        own, promoted = self.repository, np.flatnonzero(self.is_promoted)
        is_child = self.is_index[self.image_build]
        child, child_build = self.image[is_child], self.image_build[is_child]
        again = self.is_promoted[child_build]
        found = _table(
            "placements",
            repository=self._repositories(
                own,
                own[child_build],
                own[promoted] + self.n_repositories,
                own[child_build[again]] + self.n_repositories,
                own[self.signed],
            ),
            digest=self._category(self.built, child, self.built[promoted], child[again], self.signature),
            found=_repeated(
                ["tag", "index child", "tag", "index child", "tag"],
                [len(own), len(child), len(promoted), int(again.sum()), len(self.signed)],
            ),
            locked=False,
        )
        found["found"] = found["found"].cat.add_categories(["untagged"])
        found.loc[np.flatnonzero(self.is_untagged), "found"] = "untagged"
        return found

    def _platforms(self) -> pd.DataFrame:
        is_child = self.is_index[self.image_build]
        return _table(
            "platforms",
            index_digest=self._category(self.built[self.image_build[is_child]]),
            digest=self._category(self.image[is_child]),
            is_attestation=np.zeros(int(is_child.sum()), dtype=np.bool_),
        )

    def _layer_rows(self, sizes: Ints) -> pd.DataFrame:
        layer = np.concatenate([self.layer.ravel(), self.signature_layer])
        return _table(
            "layers",
            digest=self._category(self.image.repeat(LAYERS), self.signature),
            position=np.concatenate([np.tile(np.arange(LAYERS), len(self.image)), np.zeros_like(self.signature)]),
            blob_digest=self._category(layer),
            media_type=_repeated(["application/vnd.oci.image.layer.v1.tar+gzip"], [len(layer)]),
            size=pd.array(sizes[layer], dtype="Int64"),
        )

    def _blobs(self, sizes: Ints) -> pd.DataFrame:
        manifests = np.concatenate([self.image, self.built[self.is_index], self.signature])
        configs = np.concatenate([self.config, self.signature_config])
        layers = np.concatenate([np.unique(self.layer), self.signature_layer])
        every = np.concatenate([manifests, configs, layers])
        return _table(
            "blobs",
            digest=self._category(every),
            kind=_repeated(["manifest", "config", "layer"], [len(manifests), len(configs), len(layers)]),
            size=pd.array(sizes[every], dtype="Int64"),
            foreign=np.zeros(len(every), dtype=np.bool_),
        )

    def _referrers(self) -> pd.DataFrame:
        return _table(
            "referrers",
            subject=self._category(self.built[self.signed]),
            digest=self._category(self.signature),
            found=_repeated(["cosign tag"], [len(self.signed)]),
        )

    def _named(self, numbers: Ints) -> pd.Series[str]:
        return pd.Series(self.digests.take(pa.array(numbers)).to_pandas()).astype("str")

    def _category(self, *numbers: Ints) -> pd.Categorical:
        """Digests by number, -1 for none; the categories in order of appearance, as a scan leaves them."""
        every = np.concatenate(numbers)
        codes = np.full(len(every), -1, dtype=np.int32)
        codes[every >= 0], distinct = pd.factorize(every[every >= 0])
        return pd.Categorical.from_codes(codes, categories=pd.Index(self._named(distinct)))

    def _repositories(self, *numbers: Ints) -> pd.Categorical:
        codes, distinct = pd.factorize(np.concatenate(numbers))
        teams = [("team", "prod")[number // self.n_repositories] for number in distinct]
        names = [f"{team}/service-{number % self.n_repositories}" for team, number in zip(teams, distinct, strict=True)]
        return pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype="str"))


def _digests(count: int, random: np.random.Generator) -> pa.Array:
    """So many sha256 digests."""
    start = np.frombuffer(b"sha256:", dtype=np.uint8)
    written = np.empty((count, len(start) + 64), dtype=np.uint8)
    written[:, : len(start)] = start
    written[:, len(start) :] = np.frombuffer(random.bytes(32 * count).hex().encode(), dtype=np.uint8).reshape(count, 64)
    ends = np.arange(count + 1, dtype=np.int64) * written.shape[1]
    return pa.LargeStringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(written))


def _counted(groups: Ints) -> Ints:
    """The position of each value within its run of equal ones."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    return np.arange(len(groups), dtype=np.int64) - starts.repeat(np.diff(starts, append=len(groups)))


def _same(*columns: Ints) -> Ints:
    """A number for each distinct row, from 0."""
    return pd.DataFrame(dict(enumerate(columns))).groupby(list(range(len(columns))), sort=False).ngroup().to_numpy()


def _repeated(values: list[str | None], counts: list[int]) -> pd.Categorical:
    categories = list(dict.fromkeys(value for value in values if value))
    codes = [categories.index(value) if value else -1 for value in values]
    return pd.Categorical.from_codes(np.repeat(codes, counts), categories=pd.Index(categories, dtype="str"))


def _table(name: str, **columns: Any) -> pd.DataFrame:
    """The table `name`; columns that are not given are absent in every row."""
    return make_table(name, ()).reindex(range(len(next(iter(columns.values()))))).assign(**columns)
