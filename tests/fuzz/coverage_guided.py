"""One target under atheris, which keeps each input that takes a new path, and goes on from it."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import NoReturn

_OWN_SHARE = 0.5  # of the inputs that the target's own mutation makes; the others are libFuzzer's


def fuzz(name: str, inputs: int, seed: int, seconds: float, findings: Path) -> NoReturn:
    """Fuzz until an input fails, or the bounds are reached; then the process ends.

    The corpus is in a folder beside the findings, and is gone on with where it is there already.
    """
    import atheris  # optional: there are wheels for some platforms alone

    with atheris.instrument_imports(include=["regscope"]):
        from tests.fuzz.targets import TARGETS
    from regscope.errors import RegscopeError
    from tests.fuzz.mutation import LONGEST
    from tests.fuzz.running import CPU, MEMORY, surroundings

    target = TARGETS[name]
    corpus, crashes = findings.absolute() / f"corpus-{name}", findings.absolute()
    corpus.mkdir(parents=True, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix="fuzz-")
    os.chdir(scratch)
    os.environ.update(surroundings(scratch))
    warnings.simplefilter("ignore")
    seeds = target.seeds()
    for number, each in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(each)

    def read(data: bytes) -> None:
        with suppress(RegscopeError):
            target.read(data)

    def mutate(data: bytes, longest: int, number: int) -> bytes:
        random = Random(number)
        if random.random() < _OWN_SHARE:
            with suppress(ValueError, LookupError):  # what libFuzzer made of it may have lost its form
                return target.mutate(random, [data])[:longest]
        return bytes(atheris.Mutate(data, longest))

    bounds = [f"-runs={inputs}", f"-seed={seed or 1}", f"-max_len={LONGEST}", f"-timeout={int(CPU * 5)}"]
    bounds += [f"-rss_limit_mb={MEMORY // 2**20 + 500}", f"-artifact_prefix={crashes}/{name}--atheris--"]
    bounds += [f"-max_total_time={int(seconds)}"] if seconds < float("inf") else []
    atheris.Setup([sys.argv[0], *bounds, str(corpus)], read, custom_mutator=mutate)
    atheris.Fuzz()
    sys.exit()
