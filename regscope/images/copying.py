"""`copy`: copies images from any readable store to any writable one."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from tqdm.auto import tqdm

from regscope import text
from regscope.concurrency import READS_AT_ONCE
from regscope.errors import RegscopeError
from regscope.images.image_names import Wanted, named, wanted_images
from regscope.images.image_tree import ImageTree, read_tree
from regscope.progress import is_interactive
from regscope.registry.manifests import RawManifest
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.platform import Platform
from regscope.stores.content_store import ContentStore
from regscope.stores.destination import Destination, Name, check_names
from regscope.stores.open_destination import open_destination
from regscope.stores.open_store import as_store
from regscope.stores.stored_content import StoredContent

_Result = TypeVar("_Result")


class CopiedImage(NamedTuple):
    """One image that was copied.

    Attributes:
        source: its name in the source, `repository:tag` or `repository@digest`.
        name: its name in the target.
        digest: the digest of that name in the target; that of the source, unless only some platforms were copied.
    """

    source: str
    name: str
    digest: Digest


@dataclass
class Copied:
    """The result of a copy.

    Attributes:
        location: the location of the target.
        images: the copied images, in the order of the arguments.
        manifests: the number of manifests that were written.
        sent, mounted, there: the numbers of blobs that were sent, mounted from another repository of the target, or in
            the target already.
        sent_bytes: bytes of blobs that were sent; a blob that was sent twice counts twice.
    """

    location: str
    images: list[CopiedImage] = field(default_factory=list)
    manifests: int = 0
    sent: int = 0
    mounted: int = 0
    there: int = 0
    sent_bytes: int = 0

    def facts(self) -> dict[str, str]:
        """The figures of the copy, by their labels."""
        return {
            "images": f"{len(self.images):,}",
            "sent": f"{text.count(self.sent, 'blob')}, {text.size(self.sent_bytes)}",
            "mounted": text.count(self.mounted, "blob"),
            "there already": text.count(self.there, "blob"),
        }

    def __repr__(self) -> str:
        return text.facts(f"Copied to {self.location}", self.facts())

    def _repr_html_(self) -> str:
        rows = [(image.source, image.name, text.short_digest(image.digest)) for image in self.images[:20]]
        return text.card(f"Copied to {self.location}", self.facts(), (), ("from", "to", "digest"), rows)


def copy(
    source: ContentStore | str,
    images: str | Sequence[str],
    target: ContentStore | str,
    to: str | None = None,
    *,
    platforms: str | Sequence[str] | None = None,
    referrers: bool = False,
    overwrite: bool = False,
    concurrency: int = READS_AT_ONCE,
    progress: bool | None = None,
) -> Copied:
    """Copy images with their children, blobs and referrers, byte for byte; content that the target has is not sent.

    Blobs are written and verified first, then manifests, children before their index. A copy that was interrupted or
    killed continues when it is started again.

    Args:
        source: a store, or a location as for `regscope.open`.
        images: `repository:tag`, `repository@digest`, or `repository` for its `latest`; `*` is a wildcard, as in
            `team/app:*`, and `repository@*` means the manifests without a tag, as far as the store can list them.
        target: a store, or a location: a registry, `oci:FOLDER`, `oci-archive:FILE` or `docker-archive:FILE`; the
            folder or file is created.
        to: the name in the target: `repository:tag` for one image; `repository` for images of one repository; `prefix/`
            before the names of any images. By default the names stay the same.
        platforms: the images of an index to copy, such as `linux/arm64`; all by default. For each platform the images
            that fit it best are copied (see `Platform.distance`); with one platform the image replaces the index.
        referrers: also copy signatures, SBOMs and attestations.
        overwrite: move tags of the target that point to another manifest; replace an archive that has other images.
        concurrency: the number of blobs that are copied at once.
        progress: show a progress bar; by default if the output is a terminal or a notebook.

    Raises:
        InvalidInput: `images` and `to` do not fit together, the target cannot store such an image, or (without
            `overwrite`) a name in the target points to another manifest; nothing was written.
        ContentMissing, ResourceNotFound: there is no such image.
        DigestMismatch: the source's content is damaged.
        RegscopeError: a store cannot be read or written; what was copied before stays.
    """
    return copy_to(
        as_store(source),
        images,
        open_destination(target),
        to,
        platforms=platforms,
        referrers=referrers,
        overwrite=overwrite,
        concurrency=concurrency,
        progress=progress,
    )


def copy_to(
    store: ContentStore,
    images: str | Sequence[str],
    place: Destination,
    to: str | None = None,
    *,
    platforms: str | Sequence[str] | None = None,
    referrers: bool = False,
    overwrite: bool = False,
    concurrency: int = READS_AT_ONCE,
    progress: bool | None = None,
) -> Copied:
    """As `copy`, between stores that are open already."""
    wanted = wanted_images(store, [images] if isinstance(images, str) else images, to)
    chosen = [Platform.parse(name) for name in ([platforms] if isinstance(platforms, str) else platforms or ())]
    bar = tqdm(unit="B", unit_scale=True, desc="copy", disable=not (is_interactive() if progress is None else progress))
    with bar:
        done = Copying(store, place, concurrency, bar).run(wanted, chosen, referrers, overwrite)
    place.close()
    return done


class _Stopped(RegscopeError):
    """Ends a part of the copy after another part has failed, whose error is raised."""


@dataclass(frozen=True)
class _Moving(StoredContent):
    """A blob that is being copied; counts its bytes for the progress bar."""

    moved: Callable[[int], None]

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        for piece in super().pieces(start):
            self.moved(len(piece))
            yield piece


class Copying:
    """One run of a copy: reads all manifests, then copies the blobs, then writes the manifests."""

    def __init__(self, store: ContentStore, place: Destination, concurrency: int, bar: tqdm[Any]) -> None:
        self._store = store
        self._place = place
        self._concurrency = concurrency
        self._bar = bar
        self._done = Copied(place.location)
        self._lock = threading.Lock()
        self._writing: defaultdict[Digest, threading.Lock] = defaultdict(threading.Lock)
        self._written = 0
        self._stopped = threading.Event()
        self._is_same_place = store.location == place.location

    def run(self, wanted: Sequence[Wanted], platforms: Sequence[Platform], referrers: bool, overwrite: bool) -> Copied:
        def read(image: Wanted) -> ImageTree:
            return read_tree(self._store, image.repository, image.reference, platforms, referrers)

        return self.write(list(zip(wanted, self._each(read, wanted), strict=True)), overwrite=overwrite)

    def write(self, images: Sequence[tuple[Wanted, ImageTree]], *, overwrite: bool) -> Copied:
        """Copy the blobs of image trees, then write their manifests.

        Raises:
            InvalidInput: see `check_names`.
            RegscopeError: a store cannot be read or written; the message says what was copied.
        """
        for image, tree in images:
            self._place.check(image.to_repository, image.to_reference or tree.manifest.digest, tree.manifest)
        check_names(self._place, _names(images), overwrite)
        first, again = _moves(images)
        self._bar.reset(total=sum(move.blob.size for move in first))
        try:
            for moves in (first, again):
                list(self._each(self._move, moves))
            self._done.images = list(self._each(self._write, images))
        except RegscopeError as error:
            error.next_step = f"{error.next_step}\n{self._what_is_there(len(images), len(first) + len(again))}".strip()
            raise
        return self._done

    def _what_is_there(self, images: int, blobs: int) -> str:
        with self._lock:
            written, done = self._written, self._done
            moved = done.sent + done.mounted + done.there
        return (
            f"{written:,} of {text.count(images, 'image')} and {moved:,} of {text.count(blobs, 'blob')} "
            f"were copied to {done.location}; repeat the command to continue."
        )

    def _each(self, call: Callable[[Any], _Result], items: Iterable[Any]) -> Iterator[_Result]:
        """The result of `call` for each item, in their order; the first error ends the whole copy."""
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="regscope-copy")
        futures: list[Future[_Result]] = [pool.submit(call, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
            return iter([future.result() for future in futures])
        finally:
            if not all(future.done() for future in futures):
                self._stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _move(self, move: _Move) -> None:
        is_elsewhere_here = self._is_same_place and move.repository != move.to
        nearby = move.repository if is_elsewhere_here else move.nearby
        content = _Moving(self._store, move.repository, move.blob, self._moved)
        taken = self._place.take_blob(move.to, move.blob.digest, content, nearby)
        with self._lock:
            setattr(self._done, taken, getattr(self._done, taken) + 1)
            if taken != "sent":
                self._bar.update(move.blob.size)

    def _moved(self, number: int) -> None:
        if self._stopped.is_set():
            raise _Stopped("stopped")
        with self._lock:
            self._done.sent_bytes += number
            self._bar.update(number)

    def _write(self, image: tuple[Wanted, ImageTree]) -> CopiedImage:
        wanted, tree = image
        reference = wanted.to_reference or tree.manifest.digest
        for tag, part in tree.everything(reference):
            self._write_one(wanted.to_repository, part.manifest, tag)
        with self._lock:
            self._written += 1
        return CopiedImage(wanted.name, named(wanted.to_repository, reference), tree.manifest.digest)

    def _write_one(self, repository: str, manifest: RawManifest, reference: str | None) -> None:
        with self._lock:
            alone = self._writing[manifest.digest]
        with alone:  # distribution 2.8 writes in place: two writers of one manifest get DIGEST_INVALID
            if reference is not None or not self._place.has_manifest(repository, manifest.digest):
                self._place.take_manifest(repository, reference, manifest)
                with self._lock:
                    self._done.manifests += 1


class _Move(NamedTuple):
    """A blob to copy to a repository, or to mount from the target's repository `nearby`, which gets it first."""

    blob: Descriptor
    repository: str
    to: str
    nearby: str | None


def _names(images: Sequence[tuple[Wanted, ImageTree]]) -> Iterator[Name]:
    """All names that are written: those of the images, and tags of referrers."""
    for wanted, tree in images:
        for reference, part in tree.everything(wanted.to_reference or tree.manifest.digest):
            if reference is not None:
                yield Name(wanted.to_repository, reference, part.manifest.digest)


def _moves(images: Sequence[tuple[Wanted, ImageTree]]) -> tuple[list[_Move], list[_Move]]:
    """The first copy of each blob; and the further copies, one for each other repository that needs it."""
    first: dict[Digest, _Move] = {}
    again: dict[tuple[Digest, str], _Move] = {}
    for wanted, tree in images:
        for _, part in tree.everything():
            for blob in part.blobs:
                known = first.setdefault(blob.digest, _Move(blob, part.repository, wanted.to_repository, None))
                if known.to != wanted.to_repository:
                    key = (blob.digest, wanted.to_repository)
                    again.setdefault(key, _Move(blob, part.repository, wanted.to_repository, known.to))
    return list(first.values()), list(again.values())
