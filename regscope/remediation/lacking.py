"""`Lacking`: manifests and blobs that a registry lacks before a run, needed by manifests that stay or are deleted."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pandas as pd

from regscope import text
from regscope.concurrency import CHANGES_AT_ONCE
from regscope.errors import RegscopeError
from regscope.images.image_names import named as image_name
from regscope.progress import is_interactive
from regscope.remediation.journal import Lacked
from regscope.remediation.links import NO_LINKS, Links, links_of
from regscope.remediation.plan_data import PlanData
from regscope.remediation.planned_step import DELETE, PlannedStep
from regscope.scanning.checking import look_for_all
from regscope.scanning.named_content import Named
from regscope.scanning.read_manifest import Problem
from regscope.scanning.worklist import Worklist
from regscope.schema import LOST, MISSING_MANIFEST, UNCHECKED
from regscope.stores.content_store import ContentStore
from regscope.stores.open_store import as_it_is_now

_SHOWN = 5


@dataclass(frozen=True)
class Lacking:
    """Manifests and blobs that are missing, damaged or could not be checked before the first change.

    Attributes:
        asked: the number of manifests and blobs that were checked, each counted once in each repository.
        table: `repository`, `digest` (str), `what` (category: missing manifest, missing blob, damaged, unchecked),
            `error` (str), `stays` (bool: whether a manifest that stays needs it; else only manifests to be deleted do).
    """

    asked: int
    table: pd.DataFrame

    @classmethod
    def of(cls, asked: int, lacked: Sequence[Lacked]) -> Lacking:
        """The result that a journal recorded."""
        table = pd.DataFrame(lacked, columns=list(Lacked._fields))
        table["what"] = pd.Categorical(table["what"], categories=[*LOST, UNCHECKED])
        return cls(asked, table.astype({"repository": "str", "digest": "str", "error": "str", "stays": "bool"}))

    @property
    def rows(self) -> list[Lacked]:
        """The rows as a journal keeps them."""
        return [Lacked(*row) for row in self.table.astype(object).itertuples(index=False, name=None)]

    @property
    def lost(self) -> pd.DataFrame:
        """The rows that are missing or damaged."""
        return self.table[self.table["what"].isin(LOST)]

    @property
    def missing(self) -> set[tuple[str, str]]:
        """Repository and digest of what is missing or damaged."""
        return set(self.lost[["repository", "digest"]].itertuples(index=False, name=None))

    def notes(self) -> list[str]:
        """Sentences for the result of a run."""
        stays = int(self.lost["stays"].sum())
        goes, unchecked = len(self.lost) - stays, int((self.table["what"] == UNCHECKED).sum())
        found = []
        if stays:
            found.append(f"Missing or damaged before the run, but needed by what stays: {stays:,}. Push them again.")
        if goes:
            found.append(f"Missing or damaged before the run, so that undo cannot restore them: {goes:,}.")
        if unchecked:
            found.append("Some manifests or blobs could not be checked: see the rows `unchecked` of lacking.table.")
        rows = self.table.head(_SHOWN).to_dict("records")
        found += [f"{row['what']}: {image_name(row['repository'], row['digest'])}: {row['error']}" for row in rows]
        return [*found, f"{rest:,} more in .lacking.table"] if (rest := len(self.table) - len(rows)) > 0 else found

    def summary(self) -> dict[str, object]:
        """`asked` and the rows of `table`, as JSON values."""
        return {"asked": self.asked, "rows": self.table.astype(object).to_dict("records")}


def check_plan(
    plan: PlanData, store: ContentStore | str, *, concurrency: int = CHANGES_AT_ONCE, progress: bool | None = None
) -> Lacking:
    """See `Plan.check`."""
    going = [step for step in plan.planned_steps() if step.action == DELETE]
    show = is_interactive() if progress is None else progress
    opened = as_it_is_now(store)
    return lacking_before(plan, opened, going, concurrency, threading.Event(), show)


def lacking_before(
    plan: PlanData,
    store: ContentStore,
    going: Sequence[PlannedStep],
    concurrency: int,
    stop: threading.Event,
    show: bool,
) -> Lacking:
    """Ask by HEAD for the manifests and blobs that a run affects, once in each repository.

    These are the manifests that stay in repositories with steps; blobs that a deleted manifest shares with one that
    stays; blobs and children of deleted manifests; and content that was missing when the plan was made.

    Args:
        store: the store, without a cache, which may have blobs that the registry has lost.
        going: the steps that delete a manifest.
        concurrency: the number of requests that run at once.
        stop: once it is set, no further request is sent.
    """
    with ThreadPoolExecutor(max(concurrency, 1), thread_name_prefix="regscope-check") as pool:
        found = _Wanted(plan)
        found.add_going(store, [] if stop.is_set() else going, pool)
        named = list(found)
        problems = look_for_all(store, named, Worklist(pool), show, stop.is_set)
    return Lacking.of(len(named), [found.lacked(problem) for problem in problems])


class _Wanted:
    """The manifests and blobs to check, by kind, repository and digest."""

    def __init__(self, plan: PlanData) -> None:
        self._found: dict[tuple[bool, str, str], Named] = {}
        self._staying: set[tuple[str, str]] = set()
        self._sizes = {**_sizes(plan.shared), **_sizes(plan.blobs)}
        concerned = set(plan.steps["repository"])
        self._add_staying(plan, concerned)
        self._known: dict[tuple[str, str], str] = {}
        for repository, digest, what, error, stays in plan.lacking.astype(object).itertuples(index=False, name=None):
            if repository in concerned:
                self._known[repository, digest] = error
                self._want(repository, digest, "the plan", is_manifest=what == MISSING_MANIFEST, stays=stays)

    def __iter__(self) -> Iterator[Named]:
        return iter(self._found.values())

    def lacked(self, problem: Problem) -> Lacked:
        """The row for a problem. The scan's own error has precedence: it knows all manifests that name the content."""
        key = (problem.repository, problem.reference)
        error = self._known.get(key) if problem.what in LOST else None
        said = text.plain(error or problem.error.message, 1000)
        return Lacked(*key, problem.what, said, key in self._staying)

    def _want(self, repository: str, digest: str, owner: str, *, is_manifest: bool, stays: bool = False) -> None:
        key = (is_manifest, repository, digest)
        one = self._found.setdefault(key, Named(repository, digest, is_manifest))
        one.add(owner, None if is_manifest else self._sizes.get(digest))
        if stays:
            self._staying.add((repository, digest))

    def _add_staying(self, plan: PlanData, concerned: set[str]) -> None:
        kept = plan.table[(plan.table["action"] != "delete") & plan.table["repository"].isin(concerned)]
        names: dict[tuple[str, str], str] = {}
        rows = kept[["repository", "digest", "tag", "reason"]].astype(object).itertuples(index=False, name=None)
        for repository, digest, tag, reason in rows:
            owner = f"an image that stays ({reason})"
            if isinstance(tag, str):
                name = names.setdefault((repository, digest), image_name(repository, tag))
                owner = f"{name} (which stays)"
            self._want(repository, digest, owner, is_manifest=True, stays=True)
        for digest, _, repository, holder in plan.shared.itertuples(index=False, name=None):
            name = names.get((repository, holder), image_name(repository, holder))
            self._want(repository, digest, f"{name} (which stays)", is_manifest=False, stays=True)

    def add_going(self, store: ContentStore, going: Sequence[PlannedStep], pool: ThreadPoolExecutor) -> None:
        """Add the blobs and children of the manifests that are to be deleted."""
        read = pool.map(lambda step: _links(store, step.repository, step.digest), going)
        for step, links in zip(going, read, strict=True):
            owner = f"{image_name(step.repository, step.tags[0] if step.tags else step.digest)} (to be deleted)"
            for blob in links.blobs:
                self._want(step.repository, blob, owner, is_manifest=False)
            for child in links.children:
                self._want(step.repository, child, owner, is_manifest=True)


def _sizes(blobs: pd.DataFrame) -> dict[str, int]:
    return dict(zip(blobs["digest"], map(int, blobs["size"]), strict=True))


def _links(store: ContentStore, repository: str, digest: str) -> Links:
    """The links of a manifest; none for one that cannot be read, which the run itself reports."""
    try:
        return links_of(store.manifest(repository, digest))
    except RegscopeError:
        return NO_LINKS
