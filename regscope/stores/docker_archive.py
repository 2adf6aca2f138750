"""A docker-archive: the tar that `docker save` and `skopeo copy … docker-archive:` write, in the old and the new form.

Its `manifest.json` lists the config and layer files of each image. The new form also has the images' own manifests, in
an `index.json`; in the old form each image gets a schema 2 manifest of its files, and what that form does not store,
such as the digests of compressed layers and annotations, is lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path

from regscope import text
from regscope.errors import ContentMissing, DigestMismatch, InvalidReference, NotAStore, RegscopeError
from regscope.registry.manifests import RawManifest
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest, verified
from regscope.spec.manifest import ImageManifest
from regscope.spec.reference import Reference
from regscope.stores.content_store import no_such_repository, no_such_tag
from regscope.stores.docker_archive_images import SavedImages
from regscope.stores.kinds import DOCKER_ARCHIVE, OCI_ARCHIVE
from regscope.stores.layout_files import kind_of_archive
from regscope.stores.stored_names import Fault, ImageName, StoredNames
from regscope.stores.tar_members import TarMembers


class DockerArchiveStore:
    """Images in one tar file.

    Repositories are the names in `RepoTags`, Docker Hub's in their short form. An image without a tag belongs to a
    repository with the name of the file.

    Raises:
        NotAStore: the file is no docker-archive.
    """

    kind = DOCKER_ARCHIVE
    sees_untagged = True
    counts_pulls = False
    rate_limit = None
    capabilities = None

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._members = TarMembers(self.path, self.location, first_counts=True)  # as in skopeo and crane
        try:
            self._saved = SavedImages(self._members)
        except NotAStore as error:
            raise self._no_archive(error.message) from None

    @property
    def location(self) -> str:
        """`docker-archive:` and the file."""
        return self.kind.at(self.path)

    @cached_property
    def _readable(self) -> dict[Digest, ImageManifest]:
        return {found.digest: found for found in self._saved.manifests if isinstance(found, ImageManifest)}

    @cached_property
    def _names(self) -> StoredNames:
        """The positions in `manifest.json` by repository and tag."""
        found = StoredNames(self.location, self._digest_if_readable)
        for position, image in enumerate(self._saved.listed):
            for written in image.names:
                name = ImageName.parse(written)
                found.add(name._replace(repository=short_name(name.repository) or self.path.stem), position)
            if not image.names:
                found.add(ImageName(self.path.stem, None, None), position)
        return found

    @property
    def images(self) -> list[tuple[Digest, list[str]]]:
        """The images in the archive's order, each with its names, unchanged.

        Raises:
            RegscopeError: an image cannot be read.
        """
        return [(self._digest(position), list(image.names)) for position, image in enumerate(self._saved.listed)]

    def repositories(self) -> list[str]:
        """The names in `RepoTags`."""
        return sorted(self._names.tagged)

    def tags(self, repository: str) -> list[str]:
        """The tags in `RepoTags`."""
        if repository not in self._names.tagged:
            raise no_such_repository(self, repository)
        return sorted(self._names.tagged[repository])

    def untagged(self, repository: str) -> list[Digest]:
        """Images without `RepoTags`, with a digest instead of a tag, or with the name of an earlier image.

        An image without a name is not listed if the archive has the same image with a name.
        """
        named = {self._digest_if_readable(position) for position, image in enumerate(self._saved.listed) if image.names}
        found = self._names.untagged(repository)
        return sorted(
            {self._digest(position) for position in found if self._saved.listed[position].names}
            | ({self._digest(position) for position in found if not self._saved.listed[position].names} - named)
        )

    def faults(self, repository: str) -> list[Fault]:
        """Duplicate names, names with another image's digest, and files named by a digest that is not their own."""
        found = self._names.faults(repository)
        tags = self._names.tagged.get(repository, {})
        for reference, position in [*tags.items(), *((None, each) for each in self._names.untagged(repository))]:
            image, digest = self._saved.listed[position], self._digest_if_readable(position)
            for name in dict.fromkeys((image.config, *image.layers)):
                if digest is not None and name in self._saved.misnamed:
                    what = f"the file {text.plain(name, 200)} of {self.location} hashes to {self._saved.misnamed[name]}"
                    error = DigestMismatch(what, next_step="Save the image again, unless this name was intended.")
                    found.append(Fault(reference or digest, "file name", error))
        return found

    def resolve(self, repository: str, tag: str) -> Digest:
        """The digest of a name in `manifest.json`; a digest itself, if an image has it."""
        if ":" in tag:
            return self.manifest(repository, tag).digest
        try:
            position = self._names.tagged[repository][tag]
        except KeyError:
            raise no_such_tag(self, repository, tag) from None
        return self._digest(position)

    def changed(self, repository: str, tag: str, known: Digest) -> RawManifest | None:
        """The manifest, if `resolve` returns another digest than `known`."""
        return None if self.resolve(repository, tag) == known else self.manifest(repository, tag)

    def manifest(self, repository: str, reference: str) -> RawManifest:
        """An image's own manifest in the archive, else the schema 2 manifest made for it."""
        digest = Digest(reference) if ":" in reference else self.resolve(repository, reference)
        if digest not in self._readable:
            raise ContentMissing(f"{self.location} has no manifest {digest}")
        manifest = self._readable[digest]
        return RawManifest(manifest.raw, digest, manifest.media_type)

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """The blob, streamed from the tar and verified."""
        return verified(self._members.chunks(self._name_of(digest)), Digest(digest), f"a blob of {self.location}")

    def rest_of_blob(self, repository: str, blob: Descriptor, start: int) -> Iterator[bytes]:
        """The rest of the blob, streamed from the tar."""
        return self._members.chunks(self._name_of(blob.digest), start)

    def read_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """The blob, read from the tar and verified."""
        return Digest(digest).verify(self._members.read(self._name_of(digest), limit), f"a blob of {self.location}")

    def blob_size(self, repository: str, digest: str) -> int:
        """The size of the blob's file in the tar."""
        return self._members.size(self._name_of(digest))

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """None: an archive does not separate repositories."""
        return None

    def stored_blobs(self) -> Mapping[str, int] | None:
        """None: an archive has only the blobs that its images need."""
        return None

    def pushed(self, repository: str, tag: str) -> datetime | None:
        """None: an archive does not record it."""
        return None

    def referrers(self, repository: str, digest: str) -> list[Descriptor] | None:
        """None: the format has no referrers."""
        return None

    @cached_property
    def _files(self) -> dict[Digest, str]:
        return self._saved.files()

    def _digest(self, position: int) -> Digest:
        found = self._saved.manifests[position]
        if isinstance(found, RegscopeError):
            raise found.with_traceback(None)
        return found.digest

    def _digest_if_readable(self, position: int) -> Digest | None:
        found = self._saved.manifests[position]
        return found.digest if isinstance(found, ImageManifest) else None

    def _name_of(self, digest: str) -> str:
        try:
            return self._files[Digest(digest)]
        except KeyError:
            raise ContentMissing(f"{self.location} lacks the blob {digest}") from None

    def _no_archive(self, why: str) -> NotAStore:
        kind = kind_of_archive(self.path)
        next_step = "Write one with `docker save` or `skopeo copy … docker-archive:FILE:NAME`."
        return NotAStore(
            f"{self.path} is not a docker-archive: {why}",
            next_step=f"It is an oci-archive: write {kind.at(self.path)}." if kind == OCI_ARCHIVE else next_step,
        )

    def __repr__(self) -> str:
        return f"DockerArchiveStore({os.fspath(self.path)!r})"

    def _repr_html_(self) -> str:
        return text.card("docker-archive", {"file": self.path, "images": len(self._saved.listed)})


def short_name(repository: str) -> str:
    """A name as docker prints it: without Docker Hub's host and `library/`."""
    try:
        reference = Reference.parse(repository)
    except InvalidReference:
        return repository
    if reference.host != "docker.io":
        return repository
    return reference.repository.removeprefix("library/")
