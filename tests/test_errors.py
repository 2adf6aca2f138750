from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regscope import errors
from regscope.errors import (
    AuthFailed,
    EndpointTimedOut,
    InvalidInput,
    InvalidReference,
    RegscopeError,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    TimedOut,
)


def public_kinds() -> list[type[RegscopeError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RegscopeError)]


KINDS = public_kinds()


def drawn_tree() -> dict[str, str | None]:
    """The drawing in the module's docstring, as each class with the one above it."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.match(r"    ((?:│   |    )*)(├── |└── |)([A-Z]\w+)", line)
        if drawn is None:
            continue
        depth = len(drawn[1]) // 4 + bool(drawn[2])
        above[depth:] = [drawn[3]]
        parents[drawn[3]] = above[depth - 1] if depth else None
    return parents


def filled(kind: type[RegscopeError]) -> RegscopeError:
    """One of `kind` with every attribute that it takes set to something of its own."""
    if issubclass(kind, RequestErrorWithResponse):
        return kind("it failed", 418, None, code="TEAPOT", url="https://example.com/v2/", next_step="Do this.")
    if issubclass(kind, RequestError):
        return kind("it failed", 418, code="TEAPOT", url="https://example.com/v2/", next_step="Do this.")
    if issubclass(kind, InvalidReference):
        return kind("it failed", text="a//b", position=2, next_step="Do this.")
    return kind("it failed", next_step="Do this.")


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    real = {kind.__name__: None if kind is RegscopeError else kind.__bases__[0].__name__ for kind in KINDS}
    assert drawn_tree() == real
    assert len(real) > 20


def test_the_drawing_tells_of_every_second_base() -> None:
    assert InvalidInput.__bases__ == (RegscopeError, ValueError)
    assert "InvalidInput (also a ValueError)" in (errors.__doc__ or "")
    assert EndpointTimedOut.__bases__ == (TimedOut, TimeoutError)
    assert "EndpointTimedOut (also a TimeoutError)" in (errors.__doc__ or "")
    assert {kind for kind in KINDS if len(kind.__bases__) > 1} == {InvalidInput, EndpointTimedOut}


def test_no_public_error_is_defined_anywhere_else() -> None:
    names = {kind.__name__ for kind in KINDS}
    elsewhere = [
        f"{path.name}: {node.name}"
        for path in Path(errors.__file__).parent.rglob("*.py")
        if path.name != "errors.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and names & set(base_names(node))
    ]
    assert elsewhere == []


def base_names(node: ast.ClassDef) -> Iterator[str]:
    for base in node.bases:
        if isinstance(base, ast.Name):
            yield base.id
        elif isinstance(base, ast.Attribute):
            yield base.attr


def test_every_error_says_what_it_is_for() -> None:
    assert [kind.__name__ for kind in KINDS if not kind.__doc__] == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_ends_with_the_next_step(kind: type[RegscopeError]) -> None:
    error = filled(kind)
    assert str(error).startswith("it failed")
    assert str(error).endswith("\nDo this.")
    assert str(kind("it failed")) == "it failed"


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_pickles_with_all_that_it_carries(kind: type[RegscopeError], protocol: int) -> None:
    error = filled(kind)
    error.add_note("while scanning team/app")
    other = pickle.loads(pickle.dumps(error, protocol))
    assert type(other) is kind
    assert vars(other) == vars(error)
    assert other.__notes__ == ["while scanning team/app"]
    assert (str(other), repr(other), other.args) == (str(error), repr(error), error.args)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_can_be_copied(kind: type[RegscopeError]) -> None:
    error = filled(kind)
    for other in (copy.copy(error), copy.deepcopy(error)):
        assert type(other) is kind
        assert vars(other) == vars(error)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_without_anything_else_pickles_as_well(kind: type[RegscopeError]) -> None:
    assert vars(pickle.loads(pickle.dumps(kind("short")))) == vars(kind("short"))


class OpenConnection:
    def __reduce__(self) -> Any:
        raise TypeError("a connection stays where it is")


def test_the_response_stays_behind_when_an_error_travels() -> None:
    error = ResourceNotFound("gone", 404, OpenConnection(), code="MANIFEST_UNKNOWN", url="https://example.com/v2/")
    other = pickle.loads(pickle.dumps(error))
    assert other.response is None
    assert vars(other) == {**vars(error), "response": None}
    assert isinstance(error.response, OpenConnection)


def test_a_request_error_carries_the_registrys_own_words() -> None:
    error = AuthFailed("refused", 401, code="UNAUTHORIZED", url="https://example.com/v2/", next_step="Log in.")
    assert (error.status_code, error.code, error.url) == (401, "UNAUTHORIZED", "https://example.com/v2/")
    assert (error.message, error.next_step) == ("refused", "Log in.")
    assert (TimedOut("late").status_code, TimedOut("late").code, TimedOut("late").url) == (None, None, None)


def test_one_except_clause_catches_them_all_and_bad_input_is_a_value_error() -> None:
    for kind in KINDS:
        with pytest.raises(RegscopeError):
            raise filled(kind)
        assert issubclass(kind, ValueError) is issubclass(kind, InvalidInput)


def test_an_invalid_reference_draws_its_pointer_character_for_character() -> None:
    error = InvalidReference("bad", text="a\x1b\nü\u202eb", position=5, next_step="Look here.")
    assert str(error).split("\n") == ["bad", "  a  ü b", "       ^", "Look here."]
    assert error.text == "a\x1b\nü\u202eb"
