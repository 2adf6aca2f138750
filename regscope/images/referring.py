"""The referrers of a manifest, by the referrers API or by tags (distribution-spec, Listing referrers)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.referring import Referral, is_about, is_list, stated_by_list, stated_by_tag
from regscope.stores.content_store import ContentStore
from regscope.stores.presence import unless_absent


class Referrer(NamedTuple):
    """A manifest that refers to another one.

    Attributes:
        tag: the tag under which it was found (cosign's); None for a referrer in a list.
        digest: the digest of the manifest.
        artifact_type: its artifact type; None if unknown.
    """

    tag: str | None
    digest: Digest
    artifact_type: str | None


def referrers_of(store: ContentStore, repository: str, digest: Digest, tags: Collection[str]) -> list[Referrer]:
    """The referrers of a manifest: in the store's list, in the list under the fallback tag, and under cosign's tags.

    Each referrer is given once; one that is in a list and has a tag is given with its tag.

    Args:
        tags: all tags of the repository.

    Raises:
        RegscopeError: a list or a referrer cannot be read.
    """
    tagged = list(_by_tags(store, repository, digest, tags))
    found: dict[Digest, Referrer] = {}
    in_lists = [each for _, each in tagged if each.how == "fallback tag"]
    for referral in (*stated_by_list(digest, store.referrers(repository, digest) or ()), *in_lists):
        known = found.get(referral.referrer)
        if known is None or known.artifact_type is None:
            found[referral.referrer] = Referrer(None, referral.referrer, referral.artifact_type)
    named = [Referrer(tag, each.referrer, each.artifact_type) for tag, each in tagged if each.how == "cosign tag"]
    for referrer in named:
        found.pop(referrer.digest, None)
    return [
        referrer if referrer.artifact_type else referrer._replace(artifact_type=_own_type(store, repository, referrer))
        for referrer in (*found.values(), *named)
    ]


def _by_tags(
    store: ContentStore, repository: str, digest: Digest, tags: Collection[str]
) -> Iterator[tuple[str, Referral]]:
    """The referrers under tags about a manifest; only the manifests of fallback tags are read."""
    for tag in tags:
        if not is_about(tag, digest):
            continue
        found = unless_absent(partial(_list_under, store, repository, tag)) if is_list(tag) else (None, None)
        if found is None:  # deleted since the tags were listed
            continue
        named, children = found
        for referral in stated_by_tag(tag, digest, named or store.resolve(repository, tag), children):
            yield tag, referral


def _list_under(store: ContentStore, repository: str, tag: str) -> tuple[Digest, Sequence[Descriptor] | None]:
    found = store.manifest(repository, tag)
    manifest = found.parse()
    return found.digest, manifest.children if manifest.is_index else None


def _own_type(store: ContentStore, repository: str, referrer: Referrer) -> str | None:
    """The artifact type in the referrer's own manifest, where the list does not have it."""
    # The referrer may have been deleted since the list was written.
    found = unless_absent(lambda: store.manifest(repository, referrer.digest))
    return None if found is None else found.parse().artifact_type
