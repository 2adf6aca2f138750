"""Copying images between stores: from any that can be read to any that can be written."""

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
        source: its name there, `repository:tag` or `repository@digest`.
        name: its name here.
        digest: of what has that name here now; the source's own, unless some of its platforms were chosen.
    """

    source: str
    name: str
    digest: Digest


@dataclass
class Copied:
    """What a copy did.

    Attributes:
        images: in the order in which they were asked for.
        manifests: written.
        sent, mounted, there: blobs that were sent, taken over from another repository there, or there already.
        sent_bytes: that travelled, what was sent twice counted twice.
    """

    location: str
    images: list[CopiedImage] = field(default_factory=list)
    manifests: int = 0
    sent: int = 0
    mounted: int = 0
    there: int = 0
    sent_bytes: int = 0

    def facts(self) -> dict[str, str]:
        """The figures, for people."""
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
    """Copy images with all that belongs to them, byte for byte; what is there already does not travel.

    Blobs go first and are verified on the way, then manifests, children before their index. A copy that was cut off, or
    killed, goes on where it was when it is started again.

    Args:
        source: a store, or a location as for `regscope.open`.
        images: `repository:tag`, `repository@digest`, or `repository` for its `latest`; `*` stands for anything, as in
            `team/app:*`, and `repository@*` for what a repository has without a tag, as far as the store can say.
        target: a store, or a location: a registry, `oci:FOLDER`, `oci-archive:FILE` or `docker-archive:FILE`; the
            folder or file is made.
        to: the name there: `repository:tag` of one image; `repository` of several of one repository; `prefix/` before
            the names of any. By default the same names.
        platforms: such as `linux/arm64`: which images of an index; all by default. For each platform those that fit it
            best are taken (see `Platform.distance`); of one platform the image takes the index's place.
        referrers: signatures, SBOMs and attestations along.
        overwrite: let tags that are there, and mean something else, be moved; let an archive that has more than what
            comes be replaced.
        concurrency: blobs at once.
        progress: show a progress bar; by default where somebody is watching.

    Raises:
        InvalidInput: names that do not fit together, or an image of a kind that has no place there; or a name that has
            another meaning there already, without `overwrite`: nothing was written.
        ContentMissing, ResourceNotFound: there is no such image.
        DigestMismatch: the source's content is damaged.
        RegscopeError: it cannot be read or written. What was copied before stays.
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
    """As `copy`, between what was opened already."""
    wanted = wanted_images(store, [images] if isinstance(images, str) else images, to)
    chosen = [Platform.parse(name) for name in ([platforms] if isinstance(platforms, str) else platforms or ())]
    bar = tqdm(unit="B", unit_scale=True, desc="copy", disable=not (is_interactive() if progress is None else progress))
    with bar:
        done = Copying(store, place, concurrency, bar).run(wanted, chosen, referrers, overwrite)
    place.close()
    return done


class _Stopped(RegscopeError):
    """Another part of the copy has failed, and its error counts."""


@dataclass(frozen=True)
class _Moving(StoredContent):
    """A blob on its way, seen going by."""

    moved: Callable[[int], None]

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        for piece in super().pieces(start):
            self.moved(len(piece))
            yield piece


class Copying:
    """One run: reads all manifests, then moves the blobs, then writes the manifests."""

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
        """Move the blobs of trees that were read, then write their manifests.

        Raises:
            InvalidInput: see `check_names`.
            RegscopeError: it says what is there already.
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
            f"are at {done.location} already; the same command goes on from there."
        )

    def _each(self, call: Callable[[Any], _Result], items: Iterable[Any]) -> Iterator[_Result]:
        """What `call` makes of each item, in their order; the first error ends it all."""
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
        with alone:  # distribution 2.8 writes content in place, and finds that of two at once damaged (DIGEST_INVALID)
            if reference is not None or not self._place.has_manifest(repository, manifest.digest):
                self._place.take_manifest(repository, reference, manifest)
                with self._lock:
                    self._done.manifests += 1


class _Move(NamedTuple):
    """A blob to move from one repository to another, or to take over from one `nearby` that has it by then."""

    blob: Descriptor
    repository: str
    to: str
    nearby: str | None


def _names(images: Sequence[tuple[Wanted, ImageTree]]) -> Iterator[Name]:
    """Every name that is written: of the images, and of referrers that have tags."""
    for wanted, tree in images:
        for reference, part in tree.everything(wanted.to_reference or tree.manifest.digest):
            if reference is not None:
                yield Name(wanted.to_repository, reference, part.manifest.digest)


def _moves(images: Sequence[tuple[Wanted, ImageTree]]) -> tuple[list[_Move], list[_Move]]:
    """Each blob once, and then once more for each other repository that needs it."""
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
