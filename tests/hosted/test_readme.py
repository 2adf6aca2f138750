"""README's table of providers is what the code says; `python -m tests.hosted.test_readme` writes it anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from regscope.hosted.finding import providers
from regscope.hosted.provider import Provider

README = Path(__file__).parents[2] / "README.md"
_HEADER = "| `rs.open(…)` | adds | sees untagged manifests | sees pull times | removes a tag | undo |"
_TABLE = re.compile(rf"{re.escape(_HEADER)}\n(\|.*\n)+")


def table() -> str:
    """One row for each provider, by its class attributes."""
    return "\n".join([_HEADER, "|---|---|---|---|---|---|", *map(_row, providers())]) + "\n"


def _row(provider: type[Provider]) -> str:
    return f"| {' | '.join(_cells(provider))} |"


def _cells(provider: type[Provider]) -> Iterator[str]:
    places = (location if " " in location else f"`{location}`" for location in provider.locations)
    yield f"**{provider.name}**: {', '.join(places)}"
    yield ", ".join(provider.adds)
    yield "yes" if provider.lists_untagged else "no: freed bytes are upper bounds"
    yield "yes" if provider.lists_pulls else "no"
    if provider.untags:
        yield "by its own API"
    else:
        yield "by a stand-in that is deleted by its own API" if provider.deletes else "as the registry's API does"
    yield "restored by the provider, else pushed again" if provider.restores else "pushed again"


def test_the_table_is_what_the_code_says() -> None:
    found = _TABLE.search(README.read_text(encoding="utf-8"))
    assert found is not None
    assert found[0] == table(), "run python -m tests.hosted.test_readme"


if __name__ == "__main__":
    README.write_text(_TABLE.sub(lambda _: table(), README.read_text(encoding="utf-8")), encoding="utf-8")
