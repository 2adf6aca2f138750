"""`Retention`: what may be deleted and what must stay, as one policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from regscope.analysis.stale import duration
from regscope.errors import InvalidInput, RegscopeError
from regscope.remediation.in_use import NameInUse, images_in_use
from regscope.remediation.patterns import compiled, grouping, listed, named
from regscope.remediation.policy_files import read_policy
from regscope.spec.platform import Platform


def _patterns(value: Any) -> tuple[str, ...]:
    found = listed(value)
    for pattern in found:
        compiled(pattern)
    return found


def _names(value: Any) -> tuple[str, ...]:
    found = listed(value)
    for name in found:
        named(name)
    return found


def _duration(value: Any) -> str | bool | None:
    if value is None or isinstance(value, bool):
        return value
    duration(value)
    return value if isinstance(value, str) else f"{int(pd.Timedelta(value).total_seconds())}s"


def _platforms(value: Any) -> tuple[str, ...]:
    return tuple(str(Platform.parse(text)) for text in listed(value))


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InvalidInput("must be a mapping", next_step='Give each label a pattern: {"stage": "test*"}')
    listed(list(value))
    return dict(zip(value, _patterns(list(value.values())), strict=True))


def _group(value: Any) -> str | None:
    for pattern in listed(value):
        grouping(pattern)
    return None if value is None else str(value)


def _in_use(value: Any) -> tuple[str, ...]:
    return () if value is None else images_in_use(value)


Patterns = Annotated[tuple[str, ...], BeforeValidator(_patterns)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Duration = Annotated[str | None, BeforeValidator(_duration)]


class Retention(BaseModel):
    """What may be deleted, and what must stay.

    The rules are applied in this order:

    1. A *candidate* is a tag that `repositories` and `tags` include and `exclude_repositories` and `exclude_tags` do
       not. Tags that are attachments (`sha256-….sig`, lists of referrers) are no candidates: they are removed with
       their subject.
    2. A candidate is *matched* where each given rule about tags matches: `keep_last`, `older_than`, `not_pulled_for`,
       `platforms`, `labels`, and `tags` itself. Where none of them is given no tag is matched.
    3. Manifests without a tag are matched by `untagged`; referrers without a subject and indexes without children by
       `orphans`.
    4. *Keep always wins*: an image that `protect` or `in_use` names stays, with all that it needs and its attachments.
       So does everything that a manifest that stays needs: the children of an index, the attachments of an image, a
       manifest that another tag points to. The matched tag of such a manifest is removed; the manifest stays.
    5. Unknown facts count for keeping: an unknown age is never old, and in a repository in which something could not be
       read nothing is deleted.

    The age of an image is computed from the first of these times that is known: `created` of its config; the later of
    its label and its annotation `org.opencontainers.image.created`; the time of the earlier snapshot that first had it
    (`scan(known=)`), since it is at least that old. Times before there were container images, such as the 1970 and 1980
    of reproducible builds, are ignored, and so are labels that the image inherited from its base. An index has the time
    of its newest image; where one of them has no time, the index's own annotation counts. Where the store knows when a
    tag was pushed, `older_than` uses the push time if it is later, or if the age is unknown or only known from an
    earlier snapshot; `keep_last` by `created` uses it only in the latter case. `Plan.table` has the time as `age_from`
    and its source as `age_by`.

    Patterns are globs (`v1.*`), or regular expressions between slashes (`/v[0-9]+/`); both must match the whole name.

    Attributes:
        repositories: patterns of the repositories that the policy includes; all by default. `repositories=["team/*"]`
        exclude_repositories: patterns of repositories excluded from this policy. `exclude_repositories=["team/base"]`
        tags: patterns of the tags that may be removed. Given alone, all of them are. `tags=["pr-*",
            "/sha-[0-9a-f]{7}/"]`
        exclude_tags: patterns of tags excluded from this policy: they stay and, unlike tags in `protect`, are not
            counted by `keep_last`. `exclude_tags=["latest"]`
        keep_last: the number of images to keep in each repository, the newest of the candidates; protected ones are
            counted, too. Tags on one manifest are one image. Images as old as the last one that is kept are kept, too.
            A candidate on a part of what another candidate names (`1.0-amd64` on a child of the index `1.0`, a tagged
            SBOM) is not counted: it is removed when everything that it is part of is deleted, whatever the other rules
            decide. An image with only a minimum age sorts behind newer ones, and is not counted before others.
            `keep_last=5`
        keep_last_by: the order of `keep_last`: `created`, the time of the build; `pushed`, the time of the tag's push,
            where the store knows it; `version`, the semantic version of the tag. Images without it are kept, and not
            counted. `keep_last_by="version"`
        keep_last_per: a regular expression that is matched from the beginning of a tag: in each repository, `keep_last`
            images are kept for each value of its groups. Tags that it does not match are kept, and not counted. An
            image with tags of several values counts for each. `keep_last_per="(.+)-[0-9]+"` counts
            `main-41` and `main-42` as `main`; `keep_last_per="v([0-9]+)"` counts per major version.
        older_than: only images that were built (or, where the store knows it, pushed) longer ago than this, counted
            back from the time of the snapshot. `older_than="30d"`
        not_pulled_for: only images that were neither pulled nor pushed for this long, counted back from the time of the
            snapshot; a pull of one image of an index counts for the index. Nothing matches where the registry does not
            state when images were pulled. `not_pulled_for="90d"`
        platforms: only images for these platforms and no others. `platforms=["linux/arm/v7"]`
        labels: only tags all of whose images have these labels or annotations: key to pattern.
            `labels={"stage": "test*"}`
        untagged: manifests without a tag that no index or subject keeps, where the store lists them: all, or those
            built longer ago than a duration. A subject in another repository keeps them, too. `untagged="7d"`
        orphans: referrers, signatures and SBOMs whose subject is missing, and indexes all of whose children are
            missing. A subject is missing where no repository of the snapshot has it; in a repository of attachments
            alone (`COSIGN_REPOSITORY`) only if the whole registry was scanned and read. `orphans=True`
        protect: tags (`v*`), repositories (`team/base`), tags of repositories (`team/app:1.*`) and digests that stay,
            whatever the other rules match. `protect=["v*", "latest"]`
        in_use: images that run somewhere, and stay: a list of references and digests, or the path of a file of them or
            of the output of `kubectl get pods -A -o json`, see `regscope.remediation.in_use.images_in_use`. The host of
            a reference is ignored, and it is enough that its path and the repository's name end alike: mirrors and
            proxies have other prefixes. `in_use="pods.json"`

    A policy may be a list of such rules: about each tag decides the first rule about tags whose `repositories` and
    `tags` include it and whose `exclude_…` do not. Of `untagged` and `orphans` the first one given for the repository
    counts. What any of the rules names in `protect` or `in_use` stays, whichever rule decides. To keep 10 releases in
    each repository, and 3 images of each branch:

        rs.plan(snap, [
            rs.Retention(tags="v*", keep_last=10, keep_last_by="version", protect="latest"),
            rs.Retention(keep_last=3, keep_last_per="(.+)-[0-9]+", untagged="7d"),
        ])

    The same as a YAML file, for `rs.plan(snap, "policy.yaml")` and `regscope plan --policy policy.yaml`; names that
    look like numbers must be quoted there:

        protect: [latest, "1.10"]
        in_use: pods.json
        rules:
          - {tags: v*, keep_last: 10, keep_last_by: version}
          - {keep_last: 3, keep_last_per: "(.+)-[0-9]+", untagged: 7d}

    Raises:
        InvalidInput: a rule is invalid, or no rule is given by which anything may be deleted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repositories: Patterns = ("*",)
    exclude_repositories: Patterns = ()
    tags: Patterns = ()
    exclude_tags: Patterns = ()
    keep_last: Annotated[int, Field(ge=0, strict=True)] | None = None
    keep_last_by: Literal["created", "pushed", "version"] = "created"
    keep_last_per: Annotated[str | None, BeforeValidator(_group)] = None
    older_than: Duration = None
    not_pulled_for: Duration = None
    platforms: Annotated[tuple[str, ...], BeforeValidator(_platforms)] = ()
    labels: Annotated[dict[str, str], BeforeValidator(_labels)] = Field(default_factory=dict)
    untagged: Annotated[bool | str, BeforeValidator(_duration)] = False
    orphans: bool = False
    protect: Names = ()
    in_use: Annotated[tuple[str, ...], BeforeValidator(_in_use)] = ()

    def __init__(self, /, **rules: Any) -> None:
        try:
            super().__init__(**rules)
        except ValidationError as error:
            raise _refused(error) from None

    @model_validator(mode="after")
    def _says_what_may_go(self) -> Retention:
        if not (self.is_about_tags or self.untagged or self.orphans):
            raise InvalidInput(
                "the policy has no rule by which anything may be deleted",
                next_step="Give one of tags, keep_last, older_than, not_pulled_for, platforms, labels, untagged and "
                "orphans.",
            )
        if self.keep_last_per is not None and self.keep_last is None:
            raise InvalidInput("keep_last_per without keep_last", next_step="Add the number to keep: keep_last=3")
        return self

    @property
    def is_about_tags(self) -> bool:
        """Whether the policy has a rule that matches tags."""
        of_age = (self.keep_last, self.older_than, self.not_pulled_for)
        return bool(self.tags or self.platforms or self.labels or any(rule is not None for rule in of_age))

    @classmethod
    def from_file(cls, path: Path | str) -> Retention:
        """The policy of a YAML or TOML file, whose keys are the attributes; `in_use` may name a file beside it.

        Raises:
            InvalidInput: the file cannot be read, or has an invalid rule.
        """
        path = Path(path).expanduser()
        found = read_policy(path)
        if isinstance(found, list):
            raise InvalidInput(
                f"the policy {path} is a list of rules", next_step="Use rs.plan(snap, PATH), which accepts lists."
            )
        return cls(**found)

    def rules(self) -> dict[str, Any]:
        """The rules that differ from their defaults, as JSON values by name."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def changed(self, **rules: Any) -> Retention:
        """The same policy with these rules set or replaced."""
        own = self.rules()
        if self.in_use:
            own["in_use"] = tuple(map(NameInUse, self.in_use))
        return Retention(**{**own, **rules})

    def __repr__(self) -> str:
        return f"Retention({', '.join(f'{key}={value!r}' for key, value in self.rules().items())})"

    __str__ = __repr__


def _refused(error: ValidationError) -> RegscopeError:
    first = error.errors()[0]
    where = str(first["loc"][0]) if first["loc"] else ""
    cause = first.get("ctx", {}).get("error")
    said = cause.message if isinstance(cause, RegscopeError) else first["msg"].removeprefix("Value error, ")
    known = ", ".join(Retention.model_fields)
    next_step = {
        "extra_forbidden": f"A policy has: {known}.",
    }.get(first["type"], cause.next_step if isinstance(cause, RegscopeError) else "")
    said = "there is no such rule" if first["type"] == "extra_forbidden" else said
    return InvalidInput(f"{where}: {said}" if where else said, next_step=next_step)
