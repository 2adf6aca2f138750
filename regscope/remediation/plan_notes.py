"""The notes of a plan: when bytes are freed, its bounds, missing content, and warnings about the policy."""

from __future__ import annotations

from regscope import text
from regscope.remediation.plan_data import PlanData
from regscope.remediation.plan_surprises import surprises
from regscope.remediation.policy import each_rule, overruled
from regscope.remediation.reclaiming import when_bytes_come_back
from regscope.remediation.tag_rules import PULLS_UNKNOWN
from regscope.stores.kinds import REGISTRY, stated_kind


def plan_notes(plan: PlanData) -> list[str]:
    """Sentences on when bytes are freed, on the bounds of the figures, and on likely mistakes in the policy."""
    found: list[str] = []
    if len(plan.steps):
        found.append(when_bytes_come_back(plan.location))
    if plan.at_most:
        found.append("The freed bytes are an upper bound: manifests that were not seen may need these blobs.")
    if len(plan.lacking):
        lost = text.count(len(plan.lacking), "manifest or blob is", "manifests and blobs are")
        found.append(f"{lost} already missing or damaged in the store: see plan.lacking.")
    found += surprises(plan.table, plan.policy)
    found += _judged_otherwise(plan)
    if unknown := int(plan.table["reason"].str.endswith(PULLS_UNKNOWN).sum()):
        found.append(
            f"It is not known when {text.count(unknown, 'tag was', 'tags were')} pulled last, so not_pulled_for does "
            "not match them. Only the APIs of some hosted registries state it."
        )
    for number, earlier in overruled(plan.policy):
        found.append(f"Rule {number} decides about no tag: rule {earlier} comes first, and includes all its tags.")
    if plan.in_use and set(plan.in_use) <= set(plan.unknown):
        found.append("None of the images in use is in this registry: check that in_use lists images of this registry.")
    if plan.not_understood:
        some = ", ".join(map(repr, plan.not_understood[:5])) + (" …" if len(plan.not_understood) > 5 else "")
        found.append(f"These names in in_use are no image references, and keep nothing: {some}")
    if plan.unknown:
        some = ", ".join(plan.unknown[:5]) + (" …" if len(plan.unknown) > 5 else "")
        found.append(f"These names to be kept are not in this snapshot: {some}")
    return found


def _judged_otherwise(plan: PlanData) -> list[str]:
    """A note where the registry's own files would give other ages: registry APIs do not give the push time of a tag."""
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
