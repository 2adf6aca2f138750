"""A nightly job for a month: scan, plan, apply, sometimes collect; stopped, killed and undone on the way.

With `MONTH_SEEDS="1 2 3"` in the environment so many months are lived through, every other one on distribution 3.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import regscope as rs
from regscope.remediation.journal_reader import read_journal
from regscope.spec.digest import Digest
from tests.forked import forked
from tests.lab.drawn_registries import Pushed
from tests.remediation.month import DAYS, POLICY, SIGNATURES, Cluster, Company, evening, kept_tags
from tests.remediation.pulling import needed, puller
from tests.servers.registry import Registry, distribution_3

SEEDS = [int(seed) for seed in os.environ.get("MONTH_SEEDS", "1").split()]
_IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
Names = set[tuple[str, str]]


@dataclass
class Job:
    """The nightly job of one registry, and what it left for the next night.

    Attributes:
        known: the snapshot of the night before.
        unfinished: a plan whose run was stopped or killed, and its journal.
        since_collection: journals of what was done and not undone since the last garbage collection.
    """

    registry: Registry
    company: Company
    cluster: Cluster
    chance: random.Random
    folder: Path
    known: rs.Snapshot | None = None
    unfinished: tuple[rs.Plan, Path] | None = None
    since_collection: list[Path] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    series: list[int] = field(default_factory=list)

    @property
    def store(self) -> rs.ContentStore:
        return rs.open(self.registry.url)  # with the cache that it has had all month

    def there(self) -> Names:
        """Every tag and every manifest by its digest, as they are on the disk."""
        base = self.registry.storage / "docker" / "registry" / "v2" / "repositories"
        found: Names = set()
        for manifests in (*base.glob("*/_manifests"), *base.glob("*/*/_manifests")):
            repository = str(manifests.parent.relative_to(base))
            found |= {(repository, link.parts[-3]) for link in manifests.glob("tags/*/current/link")}
            found |= {(repository, f"sha256:{link.parts[-2]}") for link in manifests.glob("revisions/sha256/*/link")}
        return found

    def tags(self) -> Names:
        return {name for name in self.there() if ":" not in name[1]}

    def planned(self, day: int, by_its_files: bool) -> rs.Plan:
        """What goes tonight, as the job has it on the disk."""
        self.cluster.write(self.folder / "pods.json")
        store = rs.open(f"storage:{self.registry.storage}") if by_its_files else self.store
        snap = rs.scan(store, known=[self.known] if self.known else [], progress=False)
        self.known = replace(snap, taken_at=evening(day))
        first, *rest = POLICY
        policy = [rs.Retention(**first, in_use=self.folder / "pods.json"), *(rs.Retention(**rule) for rule in rest)]
        return rs.Plan.load(rs.plan(self.known, policy).save(self.folder / "plan.json"))

    def apply(self, plan: rs.Plan, journal: Path | None = None, day: int = 0, **options: object) -> rs.Applied:
        """Carry it out, with a thin backup of the night."""
        backup = f"oci:{self.folder / f'backup-{day}'}"
        done = plan.apply(self.store, dry_run=False, journal=journal, backup=backup, progress=False, **options)
        assert done.ok, repr(done)
        return done

    def collect(self) -> None:
        """The registry stands still meanwhile, as `Applied.comes_back` says."""
        records = [read_journal(journal) for journal in self.since_collection]
        predicted = sum(int(record.table.loc[record.table["done"], "frees"].sum()) for record in records)
        before = self.registry.blob_bytes()
        orphaned = rs.scan(rs.open(f"storage:{self.registry.storage}"), progress=False).orphans["size"].sum()
        self.registry.stop()
        self.registry.garbage_collect()
        self.registry.start()
        freed = before - self.registry.blob_bytes()
        assert freed == orphaned
        self.figures["bytes predicted by the plans"] += predicted
        self.figures["bytes freed, with what stood in for tags"] += freed
        self.since_collection.clear()


def killed_after(steps: int, plan: Path, url: str, journal: Path, backup: str) -> None:
    """A run that ends in the middle of a step, as by a power cut."""

    def watch(settled: int, of: int) -> None:
        if settled >= steps:
            os.kill(os.getpid(), signal.SIGKILL)

    rs.Plan.load(plan).apply(
        rs.open(url), dry_run=False, journal=journal, backup=backup, progress=False, concurrency=1, watch=watch
    )


def cut_short(job: Job, plan: rs.Plan, day: int) -> None:
    """A run that ends before it is through, in one of three ways; its journal is left for the next night."""
    journal, steps = job.folder / f"journal-{day}", job.chance.randrange(1, len(plan.steps))
    way = ("bounded", "stopped", "killed")[job.figures["cut short"] % 3]
    job.figures["cut short"] += 1
    if way == "bounded":
        job.apply(plan, journal, day, max_deletes=steps)
    elif way == "stopped":
        stop = threading.Event()
        job.apply(plan, journal, day, stop=stop, watch=lambda settled, of: stop.set() if settled >= steps else None)
    else:
        backup = f"oci:{job.folder / f'backup-{day}'}"
        process = forked(killed_after, steps, job.folder / "plan.json", job.registry.url, journal, backup)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    job.unfinished = plan, journal
    job.since_collection.append(journal)
    job.figures[f"{way} runs"] += 1


def gone_on_with(job: Job, day: int) -> None:
    """What was left the night before, after a day on which tags have moved."""
    if job.unfinished is None:
        return
    plan, journal = job.unfinished
    job.unfinished = None
    before = job.there()
    done = job.apply(plan, journal, day)
    assert before - job.there() <= goes(plan)
    job.figures["gone on with"] += 1
    job.figures["left alone, since it changed"] += done.counts().get("skipped", 0)


def applied_and_undone(job: Job, plan: rs.Plan, day: int, before: Names) -> None:
    """Applied, undone by `latest`, and applied once more to the same end."""
    done = job.apply(plan, None, day)
    after = job.there()
    if job.chance.random() < 0.5:
        job.since_collection.append(done.journal or Path())
        job.collect()
        job.figures["undone after collection"] += 1
    undone = rs.undo("latest", job.store, dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert job.there() == before
    job.since_collection = [journal for journal in job.since_collection if journal != done.journal]
    again = job.apply(plan, None, day)
    assert job.there() == after
    job.since_collection.append(again.journal or Path())
    job.figures["undone"] += 1


def goes(plan: rs.Plan) -> Names:
    """All that a plan says of what is to go: by tag, and by digest."""
    steps, tags = plan.steps, plan.tags[plan.tags["goes"]]
    named = {*zip(steps["repository"], steps["tag"].fillna(steps["digest"]), strict=True)}
    return named | {*zip(tags["repository"], tags["tag"], strict=True)}


def assert_what_runs_can_be_pulled(job: Job) -> None:
    """Each container by its digest, and by the name that it was asked for."""
    with puller(job.registry.url) as client:
        for pod in job.cluster.pods:
            client.pull(pod.repository, pod.digest)
            if pod.tag is not None:
                client.pull(pod.repository, pod.tag)
            job.figures["pods looked at"] += 1


def assert_what_stays_can_be_pulled(job: Job, names: Names) -> None:
    """Each tag, as it was set last."""
    with puller(job.registry.url) as client:
        for repository, tag in sorted(names):
            assert client.pull(repository, tag) == job.company.tags[repository, tag].digest
            job.figures["kept tags pulled"] += 1


def expected_tags(job: Job, day: int, before: Names, after: Names) -> Names:
    """What `POLICY` keeps. A signature stays as long as its subject, in another repository until it is seen missing."""
    subjects = {digest for _, digest in before}
    kept = kept_tags(job.company, job.cluster, {name for name in before if ":" not in name[1]}, day)
    return {key for key in kept if not key[1].startswith("sha256-")} | {
        (repository, tag)
        for repository, tag in before
        if tag.startswith("sha256-")
        and (digest := tag.partition(".")[0].replace("-", ":", 1))
        and (digest in subjects if repository == SIGNATURES else (repository, digest) in after)
    }


def assert_bytes_are_bounded(job: Job, names: Names, before: Names, day: int) -> None:
    """No more than what is kept, what runs, what was pushed within the days of grace, and what is attached to it."""
    company, subjects = job.company, {digest for _, digest in before}
    young = {digest for digest, built in company.built_on.items() if day - built <= 3}
    running = {pod.digest for pod in job.cluster.pods}
    stays = [company.tags[name] for name in names]
    stays += [made for made in company.made if {made.digest, *(c.digest for c in made.children)} & (young | running)]
    stays += [made for each in company.attached if each.subject.digest in subjects for made in each.manifests]
    there = job.registry.blob_digests()
    more = there.keys() - weight(stays).keys()
    assert not more, f"{sum(there[digest] for digest in more)} bytes that nothing accounts for"


def weight(images: Iterable[Pushed]) -> dict[Digest, int]:
    """All blobs of images, each once, and their sizes."""
    return {digest: size for made in images for digest, size in needed(made).items()}


def night(job: Job, day: int) -> None:
    collects = day % 4 == 3 or day == DAYS - 1
    gone_on_with(job, day)
    plan = job.planned(day, by_its_files=collects)
    before = job.there()
    if day % 4 == 1 and len(plan.steps) > 2 and not collects:
        cut_short(job, plan, day)
    elif day % 4 == 2 and len(plan.steps):
        applied_and_undone(job, plan, day, before)
    else:
        job.since_collection.append(job.apply(plan, None, day).journal or Path())
    after = job.there()
    job.figures["deleted"] += len([name for name in before - after if ":" in name[1]])
    job.figures["tags removed"] += len([name for name in before - after if ":" not in name[1]])
    assert before - after <= goes(plan), "lost, and not planned"
    expected = expected_tags(job, day, before, after)
    assert expected <= after
    if job.unfinished is None:
        assert {name for name in after if ":" not in name[1]} == expected
    if collects:
        job.collect()
        assert_bytes_are_bounded(job, expected, before, day)
        assert_what_stays_can_be_pulled(job, expected)
    assert_what_runs_can_be_pulled(job)
    job.series.append(job.registry.blob_bytes())


def age_files(registry: Registry, day: int) -> None:
    """What was pushed on one day was, for the registry's files, pushed on that day."""
    time = evening(day).timestamp()
    for link in registry.storage.rglob("link"):
        if link.stat().st_mtime > time + 60:
            os.utime(link, (time, time))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_month_of_nights_loses_nothing_that_is_used_and_keeps_the_bytes_bounded(seed: int) -> None:
    chance = random.Random(seed)
    program = distribution_3() if seed % 2 == 0 else None
    with (
        tempfile.TemporaryDirectory(dir=_IN_MEMORY) as place,
        Registry(Path(place) / "registry", program=program) as registry,
    ):
        job = Job(registry, Company(chance), Cluster(chance), chance, Path(place))
        for day in range(DAYS):
            job.company.work(day, job.tags()).push_to(registry.url)
            age_files(registry, day)
            job.cluster.roll_out(job.company, day, job.tags())
            night(job, day)
        assert {"gone on with", "undone", "undone after collection"} <= job.figures.keys()
        print(f"seed {seed}: {DAYS} nights, {len(job.company.made)} pushes, {dict(job.figures)}")
        uncleaned = sum(weight(job.company.made).values())
        print(f"{job.series[-1]:,} bytes at the end, {uncleaned:,} if nothing had been deleted; by night: {job.series}")
