"""`RunOptions`: the options of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from regscope.errors import InvalidInput
from regscope.progress import is_interactive
from regscope.remediation.backup import check_backup


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The arguments of `Plan.apply`, which documents them.

    Raises:
        InvalidInput: the rate is not positive, the location cannot hold a backup, or `backup_all` is given without one.
    """

    dry_run: bool = True
    concurrency: int = 4
    max_deletes: int | None = None
    max_bytes: int | None = None
    rate: float | None = None
    backup: str | None = None
    backup_all: bool = False
    journal: Path | str | None = None
    progress: bool | None = None
    watch: Callable[[int, int], None] | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if self.rate is not None and not self.rate > 0:
            raise InvalidInput(f"the rate must be more than 0 steps a second, not {self.rate}")
        if self.backup is not None:
            check_backup(self.backup)
        elif self.backup_all:
            raise InvalidInput(
                "backup_all needs the location of a backup", next_step="Name a folder: backup='oci:FOLDER'."
            )

    @property
    def shows_progress(self) -> bool:
        """Whether a progress bar is shown."""
        return is_interactive() if self.progress is None else self.progress
