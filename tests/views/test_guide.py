"""The manual comes with the package, and is shown where its reader is."""

from __future__ import annotations

from importlib.resources import files

import pytest

import regscope as rs
from regscope.errors import InvalidInput
from regscope.views.guide import topics
from tests.cli.conftest import Run, on_a_terminal, run

__all__ = ["run"]

PAGES = sorted(page.name.removesuffix(".md") for page in (files("regscope") / "manual").iterdir())


def test_every_page_is_listed_and_shown() -> None:
    assert list(topics()) == PAGES
    contents = rs.guide()
    for name in PAGES:
        assert f"- `{name}`: " in contents.markdown
        page = rs.guide(name)
        assert page.topic == name
        assert page.markdown.startswith("# ")
        assert page._repr_markdown_() == repr(page) == page.markdown


def test_the_beginning_of_a_name_is_enough() -> None:
    assert rs.guide("azu").topic == "azure"
    assert rs.guide("AZURE.md").topic == "azure"


@pytest.mark.parametrize("topic", ["nothing", "../errors", "a\x1b[31mb"])
def test_what_is_no_page_is_told_with_those_that_are(topic: str) -> None:
    with pytest.raises(InvalidInput, match="there is no page") as caught:
        rs.guide(topic)
    assert "azure" in caught.value.next_step
    assert "\x1b" not in caught.value.message


def test_several_pages_are_named() -> None:
    with pytest.raises(InvalidInput, match="several pages begin with 'g'") as caught:
        rs.guide("g")
    assert "google" in caught.value.next_step


def test_the_command_prints_the_page(run: Run) -> None:
    assert run("guide").out == rs.guide().markdown
    assert run("guide", "azure").out == rs.guide("azure").markdown
    assert run("guide", "nothing").code == 2


def test_on_a_terminal_it_is_formatted_and_fits() -> None:
    shown = on_a_terminal(["guide", "azure"], 60)
    assert "Azure Container Registry" in shown
    assert "## " not in shown
    assert max(map(len, shown.splitlines())) <= 60
