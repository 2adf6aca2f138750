"""The `regscope` command: its subcommands and groups; errors are printed, and set the exit code."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TextIO

import click

from regscope.cli import exit_codes
from regscope.cli.blob_commands import blob
from regscope.cli.cache_commands import cache
from regscope.cli.commands import capabilities, demo, history, layers, lineage, report, scan, sharing, tags, what_if
from regscope.cli.copy_commands import copy, load, pull, push, save
from regscope.cli.doctor_command import doctor
from regscope.cli.edit_commands import append, attach, convert, flatten, index, mutate, rebase, recompress
from regscope.cli.file_commands import (
    diff,
    drift,
    duplicates,
    file_types,
    files,
    published,
    secrets,
    setuid,
    twins,
)
from regscope.cli.guide_command import guide
from regscope.cli.image_commands import image, repo
from regscope.cli.login_commands import login, logout
from regscope.cli.plan_commands import apply, plan
from regscope.cli.slim_command import slim
from regscope.cli.undo_commands import journal, undo
from regscope.cli.validate_command import validate
from regscope.cli.waste_command import waste
from regscope.errors import RegscopeError
from regscope.stores.kinds import described
from regscope.text import plain
from regscope.version import __version__

_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in exit_codes.MEANINGS.items())


_HELP = f"""Analyse a container registry: its content, sizes, sharing and duplicates, and what can be deleted.

SOURCE is {described()}, or a folder that `regscope scan --save` wrote.
"""


@click.group(
    help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="regscope")
def regscope() -> None:
    """The group of all commands."""


for command in (
    scan,
    report,
    tags,
    layers,
    sharing,
    what_if,
    history,
    lineage,
    files,
    file_types,
    waste,
    slim,
    duplicates,
    twins,
    drift,
    diff,
    secrets,
    setuid,
    published,
    validate,
    plan,
    apply,
    undo,
    journal,
    capabilities,
    doctor,
    image,
    blob,
    repo,
    login,
    logout,
    cache,
    guide,
    demo,
):
    regscope.add_command(command)
for command in (copy, pull, push, save, load, append, mutate, rebase, flatten, recompress, convert, index, attach):
    image.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    warnings.showwarning = _warn
    try:
        sys.exit(regscope.main(arguments, prog_name="regscope", standalone_mode=False) or 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(exit_codes.USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted: content that was read is kept, and the next run continues from it", err=True)
        sys.stderr.flush()
        os._exit(exit_codes.INTERRUPTED)  # at once: a thread may still wait up to a minute for a response
    except RegscopeError as error:
        _show(error)
        sys.exit(exit_codes.exit_code(error))
    except BrokenPipeError:  # the reader of the pipe, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning's message, without the line of code that raised it."""
    click.echo(f"warning: {plain(message)}", err=True)


def _show(error: RegscopeError) -> None:
    first, *rest = str(error).splitlines()
    click.echo(f"error: {plain(first)}", err=True)
    for line in rest:
        click.echo(f"  {plain(line)}", err=True)
