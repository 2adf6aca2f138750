"""Documents in JSON with other values, names and shapes, and some with other bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any

from tests.fuzz.mutation import LONGEST, changed

_DIGEST = "sha256:" + "0" * 64
_VALUES = (
    None, True, False, -1, 0, 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63) - 1, 1.5, 1e308, float("nan"),
    float("inf"), "", " ", "\ud800x", "\0", "a" * 5000, "\u202e", "1", "true", "null", [], {}, [[]], [None], [{}],
    {"a": None}, {"": []}, _DIGEST, "sha512:" + "0" * 128, _DIGEST + "0", "sha256:", "2020-01-01", "0000-00-00",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999-23:59", "2020-01-01T00:00:00+99:99", [1, 2, 3], ["a", "a"],
    "../../etc/passwd", "/", "a/b:c@d", "(", "/(/", "/(a+)+$/", "*" * 50, "linux/amd64", "-1d", "99999999999d",
)  # fmt: skip


def json_changed(random: Random, seeds: Sequence[bytes]) -> bytes:
    """A seed with some values changed, or bytes."""
    if random.random() < 0.15:
        return changed(random, seeds)
    document = json.loads(random.choice(seeds))
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        document = _with_a_change(random, document)
    return json.dumps(document).encode()[:LONGEST]


def lines_changed(random: Random, seeds: Sequence[bytes]) -> bytes:
    """The same of seeds that have a document in each line."""
    if random.random() < 0.2:
        return changed(random, seeds)
    lines = random.choice(seeds).splitlines()
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randrange(len(lines))
        match random.randrange(5):
            case 0:
                lines.insert(at, random.choice(lines))
            case 1 if len(lines) > 1:
                del lines[at]
            case _:
                lines[at] = json.dumps(_with_a_change(random, json.loads(lines[at])), separators=(",", ":")).encode()
    return b"\n".join([*lines, b""])[:LONGEST]


def _with_a_change(random: Random, document: Any) -> Any:
    places = list(_places(document))
    if not places or random.random() < 0.02:
        return deepcopy(random.choice(_VALUES))
    holder, key = random.choice(places)
    match random.randrange(8):
        case 0:
            del holder[key]
        case 1:
            holder[key] = random.choice([each[at] for each, at in places])
        case 2 if isinstance(holder, list):
            holder[key:key] = [holder[key]] * random.choice((1, 1, 20))
        case 2 | 3 if isinstance(holder, dict):
            name = random.choice([name for _, name in places if isinstance(name, str)] + ["", "\ud800", "a" * 300])
            holder[name] = holder.pop(key)
        case 4:
            holder[key] = random.choice([[holder[key]], {"a": holder[key]}, str(holder[key])[:1000]])
        case _:
            holder[key] = random.choice(_VALUES)
    try:
        written = json.dumps(document)
    except (ValueError, RecursionError):  # a value holds itself now
        written = ""
    # Read anew: parts of `_VALUES` and of the document must not change with what is made of them later.
    return json.loads(written) if 0 < len(written) <= LONGEST else deepcopy(random.choice(_VALUES))


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Where values stand: what holds them, and under which key or number."""
    ahead = [document]
    while ahead:
        value = ahead.pop()
        found = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inside in found:
            yield value, key
            if isinstance(inside, dict | list):
                ahead.append(inside)


def documents_changed(random: Random, seeds: Sequence[bytes]) -> bytes:
    """The same of seeds of which some are JSON: of the others bytes are changed."""
    seed = random.choice(seeds)
    if not seed.startswith((b"{", b"[")) or b"}\n{" in seed:
        return changed(random, [seed])
    return json_changed(random, [seed])
