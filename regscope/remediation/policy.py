"""A policy: one `Retention`, or a list of them, of which the first that includes a tag decides about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from regscope.errors import InvalidInput
from regscope.remediation.in_use import NameInUse
from regscope.remediation.policy_files import ONLY_KEEP, read_policy
from regscope.remediation.retention import Retention

Policy = Retention | tuple[Retention, ...]


def as_policy(said: Retention | Sequence[Retention] | Path | str) -> Policy:
    """The policy of a `Retention`, a list of them, or the path of a file.

    Raises:
        InvalidInput: the file cannot be read, or there is no rule.
    """
    if isinstance(said, Retention):
        return said
    if isinstance(said, str | Path):
        return policy_from_file(said)
    rules = tuple(said) if isinstance(said, Iterable) else (said,)
    if not rules or not all(isinstance(rule, Retention) for rule in rules):
        raise InvalidInput("a policy is a Retention, or a list of them", next_step="Write rs.Retention(keep_last=5).")
    return rules


def policy_from_file(path: Path | str) -> Policy:
    """The policy of a YAML or TOML file: one rule, or a list of rules; see `Retention`.

    Rules of the list that only protect are merged into the first rule that lets something be deleted.

    Raises:
        InvalidInput: the file cannot be read, or has an invalid rule.
    """
    found = read_policy(Path(path).expanduser())
    if isinstance(found, dict):
        return Retention(**found)
    rules: list[Retention] = []
    kept: list[Retention] = []
    for number, said in enumerate(found, 1):
        only_keeps = bool(said) and set(said) <= set(ONLY_KEEP)
        try:
            (kept if only_keeps else rules).append(Retention(**({**said, "untagged": True} if only_keeps else said)))
        except InvalidInput as error:
            raise InvalidInput(f"rule {number}: {error.message}", next_step=error.next_step) from None
    policy = as_policy(rules)
    for one in kept:
        policy = keeping_more(policy, one.protect, one.in_use)
    return policy


def keeping_more(policy: Policy, protect: Sequence[str], in_use: Sequence[str]) -> Policy:
    """The policy with these names kept as well; in a list they are added to the first rule, and count for all."""
    first, *rest = each_rule(policy)
    more = {"protect": (*first.protect, *protect), "in_use": (*first.in_use, *in_use)}
    first = first.model_copy(update={name: tuple(dict.fromkeys(names)) for name, names in more.items()})
    return first if isinstance(policy, Retention) else (first, *rest)


def each_rule(policy: Policy) -> tuple[Retention, ...]:
    """The rules, in the order in which they decide."""
    return (policy,) if isinstance(policy, Retention) else policy


def named_rules(policy: Policy) -> Iterator[tuple[str, Retention]]:
    """Each rule with the prefix of its entries in `Plan.table`: its number, where there are several; else empty."""
    rules = each_rule(policy)
    for number, rule in enumerate(rules, 1):
        yield f"rule {number}: " if len(rules) > 1 else "", rule


def overruled(policy: Policy) -> Iterator[tuple[int, int]]:
    """The number of each rule that decides about no tag, with that of an earlier rule that includes all its tags."""
    rules = each_rule(policy)
    for number, rule in enumerate(rules, 1):
        before = [at for at, earlier in enumerate(rules[: number - 1], 1) if _is_about_all_of(earlier, rule)]
        if rule.is_about_tags and before:
            yield number, before[0]


def _is_about_all_of(earlier: Retention, rule: Retention) -> bool:
    """Whether the earlier rule includes all tags of the other, as far as equal patterns and `*` show it."""
    everywhere = "*" in earlier.repositories or set(rule.repositories) <= set(earlier.repositories)
    every_tag = not earlier.tags or "*" in earlier.tags or (bool(rule.tags) and set(rule.tags) <= set(earlier.tags))
    excepts = earlier.exclude_tags or earlier.exclude_repositories
    return earlier.is_about_tags and everywhere and every_tag and not excepts


def names_protected(policy: Policy) -> tuple[str, ...]:
    """The names in `protect` of all rules."""
    return tuple(dict.fromkeys(name for rule in each_rule(policy) for name in rule.protect))


def names_in_use(policy: Policy) -> tuple[str, ...]:
    """The names in `in_use` of all rules."""
    return tuple(dict.fromkeys(name for rule in each_rule(policy) for name in rule.in_use))


def policy_as_json(policy: Policy) -> dict[str, Any] | list[dict[str, Any]]:
    """The rules that differ from their defaults, as JSON values; see `policy_from_json`."""
    return policy.rules() if isinstance(policy, Retention) else [rule.rules() for rule in policy]


def policy_from_json(found: Any) -> Policy:
    """The policy that `policy_as_json` wrote. `in_use` must be a list of names: no file is opened.

    Raises:
        InvalidInput: the value is no policy.
    """
    return as_policy([_rule_from_json(rule) for rule in found]) if isinstance(found, list) else _rule_from_json(found)


def _rule_from_json(found: Any) -> Retention:
    if not isinstance(found, dict):
        raise InvalidInput("a rule of a policy must be a mapping")
    names = found.get("in_use", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidInput("in_use must be a list of names")
    return Retention(**{**found, "in_use": tuple(map(NameInUse, names)) or None})


def in_words(policy: Policy) -> str:
    """The policy as a Python expression."""
    return repr(policy) if isinstance(policy, Retention) else f"[{', '.join(map(repr, policy))}]"
