"""One unit of a scan: reading a manifest and its config from a store into rows. Errors become rows of `problems`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from regscope.errors import RegscopeError
from regscope.hosted.provider import ListedManifest, Listing
from regscope.registry.responses import METADATA_LIMIT
from regscope.scanning.known_rows import keep_rows, known_rows
from regscope.scanning.manifest_rows import ManifestRows, manifest_rows, needs_config
from regscope.schema import MISSING_MANIFEST
from regscope.spec.build_history import history_fault
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.image_config import ImageJSON, parse_image_config
from regscope.spec.manifest import ImageManifest, Manifest, ManifestSchema1
from regscope.spec.schema1 import schema1_config
from regscope.stores.cached_store import current_digest
from regscope.stores.content_store import ContentStore
from regscope.stores.presence import is_gone
from regscope.stores.registry_store import registry_of
from regscope.text import plain

_FAULTS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """Content that could not be read or has a fault, and the error, which a caller may raise."""

    repository: str
    reference: str
    what: str
    error: RegscopeError

    @property
    def row(self) -> tuple[str, str, str, str]:
        """The problem as a row of the table `problems`."""
        return self.repository, self.reference, self.what, plain(self.error.message, 2000)


@dataclass(slots=True)
class ReadManifest:
    """The result of reading the manifest of `reference`, a tag or a digest.

    Attributes:
        found: the manifest's rows; None if the manifest could not be read.
        pushed: when the tag was last pushed.
        pulled: when an image was last pulled by the tag.
        was_lost: whether no tag led to the manifest, and it is known only from an earlier snapshot or its referrers.
    """

    repository: str
    reference: str
    found: ManifestRows | None = None
    pushed: datetime | None = None
    pulled: datetime | None = None
    was_lost: bool = False
    referrers: list[Descriptor] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def under(self, tag: str, listed: ListedManifest) -> ReadManifest:
        """The same result for another tag on the manifest."""
        problems = [replace(problem, reference=tag) for problem in self.problems]
        pushed, pulled = listed.pushed_as(tag), listed.pulled_as(tag)
        return replace(self, reference=tag, pushed=pushed, pulled=pulled, problems=problems)

    def fail(self, what: str, error: RegscopeError) -> None:
        """Add a problem."""
        self.problems.append(Problem(self.repository, self.reference, what, error))

    def note_faults(self, what: str, document: Manifest | ImageJSON) -> None:
        """Add a problem for the parts of a document that were ignored as invalid."""
        if faults := document.faults:
            more = f" … and {len(faults) - _FAULTS_NAMED} more" if len(faults) > _FAULTS_NAMED else ""
            self.fail(what, RegscopeError(f"read without its invalid parts: {'; '.join(faults[:_FAULTS_NAMED])}{more}"))


@dataclass(slots=True)
class ListedRepository:
    """A repository's tags and untagged manifests.

    Attributes:
        listing: the manifests of the repository, where a provider lists them.
        sees_untagged: whether `untagged` is complete.
        faults: problems of tags or manifests that are listed, but cannot be used as listed.
    """

    repository: str
    tags: list[str] = field(default_factory=list)
    untagged: list[Digest] = field(default_factory=list)
    listing: Listing | None = None
    sees_untagged: bool = False
    faults: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class ListedReferrers:
    """The referrers of a manifest in a repository, listed separately because another repository's copy was read."""

    repository: str
    subject: Digest
    referrers: list[Descriptor] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def list_referrers(store: ContentStore, repository: str, subject: Digest) -> ListedReferrers:
    """List the referrers of a manifest in a repository."""
    listed = ListedReferrers(repository, subject)
    try:
        listed.referrers = store.referrers(repository, subject) or []
    except RegscopeError as error:
        listed.problems.append(Problem(repository, subject, "referrers", error))
    return listed


def list_repository(store: ContentStore, repository: str) -> ListedRepository:
    """List the tags and untagged manifests of a repository."""
    listed = ListedRepository(repository)
    try:
        listed.tags = store.tags(repository)
        listed.untagged = store.untagged(repository)
        registry = registry_of(store)
        listed.listing = registry.listing(repository) if registry is not None else None
        listed.sees_untagged = store.sees_untagged
        listed.faults = [Problem(repository, *fault) for fault in store.faults(repository)]
    except RegscopeError as error:
        listed.problems.append(Problem(repository, "", "tag list", error))
    return listed


def read_manifest(
    store: ContentStore, repository: str, reference: str, listed: ListedManifest | None = None
) -> ReadManifest:
    """Read a manifest by tag or digest, with its config and its referrers.

    Args:
        listed: what a provider says of it: then the tag need not be asked for.
    """
    result = ReadManifest(repository, reference)
    try:
        result.found = _found(store, result, listed.digest if listed else reference)
        if ":" not in reference:
            result.pushed = listed.pushed_as(reference) if listed else store.pushed(repository, reference)
            result.pulled = listed.pulled_as(reference) if listed else None
        result.referrers = store.referrers(repository, result.found.digest) or []
    except RegscopeError as error:
        result.fail("referrers" if result.found else MISSING_MANIFEST if is_gone(error) else "manifest", error)
    return result


def find_again(store: ContentStore, repository: str, digest: str) -> ReadManifest:
    """Read a manifest that existed before or is named as subject; if it is gone, `found` is None without a problem."""
    try:
        store.resolve(repository, digest)  # asks the store itself: a cache does not know what was deleted
    except RegscopeError as error:
        result = ReadManifest(repository, digest)
        if not is_gone(error):
            result.fail("manifest", error)
        return result
    found = read_manifest(store, repository, digest)
    found.was_lost = True
    return found


def _found(store: ContentStore, result: ReadManifest, reference: str) -> ManifestRows:
    if ":" not in reference:
        reference = current_digest(store, result.repository, reference) or reference
    known = known_rows(store, reference) if ":" in reference else None
    if known is not None:
        return known
    raw = store.manifest(result.repository, reference)
    found = _rows(store, result, raw.digest, raw.parse())
    if not result.problems:
        keep_rows(store, found)
    return found


def _rows(store: ContentStore, result: ReadManifest, digest: Digest, manifest: Manifest) -> ManifestRows:
    result.note_faults("field", manifest)
    if isinstance(manifest, ManifestSchema1):
        try:
            config = schema1_config(manifest)
            result.note_faults("config", config)
            return manifest_rows(digest, manifest, config, _layer_sizes(store, result, manifest))
        except RegscopeError as error:
            result.fail("manifest", error)
            return manifest_rows(digest, manifest)
    if not needs_config(manifest):
        return manifest_rows(digest, manifest)
    assert isinstance(manifest, ImageManifest)
    return manifest_rows(digest, manifest, _config(store, result, manifest))


def _config(store: ContentStore, result: ReadManifest, manifest: ImageManifest) -> ImageJSON | None:
    try:
        config = parse_image_config(store.read_blob(result.repository, manifest.config.digest, METADATA_LIMIT))
    except RegscopeError as error:
        result.fail("config", error)
        return None
    result.note_faults("config", config)
    layers, diff_ids = len(manifest.layers), len(config.rootfs.diff_ids)
    if layers != diff_ids:
        result.fail("config", RegscopeError(f"the config lists {diff_ids} diff_ids, but the manifest {layers} layers"))
    if fault := history_fault(config.history, layers):
        result.fail("history", RegscopeError(fault))
    if config.read_size != manifest.config.size:
        said, real = manifest.config.size, config.read_size
        result.fail("config", RegscopeError(f"the manifest states {said} bytes for its config, which has {real}"))
    if config.names_unreadable_time:
        result.fail("config", RegscopeError("the config's `created` is not a time: the age is unknown"))
    return config


def _layer_sizes(store: ContentStore, result: ReadManifest, manifest: ManifestSchema1) -> list[int | None]:
    """The sizes of a schema 1 manifest's layers, requested from the store: the manifest does not state them."""
    sizes: dict[Digest, int | None] = {}
    for layer in manifest.fsLayers:
        if layer.blobSum not in sizes:
            try:
                sizes[layer.blobSum] = store.blob_size(result.repository, layer.blobSum)
            except RegscopeError as error:
                sizes[layer.blobSum] = None
                result.fail("layer", error)
    return [sizes[layer.blobSum] for layer in reversed(manifest.fsLayers)]
