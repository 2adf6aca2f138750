"""`doctor`: what works at a registry with these credentials."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import pandas as pd

from regscope import text
from regscope.checkup.findings import FAILS, WORKS, Findings
from regscope.checkup.reading import Reading
from regscope.checkup.writing import Writing
from regscope.errors import InvalidInput, RegscopeWarning
from regscope.spec.reference import check_repository
from regscope.stores.content_store import ContentStore
from regscope.stores.open_store import as_it_is_now
from regscope.stores.registry_store import registry_of


@dataclass(frozen=True, repr=False)
class Checkup:
    """What works at a registry.

    Attributes:
        location: the registry, without secrets.
        table: `question` (str), `outcome` (category: works, fails, not offered, not asked), `answer` (str: what the
            registry answered, or the error, without secrets), `next_step` (str), `seconds` (float64).
    """

    location: str
    table: pd.DataFrame

    @property
    def ok(self) -> bool:
        """Whether nothing fails; what a registry does not offer is no failure."""
        return not (self.table["outcome"] == FAILS).any()

    def facts(self) -> dict[str, str]:
        """Each answer by its question."""
        rows = zip(self.table["question"], self.table["outcome"].astype("str"), self.table["answer"], strict=True)
        return {question: answer if outcome == WORKS else f"{outcome}: {answer}" for question, outcome, answer in rows}

    def _title(self) -> str:
        failed = int((self.table["outcome"] == FAILS).sum())
        said = f"{text.count(failed, 'question')} failed" if failed else "nothing failed"
        return f"Check-up of {self.location}: {said}"

    def __repr__(self) -> str:
        return text.facts(self._title(), self.facts())

    def _repr_html_(self) -> str:
        return text.card(self._title(), self.facts())


def doctor(store: ContentStore | str, *, repository: str | None = None, write: str | None = None) -> Checkup:
    """Ask a registry what works with these credentials, for a bug report or before a clean-up.

    The questions are about the connection, the login, the provider, lists, manifests, blobs, referrers and limits.
    They read, by some ten requests. Only with `write` something is changed.

    Args:
        store: a registry, or its location.
        repository: the repository to ask about; by default the first that is listed.
        write: a scratch repository: a small image is pushed there, untagged, deleted by a plan, restored by undo, and
            deleted again; other images in it are not touched.

    Returns:
        A Checkup; what fails is a row of its table, and no error.

    Raises:
        InvalidInput: the store is no registry.
        InvalidReference: a name is no name of a repository.
        RegscopeError: the location cannot be opened.
    """
    opened = as_it_is_now(store)
    registry = registry_of(opened)
    if registry is None:
        raise InvalidInput(f"{opened.location} is no registry", next_step="Name a registry: registry.example.com.")
    for name in (repository, write):
        if name is not None:
            check_repository(name)
    findings = Findings()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RegscopeWarning)  # what they say is in the table
        Reading(registry, findings, repository or "").ask_all()
        if write is not None:
            Writing(registry, findings, write).ask_all()
    return Checkup(registry.location, findings.table())
