"""How a server's refusal is to be told: by an error that says what to do, and with nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import RegscopeError, RequestErrorWithResponse
from tests.field.contents import made
from tests.field.wire import Wire

Ask = Callable[[rs.ContentStore, str, Path], object]
"""Something that a server refuses: asked of a store, about a repository whose tag `one` is an image."""


def check_refused(ask: Ask, store: rs.ContentStore, filling: Wire, repository: str, folder: Path) -> None:
    """Ask for it, and look at what is told and at what is there afterwards."""
    image = made(repository, "one")
    filling.push(repository, image, "one", "other")
    before = filling.state(repository)
    with pytest.raises(RegscopeError) as caught:
        ask(store, repository, folder)
    assert isinstance(caught.value, RequestErrorWithResponse)
    assert caught.value.status_code in (403, 404, 405), caught.value
    assert caught.value.next_step
    assert filling.state(repository) == before
    assert filling.missing(repository, "one") == []
