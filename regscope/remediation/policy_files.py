"""Reading policies from YAML and TOML files; `Retention` checks the rules."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from regscope.errors import InvalidInput
from regscope.text import plain

_LARGEST = 2**20  # bytes
_MOST_VALUES = 100_000  # with every alias expanded
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml limits the depth, and takes linear time
ONLY_KEEP = ("protect", "in_use")
"""The keys of a rule that only keeps images."""


def read_policy(path: Path) -> dict[str, Any] | list[dict[str, Any]]:
    """The rule of a file, or its rules.

    A list of rules is a YAML list, or the key `rules` (in TOML `[[rules]]`), with `protect` and `in_use` as other keys.

    Raises:
        InvalidInput: the file cannot be read, is larger than 1 MiB, has no rules, has aliases that expand to more than
            100,000 values, or has a key twice.
    """
    found = _parsed(path)
    if isinstance(found, dict) and "rules" in found:
        beside = sorted(map(str, set(found) - {"rules", *ONLY_KEEP}))
        if beside or not isinstance(found["rules"], list):
            wrong = f"{', '.join(beside)} beside rules" if beside else "a key rules that is no list"
            raise InvalidInput(
                f"the policy {path} has {plain(wrong, 200)}",
                next_step="Write a list of rules; the only other keys are protect and in_use.",
            )
        kept = {name: found[name] for name in ONLY_KEEP if name in found}
        found = [*found["rules"], *([kept] if kept else [])]
    if not isinstance(found, list):
        return _rule(path, found)
    return [_rule(path, one, f"rule {number}: ") for number, one in enumerate(found, 1)]


def _parsed(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise InvalidInput(f"the policy {path} is larger than {_LARGEST:,} bytes")
        text = raw.decode("utf-8-sig")
        return tomllib.loads(text) if path.suffix == ".toml" else _of_yaml(text)
    except InvalidInput:
        raise
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InvalidInput(f"the policy {path} cannot be read: {plain(error, 300)}") from None


def _of_yaml(text: str) -> Any:
    loader = _LOADER(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        sizes: dict[int, int] = {}
        for field, value in _fields(node):
            if _values_in(value, sizes) > _MOST_VALUES:
                raise InvalidInput(
                    f"{field}its aliases expand to more than {_MOST_VALUES:,} values",
                    next_step="Write the values without aliases (`*name`).",
                )
        _refuse_repeated(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _fields(node: yaml.Node) -> list[tuple[str, yaml.Node]]:
    """The values of a mapping with their names; the whole document comes last."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    named = [(f"{plain(key.value, 60)}: ", value) for key, value in pairs if isinstance(key, yaml.ScalarNode)]
    return [*named, ("", node)]


def _values_in(node: yaml.Node, sizes: dict[int, int]) -> int:
    """The number of values in a node with every alias expanded; a node that contains itself exceeds the limit."""
    if id(node) in sizes:
        return sizes[id(node)]
    sizes[id(node)] = _MOST_VALUES + 1  # a node that is reached again before it is counted contains itself
    total = 1
    if isinstance(node, yaml.MappingNode):
        total += sum(_values_in(key, sizes) + _values_in(value, sizes) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        total += sum(_values_in(each, sizes) for each in node.value)
    sizes[id(node)] = min(total, _MOST_VALUES + 1)
    return sizes[id(node)]


def _refuse_repeated(node: yaml.Node) -> None:
    """Refuse repeated keys: YAML loaders use the last of them, and names in the first would not be protected."""
    if isinstance(node, yaml.MappingNode):
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for name, times in names.items():
            if times > 1:
                raise InvalidInput(f"{plain(name, 60)}: the key is given twice", next_step="Write one list.")
    for each in node.value if isinstance(node, yaml.CollectionNode) else ():
        _refuse_repeated(each[1] if isinstance(each, tuple) else each)


def _rule(path: Path, found: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise InvalidInput(f"the policy {path} has no rules", next_step="Write lines like `keep_last: 5`.")
    for key, value in found.items():
        if value is None:
            raise InvalidInput(f"{name}{key}: no value is given", next_step="Give a value, or remove the line.")
    if isinstance(found.get("in_use"), str):
        return {**found, "in_use": path.parent / Path(found["in_use"]).expanduser()}
    return found
