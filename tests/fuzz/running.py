"""Inputs in processes of their own, which the kernel ends where one takes too long, and which get no more memory."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.sharedctypes import RawArray, RawValue
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis.strategies import SearchStrategy

from regscope.errors import RegscopeError
from tests.fuzz.findings import Findings
from tests.fuzz.mutation import LONGEST
from tests.fuzz.target import Target

CPU = 2.0
"""Seconds of CPU that one input may take."""
STANDSTILL = 60.0
"""Seconds after which one that takes no CPU is given up."""
MEMORY = 500 * 2**20
"""Bytes that one input may take."""
MOST_DEATHS = 50
"""Processes of a target that may be ended before it is given up."""

_PROCESSES = get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.fuzz.targets"])
_SCRATCH = next((path for path in ("/dev/shm",) if os.access(path, os.W_OK)), None)  # in memory, where there is such
_DRAWN, _MOST_DRAWN = 20, 2_000  # of so many inputs one is hypothesis' own, where a target has a strategy
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class _Progress(ctypes.Structure):
    """What a process has done; it outlives the process."""

    _fields_ = [
        ("inputs", ctypes.c_uint64),
        ("ours", ctypes.c_uint64),
        ("bugs", ctypes.c_uint64),
        ("slowest", ctypes.c_double),
        ("seconds", ctypes.c_double),
        ("peak", ctypes.c_uint64),
        ("length", ctypes.c_uint64),
        ("is_over", ctypes.c_bool),
    ]


@dataclass
class Outcome:
    """What came of a target.

    Attributes:
        inputs: how many were read.
        ours: how many of them were refused by an error of regscope.
        bugs: how many raised something else, took too long or too much memory, or ended their process.
        slowest: seconds of CPU that an input took at most.
        seconds: of CPU that all of them took, and their making.
        peak: bytes of memory above what was there before the first input.
    """

    target: str
    inputs: int = 0
    ours: int = 0
    bugs: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    peak: int = 0
    deaths: int = field(default=0, repr=False)

    def add(self, progress: Any) -> None:
        """Count what a process has done."""
        self.inputs += progress.inputs
        self.ours += progress.ours
        self.bugs += progress.bugs
        self.slowest = max(self.slowest, progress.slowest)
        self.seconds += progress.seconds
        self.peak = max(self.peak, progress.peak)


def run(target: Target, inputs: int, seed: int, seconds: float, findings: Findings) -> Outcome:
    """Give a target so many inputs, or as many as fit into so many seconds."""
    outcome = Outcome(target.name)
    began = time.monotonic()
    while outcome.inputs < inputs and outcome.deaths < MOST_DEATHS:
        left = began + seconds - time.monotonic()
        if left <= 0:
            break
        progress, at_hand = RawValue(_Progress), RawArray(ctypes.c_char, LONGEST)
        with TemporaryDirectory(prefix="fuzz-", dir=_SCRATCH) as scratch:
            # A process that was ended is followed by one with other inputs, not with those that ended it.
            job = _Job(target, inputs - outcome.inputs, f"{seed}-{outcome.deaths}", left, findings, scratch)
            process = _PROCESSES.Process(target=_work, args=(job, progress, at_hand))
            process.start()
            process.join()
        outcome.add(progress)
        if progress.is_over:  # the exit code does not say: multiprocessing loses some where several threads wait
            break
        outcome.inputs += 1
        outcome.bugs += 1
        outcome.deaths += 1
        findings.keep_death(target, bytes(memoryview(at_hand).cast("B")[: progress.length]), process.exitcode or 0)
    return outcome


def surroundings(folder: str) -> dict[str, str]:
    """The variables by which regscope looks for a user's files in `folder`, and for no proxy."""
    homes = dict.fromkeys(("HOME", "DOCKER_CONFIG", "REGSCOPE_CACHE_DIR"), folder)
    nothing = {name: "" for proxy in _PROXIES for name in (proxy, proxy.upper())}
    return {**homes, **nothing, "REGISTRY_AUTH_FILE": f"{folder}/auth.json"}


class _Job(NamedTuple):
    """What a process is to do; `scratch` is a folder for its files."""

    target: Target
    inputs: int
    seed: str
    seconds: float
    findings: Findings
    scratch: str


def _work(job: _Job, progress: Any, at_hand: Any) -> None:
    """In a process of its own: seeds first, so that whatever is set up once is set up, then what is made of them."""
    os.chdir(job.scratch)
    os.environ.update(surroundings(job.scratch))
    warnings.simplefilter("ignore")
    pyarrow.set_cpu_count(1)  # each process has a core to itself
    target, worker = job.target, _Worker(job.target, job.findings, progress, at_hand)
    seeds = target.seeds()
    for each in seeds:
        worker.tried(each)
    if target.drawn is not None:
        _give_drawn(target.drawn(), 5, "", lambda data: None)
    gc.collect()
    before, most = _memory("VmRSS"), _memory("VmSize") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    until = time.monotonic() + job.seconds
    drawn = min(job.inputs // _DRAWN, _MOST_DRAWN) if target.drawn is not None else 0
    while progress.inputs < drawn and time.monotonic() < until:
        _give_drawn(target.drawn(), min(drawn, 100), f"{job.seed}-{progress.inputs}", worker.give)
    random = Random(job.seed)
    while progress.inputs < job.inputs and time.monotonic() < until:
        worker.give(target.mutate(random, seeds))
    progress.peak = max(_memory("VmHWM") - before, 0)
    progress.is_over = True
    os._exit(0)  # whatever threads are left


class _Worker:
    """Gives inputs to a target, and counts what comes of them."""

    def __init__(self, target: Target, findings: Findings, progress: Any, at_hand: Any) -> None:
        self._target = target
        self._findings = findings
        self._progress = progress
        self._at_hand = memoryview(at_hand).cast("B")
        self._started = time.process_time()

    def give(self, data: bytes) -> None:
        """One input."""
        began = time.process_time()
        error = self.tried(data)
        ended = time.process_time()
        self._progress.slowest = max(self._progress.slowest, ended - began)
        self._progress.seconds = ended - self._started
        self._progress.inputs += 1
        if isinstance(error, RegscopeError):
            self._progress.ours += 1
        elif error is not None:
            self._progress.bugs += 1
            self._findings.keep(self._target, data, error, self.tried)

    def tried(self, data: bytes) -> BaseException | None:
        """What a target raises on an input; where that takes too long, the process is over."""
        self._at_hand[: len(data)] = data
        self._progress.length = len(data)
        signal.setitimer(signal.ITIMER_PROF, CPU)  # by a signal that ends a process within C, too
        signal.setitimer(signal.ITIMER_REAL, STANDSTILL)
        try:
            self._target.read(data)
        except BaseException as error:  # whatever it is: extensions raise what is no Exception
            return error
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        return None


def _give_drawn(inputs: SearchStrategy[bytes], count: int, seed: str, give: Callable[[bytes], None]) -> None:
    """So many inputs that hypothesis makes."""

    @with_seed(seed)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(inputs)
    def each(data: bytes) -> None:
        give(data[:LONGEST])

    each()


def _memory(kind: str) -> int:
    """Bytes, as Linux counts them for this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{kind}:"))
