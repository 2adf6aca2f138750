"""`NewReferrers`: referrers that were pushed after a plan was made; their subjects must stay."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from regscope.concurrency import CHANGES_AT_ONCE
from regscope.errors import RegscopeError
from regscope.spec.digest import Digest
from regscope.spec.referring import fallback_tag, stated_by_tag, subject_of_tag
from regscope.stores.content_store import ContentStore
from regscope.stores.presence import is_gone


class NewReferrers:
    """Finds referrers in one repository that are newer than a plan.

    The referrers API is used. Where the store has none, tags are read: the fallback tag (distribution-spec, Referrers
    Tag Schema) and those of cosign; a referrer without such a tag is not found then.

    Args:
        store: the store, without a cache.
        repository: the name of the repository.
        known: the manifests of the repository at the time of the plan.
    """

    def __init__(self, store: ContentStore, repository: str, known: Container[str]) -> None:
        self._store, self._repository, self._known = store, repository, known

    def about(self, manifests: Iterable[str], changed_tags: Mapping[str, str]) -> dict[str, str]:
        """Those of `manifests` that a new referrer refers to, each with a sentence about it.

        Args:
            changed_tags: the tags that are new or moved since the plan, and their digests.
        """
        digests = list(manifests)
        first = [self.listed(digest) for digest in digests[:1]]  # alone, so that the referrers API is probed once
        with ThreadPoolExecutor(CHANGES_AT_ONCE) as pool:
            listed = dict(zip(digests, [*first, *pool.map(self.listed, digests[1:])], strict=True))
        found = {digest: words for digest, words in listed.items() if words}
        lists = {fallback_tag(Digest(digest)): Digest(digest) for digest in digests}
        for tag, digest in changed_tags.items():
            subject = lists.get(tag) or subject_of_tag(tag)
            if subject in listed and subject not in found:
                found[subject] = self.under(tag, subject, Digest(digest))
        return found

    def listed(self, digest: str) -> str | None:
        """A sentence about a new referrer of a manifest; empty if there is none, None without a referrers API."""
        listed = self._store.referrers(self._repository, digest)
        if listed is None:
            return None
        return next((_words(entry.digest) for entry in listed if entry.digest not in self._known), "")

    def under(self, tag: str, subject: Digest, digest: Digest) -> str:
        """A sentence about a new referrer under a tag that is about `subject`; the tag's own manifest if all are known.

        Args:
            digest: the digest of the tag.
        """
        try:
            named = self._store.manifest(self._repository, digest).parse()
            children = named.children if named.is_index else None
        except RegscopeError as error:
            if not is_gone(error):
                raise
            children = None
        referrals = stated_by_tag(tag, subject, digest, children)
        new = next((each.referrer for each in referrals if each.referrer not in self._known), digest)
        return f"{_words(new)}, under the tag {tag}"


def _words(referrer: str) -> str:
    return f"{referrer}, which was pushed after the plan was made, refers to it"
