"""Inputs that a target fails on, in a folder: one for each place that fails, as small as it could quickly be made."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.target import Target

_MOST_TRIES = 300  # to make an input smaller
_MOST_OF_A_KIND = 5
_SIGNALS = {number.value: number.name for number in signal.Signals}
_SIGNALS |= {signal.SIGPROF: "too-long", signal.SIGALRM: "standstill"}  # see `running`
_SUFFIX = ".input"


class Findings:
    """The folder, which is made where it is needed.

    Each finding is an input, `TARGET--EXCEPTION--PLACE.input`, and beside it a `.txt` with the traceback.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def names(self) -> list[str]:
        """Of all that was found, without suffixes."""
        return sorted(path.name.removesuffix(_SUFFIX) for path in self.folder.glob(f"*{_SUFFIX}"))

    def keep(
        self, target: Target, data: bytes, error: BaseException, tried: Callable[[bytes], BaseException | None]
    ) -> None:
        """Keep an input that raised `error`, unless a smaller one is there that fails at the same place."""
        name = f"{target.name}--{_place(error)}"
        path = self.folder / f"{name}{_SUFFIX}"
        if path.exists():
            return
        self._write(name, data, "".join(traceback.format_exception(error)))
        smaller, shown = _smaller(data, error, tried)
        self._write(name, smaller, "".join(traceback.format_exception(shown)))

    def keep_death(self, target: Target, data: bytes, exit_code: int) -> None:
        """Keep an input that ended its process; `exit_code` is its signal, negative."""
        why = _SIGNALS.get(-exit_code, f"exit-code-{exit_code}")
        kind = f"{target.name}--{why}--"
        known = sum(name.startswith(kind) for name in self.names)
        if known < _MOST_OF_A_KIND:
            self._write(f"{kind}{known}", data, f"{why}\n")

    def _write(self, name: str, data: bytes, about: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{name}{_SUFFIX}").write_bytes(data)
        (self.folder / f"{name}.txt").write_text(f"{about}\n{data[:2000]!r}\n", "utf-8", "backslashreplace")


def _place(error: BaseException) -> str:
    """The exception and where regscope's own code was then: findings with the same are taken for one."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "regscope/" in frame.filename]
    frames = frames or list(traceback.extract_tb(error.__traceback__))
    at = f"{Path(frames[-1].filename).name}-{frames[-1].lineno}" if frames else "nowhere"
    return f"{type(error).__name__}--{at}"


def _smaller(
    data: bytes, error: BaseException, tried: Callable[[bytes], BaseException | None]
) -> tuple[bytes, BaseException]:
    """An input of fewer bytes that fails at the same place, and how: without parts that are not needed."""
    place, tries = _place(error), 0
    part = max(len(data) // 2, 1)
    while part and tries < _MOST_TRIES:
        at = 0
        while at < len(data) and tries < _MOST_TRIES:
            tries += 1
            shorter = data[:at] + data[at + part :]
            found = tried(shorter)
            if found is not None and _place(found) == place:
                data, error = shorter, found
            else:
                at += part
        part //= 2
    return data, error
