"""Referrers that came after a plan was made: what they refer to stays, as what a new tag or a new index needs."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from regscope.errors import RegscopeError
from regscope.registry.referrers import subject_of_tag
from regscope.remediation.links import links_of
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.presence import is_gone

_AT_ONCE = 8


class Newcomers:
    """What refers to manifests of one repository, and the plan did not know.

    The store is asked for referrers; where it lists none, the tags tell: the fallback tag of a list of referrers
    (distribution-spec, Referrers Tag Schema), and cosign's. A referrer in no list and under no tag is not seen there.

    Args:
        store: read as it is now.
        repository: its name.
        known: the manifests that the plan knew in the repository.
    """

    def __init__(self, store: ContentStore, repository: str, known: Container[str]) -> None:
        self._store, self._repository, self._known = store, repository, known

    def about(self, manifests: Iterable[str], changed_tags: Mapping[str, str]) -> dict[str, str]:
        """Those of `manifests` that something new refers to, each with the words on what it is.

        Args:
            changed_tags: the tags that are new or moved since the plan, and what they point to.
        """
        digests = list(manifests)
        first = [self.listed(digest) for digest in digests[:1]]  # which finds out whether referrers are listed at all
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            listed = dict(zip(digests, [*first, *pool.map(self.listed, digests[1:])], strict=True))
        found = {digest: words for digest, words in listed.items() if words}
        for tag, digest in changed_tags.items():
            subject = subject_of_tag(tag)
            if subject in listed and subject not in found:
                found[subject] = self.under(tag, digest)
        return found

    def listed(self, digest: str) -> str | None:
        """What refers to a manifest and is new, in words; empty where nothing does, None where the store lists none."""
        listed = self._store.referrers(self._repository, digest)
        if listed is None:
            return None
        return next((_words(entry.digest) for entry in listed if entry.digest not in self._known), "")

    def under(self, tag: str, digest: str) -> str:
        """What is new under a tag, in words: one that its list names, or what it points to itself."""
        try:
            children: Collection[Digest] = links_of(self._store.manifest(self._repository, digest)).children
        except RegscopeError as error:
            if not is_gone(error):
                raise
            children = ()
        new = next((child for child in children if child not in self._known), digest)
        return f"{_words(new)}, under the tag {tag}"


def _words(referrer: str) -> str:
    return f"{referrer}, which came after it was planned, refers to it"
