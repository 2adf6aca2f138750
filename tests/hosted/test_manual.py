"""Each provider has a page in the manual, and what it tells to type is understood."""

from __future__ import annotations

import shlex
from importlib.resources import files

import click
import pytest

from regscope.cli.main import regscope
from regscope.hosted.finding import providers
from regscope.hosted.provider import Provider

PAGES = {page.name: page.read_text(encoding="utf-8") for page in (files("regscope") / "manual").iterdir()}
HEADINGS = ["Log in", "Scan", "Clean up", "What is exact", "What is not", "When bytes are freed"]


def page_of(provider: type[Provider]) -> str:
    (found,) = (text for text in PAGES.values() if text.splitlines()[0].startswith(f"# {provider.name}"))
    return found


@pytest.mark.parametrize("provider", providers(), ids=lambda provider: provider.__name__)
def test_it_has_a_page_with_all_that_is_to_be_said(provider: type[Provider]) -> None:
    lines = page_of(provider).splitlines()
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == HEADINGS


@pytest.mark.parametrize("provider", providers(), ids=lambda provider: provider.__name__)
def test_its_commands_are_understood(provider: type[Provider]) -> None:
    lines = [line.strip() for line in page_of(provider).splitlines() if line.startswith("    regscope ")]
    assert len(lines) >= 4
    for line in lines:
        name, *words = shlex.split(line)[1:]
        command = regscope.commands[name]
        words = [word if word != "plan.json" else __file__ for word in words]  # one that is there
        command.make_context(name, words, parent=click.Context(regscope))
