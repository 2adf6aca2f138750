"""`LiveState`: the present state of a repository, compared with the plan, before and during a run."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from regscope.concurrency import CHANGES_AT_ONCE
from regscope.errors import RegscopeError
from regscope.registry.manifests import RawManifest
from regscope.remediation.links import NO_LINKS, Links, links_of
from regscope.remediation.new_referrers import NewReferrers
from regscope.spec.digest import Digest
from regscope.spec.referring import fallback_tag, is_about, subject_of_tag
from regscope.stores.content_store import ContentStore
from regscope.stores.presence import is_gone, resolved

_MOST_LISTED = 1000  # tags that are listed before each deletion


class LiveState:
    """The present state of one repository.

    Args:
        store: the store, without a cache.
        repository: the name of the repository.
        planned_tags: the tags at the time of the plan, and the digests that they pointed to.
        planned: the manifests to be deleted.
        pushed_over: by tag, the temporary manifests that an earlier run pushed over it, to be deleted with it.
        known: the manifests of this repository at the time of the plan; other referrers of `planned` are new.

    Attributes:
        manifests: those of `planned` that are still there.
        held: the manifests that must stay nevertheless, and why, by digest.
        moved: the tags that point to another manifest now, and its digest.
        stand_ins: the tags that point to one of `pushed_over`, and its digest.

    Raises:
        RegscopeError: something cannot be read: it may need any of the planned manifests.
    """

    def __init__(
        self,
        store: ContentStore,
        repository: str,
        planned_tags: Mapping[str, str],
        planned: Iterable[str],
        pushed_over: Mapping[str, Collection[Digest]],
        known: Container[str],
    ) -> None:
        self._store, self._repository = store, repository
        self._newcomers = NewReferrers(store, repository, known)
        self._links: dict[str, Links] = {}
        self.manifests: dict[str, RawManifest] = {}
        self.held: dict[str, str] = {}
        self._planned_tags, self._holding = planned_tags, threading.Lock()
        now = dict(self._tags())
        self.moved = {tag: now[tag] for tag, digest in planned_tags.items() if tag in now and now[tag] != digest}
        new = {tag: digest for tag, digest in now.items() if tag not in planned_tags}
        self._seen = now.keys() | planned_tags.keys()
        self.stand_ins = {tag: digest for tag, digest in self.moved.items() if digest in pushed_over.get(tag, ())}
        for tag in self.stand_ins:
            del self.moved[tag]
        self._read(planned)
        reasons = {planned_tags[tag]: f"its tag {tag} was moved after the plan was made" for tag in self.moved}
        for tag, digest in (self.moved | new).items():
            reasons.setdefault(digest, f"the tag {tag}, which was pushed after the plan was made, needs it")
        self._hold(reasons | self._newcomers.about(self.manifests, self.moved | new))

    def keep(self, digest: str, reason: str) -> None:
        """Mark a manifest to stay, with its children, referrers and subject."""
        with self._holding:
            self._hold({digest: reason})

    def look_again(self, digest: str) -> str | None:
        """Check a planned manifest right before its deletion; returns why it must stay, None if it can be deleted.

        The store is asked for the referrers of the manifest, if it has the referrers API, for the tags, and for the
        digests of tags that are new or about this manifest. This takes one or two requests more if the tags fit in one
        page; in a repository with very many tags only the fallback tag is checked.
        """
        if words := self._newcomers.listed(digest):
            self.keep(digest, words)
        else:
            for tag in self._tags_to_look_at(Digest(digest)):
                self._look_at_tag(tag, Digest(digest))
        return self.held.get(digest)

    def _tags_to_look_at(self, digest: Digest) -> list[str]:
        if len(self._seen) > _MOST_LISTED:
            return [fallback_tag(digest)]
        return [tag for tag in self._names() if tag not in self._seen or is_about(tag, digest)]

    def _look_at_tag(self, tag: str, planned: Digest) -> None:
        """Keep what a tag that is new or moved needs, and the subject that it is about, `planned` or another one."""
        digest = self._resolved(tag)
        if digest is None or digest == self._planned_tags.get(tag) or tag in self.stand_ins:
            return
        if subject := planned if is_about(tag, planned) else subject_of_tag(tag):
            self.keep(subject, self._newcomers.under(tag, subject, digest))
        self.keep(digest, f"the tag {tag}, which was pushed after the plan was made, needs it")
        self._seen.add(tag)  # only now: other threads skip tags in `_seen`, and delete

    def holds(self, digest: str) -> tuple[str, ...]:
        """The children and referrers of a planned manifest that are to be deleted, too."""
        return tuple(self._onward.get(digest, ()))

    def blobs_below(self, digest: str) -> list[Digest]:
        """The blobs of a planned manifest and of its planned children, which a registry may delete with it."""
        links = self._links[digest]
        return [*links.blobs, *(blob for child in links.children for blob in self._links_of_planned(child).blobs)]

    def blobs_of_alone(self, digest: str) -> set[Digest]:
        """The blobs that no other planned manifest names."""
        return {blob for blob in self._links[digest].blobs if self._needed_by[blob] == 1}

    def _links_of_planned(self, digest: str) -> Links:
        return self._links.get(digest) or NO_LINKS

    def _tags(self) -> Iterator[tuple[str, str]]:
        names = self._names()
        with ThreadPoolExecutor(CHANGES_AT_ONCE) as pool:
            for name, digest in zip(names, pool.map(self._resolved, names), strict=True):
                if digest is not None:
                    yield name, digest

    def _names(self) -> list[str]:
        try:
            return self._store.tags(self._repository)
        except RegscopeError as error:
            if is_gone(error):  # no tag is left
                return []
            raise

    def _resolved(self, tag: str) -> Digest | None:
        return resolved(self._store, self._repository, tag)

    def _manifest(self, digest: str) -> RawManifest | None:
        try:
            return self._store.manifest(self._repository, digest)
        except RegscopeError as error:
            if is_gone(error):
                return None
            raise

    def _read(self, planned: Iterable[str]) -> None:
        digests = list(planned)
        with ThreadPoolExecutor(CHANGES_AT_ONCE) as pool:
            for digest, found in zip(digests, pool.map(self._manifest, digests), strict=True):
                if found is not None:
                    self.manifests[digest] = found
                    self._links[digest] = links_of(found)
        self._needed_by = Counter(blob for digest in self.manifests for blob in {*self._links[digest].blobs})
        self._onward: dict[str, list[str]] = defaultdict(list)
        for digest, links in self._links.items():
            self._onward[digest] += [child for child in links.children if child in self._links]
            for subject, referrer in links.referring:
                if subject in self._links and referrer in self._links:
                    self._onward[subject].append(referrer)

    def _hold(self, reasons: dict[str, str]) -> None:
        """Mark these manifests and their children, referrers and subjects to stay."""
        waiting = list(reasons.items())
        while waiting:
            digest, reason = waiting.pop()
            if digest in self.held:
                continue
            self.held[digest] = reason
            if digest not in self._links:
                found = self._manifest(digest)
                self._links[digest] = links_of(found) if found is not None else NO_LINKS
            links = self._links[digest]
            onward = [*links.children, *self._onward.get(digest, ()), *([links.subject] if links.subject else [])]
            waiting += [(other, f"it belongs to {digest}: {reason}") for other in onward]
