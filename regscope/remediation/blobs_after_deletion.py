"""Whether a registry keeps the blobs of a deleted manifest: without them and without a backup, undo is impossible."""

from __future__ import annotations

from collections.abc import Collection

from regscope.errors import RegscopeError
from regscope.remediation.live_state import LiveState
from regscope.remediation.planned_step import PlannedStep
from regscope.stores.content_store import ContentStore
from regscope.stores.presence import has_blob
from regscope.stores.registry_store import registry_of


class BlobsAfterDeletion:
    """Looks for the blobs of the first manifests that a run deletes.

    Args:
        store: the store, without a cache.
        freed: the blobs that the plan frees.
        missing: repository and digest of manifests and blobs that were missing before the run.
        matters: whether undo needs the blobs; else the store is not asked.

    Attributes:
        stay: whether the store still had a blob that only a deleted manifest needed.
    """

    def __init__(
        self, store: ContentStore, freed: Collection[str], missing: Collection[tuple[str, str]], matters: bool
    ) -> None:
        self._store, self._freed, self._missing, self._matters = store, frozenset(freed), missing, matters
        self.stay = False

    @property
    def is_open(self) -> bool:
        """Whether it must still be found out if the blobs stay."""
        return self._matters and not self.stay

    def check(self, deletions: Collection[PlannedStep]) -> None:
        """Check before the first of these deletions whether a provider is known to serve no blob after it.

        Raises:
            RegscopeError: it is, and there is no backup.
        """
        registry = registry_of(self._store)
        provider = registry.provider if registry is not None else None
        if self._matters and deletions and provider is not None and provider.drops_blobs:
            raise _without_backup(f"{provider.name} serves no blob any more once its last manifest is deleted")

    def look(self, step: PlannedStep, live: LiveState) -> None:
        """Ask the store for the blobs of a manifest that was just deleted.

        Raises:
            RegscopeError: the blobs are gone, and there is no backup.
        """
        missing = {digest for repository, digest in self._missing if repository == step.repository}
        for blob in live.blobs_below(step.digest):
            if blob not in missing and not has_blob(self._store, step.repository, blob):
                raise _without_backup(
                    f"{self._store.location} deletes blobs at once with their manifest: {blob} is gone with "
                    f"{step.repository}@{step.digest}"
                )
        self.stay = not self._freed.isdisjoint(live.blobs_of_alone(step.digest) - missing)


def _without_backup(why: str) -> RegscopeError:
    return RegscopeError(
        f"{why}, and there is no backup for undo",
        next_step="Continue with a backup: apply(…, journal=…, backup='oci:FOLDER'), --backup oci:FOLDER.",
    )
