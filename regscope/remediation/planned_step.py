"""One step of a plan, and the key that names it in the plan, in the journal and in the results."""

from __future__ import annotations

from typing import NamedTuple

UNTAG, DELETE = "untag", "delete"


class StepKey(NamedTuple):
    """The key of one step; no two steps of a plan have the same key.

    Attributes:
        repository: the full name of the repository.
        action: `untag` or `delete`.
        name: the tag that is removed, or the digest of the manifest that is deleted.
    """

    repository: str
    action: str
    name: str

    @classmethod
    def of(cls, repository: str, action: str, tag: str | None, digest: str) -> StepKey:
        """The key of a step that removes `tag`, or that deletes the manifest `digest`."""
        return cls(repository, action, tag if action == UNTAG and tag is not None else digest)

    def __str__(self) -> str:
        """The key as in the lines of a journal: `repository:tag` or `repository@digest`."""
        return f"{self.repository}{':' if self.action == UNTAG else '@'}{self.name}"


class PlannedStep(NamedTuple):
    """A row of `Plan.steps`, with the tags that it removes.

    Attributes:
        key: the key of the step.
        digest: the digest of the manifest that is deleted, or that the tag pointed to.
        tags: the tag that is removed, or the tags that are removed with the manifest.
        frees: bytes that the next garbage collection frees in addition once this step and all before it are done.
    """

    key: StepKey
    digest: str
    tags: tuple[str, ...]
    frees: int

    @property
    def repository(self) -> str:
        """The full name of the repository."""
        return self.key.repository

    @property
    def action(self) -> str:
        """`untag` or `delete`."""
        return self.key.action

    @property
    def name(self) -> str:
        """The tag that is removed, or the digest of the manifest that is deleted."""
        return self.key.name
