"""A docker-archive: the tar that `docker save` and `skopeo copy … docker-archive:` write, in its old form and its new.

It names images by config and layer files in `manifest.json`. The new form has the images' own manifests as well, in an
`index.json`; in the old form each image gets the schema 2 manifest that describes just these files, and what that form
loses, such as the compressed layers' digests and annotations, cannot come back.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from regscope import text
from regscope.errors import (
    ContentMissing,
    DigestMismatch,
    InvalidReference,
    NotAStore,
    RegscopeError,
)
from regscope.layers.compression import diff_id_of
from regscope.registry.manifests import RawManifest
from regscope.registry.responses import METADATA_LIMIT
from regscope.spec.descriptor import Descriptor, DockerConfigDescriptor, DockerLayerDescriptor
from regscope.spec.digest import Digest, Passing, verified
from regscope.spec.image_config import parse_image_config
from regscope.spec.manifest import (
    DockerManifestList,
    ImageManifest,
    ManifestSchema2,
    OCIIndex,
    parse_manifest,
)
from regscope.spec.media_types import DOCKER_LAYER, DOCKER_LAYER_TAR, OCI_LAYER_ZSTD
from regscope.spec.reference import Reference
from regscope.stores.content_store import no_such_repository, no_such_tag
from regscope.stores.layout_files import form_of_archive
from regscope.stores.layout_store import blob_path
from regscope.stores.stored_names import Fault, ImageName, StoredNames
from regscope.stores.tar_members import TarMembers

_NAMED_BY_DIGEST = re.compile(r"(?:blobs/(?P<algorithm>sha256)/|sha256:)?(?P<encoded>[0-9a-f]{64})(?:\.json)?")
_MOST_ENTRIES = 10_000
_DEEPEST = 8  # indexes within indexes
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
        self._misnamed: dict[str, Digest] = {}
        self._members = TarMembers(self.path, self.location, first_counts=True)  # as skopeo and crane have it
        self._images  # an archive that is none must say so when it is opened  # noqa: B018

    @property
    def location(self) -> str:
        """`docker-archive:` and the file."""
        return f"docker-archive:{self.path}"

    @cached_property
    def _images(self) -> list[_Image]:
        try:
            listed = json.loads(self._members.read("manifest.json", METADATA_LIMIT))
        except NotAStore as error:
            raise self._no_archive(error.message) from None
        except (ContentMissing, ValueError, RecursionError):
            raise self._no_archive("it has no manifest.json that names images") from None
        if not isinstance(listed, list) or not all(_is_image(image) for image in listed):
            raise self._no_archive("its manifest.json is not a list of images with Config and Layers")
        return [
            _Image(image["Config"], tuple(image.get("Layers") or ()), tuple(image.get("RepoTags") or ()))
            for image in listed
        ]

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
    def _names(self) -> StoredNames:
        """The positions in `manifest.json` by repository and tag."""
        found = StoredNames(self.location, self._digest_if_readable)
        for position, image in enumerate(self._images):
            for written in image.names:
                name = ImageName.parse(written)
                found.add(name._replace(repository=_short(name.repository) or self.path.stem), position)
            if not image.names:
                found.add(ImageName(self.path.stem, None, None), position)
        return found

    @property
    def images(self) -> list[tuple[Digest, list[str]]]:
        """The images in the archive's order, each with the names that it goes by, as they were written.

        Raises:
            RegscopeError: one of them cannot be read.
        """
        return [(self._digest(position), list(image.names)) for position, image in enumerate(self._images)]

    def repositories(self) -> list[str]:
        """The names in `RepoTags`."""
        return sorted(self._names.tagged)

    def tags(self, repository: str) -> list[str]:
        """The tags in `RepoTags`."""
        if repository not in self._names.tagged:
            raise no_such_repository(self, repository)
        return sorted(self._names.tagged[repository])

    def untagged(self, repository: str) -> list[Digest]:
        """Images without `RepoTags`, or with a digest in a tag's place, or whose name another one has that comes first.

        An image without any name is not one of these if it is there a second time, with a name.
        """
        named = {self._digest_if_readable(position) for position, image in enumerate(self._images) if image.names}
        found = self._names.untagged(repository)
        return sorted(
            {self._digest(position) for position in found if self._images[position].names}
            | ({self._digest(position) for position in found if not self._images[position].names} - named)
        )

    def faults(self, repository: str) -> list[Fault]:
        """Names that stand twice, or with another image's digest; files that are called by a digest not theirs."""
        found = self._names.faults(repository)
        tags = self._names.tagged.get(repository, {})
        for reference, position in [*tags.items(), *((None, each) for each in self._names.untagged(repository))]:
            image, digest = self._images[position], self._digest_if_readable(position)
            for name in dict.fromkeys((image.config, *image.layers)):
                if digest is not None and name in self._misnamed:
                    what = f"the file {text.plain(name, 200)} of {self.location} hashes to {self._misnamed[name]}"
                    error = DigestMismatch(what, next_step="Save the image again, unless it was meant to be called so.")
                    found.append(Fault(reference or digest, "file name", error))
        return found

    def resolve(self, repository: str, tag: str) -> Digest:
        """From `manifest.json`."""
        try:
            position = self._names.tagged[repository][tag]
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
        return verified(self._members.chunks(self._name_of(digest)), Digest(digest), f"a blob of {self.location}")

    def rest_of_blob(self, repository: str, blob: Descriptor, start: int) -> Iterator[bytes]:
        """Streamed from the member of the tar."""
        return self._members.chunks(self._name_of(blob.digest), start)

    def read_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """Read out of the tar, verified."""
        return Digest(digest).verify(self._members.read(self._name_of(digest), limit), f"a blob of {self.location}")

    def blob_size(self, repository: str, digest: str) -> int:
        """The member's size."""
        return self._members.size(self._name_of(digest))

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
                found[manifest.config.digest] = image.config
                found.update((layer.digest, name) for layer, name in zip(manifest.layers, image.layers, strict=True))
        return found

    def _digest(self, position: int) -> Digest:
        found = self._manifests[position]
        if isinstance(found, RegscopeError):
            raise found.with_traceback(None)
        return found.digest

    def _digest_if_readable(self, position: int) -> Digest | None:
        found = self._manifests[position]
        return found.digest if isinstance(found, ImageManifest) else None

    @cached_property
    def _own_manifests(self) -> dict[tuple[str, ...], ImageManifest]:
        """The manifests in the archive, by the names of their configs' and layers' files.

        Docker 29 has an image's own under an index of its platforms, most of which are not in the archive.
        """
        try:
            raw = self._members.read("index.json", METADATA_LIMIT)
            entries = OCIIndex.from_document(json.loads(raw), b"").manifests
        except (ContentMissing, ValueError, RecursionError):
            return {}
        found: dict[tuple[str, ...], ImageManifest] = {}
        waiting = [(entry, 0) for entry in reversed(entries)]
        seen: set[Digest] = set()
        while waiting and len(seen) < _MOST_ENTRIES:
            entry, depth = waiting.pop()
            if entry.digest in seen:
                continue
            seen.add(entry.digest)
            try:
                raw = self._members.read(blob_path(entry.digest), METADATA_LIMIT)
                manifest = parse_manifest(entry.digest.verify(raw, "a manifest"), entry.mediaType)
            except RegscopeError:  # nobody needs it: the files themselves say enough
                continue
            if isinstance(manifest, ImageManifest):
                files = [blob_path(blob.digest) for blob in (manifest.config, *manifest.layers)]
                found.setdefault(tuple(files), manifest)
            elif isinstance(manifest, OCIIndex | DockerManifestList) and depth < _DEEPEST:
                waiting += [(child, depth + 1) for child in reversed(manifest.manifests)]
        return found

    def _manifest_of(self, image: _Image) -> ImageManifest:
        own = self._own_manifests.get(tuple(posixpath.normpath(name) for name in (image.config, *image.layers)))
        if own is not None:
            return own
        raw = self._members.read(image.config, METADATA_LIMIT)
        self._compare(image.config, Digest.of(raw))
        layers = [self._described(name) for name in image.layers]
        diff_ids = parse_image_config(raw).rootfs.diff_ids
        for name, layer, diff_id in zip(image.layers, layers, diff_ids, strict=False):
            self._check_layer(name, layer, diff_id)
        return ManifestSchema2(
            config=DockerConfigDescriptor(digest=Digest.of(raw), size=len(raw)), layers=tuple(layers)
        )

    def _check_layer(self, name: str, layer: DockerLayerDescriptor, diff_id: Digest) -> None:
        """Raise where a layer is not what its config calls it; of a compressed one the right name is enough."""
        found = layer.digest
        if layer.mediaType != DOCKER_LAYER_TAR:
            if name not in self._misnamed:
                return
            found = diff_id_of(self._members.chunks(name))
        if found != diff_id:
            raise DigestMismatch(
                f"a layer of {self.location} hashes to {found}, and the config calls it {diff_id}",
                next_step="The archive is damaged: save the image again.",
            )

    def _compare(self, name: str, found: Digest) -> None:
        """Note a file that is called by another digest than its own: docker, skopeo and crane take it all the same."""
        if (stated := _stated_digest(name)) and stated != found:
            self._misnamed[name] = found

    def _described(self, name: str) -> DockerLayerDescriptor:
        """The layer in a file; images share files, which are read once."""
        if name in self._layers:
            return self._layers[name]
        passing, start = Passing(), b""
        for chunk in passing.through(self._members.chunks(name)):
            start = start or chunk[:4]
        kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), DOCKER_LAYER_TAR)
        self._compare(name, passing.digest)
        described = DockerLayerDescriptor(mediaType=kind, digest=passing.digest, size=passing.size)
        return self._layers.setdefault(name, described)

    def _name_of(self, digest: str) -> str:
        try:
            return self._files[Digest(digest)]
        except KeyError:
            raise ContentMissing(f"{self.location} lacks the blob {digest}") from None

    def _no_archive(self, why: str) -> NotAStore:
        form = form_of_archive(self.path)
        next_step = "Write one with `docker save` or `skopeo copy … docker-archive:FILE:NAME`."
        return NotAStore(
            f"{self.path} is not a docker-archive: {why}",
            next_step=f"It is another kind: write {form}:{self.path}." if form == "oci-archive" else next_step,
        )

    def __repr__(self) -> str:
        return f"DockerArchiveStore({os.fspath(self.path)!r})"

    def _repr_html_(self) -> str:
        return text.card("docker-archive", {"file": self.path, "images": len(self._images)})


class _Image(NamedTuple):
    """An image in `manifest.json`: the files of its config and its layers, and the names that it goes by."""

    config: str
    layers: tuple[str, ...]
    names: tuple[str, ...]


def _is_image(image: object) -> bool:
    if not isinstance(image, dict) or not isinstance(image.get("Config"), str):
        return False
    layers, names = image.get("Layers") or [], image.get("RepoTags") or []  # Go writes null for none
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
