"""Which build step made which layer (OCI image-spec, config.md, `history`), where the history is complete."""

from __future__ import annotations

import re
from collections.abc import Sequence

from regscope.spec.image_config import History
from regscope.spec.instructions import OTHER, keyword, normalised

_TOGETHER = "steps in one layer"
_WRITES = ("RUN", "COPY", "ADD")
_MAY_WRITE = (*_WRITES, "WORKDIR", "FROM")
_OF_BUILDKIT = "buildkit."
_ADDED_BY_BUILDKIT = "buildkit.exporter."  # a step that was missing in the build's history; such steps are last
_MERGED = "merge sha256:"  # of `docker build --squash`
_SLIMMED = "regscope slim"  # on steps whose layers were removed: no other layer has their files


def step_line(step: History) -> str | None:
    """The instruction of a step (`created_by`); its comment where there is none, as with images built by Nix."""
    if step.created_by and step.created_by.strip():
        return step.created_by
    comment = step.comment or ""
    return comment if comment.strip() and not comment.startswith(_OF_BUILDKIT) else None


def history_fault(history: Sequence[History], n_layers: int) -> str | None:
    """Why a history cannot be matched to `n_layers` layers; None where it can, or is empty."""
    making = [step for step in history if not step.empty_layer]
    if history and len(making) != n_layers:
        return (
            f"the history has {len(making)} steps with a layer, and the manifest {n_layers} layers: "
            "which step made which layer is unknown"
        )
    if added := sum(map(_is_added, making)):
        lacking = len(making) - added
        if lacking:
            return (
                f"BuildKit completed a history that had {lacking} steps for {n_layers} layers: "
                f"which steps made the lowest {lacking} is unknown"
            )
    return None


def steps_of_layers(history: Sequence[History], n_layers: int) -> list[range]:
    """For each layer, lowest first, the positions of the steps that made it; an empty range where they are unknown.

    Usually one step made a layer. Several did where a builder wrote one layer for all of them (buildah without
    `--layers`, a squashed image): all but the last are then marked `empty_layer`, although they wrote files.
    """
    making = [number for number, step in enumerate(history) if not step.empty_layer]
    if len(making) != n_layers:
        return [range(0)] * n_layers
    is_slimmed = any(step.created_by == _SLIMMED for step in history)
    completed = any(_is_added(history[number]) for number in making)
    found = []
    start = 0
    for position, number in enumerate(making):
        together = history[start : number + 1]
        if completed and not _is_added(history[number]):
            found.append(range(0))
        elif _made_one_layer(together, has_base=position > 0, is_slimmed=is_slimmed):
            found.append(range(start, number + 1))
        else:
            found.append(range(number, number + 1))
        start = number + 1
    return found


def layer_line(history: Sequence[History], steps: range) -> str | None:
    """The instruction to show for a layer that these steps made; a count where there are several."""
    if len(steps) > 1:
        return f"{len(steps)} {_TOGETHER}"
    return step_line(history[steps[0]]) if steps else None


def is_of_many_steps(line: str) -> bool:
    """Whether a line of `layer_line` is the count of several steps, and not an instruction."""
    return re.fullmatch(rf"\d+ {_TOGETHER}", line) is not None


def _made_one_layer(steps: Sequence[History], *, has_base: bool, is_slimmed: bool) -> bool:
    """Whether the layer of the last of these steps has the files of the others, although they are marked empty."""
    *before, last = steps
    if not before:
        return False
    line = step_line(last)
    word = keyword(normalised(line or ""))
    if line is None or line.startswith(_MERGED):
        return not is_slimmed and any(keyword(_line(step)) in _WRITES for step in before)
    if word == OTHER:
        return False  # written by a tool, which made this layer alone
    if word not in _MAY_WRITE:
        return True
    return not is_slimmed and any(_was_not_empty(step, has_base) for step in before)


def _was_not_empty(step: History, has_base: bool) -> bool:
    """Whether a step that is marked empty may have written files: RUN, COPY and ADD usually do."""
    line = _line(step)
    word = keyword(line)
    if word == "RUN":
        return not has_base or not _is_of_buildkit(step)  # a command needs a file system: a lower step has written one
    return word in _WRITES


def _line(step: History) -> str:
    return normalised(step.created_by or "")


def _is_of_buildkit(step: History) -> bool:
    return (step.comment or "").startswith(_OF_BUILDKIT) or (step.created_by or "").endswith("# buildkit")


def _is_added(step: History) -> bool:
    return (step.comment or "").startswith(_ADDED_BY_BUILDKIT)
