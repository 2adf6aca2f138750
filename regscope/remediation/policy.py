"""A policy: one `Retention`, or several rules of which the first that is about a tag decides."""

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
    """A policy, whichever way it is given.

    Raises:
        InvalidInput: the file can't be read, or there is no rule.
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

    Rules of the list that only protect are put into the first that lets something go.

    Raises:
        InvalidInput: the file can't be read, or says what a policy can't.
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
    """A policy that keeps these names as well; of several rules the first has them, and they count for all."""
    first, *rest = each_rule(policy)
    more = {"protect": (*first.protect, *protect), "in_use": (*first.in_use, *in_use)}
    first = first.model_copy(update={name: tuple(dict.fromkeys(names)) for name, names in more.items()})
    return first if isinstance(policy, Retention) else (first, *rest)


def each_rule(policy: Policy) -> tuple[Retention, ...]:
    """The rules, in the order in which they decide."""
    return (policy,) if isinstance(policy, Retention) else policy


def named_rules(policy: Policy) -> Iterator[tuple[str, Retention]]:
    """Each rule with the words that begin what it says of a tag: its number, where there are several."""
    rules = each_rule(policy)
    for number, rule in enumerate(rules, 1):
        yield f"rule {number}: " if len(rules) > 1 else "", rule


def overruled(policy: Policy) -> Iterator[tuple[int, int]]:
    """Numbers of rules that decide for no tag, each with that of an earlier one which is about all of its tags."""
    rules = each_rule(policy)
    for number, rule in enumerate(rules, 1):
        before = [at for at, earlier in enumerate(rules[: number - 1], 1) if _is_about_all_of(earlier, rule)]
        if rule.is_about_tags and before:
            yield number, before[0]


def _is_about_all_of(earlier: Retention, rule: Retention) -> bool:
    """As far as the same patterns and `*` show it."""
    everywhere = "*" in earlier.repositories or set(rule.repositories) <= set(earlier.repositories)
    every_tag = not earlier.tags or "*" in earlier.tags or (bool(rule.tags) and set(rule.tags) <= set(earlier.tags))
    excepts = earlier.exclude_tags or earlier.exclude_repositories
    return earlier.is_about_tags and everywhere and every_tag and not excepts


def names_protected(policy: Policy) -> tuple[str, ...]:
    """What any of the rules protects."""
    return tuple(dict.fromkeys(name for rule in each_rule(policy) for name in rule.protect))


def names_in_use(policy: Policy) -> tuple[str, ...]:
    """What is in use, as any of the rules says."""
    return tuple(dict.fromkeys(name for rule in each_rule(policy) for name in rule.in_use))


def policy_as_json(policy: Policy) -> dict[str, Any] | list[dict[str, Any]]:
    """What is said, without what is left at its default; see `policy_from_json`."""
    return policy.rules() if isinstance(policy, Retention) else [rule.rules() for rule in policy]


def policy_from_json(found: Any) -> Policy:
    """What `policy_as_json` gave. Names in use are names: no file is opened.

    Raises:
        InvalidInput: it is no policy.
    """
    return as_policy([_rule_from_json(rule) for rule in found]) if isinstance(found, list) else _rule_from_json(found)


def _rule_from_json(found: Any) -> Retention:
    if not isinstance(found, dict):
        raise InvalidInput("a rule is no mapping")
    names = found.get("in_use", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidInput("in_use: no list of names")
    return Retention(**{**found, "in_use": tuple(map(NameInUse, names)) or None})


def in_words(policy: Policy) -> str:
    """The policy as it is written in Python."""
    return repr(policy) if isinstance(policy, Retention) else f"[{', '.join(map(repr, policy))}]"
