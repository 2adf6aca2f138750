"""`guide`: the pages of the manual, which come with the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from regscope.errors import InvalidInput
from regscope.text import plain

_SUFFIX = ".md"


@dataclass(frozen=True, repr=False)
class Guide:
    """A page of the manual, which a notebook shows formatted.

    Attributes:
        topic: the name of the page; empty for the list of all pages.
        markdown: the text.
    """

    topic: str
    markdown: str

    def __repr__(self) -> str:
        return self.markdown

    def _repr_markdown_(self) -> str:
        return self.markdown


def guide(topic: str = "") -> Guide:
    """A page of the manual, or the list of all pages.

    Args:
        topic: the name of a page, such as `azure`, or its beginning.

    Raises:
        InvalidInput: there is no such page, or several begin so.
    """
    pages = _pages()
    if not topic:
        return Guide("", _contents(pages))
    wanted = topic.lower().removesuffix(_SUFFIX)
    found = [wanted] if wanted in pages else [name for name in pages if name.startswith(wanted)]
    if len(found) != 1:
        what = f"several pages begin with {plain(topic, 80)!r}" if found else f"there is no page {plain(topic, 80)!r}"
        raise InvalidInput(what, next_step=f"The pages are: {', '.join(found or pages)}.")
    return Guide(found[0], pages[found[0]])


def topics() -> tuple[str, ...]:
    """The names of all pages, sorted."""
    return tuple(_pages())


def _pages() -> dict[str, str]:
    folder = files("regscope") / "manual"
    names = sorted(page.name.removesuffix(_SUFFIX) for page in folder.iterdir() if page.name.endswith(_SUFFIX))
    return {name: (folder / f"{name}{_SUFFIX}").read_text(encoding="utf-8") for name in names}


def _contents(pages: dict[str, str]) -> str:
    """The list of all pages, each with its title."""
    rows = [f"- `{name}`: {text.partition(chr(10))[0].removeprefix('# ')}" for name, text in pages.items()]
    return "\n".join(
        ["# The manual", "", *rows, "", 'A page: `regscope guide NAME`, or `rs.guide("NAME")` in a notebook.', ""]
    )
