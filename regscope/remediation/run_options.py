"""`RunOptions`: how a plan is carried out."""

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
    """The arguments of `Plan.apply`, which says what each of them means.

    Raises:
        InvalidInput: the rate is not positive, or the backup's place cannot hold one, or none is named for all.
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
            raise InvalidInput(f"a rate is more than 0 steps a second, and this is {self.rate}")
        if self.backup is not None:
            check_backup(self.backup)
        elif self.backup_all:
            raise InvalidInput(
                "all is to be copied, and no place was named", next_step="Name a folder: backup='oci:FOLDER'."
            )

    @property
    def shows_progress(self) -> bool:
        """Whether a progress bar is shown."""
        return is_interactive() if self.progress is None else self.progress
