"""`regscope guide`."""

from __future__ import annotations

import sys

import click
from click.shell_completion import CompletionItem

_WIDEST = 100  # columns


def _topics(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from regscope.views.guide import topics

    return [CompletionItem(name) for name in topics() if name.startswith(incomplete)]


@click.command()
@click.argument("topic", default="", shell_complete=_topics)
def guide(topic: str) -> None:
    """Show a page of the manual, or the list of its pages."""
    from regscope.views.guide import guide as page_of

    page = page_of(topic)
    if not sys.stdout.isatty():
        click.echo(page.markdown, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(page.markdown), width=min(console.width, _WIDEST))
