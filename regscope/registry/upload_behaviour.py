"""What uploads have found out about one registry, so that it is found out once."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class UploadBehaviour:
    """Kept by the client, for all its threads; what is not known yet is what the specification promises.

    Attributes:
        chunk: bytes of a request that are taken, where a whole blob in one was too large; None where none was.
        takes_patch: whether blobs can be sent by PATCH; some registries know the monolithic PUT alone.
        mounts: whether the registry has mounts at all.
        not_mounted: pairs of repositories, from and to, between which it refused one.
        elsewhere: origins that uploads were sent to, and whether they can be asked.
    """

    chunk: int | None = None
    takes_patch: bool = True
    mounts: bool = True
    not_mounted: set[tuple[str, str]] = field(default_factory=set)
    elsewhere: dict[tuple[str, str, int | None], bool] = field(default_factory=dict)
