"""The referrers that a scan has found, from all sources that name them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable

from regscope.spec.referring import Referral

_SUREST_FIRST = ("api", "subject", "fallback tag", "cosign tag", "attestation")
_Row = tuple[str, str, str | None, str]


class FoundReferrers:
    """Referrals (subject and referrer); each holds in the repositories in which it was found."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], set[tuple[int, str]]] = defaultdict(set)  # source, and artifact type
        self._referring: dict[tuple[str, str], set[str]] = defaultdict(set)  # by repository and subject

    def take(self, repository: str, referral: Referral) -> None:
        """Add a referral."""
        subject, referrer, artifact_type, how = referral
        self._referring[repository, subject].add(referrer)
        self._found[subject, referrer].add((_SUREST_FIRST.index(how), artifact_type or ""))

    def of(self, repository: str, subject: str) -> Collection[str]:
        """The digests of the referrers of a manifest in a repository."""
        return self._referring.get((repository, subject), ())

    @property
    def subjects(self) -> Collection[tuple[str, str]]:
        """Repository and digest of all subjects."""
        return self._referring.keys()

    def lost(
        self, placed: Iterable[tuple[str, str]], tagged: Iterable[tuple[str, str, str | None]]
    ) -> dict[str, set[str]]:
        """The subjects that were not found in any repository, for each repository that has only referrers.

        cosign stores signatures in such a repository if `COSIGN_REPOSITORY` is set.

        Args:
            placed: repository and digest of all manifests found.
            tagged: repository, digest and subject of each tag; the subject is None but for fallback and cosign tags.
        """
        attached = {digest for digests in self._referring.values() for digest in digests}
        others = {name for name, digest, subject in tagged if subject is None and digest not in attached}
        found: Container[str] = {digest for _, digest in placed}
        lost = {name: set[str]() for name in sorted({name for name, _ in self._referring} - others)}
        for name, subject in self._referring:
            if name in lost and subject not in found:
                lost[name].add(subject)
        return lost

    def rows(self, own_type: Callable[[str], str | None]) -> list[_Row]:
        """The rows of `referrers`; of several sources of one referrer, the most reliable counts.

        Args:
            own_type: the artifact type in a manifest itself, for referrers whose sources do not state one.
        """
        return [
            (subject, referrer, *_best(about, own_type(referrer)))
            for (subject, referrer), about in sorted(self._found.items())
        ]


def _best(found: set[tuple[int, str]], own_type: str | None) -> tuple[str | None, str]:
    types = [artifact_type for _, artifact_type in sorted(found) if artifact_type]
    return (types[0] if types else own_type), _SUREST_FIRST[min(found)[0]]
