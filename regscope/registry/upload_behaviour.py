"""How one registry handles uploads, as observed so far."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class UploadBehaviour:
    """One object of the client, for all its threads; the defaults are what the specification promises.

    Attributes:
        chunk: bytes of a request that were accepted, after a whole blob in one was refused; None before that.
        takes_patch: whether blobs can be sent by PATCH; some registries support the monolithic PUT only.
        mounts: whether the registry supports mounts.
        not_mounted: pairs of repositories, from and to, between which it refused a mount.
        elsewhere: origins that uploads were directed to, and whether they answer without credentials.
    """

    chunk: int | None = None
    takes_patch: bool = True
    mounts: bool = True
    not_mounted: set[tuple[str, str]] = field(default_factory=set)
    elsewhere: dict[tuple[str, str, int | None], bool] = field(default_factory=dict)
