"""What a reader of a plan must know: its bounds, what it lacks, and what was probably not meant so."""

from __future__ import annotations

from regscope import text
from regscope.remediation.plan_data import PlanData
from regscope.remediation.plan_surprises import surprises
from regscope.remediation.policy import each_rule, overruled
from regscope.remediation.reclaiming import when_bytes_come_back
from regscope.stores.kinds import REGISTRY, stated_kind


def plan_notes(plan: PlanData) -> list[str]:
    """Sentences on what a plan leaves open, and on what was probably not meant so."""
    found: list[str] = []
    if len(plan.steps):
        found.append(when_bytes_come_back(plan.location))
    if plan.at_most:
        found.append("An upper bound: something that could not be seen may still need some of these blobs.")
    if len(plan.lacking):
        lost = text.count(len(plan.lacking), "manifest or blob is", "manifests and blobs are")
        found.append(f"{lost} already missing or damaged in the store: see plan.lacking.")
    found += surprises(plan.table, plan.policy)
    found += _judged_otherwise(plan)
    for number, earlier in overruled(plan.policy):
        found.append(f"Rule {number} decides for no tag: rule {earlier} is about all of them, and stands before it.")
    if plan.in_use and set(plan.in_use) <= set(plan.unknown):
        found.append("None of the images in use is in this registry: is in_use of another one?")
    if plan.not_understood:
        some = ", ".join(map(repr, plan.not_understood[:5])) + (" …" if len(plan.not_understood) > 5 else "")
        found.append(f"In use, and no image references, so nothing is kept for them: {some}")
    if plan.unknown:
        some = ", ".join(plan.unknown[:5]) + (" …" if len(plan.unknown) > 5 else "")
        found.append(f"To be kept, and not in this snapshot: {some}")
    return found


def _judged_otherwise(plan: PlanData) -> list[str]:
    """Where the registry's own files would tell the policy another time: no registry's API says when a tag came."""
    if stated_kind(plan.location) != REGISTRY:
        return []
    by = plan.table.loc[plan.table["tag"].notna(), "age_by"]
    rules = each_rule(plan.policy)
    by_age = any(rule.older_than is not None for rule in rules)
    if by_age or any(rule.keep_last_by == "pushed" for rule in rules):
        rule, judged = "older_than" if by_age else "keep_last_by=pushed", by[by != "pushed"]
    elif any(rule.keep_last is not None and rule.keep_last_by == "created" for rule in rules):
        rule, judged = "keep_last", by[by.isin(["first seen", "unknown"])]
    else:
        return []
    if not len(judged):
        return []
    ways = ", ".join(f"{many:,} {way}" for way, many in judged.astype("str").value_counts().sort_index().items())
    later = ", if that was later" if by_age else ""
    tags = text.count(len(judged), "tag")
    where = "On the registry's own files (storage:)"
    return [f"{where} {rule} would judge {tags} by when they were pushed{later}; here: {ways}."]
