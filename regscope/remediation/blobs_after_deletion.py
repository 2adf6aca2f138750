"""Whether a registry keeps the blobs of a manifest that it deleted: without them and without a backup, no undo."""

from __future__ import annotations

from collections.abc import Collection

from regscope.errors import RegscopeError
from regscope.remediation.live_state import LiveState
from regscope.remediation.planned_step import PlannedStep
from regscope.stores.content_store import ContentStore
from regscope.stores.presence import has_blob


class BlobsAfterDeletion:
    """Looks for the blobs of the first manifests that a run deletes.

    Args:
        store: read as it is now, not from a cache.
        freed: the blobs that the plan frees.
        missing: repository and digest of what was missing before the run.
        matters: whether undo depends on it; else nothing is asked.

    Attributes:
        stay: whether a blob was seen to stay that only a deleted manifest needed.
    """

    def __init__(
        self, store: ContentStore, freed: Collection[str], missing: Collection[tuple[str, str]], matters: bool
    ) -> None:
        self._store, self._freed, self._missing, self._matters = store, frozenset(freed), missing, matters
        self.stay = False

    @property
    def is_open(self) -> bool:
        """Whether it is not known yet, and has to be."""
        return self._matters and not self.stay

    def look(self, step: PlannedStep, live: LiveState) -> None:
        """Look for the blobs of a manifest that was just deleted.

        Raises:
            RegscopeError: they are gone, and there is no backup.
        """
        missing = {digest for repository, digest in self._missing if repository == step.repository}
        for blob in live.blobs_below(step.digest):
            if blob not in missing and not has_blob(self._store, step.repository, blob):
                raise RegscopeError(
                    f"{self._store.location} forgets blobs at once with their manifest: {blob} is gone with "
                    f"{step.repository}@{step.digest}, and there is no backup to undo that from",
                    next_step="Go on with a backup: apply(…, journal=…, backup='oci:FOLDER'), --backup oci:FOLDER.",
                )
        self.stay = not self._freed.isdisjoint(live.blobs_of_alone(step.digest) - missing)
