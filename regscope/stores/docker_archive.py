"""A docker-archive: the tar that `docker save` and `skopeo copy … docker-archive:` write, in its old form and its new.

It names images by config and layer files in `manifest.json`. The new form has the images' own manifests as well, in an
`index.json`; in the old form each image gets the schema 2 manifest that describes just these files, and what that form
loses, such as the compressed layers' digests and annotations, cannot come back.
"""

from __future__ import annotations

import json
import lzma
import os
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from regscope import text
from regscope.errors import (
    ContentMissing,
    DigestMismatch,
    InvalidReference,
    NotAStore,
    RegscopeError,
    StoreError,
)
from regscope.registry.manifests import RawManifest
from regscope.registry.responses import METADATA_LIMIT, too_large
from regscope.spec.descriptor import Descriptor, DockerConfigDescriptor, DockerLayerDescriptor
from regscope.spec.digest import Digest, Passing, mismatch, verified
from regscope.spec.image_config import parse_image_config
from regscope.spec.manifest import ImageManifest, ManifestSchema2, OCIIndex, parse_manifest
from regscope.spec.media_types import DOCKER_LAYER, DOCKER_LAYER_TAR, OCI_LAYER_ZSTD
from regscope.spec.reference import Reference, split_image
from regscope.stores.content_store import no_such_repository, no_such_tag

_CHUNK = 2**20
_BROKEN = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError)
_NAMED_BY_DIGEST = re.compile(r"(?:blobs/(?P<algorithm>sha256)/|sha256:)?(?P<encoded>[0-9a-f]{64})(?:\.json)?")
_MOST_ENTRIES = 10_000
_MAGIC = {b"\x1f\x8b": DOCKER_LAYER, b"\x28\xb5\x2f\xfd": OCI_LAYER_ZSTD}


class DockerArchiveStore:
    """Images in one tar file.

    Repositories are the names in `RepoTags`, Docker Hub's in their short form. An image without a tag belongs to a
    repository called as the file is.

    Raises:
        NotAStore: the file is no such archive.
    """

    sees_untagged = True
    counts_pulls = False
    rate_limit = None
    capabilities = None

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._layers: dict[str, DockerLayerDescriptor] = {}
        self._images  # an archive that is none must say so when it is opened  # noqa: B018

    @property
    def location(self) -> str:
        """`docker-archive:` and the file."""
        return f"docker-archive:{self.path}"

    @cached_property
    def _members(self) -> dict[str, tarfile.TarInfo]:
        try:
            with tarfile.open(self.path) as archive:
                return {posixpath.normpath(member.name): member for member in archive}
        except FileNotFoundError:
            raise self._no_archive("no such file") from None
        except _BROKEN as error:
            raise self._no_archive(f"it cannot be read as a tar ({str(error).partition(':')[0]})") from None

    @cached_property
    def _images(self) -> list[dict[str, Any]]:
        try:
            listed = json.loads(self._read("manifest.json", METADATA_LIMIT))
        except (ContentMissing, ValueError, RecursionError):
            raise self._no_archive("it has no manifest.json that names images") from None
        if not isinstance(listed, list) or not all(_is_image(image) for image in listed):
            raise self._no_archive("its manifest.json is not a list of images with Config and Layers")
        return listed

    @cached_property
    def _manifests(self) -> list[ImageManifest | RegscopeError]:
        """One for each image; where one cannot be read, why: the others still can."""
        found: list[ImageManifest | RegscopeError] = []
        for image in self._images:
            try:
                found.append(self._manifest_of(image))
            except RegscopeError as error:
                found.append(error)
        return found

    @cached_property
    def _readable(self) -> dict[Digest, ImageManifest]:
        return {found.digest: found for found in self._manifests if isinstance(found, ImageManifest)}

    @cached_property
    def _named(self) -> dict[str, dict[str, int]]:
        """The position in `manifest.json` by repository and tag."""
        found: dict[str, dict[str, int]] = {}
        for position, image in enumerate(self._images):
            for name in image.get("RepoTags") or ():
                repository, tag, _ = split_image(str(name))
                found.setdefault(_short(repository), {})[tag or "latest"] = position
        return found

    @property
    def images(self) -> list[tuple[Digest, list[str]]]:
        """The images in the archive's order, each with the names that it goes by, as they were written.

        Raises:
            RegscopeError: one of them cannot be read.
        """
        names = ([str(name) for name in image.get("RepoTags") or ()] for image in self._images)
        return [(self._digest(position), found) for position, found in enumerate(names)]

    def repositories(self) -> list[str]:
        """The names in `RepoTags`."""
        unnamed = [self.path.stem for image in self._images if not image.get("RepoTags")]
        return sorted({*self._named, *unnamed})

    def tags(self, repository: str) -> list[str]:
        """The tags in `RepoTags`."""
        if repository not in self.repositories():
            raise no_such_repository(self, repository)
        return sorted(self._named.get(repository, {}))

    def untagged(self, repository: str) -> list[Digest]:
        """Images without `RepoTags`."""
        if repository != self.path.stem:
            return []
        unnamed = {self._digest(position) for position, image in enumerate(self._images) if not image.get("RepoTags")}
        named = [self._manifests[position] for tags in self._named.values() for position in tags.values()]
        return sorted(unnamed - {found.digest for found in named if isinstance(found, ImageManifest)})

    def resolve(self, repository: str, tag: str) -> Digest:
        """From `manifest.json`."""
        try:
            position = self._named[repository][tag]
        except KeyError:
            raise no_such_tag(self, repository, tag) from None
        return self._digest(position)

    def changed(self, repository: str, tag: str, known: Digest) -> RawManifest | None:
        """As `resolve` says."""
        return None if self.resolve(repository, tag) == known else self.manifest(repository, tag)

    def manifest(self, repository: str, reference: str) -> RawManifest:
        """The archive's own of an image, else the schema 2 manifest made for it."""
        digest = Digest(reference) if ":" in reference else self.resolve(repository, reference)
        if digest not in self._readable:
            raise ContentMissing(f"{self.location} has no manifest {digest}")
        manifest = self._readable[digest]
        return RawManifest(manifest.raw, digest, manifest.media_type)

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """Streamed out of the tar, and verified."""
        return verified(self._chunks(self._name_of(digest)), Digest(digest), f"a blob of {self.location}")

    def rest_of_blob(self, repository: str, blob: Descriptor, start: int) -> Iterator[bytes]:
        """Streamed from the member of the tar."""
        return self._chunks(self._name_of(blob.digest), start)

    def read_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """Read out of the tar, verified."""
        return Digest(digest).verify(self._read(self._name_of(digest), limit), f"a blob of {self.location}")

    def blob_size(self, repository: str, digest: str) -> int:
        """The member's size."""
        return self._resolved(self._name_of(digest)).size

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """None: all of its images are in one place."""
        return None

    def stored_blobs(self) -> Mapping[str, int] | None:
        """None: it has what its images need."""
        return None

    def pushed(self, repository: str, tag: str) -> datetime | None:
        """None: it does not say."""
        return None

    def referrers(self, repository: str, digest: str) -> list[Descriptor] | None:
        """None: the format knows no referrers."""
        return None

    @cached_property
    def _files(self) -> dict[Digest, str]:
        """The file of each blob of the images that can be read."""
        found: dict[Digest, str] = {}
        for image, manifest in zip(self._images, self._manifests, strict=True):
            if isinstance(manifest, ImageManifest):
                found[manifest.config.digest] = image["Config"]
                found.update((layer.digest, name) for layer, name in zip(manifest.layers, image["Layers"], strict=True))
        return found

    def _digest(self, position: int) -> Digest:
        found = self._manifests[position]
        if isinstance(found, RegscopeError):
            raise found.with_traceback(None)
        return found.digest

    @cached_property
    def _own_manifests(self) -> dict[tuple[str, ...], ImageManifest]:
        """The manifests in the archive, by the names of their configs' and layers' files."""
        try:
            entries = list(OCIIndex.from_document(json.loads(self._read("index.json", METADATA_LIMIT)), b"").manifests)
        except (ContentMissing, ValueError, RecursionError):
            return {}
        found: dict[tuple[str, ...], ImageManifest] = {}
        for entry in entries[:_MOST_ENTRIES]:
            try:
                raw = entry.digest.verify(self._read(_file_of(entry.digest), METADATA_LIMIT), "a manifest")
                manifest = parse_manifest(raw, entry.mediaType)
            except RegscopeError:  # nobody needs it: the files themselves say enough
                continue
            if isinstance(manifest, ImageManifest):
                files = [_file_of(blob.digest) for blob in (manifest.config, *manifest.layers)]
                found[tuple(files)] = manifest
        return found

    def _manifest_of(self, image: dict[str, Any]) -> ImageManifest:
        own = self._own_manifests.get(tuple(posixpath.normpath(name) for name in (image["Config"], *image["Layers"])))
        if own is not None:
            return own
        raw = self._read(image["Config"], METADATA_LIMIT)
        if stated := _stated_digest(image["Config"]):
            stated.verify(raw, f"an image config of {self.location}")
        layers = [self._described(name) for name in image["Layers"]]
        diff_ids = parse_image_config(raw).rootfs.diff_ids
        for layer, diff_id in zip(layers, diff_ids, strict=False):
            if layer.mediaType == DOCKER_LAYER_TAR and layer.digest != diff_id:
                raise DigestMismatch(
                    f"a layer of {self.location} hashes to {layer.digest}, and the config calls it {diff_id}",
                    next_step="The archive is damaged: save the image again.",
                )
        return ManifestSchema2(
            config=DockerConfigDescriptor(digest=Digest.of(raw), size=len(raw)), layers=tuple(layers)
        )

    def _described(self, name: str) -> DockerLayerDescriptor:
        """The layer in a file; images share files, which are read once."""
        if name in self._layers:
            return self._layers[name]
        passing, start = Passing(), b""
        for chunk in passing.through(self._chunks(name)):
            start = start or chunk[:4]
        kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), DOCKER_LAYER_TAR)
        digest = passing.digest
        if (stated := _stated_digest(name)) and stated != digest:
            raise mismatch(stated, digest, f"a layer of {self.location}")
        return self._layers.setdefault(name, DockerLayerDescriptor(mediaType=kind, digest=digest, size=passing.size))

    def _name_of(self, digest: str) -> str:
        try:
            return self._files[Digest(digest)]
        except KeyError:
            raise ContentMissing(f"{self.location} lacks the blob {digest}") from None

    def _resolved(self, name: str) -> tarfile.TarInfo:
        """The file behind a name; the old form stores a repeated layer as a link to its first copy."""
        for _ in range(10):
            member = self._members.get(posixpath.normpath(name))
            if member is None:
                break
            if member.issym():
                name = posixpath.join(posixpath.dirname(member.name), member.linkname)
            elif member.islnk():
                name = member.linkname
            elif member.isfile() and not member.issparse():
                return member
            else:
                break
        raise ContentMissing(
            f"{self.location} lacks the file {text.plain(name, 200)}",
            next_step="The archive is incomplete: save the image again.",
        )

    def _chunks(self, name: str, start: int = 0) -> Iterator[bytes]:
        member = self._resolved(name)
        try:
            with tarfile.open(self.path) as archive:
                file = archive.extractfile(member)
                if file is not None:
                    file.seek(start)
                while file is not None and (chunk := file.read(_CHUNK)):
                    yield chunk
        except _BROKEN as error:
            raise StoreError(
                f"{self.location} breaks off: {error}", next_step="The archive is incomplete: save the image again."
            ) from None

    def _read(self, name: str, limit: int) -> bytes:
        size = self._resolved(name).size
        if size > limit:
            raise too_large(name, size, limit)
        return b"".join(self._chunks(name))

    def _no_archive(self, why: str) -> NotAStore:
        return NotAStore(
            f"{self.path} is not a docker-archive: {why}",
            next_step="Write one with `docker save` or `skopeo copy … docker-archive:FILE:NAME`.",
        )

    def __repr__(self) -> str:
        return f"DockerArchiveStore({os.fspath(self.path)!r})"

    def _repr_html_(self) -> str:
        return text.card("docker-archive", {"file": self.path, "images": len(self._images)})


def _file_of(digest: Digest) -> str:
    """The file of a blob in the new form."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def _is_image(image: object) -> bool:
    if not isinstance(image, dict) or not isinstance(image.get("Config"), str):
        return False
    layers, names = image.get("Layers"), image.get("RepoTags") or []
    return all(isinstance(found, list) and all(isinstance(item, str) for item in found) for found in (layers, names))


def _stated_digest(name: str) -> Digest | None:
    """The digest in the name of a config, or of a blob in the new form; a layer's in the old form is of other bytes."""
    match = _NAMED_BY_DIGEST.fullmatch(posixpath.normpath(name))
    return Digest(f"{match['algorithm'] or 'sha256'}:{match['encoded']}") if match else None


def _short(repository: str) -> str:
    """A name as docker prints it: without Docker Hub's host and `library/`."""
    try:
        reference = Reference.parse(repository)
    except InvalidReference:
        return repository
    if reference.host != "docker.io":
        return repository
    return reference.repository.removeprefix("library/")
