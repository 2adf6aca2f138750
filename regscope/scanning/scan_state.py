"""The state of a running scan: the content found so far, as rows of the tables, and the content still to be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from operator import itemgetter
from typing import Any

from tqdm.auto import tqdm

from regscope.errors import RegscopeError
from regscope.hosted.provider import ListedManifest, Listing
from regscope.scanning.blob_rows import FoundBlobs
from regscope.scanning.found_referrers import FoundReferrers
from regscope.scanning.manifest_rows import ManifestRows, Rows
from regscope.scanning.placing import Placed, place
from regscope.scanning.read_manifest import (
    ListedReferrers,
    ListedRepository,
    Problem,
    ReadManifest,
    find_again,
    list_referrers,
    list_repository,
    read_manifest,
)
from regscope.scanning.worklist import Worklist
from regscope.schema import ARCHIVED, BLOCKING, MISSING_MANIFEST, SUBJECT, TABLES
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.index_children import DEEPEST, best_children
from regscope.spec.media_types import INDEXES
from regscope.spec.platform import Platform
from regscope.spec.referring import Referral, stated_by_list, stated_by_tag, subject_of_tag
from regscope.stores.content_store import ContentStore
from regscope.tables import Snapshot
from regscope.text import count

_ARTIFACT_TYPE = [column.name for column in TABLES["manifests"]].index("artifact_type")
_ASKED_ELSEWHERE = 10_000  # limit of requests for subjects in other repositories


class ScanState:
    """The content that a running scan has found so far, and the requests that follow from it."""

    def __init__(
        self,
        store: ContentStore,
        work: Worklist,
        tag_globs: list[str] | None,
        platforms: list[Platform],
        must_exist: bool,
    ) -> None:
        self._store = store
        self._work = work
        self._tag_globs = tag_globs
        self._platforms = platforms
        self._must_exist = must_exist
        self._asked: dict[str, int] = {}  # by digest, the depth below a tag or an untagged manifest
        self._tried: set[tuple[str, str]] = set()  # repository and digest of all manifests requested
        self._missing: set[tuple[str, str]] = set()
        self._placed = Placed({}, set(), set())
        self._listed: set[str] = set()
        self._listings: dict[str, Listing] = {}  # of providers, by repository
        # By repository and tag, the other tags that a provider lists on the same manifest.
        self._same: defaultdict[tuple[str, str], list[tuple[str, ListedManifest]]] = defaultdict(list)
        self._by_provider: dict[str, dict[str, ListedManifest]] = {}  # their rows, by digest
        self._is_blind = False  # a list has not shown what has no tag
        self._manifests: dict[str, Rows] = {}
        self._children: dict[str, list[str]] = {}
        self._tags: list[tuple[str, str, str, str | None, datetime | None, datetime | None]] = []
        self._untagged: list[tuple[str, str]] = []
        self._referrers = FoundReferrers()
        self._looked_at: set[tuple[str, str]] = set()  # repository and digest of listed subjects
        self._problems: list[tuple[str, str, str, str]] = []

    def run(self, repositories: Iterable[str], earlier: Iterable[Snapshot], show: bool) -> None:
        """Read all manifests of the repositories, and those that earlier snapshots had in them."""
        for repository in repositories:
            self._work.add(list_repository, self._store, repository)
        with tqdm(desc="scan", unit=" read", disable=not show, leave=False, total=self._work.added) as bar:
            self._read_all(bar)
            if self._tag_globs is None and not self.sees_untagged:
                self._look_again(earlier)
                self._read_all(bar)
                self._look_elsewhere()
                self._read_all(bar)
        self._note_too_deep()

    @property
    def sees_untagged(self) -> bool:
        """Whether the store has shown what has no tag."""
        return self._store.sees_untagged and not self._is_blind

    def _read_all(self, bar: tqdm[Any]) -> None:
        more = True
        while more:
            for result in self._work.results():
                if isinstance(result, ListedRepository):
                    self._take_listing(result)
                elif isinstance(result, ListedReferrers):
                    self._take_referrers(result)
                else:
                    self._take_manifest(result)
                bar.total = self._work.added
                if (limit := self._store.rate_limit) is not None:
                    bar.set_postfix_str(f"rate limit: {limit}", refresh=False)
                bar.update()
            self._placed = self._place()
            lacking = sorted(self._placed.lacking - self._tried)
            for repository, digest in lacking:
                self._try(repository, digest)
            # A manifest is read once for all repositories, but its referrers differ from repository to repository.
            elsewhere = sorted(self._placed.how.keys() - self._looked_at)
            for repository, digest in elsewhere:
                self._looked_at.add((repository, digest))
                self._work.add(list_referrers, self._store, repository, digest)
            more = bool(lacking or elsewhere)

    def _look_again(self, earlier: Iterable[Snapshot]) -> None:
        """Request manifests that were not found: those that earlier snapshots had, and subjects of referrers."""
        wanted = set(self._referrers.subjects)
        for snap in earlier:
            wanted.update(snap.placements[["repository", "digest"]].astype("str").itertuples(index=False, name=None))
        for repository, digest in sorted(wanted - self._placed.how.keys()):
            if repository in self._listed:
                self._work.add(find_again, self._store, repository, digest)

    def _look_elsewhere(self) -> None:
        """Request missing subjects from all repositories, if their referrers are in a repository of referrers only.

        A signed image that is deployed by digest may have no tag.
        """
        tagged = [(name, digest, subject) for name, _, digest, subject, *_ in self._tags]
        left = _ASKED_ELSEWHERE
        for name, subjects in self._referrers.lost(self._placed.how, tagged).items():
            wanted = {(other, subject) for subject in subjects for other in self._listed - {name}}
            if len(wanted) > left:
                error = RegscopeError(f"{len(subjects):,} subjects were not looked up in other repositories: too many")
                self._take_problems([Problem(name, "", SUBJECT, error)])
                continue
            left -= len(wanted)
            for other, subject in sorted(wanted):
                self._work.add(find_again, self._store, other, subject)

    def _take_listing(self, listed: ListedRepository) -> None:
        if not listed.problems:
            self._listed.add(listed.repository)
        if listed.problems and self._must_exist:
            raise listed.problems[0].error
        self._take_problems((*listed.faults, *listed.problems))
        self._is_blind |= not (listed.sees_untagged or listed.problems)
        rows = listed.listing.manifests if listed.listing is not None else ()
        if listed.listing is not None:
            self._listings[listed.repository] = listed.listing
            self._by_provider[listed.repository] = {row.digest: row for row in rows}
        on_tags = {tag: row for row in rows for tag in row.tag_names}
        first: dict[str, str] = {}  # the tag by which a manifest is read
        for tag in listed.tags:
            if self._tag_globs is None or matches(tag, self._tag_globs):
                row = on_tags.get(tag)
                if row is not None and row.archived:
                    self._note_archived(listed.repository, row.digest)
                elif row is not None and first.setdefault(row.digest, tag) != tag:
                    self._same[listed.repository, first[row.digest]].append((tag, row))
                else:
                    self._work.add(read_manifest, self._store, listed.repository, tag, row)
        for digest in listed.untagged if self._tag_globs is None else ():
            if self.is_archived(listed.repository, digest):
                self._note_archived(listed.repository, digest)
                continue
            self._untagged.append((listed.repository, digest))
            self._ask(listed.repository, digest, 0)

    def _take_manifest(self, read: ReadManifest) -> None:
        for tag, listed in self._same.pop((read.repository, read.reference), ()):
            self._take_manifest(read.under(tag, listed))
        self._take_problems(read.problems)
        found, repository = read.found, read.repository
        if found is None:
            if any(problem.what == MISSING_MANIFEST for problem in read.problems):
                self._missing.add((repository, read.reference))
            return
        if ":" not in read.reference:
            self._take_tag(read, found)
        elif read.was_lost:
            self._untagged.append((repository, found.digest))
        self._looked_at.add((repository, found.digest))
        self._take_list(repository, found.digest, read.referrers)
        for row in found.rows.get("referrers", ()):
            self._referrers.take(repository, Referral(*row))
        depth = self._asked.setdefault(found.digest, 0)
        if found.digest not in self._manifests:
            self._manifests[found.digest] = found.rows
            self._children[found.digest] = [child.digest for child in self._wanted(found.children)]
        self._note_if_none_fits(read, found)
        for child in self._children[found.digest]:
            self._ask(repository, child, depth + 1)

    def _take_referrers(self, listed: ListedReferrers) -> None:
        self._take_problems(listed.problems)
        self._take_list(listed.repository, listed.subject, listed.referrers)

    def _take_list(self, repository: str, subject: Digest, entries: Iterable[Descriptor]) -> None:
        for referral in stated_by_list(subject, entries):
            self._referrers.take(repository, referral)
            self._ask(repository, referral.referrer, self._asked.get(subject, 0) + 1)

    def _take_tag(self, read: ReadManifest, found: ManifestRows) -> None:
        subject = subject_of_tag(read.reference)
        self._tags.append((read.repository, read.reference, found.digest, subject, read.pushed, read.pulled))
        if subject is not None:
            children = found.children if found.kind == "index" else None
            for referral in stated_by_tag(read.reference, subject, found.digest, children):
                self._referrers.take(read.repository, referral)

    def _note_archived(self, repository: str, digest: str, is_named: bool = False) -> None:
        """Add a problem for a manifest that cannot be read before it is restored: it is not lost.

        An index may need any manifest of the repository, and one that is named by another manifest may need it, too.
        """
        listed = self._by_provider[repository][digest]
        what = "manifest" if is_named or listed.media_type in (None, *INDEXES) else ARCHIVED
        tags = f" ({', '.join(listed.tag_names)})" if listed.tags else ""
        error = RegscopeError(f"it is archived{tags}: the registry stores it, and serves it once it is restored")
        self._take_problems([Problem(repository, digest, what, error)])

    def is_archived(self, repository: str, digest: str) -> bool:
        """Whether the provider stores a manifest where it cannot be read."""
        listed = self._by_provider.get(repository, {}).get(digest)
        return listed is not None and listed.archived

    def _take_problems(self, problems: Iterable[Problem]) -> None:
        self._problems += [problem.row for problem in problems]

    def _ask(self, repository: str, digest: str, depth: int) -> None:
        """Queue a manifest if it was not queued before; its final depth is known only after `_place`."""
        if digest not in self._asked and depth <= DEEPEST:
            self._asked[digest] = depth
            self._try(repository, digest)

    def _try(self, repository: str, digest: str) -> None:
        self._tried.add((repository, digest))
        if self.is_archived(repository, digest):
            self._note_archived(repository, digest, is_named=True)
            return
        self._work.add(read_manifest, self._store, repository, digest)

    def _wanted(self, children: Sequence[Descriptor]) -> Sequence[Descriptor]:
        """The children to read: all, or with `platforms` those that match one of the platforms best."""
        if not self._platforms:
            return children
        best = {child.digest for wanted in self._platforms for child in best_children(children, wanted)}
        return [child for child in children if child.digest in best]

    def _note_if_none_fits(self, read: ReadManifest, found: ManifestRows) -> None:
        """Add a problem for an index without an image for `platforms`; it would look like an empty index otherwise."""
        images = [child for child in found.children if not child.is_artifact]
        if not self._platforms or not images or self._children[found.digest] or subject_of_tag(read.reference):
            return
        there = ", ".join(sorted({str(child.platform or "") or "an unknown platform" for child in images}))
        wanted = ", ".join(map(str, self._platforms))
        error = RegscopeError(f"the index has no image for {wanted}, only for {there}")
        self._take_problems([Problem(read.repository, read.reference, "platform", error)])

    def forget_missing(self, problems: Sequence[Problem]) -> None:
        """Add the problems of a check, and remove the manifests that it found missing.

        The result is that of a scan without a cache.
        """
        found = {(problem.repository, problem.reference, problem.what) for problem in problems}
        self._problems = [row for row in self._problems if row[:3] not in found]
        self._take_problems(problems)
        missing = {(repository, digest) for repository, digest, what in found if what == MISSING_MANIFEST}
        if missing & self._placed.how.keys():
            self._missing |= missing
            self._tags = [row for row in self._tags if (row[0], row[2]) not in missing]
            before = {digest for _, digest in self._placed.how}
            self._placed = self._place()
            for digest in before - {digest for _, digest in self._placed.how}:
                del self._manifests[digest]

    def rows(self, stored: Mapping[str, int] | None) -> dict[str, Iterable[Sequence[Any]]]:
        """The distinct rows by table, in an order that does not depend on the order of the responses.

        Args:
            stored: the blobs that the store has, with sizes in bytes; None if it does not list them.
        """
        tables: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        blobs = FoundBlobs(stored)
        for digest in sorted(self._manifests):
            for table, rows in self._manifests[digest].items():
                if table == "blobs":
                    blobs.take(rows)
                elif table != "referrers":
                    tables[table] += rows
        blobs.take_children(child for _, child, *_ in tables["platforms"])
        return {
            **tables,
            "blobs": blobs.rows(),
            "orphans": blobs.orphans() if self._is_whole else [],
            "tags": sorted(self._tags, key=itemgetter(0, 1)),
            "placements": [self._placement(*place, how) for place, how in sorted(self._placed.how.items())],
            "referrers": self._referrers.rows(self._own_type),
            "problems": self.problem_rows,
        }

    @property
    def problem_rows(self) -> list[tuple[str, str, str, str]]:
        """The rows of `problems`."""
        return sorted(set(self._problems))

    def _own_type(self, digest: str) -> str | None:
        """The artifact type in the manifest itself; None if unknown."""
        rows = self._manifests[digest]["manifests"] if digest in self._manifests else ()
        return next((row[_ARTIFACT_TYPE] for row in rows), None)

    @property
    def _is_whole(self) -> bool:
        """Whether every manifest of the store was read."""
        chosen = self._tag_globs is not None or self._platforms or self._must_exist
        return not chosen and not any(what in BLOCKING for _, _, what, _ in self._problems)

    def _place(self) -> Placed:
        tagged = [(repository, digest) for repository, _, digest, *_ in self._tags]
        return place(tagged, self._untagged, self._children, self._referrers, self._is_there)

    def _is_there(self, repository: str, digest: str) -> bool:
        """Whether the manifest was read, and is not known to be missing in the repository."""
        is_missing = (repository, digest) in self._missing or self._has(repository, digest) is False
        return not is_missing and digest in self._manifests

    def _has(self, repository: str, digest: str) -> bool | None:
        """Whether a repository has a manifest of its own; None where that takes a request to find out."""
        if repository in self._listings and self._listings[repository].is_complete:
            return digest in self._by_provider[repository]
        return self._store.has_manifest(repository, digest)

    def _placement(self, repository: str, digest: str, how: str) -> tuple[Any, ...]:
        """A row of `placements`, with what a provider says of it."""
        listed = self._by_provider.get(repository, {}).get(digest)
        if listed is None:
            return repository, digest, how, None, False, None
        return repository, digest, how, listed.pushed, listed.locked, listed.pulled

    def _note_too_deep(self) -> None:
        """Add one problem for each repository with manifests below the depth limit, which may be thousands."""
        found: dict[str, list[str]] = defaultdict(list)
        for repository, digest in sorted(self._placed.too_deep):
            found[repository].append(digest)
        for repository, digests in found.items():
            what = f"{count(len(digests), 'manifest')} not read: over {DEEPEST} indexes or referrers below a tag"
            self._take_problems([Problem(repository, digests[0], "manifest", RegscopeError(what))])


def matches(name: str, globs: Iterable[str]) -> bool:
    """Whether one of the globs matches `name`."""
    return any(fnmatchcase(name, glob) for glob in globs)
