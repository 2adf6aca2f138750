"""The folders of distribution's registry (`docker/registry/v2`), on any file system.

repositories/NAME/_manifests/revisions/sha256/HEX/link    the repository has this manifest
repositories/NAME/_manifests/tags/TAG/current/link        a tag, and what it points to
blobs/sha256/HE/HEX/data                                  content, of all repositories
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from fsspec.core import url_to_fs

from regscope.errors import ContentMissing, InvalidDigest, InvalidLocation, InvalidReference, NotAStore, StoreError
from regscope.masking import without_secrets
from regscope.registry.responses import too_large
from regscope.spec.digest import Digest
from regscope.spec.reference import check_repository
from regscope.text import plain

_ROOT = "docker/registry/v2"
_LINK_LIMIT = 1024
_BLOB = re.compile(r"/blobs/(sha256|sha512)/[0-9a-f]{2}/([0-9a-f]+)/data$")


class StorageTree:
    """Reads that tree, and changes nothing in it.

    Args:
        location: a folder, or a URL that fsspec supports: the registry's `rootdirectory`, or the `v2` folder in it.

    Raises:
        InvalidLocation: fsspec has no file system for the URL.
        NotAStore: the folder is no registry's storage.
    """

    def __init__(self, location: str) -> None:
        self.location = without_secrets(location)
        try:
            self._files, path = url_to_fs(location)
        except (ImportError, ValueError) as error:
            raise InvalidLocation(
                f"no file system for {self.location!r}: {plain(error, 300)}",
                next_step="Install the package that fsspec needs: s3fs for s3://, gcsfs for gs://, adlfs for az://.",
            ) from None
        path = path.rstrip("/")
        with self._errors():
            roots = [root for root in (f"{path}/{_ROOT}", path) if self._files.isdir(f"{root}/repositories")]
        if not roots:
            raise NotAStore(
                f"{self.location} is not the storage of a registry: it has no {_ROOT}/repositories",
                next_step="Name the folder that is the registry's `rootdirectory`.",
            )
        self._root = roots[0]

    def repositories(self) -> list[str]:
        """All repositories that have manifests, sorted."""
        found: list[str] = []
        waiting = [f"{self._root}/repositories"]
        while waiting:
            folder = waiting.pop()
            for path in self._folders(folder):
                name = posixpath.basename(path)
                if name == "_manifests":
                    found.append(folder.removeprefix(f"{self._root}/repositories/"))
                elif not name.startswith("_"):
                    waiting.append(path)
        return sorted(filter(_is_name, found))

    def tags(self, repository: str) -> list[str] | None:
        """The tags of a repository, sorted; None where there is no such repository."""
        place = self._manifests(repository)
        with self._errors():
            if not self._files.isdir(place):
                return None
        return sorted(map(posixpath.basename, self._folders(f"{place}/tags")))

    def revisions(self, repository: str) -> list[Digest]:
        """All manifests of a repository, tagged or not, sorted."""
        place = f"{self._manifests(repository)}/revisions"
        found = []
        for algorithm in self._folders(place):
            for path in self._folders(algorithm):
                digest = f"{posixpath.basename(algorithm)}:{posixpath.basename(path)}"
                if self._is_digest(digest) and self.has_revision(repository, Digest(digest)):
                    found.append(Digest(digest))
        return sorted(found)

    def has_revision(self, repository: str, digest: Digest) -> bool:
        """Whether a repository has a link to a manifest; the registry deletes only the link, not its folder."""
        with self._errors():
            return bool(
                self._files.exists(f"{self._manifests(repository)}/revisions/{digest.algorithm}/{digest.encoded}/link")
            )

    def tagged(self, repository: str, tag: str) -> Digest | None:
        """The digest that a tag points to; None where the tag does not exist."""
        try:
            link = self._read(self._tag(repository, tag), _LINK_LIMIT)
        except FileNotFoundError:
            return None
        try:
            return Digest(link.decode("ascii").strip())
        except (UnicodeDecodeError, InvalidDigest):
            raise StoreError(f"the tag {repository}:{plain(tag, 200)} in {self.location} points to no digest") from None

    def pushed(self, repository: str, tag: str) -> datetime | None:
        """The time of a tag's last push; None where the file system does not state it."""
        try:
            with self._errors():
                found: datetime = self._files.modified(self._tag(repository, tag))
        except (StoreError, FileNotFoundError, NotImplementedError):
            return None
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)

    def blobs(self) -> dict[str, int]:
        """All stored blobs, with their bytes."""
        with self._errors():
            try:
                listed: dict[str, Any] = self._files.find(f"{self._root}/blobs", detail=True)
            except FileNotFoundError:
                return {}
        found = ((_BLOB.search(path), about["size"]) for path, about in listed.items())
        return {f"{match[1]}:{match[2]}": int(size) for match, size in found if match}

    def blob_size(self, digest: Digest) -> int:
        """The size of a blob in bytes."""
        try:
            with self._errors():
                return self._size(self._blob(digest))
        except FileNotFoundError:
            raise self._missing(digest) from None

    def read_blob(self, digest: Digest, limit: int) -> bytes:
        """The whole of a blob, not verified; TooLarge above `limit` bytes."""
        try:
            return self._read(self._blob(digest), limit)
        except FileNotFoundError:
            raise self._missing(digest) from None

    @contextmanager
    def open_blob(self, digest: Digest) -> Iterator[Any]:
        """A blob as a file, not verified."""
        with self._errors():
            try:
                self._size(self._blob(digest))
                file = self._files.open(self._blob(digest), "rb")
            except FileNotFoundError:
                raise self._missing(digest) from None
            with file:
                yield file

    def _read(self, path: str, limit: int) -> bytes:
        with self._errors():
            size = self._size(path)
            if size > limit:
                raise too_large(f"the file {posixpath.basename(path)}", size, limit)
            found: bytes = self._files.cat_file(path)
            return found

    def _size(self, path: str) -> int:
        """The size of a file in bytes; raises for devices and pipes, which might never end."""
        about = self._files.info(path)
        if about["type"] != "file":
            raise StoreError(f"{plain(posixpath.basename(path), 200)} in {self.location} is no file")
        return int(about["size"])

    def _folders(self, path: str) -> list[str]:
        with self._errors():
            try:
                listed = self._files.ls(path, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return [entry["name"].rstrip("/") for entry in listed if entry["type"] == "directory"]

    def _manifests(self, repository: str) -> str:
        return f"{self._root}/repositories/{check_repository(repository)}/_manifests"

    def _tag(self, repository: str, tag: str) -> str:
        if "/" in tag or tag in ("", ".", ".."):
            raise InvalidReference("a tag has no slash", text=tag, position=0)
        return f"{self._manifests(repository)}/tags/{tag}/current/link"

    def _blob(self, digest: Digest) -> str:
        return f"{self._root}/blobs/{digest.algorithm}/{digest.encoded[:2]}/{digest.encoded}/data"

    @staticmethod
    def _is_digest(text: str) -> bool:
        try:
            Digest(text)
        except InvalidDigest:
            return False
        return True

    def _missing(self, digest: Digest) -> ContentMissing:
        return ContentMissing(
            f"{self.location} lacks the blob {digest}", next_step="The registry is incomplete: push the image again."
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """A context in which errors of the file system are raised as StoreError, with a next step."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreError(
                f"{self.location} cannot be read: {plain(error, 300)}",
                next_step="Read it as the user that the registry runs as.",
            ) from None


def _is_name(name: str) -> bool:
    try:
        check_repository(name)
    except InvalidReference:
        return False
    return True
