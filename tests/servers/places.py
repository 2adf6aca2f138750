"""Empty places to write images to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers.oci import OCIRegistry
from tests.servers.registry import Registry

Places = Callable[[str], str]
"""Makes an empty `layout`, `archive`, `docker-registry` or `oci-registry`, and says where it is."""


@contextmanager
def places(folder: Path) -> Iterator[Places]:
    """Places in `folder`, as long as it lasts."""
    with ExitStack() as stack:

        def make(kind: str) -> str:
            if kind == "layout":
                return f"oci:{folder / 'target'}"
            if kind == "archive":
                return f"docker-archive:{folder / 'target.tar'}"
            if kind == "docker-registry":
                return stack.enter_context(Registry(folder / "target-registry")).url
            return stack.enter_context(OCIRegistry()).url

        yield make
