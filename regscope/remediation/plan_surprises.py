"""Warnings about likely mistakes in a policy: a repository loses all its tags, or a rule matches no tag."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from regscope.remediation.patterns import matching
from regscope.remediation.policy import Policy, each_rule
from regscope.remediation.retention import Retention

_NAMED = 5  # repositories


def surprises(table: pd.DataFrame, policy: Policy) -> Iterator[str]:
    """Warnings, in sentences for the notes of a plan.

    Args:
        table: `Plan.table`.
        policy: the policy of the plan.
    """
    tags = table.loc[table["tag"].notna(), ["repository", "tag", "action"]]
    emptied = _emptied(tags)
    if emptied:
        names = ", ".join(emptied[:_NAMED]) + (" …" if len(emptied) > _NAMED else "")
        lose = "repository loses all its tags" if len(emptied) == 1 else "repositories lose all their tags"
        yield f"{len(emptied):,} {lose}: {names}. To keep tags, set keep_last=1, or list them in protect."
    rules = each_rule(policy)
    for number, rule in enumerate(rules, 1):
        if rule.tags and not _is_about_any(rule, tags):
            name = f"Rule {number}" if len(rules) > 1 else "The policy"
            yield f"{name} matches no tag: none in this snapshot fits {', '.join(map(repr, rule.tags))}."


def _emptied(tags: pd.DataFrame) -> list[str]:
    """Repositories that lose every tag."""
    stays = (tags["action"] == "keep").groupby(tags["repository"].astype("str")).any()
    return sorted(stays.index[~stays.to_numpy(dtype=bool)])


def _is_about_any(rule: Retention, tags: pd.DataFrame) -> bool:
    """Whether the patterns of a rule match any tag."""
    here = matching(pd.Index(tags["repository"]), rule.repositories)
    return bool((here & matching(pd.Index(tags["tag"]), rule.tags)).any())
