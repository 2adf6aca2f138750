"""A form with the rules of a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import traitlets
import yaml

from regscope.errors import InvalidInput, RegscopeError
from regscope.remediation.in_use import NameInUse
from regscope.remediation.retention import Retention
from regscope.views.explorer.pane import Pane, in_words


class Field(NamedTuple):
    """A rule's field: its label, the function that parses its text, and an example."""

    label: str
    parse: Callable[[str], Any]
    example: str
    choices: tuple[str, ...] = ()


def _names(written: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in written.replace("\n", ",").split(","))))


def _number(written: str) -> Any:
    return int(written) if written.isdecimal() else written


def _labels(written: str) -> dict[str, str]:
    return {key.strip(): value.strip() for key, _, value in (one.partition("=") for one in _names(written))}


def _untagged(written: str) -> Any:
    return True if written.lower() in ("all", "yes") else written


FIELDS = {
    "keep_last": Field("Keep the newest images of each repository", _number, "5"),
    "keep_last_by": Field("Newest by", str, "", ("created", "pushed", "version")),
    "keep_last_per": Field("Newest for each value of a regular expression's groups", str, "(.+)-[0-9]+"),
    "older_than": Field("Only images older than", str, "30d"),
    "not_pulled_for": Field("Only images neither pulled nor pushed for", str, "90d"),
    "tags": Field("Tags that may be deleted", _names, "pr-*, /sha-[0-9a-f]{7}/"),
    "exclude_tags": Field("Tags excluded from this policy", _names, "latest"),
    "repositories": Field("Repositories", _names, "team/*"),
    "exclude_repositories": Field("Repositories excluded from this policy", _names, "base/*"),
    "platforms": Field("Only for platforms", _names, "linux/arm/v7"),
    "labels": Field("Only with labels", _labels, "stage=test*"),
    "untagged": Field("Manifests without a tag: all, or older than", _untagged, "7d"),
    "orphans": Field("Referrers of missing images, and indexes without children", str, "", ("leave", "delete")),
    "protect": Field("Always keep", _names, "v*, latest, team/base"),
    "in_use": Field("In use: references, digests, or a file of them", str, "pods.json"),
}
_FIRST = {"keep_last_by": "created", "orphans": "leave"}


class PolicyForm(Pane):
    """Fields for the rules of a `regscope.Retention`.

    Attributes:
        written: the text of each field.
        policy: the policy of the fields, the last valid one; None before there was one.
        wrong: the error message of each invalid field; an error of the whole policy has the empty name.
        locked: whether the fields are disabled, as the plan is being applied.
    """

    written = traitlets.Dict()
    policy = traitlets.Instance(Retention, allow_none=True)
    wrong = traitlets.Dict()
    locked = traitlets.Bool()

    template = "policy_form.html.j2"

    def __init__(self, policy: Retention | None = None) -> None:
        if not isinstance(policy, Retention | None):
            raise InvalidInput(
                "the form edits a policy of one rule, and this policy is a list of rules",
                next_step="Use rs.plan(snap, rules) for it.",
            )
        super().__init__(written=_written(policy) if policy else dict(_FIRST), policy=policy)
        self.observe(lambda _: self.show(), "locked")
        self.show()

    @property
    def code(self) -> str:
        """The expression that returns the plan."""
        return "" if self.policy is None else f"rs.plan(snap, rs.{self.policy!r})"

    @property
    def yaml(self) -> str:
        """The policy as YAML, for a file."""
        return "" if self.policy is None else yaml.safe_dump(self.policy.rules(), sort_keys=False, allow_unicode=True)

    def actions(self) -> Mapping[str, Callable[[str], None]]:
        """Writing into a field."""
        return {name: lambda value, name=name: self.write(name, value) for name in FIELDS}  # type: ignore[misc]

    def write(self, name: str, value: str) -> None:
        """Set the text of a field; if all fields are valid, they become the policy."""
        if self.locked:
            raise InvalidInput("the rules cannot be changed while a plan is being applied or undone")
        self.written = {**self.written, name: value.strip()}
        try:
            policy = Retention(**self._rules())
        except RegscopeError as error:
            field, colon, rest = error.message.partition(": ")
            if colon and field in FIELDS:
                self.wrong = {field: in_words(InvalidInput(rest, next_step=error.next_step))}
            else:
                self.wrong = {"": in_words(error)}
        else:
            self.wrong = {}
            self.policy = policy
        finally:
            self.show()

    def values(self) -> dict[str, Any]:
        """The fields, and their error messages."""
        return {
            "fields": FIELDS,
            "written": {name: self.written.get(name, "") for name in FIELDS},
            "wrong": {name: self.wrong.get(name, "") for name in ("", *FIELDS)},
            "locked": self.locked,
            "code": self.code,
            "yaml": self.yaml,
        }

    def _rules(self) -> dict[str, Any]:
        rules: dict[str, Any] = {}
        for name, field in FIELDS.items():
            said = self.written.get(name, "")
            if not said or said == _FIRST.get(name):
                continue
            rules[name] = field.parse(said)
        if "orphans" in rules:
            rules["orphans"] = True
        if "in_use" in rules and ("," in rules["in_use"] or ":" in rules["in_use"]):
            known = self.policy.in_use if self.policy else ()
            names = _names(rules["in_use"])
            rules["in_use"] = [NameInUse(name) if name in known else name for name in names]
        return rules


def _written(policy: Retention) -> dict[str, str]:
    """The texts of the fields for a policy."""
    found = dict(_FIRST)
    for name, value in policy.rules().items():
        if isinstance(value, dict):
            found[name] = ", ".join(f"{key}={pattern}" for key, pattern in value.items())
        elif isinstance(value, list):
            found[name] = ", ".join(value)
        elif value is True:
            found[name] = "delete" if name == "orphans" else "all"
        else:
            found[name] = str(value)
    return found
