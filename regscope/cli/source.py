"""The argument SOURCE and its options, and opening, scanning or loading it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from regscope.cli.completion import locations
from regscope.errors import InvalidInput

if TYPE_CHECKING:
    from regscope.stores.content_store import ContentStore
    from regscope.stores.registry_store import RegistryStore
    from regscope.tables import Snapshot

Command = TypeVar("Command", bound=Callable[..., Any])

_FILE = click.Path(exists=True, dir_okay=False)
_SOURCE = click.argument("source", shell_complete=locations())
_WHICH = (
    click.option(
        "-r", "--repository", multiple=True, metavar="NAME", help="Only this repository, or this glob's; repeatable."
    ),
    click.option("-t", "--tag", multiple=True, metavar="GLOB", help="Only tags that match; repeatable."),
    click.option(
        "-p", "--platform", multiple=True, metavar="OS/ARCH", help="Only these images of indexes; repeatable."
    ),
)
_HOW = (
    click.option("-u", "--username", help="Log in with this name instead of docker's saved one."),
    click.option("--password-stdin", is_flag=True, help="Read the password from standard input."),
    click.option("--ca", type=_FILE, help="Trust this certificate authority (PEM)."),
    click.option("--client-cert", type=_FILE, help="Present this client certificate (PEM) to the registry."),
    click.option("--client-key", type=_FILE, help="The key of --client-cert, if in a separate file."),
    click.option("--insecure", is_flag=True, help="Do not verify TLS, and send credentials nevertheless."),
    click.option("--concurrency", type=click.IntRange(min=1), help="At most this many requests at once to a host."),
    click.option(
        "--rate", type=click.FloatRange(min=0, min_open=True), help="At most this many requests a second to a host."
    ),
    click.option(
        "--slowest",
        type=click.FloatRange(min=0),
        help="Abort responses slower than this many bytes a second; 1000 by default, 0 for no limit.",
    ),
    click.option(
        "--most-names", type=click.IntRange(min=1), help="Most names to read from one list; 250000 by default."
    ),
    click.option(
        "--mirror", multiple=True, metavar="ADDRESS", help="Read content from this mirror if it has it; repeatable."
    ),
    click.option("--no-cache", is_flag=True, help="Neither read nor write the cache."),
)


CHECK = click.option("--check", is_flag=True, help="Check with HEAD requests that every manifest and blob exists.")


@dataclass(frozen=True)
class Source:
    """SOURCE, and the values of its options."""

    source: str
    username: str | None
    password_stdin: bool
    ca: str | None
    client_cert: str | None
    client_key: str | None
    insecure: bool
    concurrency: int | None
    rate: float | None
    slowest: float | None
    most_names: int | None
    mirror: tuple[str, ...]
    no_cache: bool
    repository: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    platform: tuple[str, ...] = ()

    def store(self) -> ContentStore:
        """The open store."""
        from regscope.stores.open_store import open as open_store

        return open_store(self.source, cache=not self.no_cache, mirrors=self.mirror or None, **self.reaching())

    def fresh_store(self) -> ContentStore:
        """The open store without cache and mirrors, as changes need its current state."""
        from regscope.stores.open_store import open as open_store

        return open_store(self.source, cache=False, mirrors=(), **self.reaching())

    def reaching(self) -> dict[str, Any]:
        """The options of the connection to a registry, as keyword arguments of `regscope.open`."""
        return {
            "username": self.username,
            "password": self._password,
            "verify": False if self.insecure else self.ca or True,
            "client_certificate": self._client_certificate(),
            "insecure": self.insecure,
            "concurrency": self.concurrency,
            "rate": self.rate,
            "slowest": self.slowest,
            "most_names": self.most_names,
        }

    def registry(self) -> RegistryStore:
        """The registry, to log in to it.

        Raises:
            InvalidInput: SOURCE is no registry.
        """
        from regscope.stores.registry_store import registry_of

        store = self.fresh_store()
        registry = registry_of(store)
        if registry is None:
            raise InvalidInput(f"{store.location} is no registry", next_step="Name a registry: registry.example.com.")
        return registry

    def snapshot(
        self,
        repository: str | None = None,
        tag: str | None = None,
        known: Sequence[str] = (),
        *,
        check: bool = False,
    ) -> Snapshot:
        """The snapshot of SOURCE, loaded if it is a saved one, else scanned; optionally of one repository or tag only.

        Args:
            known: folders of earlier snapshots, see `regscope.scan`.
            check: whether to check that every manifest and blob exists, see `regscope.scan`.

        Raises:
            InvalidInput: SOURCE is a saved snapshot, and `check` is true.
        """
        if not self.is_saved:
            names, tags = [repository] if repository else None, [tag] if tag else None
            return self.scan(self.store(), names, tags, known, check=check)
        if check:
            raise InvalidInput(
                f"{self.source} is a saved snapshot: whether content exists now cannot be checked",
                next_step="Name the registry or the layout instead.",
            )
        return self.saved()

    @property
    def is_saved(self) -> bool:
        """Whether SOURCE is a folder that `regscope scan --save` wrote."""
        from regscope.tables import is_saved_snapshot

        return is_saved_snapshot(Path(self.source))

    def saved(self) -> Snapshot:
        """The saved snapshot, loaded."""
        from regscope.tables import Snapshot

        if self.repository or self.tag or self.platform:
            raise InvalidInput("-r, -t and -p do not apply to a saved snapshot", next_step="Omit them, or scan again.")
        return Snapshot.load(self.source)

    def scan(
        self,
        store: ContentStore,
        repositories: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        known: Sequence[str] = (),
        *,
        check: bool = False,
    ) -> Snapshot:
        """Scan `store`: the given repositories and tags, else those of the user's options."""
        from regscope.scanning.metadata import scan
        from regscope.tables import Snapshot

        return scan(
            store,
            repositories=repositories or list(self.repository) or None,
            tags=tags or list(self.tag) or None,
            platforms=list(self.platform) or None,
            known=[Snapshot.load(folder) for folder in known],
            check=check,
        )

    def _client_certificate(self) -> str | tuple[str, str] | None:
        if self.client_cert and self.client_key:
            return self.client_cert, self.client_key
        if self.client_key:
            raise InvalidInput("--client-key needs its certificate", next_step="Add --client-cert FILE.")
        return self.client_cert

    @functools.cached_property
    def _password(self) -> str | None:
        if not self.password_stdin:
            if self.username:
                return str(click.prompt("Password", hide_input=True, err=True))
            return None
        if not self.username:
            raise InvalidInput("--password-stdin needs a name", next_step="Add --username NAME.")
        return sys.stdin.readline().rstrip("\r\n")


def reads_source(command: Command) -> Command:
    """Add SOURCE, and the options that select images and set up the connection, as one `source: Source` argument."""
    return _with_source(command, (_SOURCE, *_WHICH, *_HOW), set(Source.__dataclass_fields__))


def reaches_source(command: Command) -> Command:
    """Add only the options of the connection, as one `source: Source` argument; the command sets the registry."""
    return _with_source(command, _HOW, set(Source.__dataclass_fields__) - {"source", "repository", "tag", "platform"})


def opens_source(command: Command) -> Command:
    """Add SOURCE and the options of the connection, as one `source: Source` argument."""
    return _with_source(command, (_SOURCE, *_HOW), set(Source.__dataclass_fields__) - {"repository", "tag", "platform"})


def _with_source(command: Command, options: Sequence[Callable[[Any], Any]], names: Collection[str]) -> Command:
    @functools.wraps(command)
    def with_source(**arguments: Any) -> Any:
        fields = {"source": "", **{name: arguments.pop(name) for name in names}}
        return command(source=Source(**fields), **arguments)

    wrapped: Any = with_source
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]
