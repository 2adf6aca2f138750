"""Everything that takes a store takes its location as well, and says what it wants when it gets something else.

Which functions these are is read from their signatures: a new one is tested as soon as it is public.
"""

from __future__ import annotations

import dataclasses
import inspect
import shutil
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

import regscope as rs
from regscope.errors import InvalidInput
from tests.lab.images import push
from tests.servers.registry import Registry


class Taken(NamedTuple):
    """A parameter of a public function, or of a public method, that is a store or a snapshot."""

    owner: str
    function: str
    parameter: str
    annotation: str

    @property
    def is_store(self) -> bool:
        return "ContentStore" in self.annotation

    @property
    def may_be_none(self) -> bool:
        return "None" in self.annotation

    def __str__(self) -> str:
        return f"{self.owner}.{self.function}({self.parameter})".lstrip(".")


def public_functions() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """The class that has it, or nothing; its name; and itself."""
    for name in rs.__all__:
        value = getattr(rs, name)
        if inspect.isfunction(value):
            yield "", name, value
        elif inspect.isclass(value):
            for member, found in vars(value).items():
                function = found.__func__ if isinstance(found, classmethod) else found
                is_made = member == "__init__" and not dataclasses.is_dataclass(value)
                is_ours = inspect.isfunction(function) and function.__module__.startswith("regscope.")
                if is_ours and (is_made or not member.startswith("_")):
                    yield name, member, function


TAKEN = [
    Taken(owner, name, parameter.name, str(parameter.annotation))
    for owner, name, function in public_functions()
    for parameter in inspect.signature(function).parameters.values()
    if any(kind in str(parameter.annotation) for kind in ("ContentStore", "Snapshot"))
]


class World:
    """A layout that may be changed, its snapshot, and what a call needs besides what it is tested with."""

    def __init__(self, folder: Path) -> None:
        self.location = f"oci:{folder}"
        self.store = rs.open(self.location)
        self.snap = rs.scan_files(rs.scan(self.store, progress=False), self.store, progress=False)
        (folder.parent / "file").write_bytes(b"x")
        self.examples: dict[str, Any] = {
            "a": "base:1",
            "artifact_type": "application/spdx+json",
            "b": "base:stable",
            "delete": "base:1",
            "file": folder.parent / "file",
            "image": "base:1",
            "images": ["base:1"],
            "journal": folder.parent / "journal",
            "name": "base:1",
            "new_tag": "new",
            "policy": rs.Retention(tags="1.1"),
            "to": "new:1",
        }

    @cached_property
    def applied(self) -> rs.Applied:
        """What was done to the layout, with a journal."""
        plan = rs.plan(self.snap, self.examples["policy"])
        return plan.apply(self.store, dry_run=False, journal=self.examples["journal"], progress=False)

    def instance(self, owner: str) -> Any:
        """An object whose methods can be called."""
        made: dict[str, Callable[[], Any]] = {
            "Applied": lambda: self.applied,
            "Image": lambda: rs.Image.read(self.store, "base:1"),
            "Merging": lambda: rs.merge_twins(self.snap, self.store),
            "Plan": lambda: rs.plan(self.snap, self.examples["policy"]),
            "Rewriting": lambda: rs.slim(self.store, "base:1", "new"),
        }
        return made[owner]()

    def call(self, taken: Taken, given: object) -> Any:
        """Call the function with `given` for the parameter, and with what it must have besides."""
        if not taken.owner:
            function = getattr(rs, taken.function)
        elif taken.function == "__init__":
            function = getattr(rs, taken.owner)
        elif inspect.ismethod(getattr(getattr(rs, taken.owner), taken.function)):
            function = getattr(getattr(rs, taken.owner), taken.function)
        else:
            function = getattr(self.instance(taken.owner), taken.function)
        arguments: dict[str, Any] = {}
        for parameter in inspect.signature(function).parameters.values():
            if parameter.default is inspect.Parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
                arguments[parameter.name] = self._usual(parameter)
        return function(**{**arguments, taken.parameter: given})

    def _usual(self, parameter: inspect.Parameter) -> Any:
        annotation = str(parameter.annotation)
        if "ContentStore" in annotation:
            return self.location
        if "Snapshot" in annotation:
            return [self.snap] if "Sequence" in annotation else self.snap
        if parameter.name == "journal":
            return self.applied.journal
        return self.examples[parameter.name]  # a new name needs an example here


@pytest.fixture
def world(own_layout: Path) -> World:
    """The layout of `tests.lab.images`, to be changed."""
    return World(own_layout)


@pytest.fixture(scope="module")
def still(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same for calls that are refused, which change nothing."""
    return World(Path(shutil.copytree(layout, tmp_path_factory.mktemp("still") / "own")))


def test_a_location_stands_for_a_store(layout: Path, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry:
        push(layout, registry)
        snap = rs.scan(registry.url, progress=False)
        assert len(rs.scan_files(snap, registry.url, images="base", progress=False).unpacked)
        plan = rs.plan(snap, rs.Retention(tags="1.1"))
        done = plan.apply(registry.url, dry_run=False, journal=tmp_path / "journal", progress=False)
        assert done.ok
        assert "1.1" not in rs.open(registry.url, cache=False).tags("app")
        assert done.collected(registry.url)
        done.undo(registry.url, dry_run=False, progress=False)
        assert "1.1" in rs.open(registry.url, cache=False).tags("app")


@pytest.mark.parametrize("taken", [each for each in TAKEN if each.is_store and each.function != "doctor"], ids=str)
def test_every_function_that_takes_a_store_takes_its_location(world: World, taken: Taken) -> None:
    world.call(taken, world.location)


@pytest.mark.parametrize("taken", TAKEN, ids=str)
def test_anything_else_is_refused_in_words(still: World, taken: Taken) -> None:
    others = [7, pd.DataFrame({"location": ["oci:x"]}), b"localhost", rs.DockerRegistryV2Client, Path("layout")]
    others += [still.snap] if taken.is_store else [still.store, "registry.example.com"]
    others += [] if taken.may_be_none else [None]
    refused = "expected a store, got " if taken.is_store else "expected a snapshot, got "
    for other in others:
        with pytest.raises(InvalidInput, match=refused) as caught:
            still.call(taken, other)
        assert ("registry.example.com" if taken.is_store else "regscope.scan") in caught.value.next_step


def test_the_snapshot_comes_first_and_then_the_store() -> None:
    for owner, name, function in public_functions():
        parameters = [each for each in inspect.signature(function).parameters.values() if each.name != "self"]
        required = [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY]
        if {"snap", "store"} <= set(required):
            assert required[0] == "snap", f"{owner}.{name}"


@pytest.mark.parametrize("name", ["scan_files", "merge_twins"])
def test_the_order_of_before_is_understood_and_the_new_one_is_named(world: World, name: str) -> None:
    function = getattr(rs, name)
    for given, named in [((world.store, world.snap), {}), ((world.location,), {"snap": world.snap})]:
        with pytest.warns(DeprecationWarning, match=rf"call {name}\(snap, store\)") as caught:
            found = function(*given, **named)
        assert caught[0].filename == __file__
        assert type(found) is type(function(world.snap, world.store))
    function(snap=world.snap, store=world.store)
    function(world.snap, store=world.location)


def test_what_is_missing_is_an_error_of_pythons_own() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'snap'"):
        rs.sharing()  # type: ignore[call-arg]


OPEN_ENDED = {
    "DockerRegistryV2Client.delete", "DockerRegistryV2Client.from_api_endpoint",
    "DockerRegistryV2Client.get", "DockerRegistryV2Client.head", "DockerRegistryV2Client.patch",
    "DockerRegistryV2Client.post", "DockerRegistryV2Client.put", "Retention.__init__",
    "Retention.changed",
}  # fmt: skip


def test_public_functions_spell_their_options_out() -> None:
    found = {
        f"{owner}.{name}".lstrip(".")
        for owner, name, function in public_functions()
        if any(each.kind is each.VAR_KEYWORD for each in inspect.signature(function).parameters.values())
    }
    assert found <= OPEN_ENDED
