"""One run of a plan: step by step, each looked at again and written down first."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
from tqdm.auto import tqdm

from regscope.errors import RegscopeError
from regscope.registry.manifests import RawManifest
from regscope.remediation.applied import DONE, FAILED, GONE, LEFT, SKIPPED, WOULD, Applied
from regscope.remediation.backup import Backup
from regscope.remediation.journal import Entry, JournalWriter
from regscope.remediation.lacking import Lacking, lacking_before
from regscope.remediation.live_state import LiveState
from regscope.remediation.plan import Plan
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.presence import has_blob, is_gone, resolved
from regscope.stores.removal import Removal


class _Step(NamedTuple):
    """A row of `Plan.steps`."""

    number: int
    repository: str
    action: str
    tag: str | None
    digest: str
    frees: int

    @property
    def key(self) -> str:
        return f"{self.repository}:{self.tag}" if self.action == "untag" else f"{self.repository}@{self.digest}"


class _Surprise(Exception):
    """What ended the run, with the step that met it."""


class Run:
    """One application of a plan."""

    def __init__(
        self, plan: Plan, store: ContentStore, removal: Removal, concurrency: int, rate: float | None, dry_run: bool
    ) -> None:
        self._plan, self._store, self.removal, self._dry_run = plan, store, removal, dry_run
        self._concurrency, self._pause = max(concurrency, 1), 1 / rate if rate else 0.0
        self._outcomes: dict[int, tuple[str, str | None]] = {}
        self._stopped = threading.Event()
        self._turn = threading.Lock()
        self._next = 0.0
        self._surprise: BaseException | None = None
        self.journal: JournalWriter | None = None
        self.bar: tqdm[Any] | None = None
        self.watch: Callable[[int, int], None] | None = None
        self.stop = threading.Event()
        self.backup: Backup | None = None
        self.comes_back: tuple[str, ...] = ()
        self.lacking = Lacking.of(0, ())
        self.tags_go = ""
        self._blobs_stay = False  # as far as was seen
        self._freed = frozenset(plan.blobs["digest"])
        columns = ["repository", "action", "tag", "digest", "frees"]
        rows = plan.steps[columns].astype(object).where(plan.steps[columns].notna(), None)
        self._steps = [_Step(number, *row) for number, row in enumerate(rows.itertuples(index=False, name=None))]
        self._tag_rows, self._table_rows = (rows.groupby("repository").indices for rows in (plan.tags, plan.table))
        self._going = plan.tags_by_manifest

    def bound(self, max_deletes: int | None, max_bytes: int | None) -> None:
        """Do no more than this."""
        self._max_deletes, self._max_bytes = max_deletes, max_bytes

    def repositories(self) -> list[str]:
        """Those in which something is to change."""
        return list(dict.fromkeys(step.repository for step in self._steps))

    def try_out(self) -> None:
        """Find out whether the registry would refuse the steps, and how it removes tags; nothing is changed.

        Raises:
            Unsupported, PermissionDeny, AuthFailed: the registry would refuse a step.
        """
        for repository in dict.fromkeys(repository for repository, _ in self._going):
            self.tags_go = self.removal.how_tags_go(repository)
        for repository in dict.fromkeys(step.repository for step in self._steps if step.action == "untag"):
            self.removal.check_untags(repository)

    def everything(self) -> Iterator[tuple[str, str, list[str]]]:
        """Repository, digest and tags of what is to be deleted and is there."""
        known = self.journal.known.done if self.journal else set()
        for step in self._steps:
            if self.stop.is_set():
                return
            if step.action == "delete" and step.key not in known:
                yield step.repository, step.digest, self._tags_on(step)

    def look_for_what_is_lacking(self, show: bool) -> None:
        """Ask for what the plan concerns, before the first change; a run that goes on reads it from its journal."""
        if self.journal is not None and self.journal.known.asked is not None:
            self.lacking = Lacking.of(self.journal.known.asked, self.journal.known.lacked)
            return
        going = self.everything()
        self.lacking = lacking_before(self._plan, self._store, going, self._concurrency, self.stop, show)
        if self.journal is not None and not self.stop.is_set():
            self.journal.looked(self.lacking.asked, self.lacking.rows)

    def carry_out(self) -> None:
        """All steps, repository by repository; a surprise ends it."""
        done = self.journal.known.done if self.journal else set()
        begun: set[str] = {entry.key for entry in self.journal.known.entries} if self.journal else set()
        todo = [step for step in self._steps if step.key not in done]
        self._allow(todo)
        try:
            self._look_at_done([step for step in self._steps if step.key in done])
            for repository, steps in _by_repository(todo).items():
                if self.stop.is_set():
                    break
                self._one_repository(repository, steps, begun)
        except _Surprise:
            pass
        except RegscopeError as error:
            self._surprise = error
        why = "the run was stopped before" if self.stop.is_set() else None
        for step in self._steps:
            self._outcomes.setdefault(step.number, (LEFT, why))

    def _look_at_done(self, steps: Sequence[_Step]) -> None:
        """Steps of an earlier run are not repeated: what is there again was undone or pushed again."""
        with ThreadPoolExecutor(self._concurrency) as pool:
            found = pool.map(lambda step: resolved(self._store, step.repository, step.tag or step.digest), steps)
            for step, now in zip(steps, found, strict=True):
                if now == step.digest:
                    self._told(step, SKIPPED, "an earlier run did this, and it is there again: make a new plan")
                else:
                    self._told(step, DONE, "in an earlier run")

    def _stand_ins(self, repository: str) -> dict[str, Collection[Digest]]:
        """By tag, what this run's journal has pushed over it."""
        entries = self.journal.known.entries if self.journal else ()
        return {e.tags[0]: e.stand_ins for e in entries if e.repository == repository and e.stand_ins}

    def _allow(self, todo: Sequence[_Step]) -> None:
        self._budget = len(todo) if self._max_deletes is None else self._max_deletes
        self._bytes = None if self._max_bytes is None else self._max_bytes

    def _one_repository(self, repository: str, steps: list[_Step], begun: set[str]) -> None:
        tags = self._plan.tags.iloc[self._tag_rows.get(repository, [])]
        planned_tags = dict(zip(tags["tag"], tags["digest"], strict=True))
        deletions = [step.digest for step in steps if step.action == "delete"]
        known = set(self._plan.table["digest"].iloc[self._table_rows.get(repository, [])])
        current = LiveState(self._store, repository, planned_tags, deletions, self._stand_ins(repository), known)
        for batch in _batches(steps, current):
            chosen = [step for step in batch if self._wanted(step, current, begun)]
            chosen = [step for step in chosen if self._affordable(step)]
            while chosen and self._must_look_at_blobs and not self._stopped.is_set() and not self.stop.is_set():
                self._do(chosen.pop(0), current)  # one by one, until it is known
            with ThreadPoolExecutor(self._concurrency, thread_name_prefix="regscope-apply") as pool:
                try:
                    list(pool.map(lambda step: self._do(step, current), chosen))
                except BaseException:
                    self._stopped.set()
                    raise
            if self._surprise is not None:
                raise _Surprise

    def _wanted(self, step: _Step, current: LiveState, begun: set[str]) -> bool:
        """Whether a step is still to be done; else what became of it is told."""
        if step.action == "untag":
            if step.tag in current.moved:
                self._told(step, SKIPPED, f"the tag points to {current.moved[step.tag]} by now")
                return False
        elif step.digest in current.held:
            self._told(step, SKIPPED, current.held[step.digest])
            return False
        elif step.digest not in current.manifests:
            if self.journal is not None and step.key in begun:
                self.journal.end(step.key)
            self._told(step, DONE if step.key in begun else GONE, None)
            return False
        return True

    def _affordable(self, step: _Step) -> bool:
        """Whether the bounds of this run allow a step; once they do not, nothing that follows is done either."""
        frees = step.frees
        if self._budget <= 0 or (self._bytes is not None and frees > self._bytes):
            self._budget = 0
            self._told(step, LEFT, "beyond the bounds of this run")
            return False
        self._budget -= 1
        if self._bytes is not None:
            self._bytes -= frees
        return True

    def _do(self, step: _Step, current: LiveState) -> None:
        if self._stopped.is_set() or self.stop.is_set():
            return
        try:
            self._wait_for_turn()
            self._told(step, *self._done(step, current))
            self._see_that_blobs_stay(step, current)
        except RegscopeError as error:
            self._stopped.set()
            self._surprise = self._surprise or error
            if step.number not in self._outcomes:
                self._told(step, FAILED, error.message)

    def _done(self, step: _Step, current: LiveState) -> tuple[str, str | None]:
        """What became of a step."""
        if step.action == "untag":
            return self._untagged(step, current)
        for tag in self._tags_on(step):
            now = resolved(self._store, step.repository, tag)
            if now not in (None, step.digest):
                why = f"its tag {tag} has moved just now"
                current.keep(step.digest, why)
                return SKIPPED, why
        if (why_it_stays := current.look_again(step.digest)) is not None:
            return SKIPPED, why_it_stays
        if self.journal is None:
            return WOULD, None
        tags = tuple(self._tags_on(step))
        self.journal.begin(self._entry(step, tags, current.manifests[step.digest]))
        return self._written(step, lambda: self.removal.forget_manifest(step.repository, Digest(step.digest), tags))

    @property
    def _must_look_at_blobs(self) -> bool:
        """Whether it is not known yet that undo will find the blobs."""
        return self.journal is not None and not (
            self._blobs_stay or self.removal.frees_at_once or self.journal.has_backup
        )

    def _see_that_blobs_stay(self, step: _Step, current: LiveState) -> None:
        """After the first deletion that tells: some registries forget the blobs of a manifest with it.

        Raises:
            RegscopeError: they are gone, and there is no backup.
        """
        if not self._must_look_at_blobs or step.action != "delete" or self._outcomes[step.number][0] != DONE:
            return
        missing = {digest for repository, digest in self.lacking.missing if repository == step.repository}
        for blob in current.blobs_below(step.digest):
            if blob not in missing and not has_blob(self._store, step.repository, blob):
                raise RegscopeError(
                    f"{self._store.location} forgets blobs at once with their manifest: {blob} is gone with "
                    f"{step.repository}@{step.digest}, and there is no backup to undo that from",
                    next_step="Go on with a backup: apply(…, journal=…, backup='oci:FOLDER'), --backup oci:FOLDER.",
                )
        self._blobs_stay = not self._freed.isdisjoint(current.blobs_of_alone(step.digest) - missing)

    def _untagged(self, step: _Step, current: LiveState) -> tuple[str, str | None]:
        assert step.tag is not None
        tag = step.tag
        now = resolved(self._store, step.repository, tag)
        if now is None:
            return GONE, None
        if now != step.digest and tag not in current.stand_ins:
            return SKIPPED, f"the tag has moved to {now} just now"
        if self.journal is None:
            return WOULD, None
        manifest = self._store.manifest(step.repository, step.digest)
        self.journal.begin(self._entry(step, (tag,), manifest))
        if tag in current.stand_ins:
            stands_in = Digest(current.stand_ins[tag])
            return self._written(step, lambda: self.removal.forget_manifest(step.repository, stands_in, (tag,)))
        noted = partial(self.journal.stand_in, step.key)
        return self._written(step, lambda: self.removal.untag(step.repository, tag, noted))

    def _written(self, step: _Step, change: Callable[[], None]) -> tuple[str, str | None]:
        """Make a change that is in the journal already; what became of it."""
        assert self.journal is not None
        outcome = DONE
        try:
            change()
        except RegscopeError as error:
            if not is_gone(error):
                raise
            outcome = GONE
        self.journal.end(step.key)
        return outcome, None

    def _entry(self, step: _Step, tags: tuple[str, ...], manifest: RawManifest) -> Entry:
        return Entry(step.repository, step.action, tags, manifest, step.frees)

    def _tags_on(self, step: _Step) -> list[str]:
        """The tags that go with a manifest."""
        return self._going.get((step.repository, step.digest), [])

    def _wait_for_turn(self) -> None:
        if self._pause:
            with self._turn:
                now = time.monotonic()
                self._next = max(self._next + self._pause, now)
                wait = self._next - now
            time.sleep(wait)

    def _told(self, step: _Step, outcome: str, reason: str | None) -> None:
        self._outcomes[step.number] = (outcome, reason)
        if self.bar is not None:
            self.bar.update()
        if self.watch is not None:
            self.watch(len(self._outcomes), len(self._steps))

    def result(self) -> Applied:
        """What became of everything."""
        outcomes = [self._outcomes[number][0] for number in range(len(self._steps))]
        reasons = [self._outcomes[number][1] for number in range(len(self._steps))]
        steps = self._plan.steps
        table = pd.DataFrame(
            {
                "repository": steps["repository"],
                "tag": steps["tag"],
                "digest": steps["digest"],
                "action": steps["action"],
                "outcome": pd.Categorical(outcomes, categories=[DONE, GONE, SKIPPED, LEFT, FAILED, WOULD]),
                "reason": pd.array(reasons, dtype="str"),
                "frees": steps["frees"],
            }
        )
        return Applied(
            location=self._store.location,
            dry_run=self._dry_run,
            table=table,
            journal=self.journal.path if self.journal else None,
            stopped_by=self._surprise,
            at_most=self._plan.at_most or SKIPPED in outcomes,
            blobs_stay=self._blobs_stay,
            backup=self.backup,
            comes_back=self.comes_back,
            lacking=self.lacking,
            tags_go=self.tags_go,
        )


def _by_repository(steps: Iterable[_Step]) -> dict[str, list[_Step]]:
    found: dict[str, list[_Step]] = defaultdict(list)
    for step in steps:
        found[step.repository].append(step)
    return found


def _batches(steps: Sequence[_Step], current: LiveState) -> Iterator[list[_Step]]:
    """Steps that can be done at once: none of them deletes what another one holds."""
    batch: list[_Step] = []
    below: set[str] = set()
    for step in steps:
        if batch and (step.digest in below or step.action != batch[-1].action):
            yield batch
            batch, below = [], set()
        batch.append(step)
        if step.action == "delete":
            below.update(current.holds(step.digest))
    if batch:
        yield batch
