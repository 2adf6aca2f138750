"""Names that lead where a test wants them to, one address after another: a resolver that a stranger controls."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from regscope.registry.addresses import _reach_of_name


class Names:
    """What names resolve to; all others resolve as ever.

    Each name has the lists of addresses that are given in turn, the last one for good. `asked` counts.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._of: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        real = socket.getaddrinfo

        def resolve(host: Any, port: Any, *rest: Any, **options: Any) -> list[Any]:
            if host not in self._of:
                return real(host, port, *rest, **options)
            self.asked.append(host)
            turns = self._of[host]
            addresses = turns.pop(0) if len(turns) > 1 else turns[0]
            return [entry for address in addresses for entry in real(address, port, *rest, **options)]

        patch.setattr(socket, "getaddrinfo", resolve)
        _reach_of_name.cache_clear()

    def lead(self, name: str, *turns: str | list[str]) -> None:
        """From now on `name` leads to these, each time it is asked for to the next."""
        self._of[name] = [[turn] if isinstance(turn, str) else turn for turn in turns]
        _reach_of_name.cache_clear()
