"""`Retention`: what may go, and what must stay, as one policy."""

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
        raise InvalidInput("no mapping of labels", next_step='Give each label a pattern: {"stage": "test*"}')
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
    """What may go, and what must stay.

    How the rules compose, in this order:

    1. A *candidate* is a tag that `repositories` and `tags` include and `exclude_repositories` and `exclude_tags` do
       not. Tags that are attachments (`sha256-….sig`, lists of referrers) are none: they go with what they are about.
    2. A candidate is *matched* where every rule about tags that is given says so: `keep_last`, `older_than`,
       `platforms`, `labels`, and `tags` itself. Where none of them is given no tag is matched.
    3. Manifests without a tag are matched by `untagged`, and what is left of broken things by `orphans`.
    4. *Keep always wins*: what `protect` or `in_use` names stays, with all that it needs and all that is attached to
       it, and so does everything that something which stays needs: the children of an index, the attachments of an
       image, a manifest that another tag points to. A tag is taken from such a manifest, which stays itself.
    5. What is not known counts for keeping: an unknown age is never old, and in a repository in which something could
       not be read nothing is deleted.

    When an image is from, the first of these that is known: `created` of its config; the later of its label and its
    annotation `org.opencontainers.image.created`; when an earlier snapshot saw it first (`scan(known=)`), for it is at
    least that old. A time before there were container images, such as the 1970 and 1980 of reproducible builds, is
    none, and a label that an image has from its base is not its own. An index is from when the newest of its images
    is; where one of them does not say, its own annotation counts. Where the store knows when a tag was pushed,
    `older_than` takes that if it is later, or if nothing or only an earlier snapshot tells the age; `keep_last` by
    `created` takes it in that last case alone. `Plan.table` has the time and what it is, `age_from` and `age_by`.

    Patterns are globs (`v1.*`), or regular expressions between slashes (`/v[0-9]+/`); both must match the whole name.

    Attributes:
        repositories: patterns of the repositories to look at, all by default. `repositories=["team/*"]`
        exclude_repositories: patterns of repositories to leave alone. `exclude_repositories=["team/base"]`
        tags: patterns of the tags that may go. Alone it says that all of them go. `tags=["pr-*", "/sha-[0-9a-f]{7}/"]`
        exclude_tags: patterns of tags that this policy is not about; unlike those of `protect` they can be lost with
            nothing, and count for nothing. `exclude_tags=["latest"]`
        keep_last: how many images to keep in each repository, newest first among the candidates, protected ones counted
            too. Tags on one manifest are one image. Images as old as the last one that is kept are kept. A candidate on
            a part of what another candidate names (`1.0-amd64` on a child of the index `1.0`, a tagged SBOM) is not
            counted: it goes when all that it is part of goes, whatever the other rules say. An image of which is only
            known that it is at least so old comes after newer ones, and is not counted before others. `keep_last=5`
        keep_last_by: what is newest: `created`, when it was built; `pushed`, when the tag was pushed, where the store
            knows it; `version`, by semantic version. Those that do not have it are kept, and not counted.
            `keep_last_by="version"`
        keep_last_per: a regular expression that is matched from the beginning of a tag: `keep_last` images are kept for
            each value of its groups in each repository, not for the repository. Tags that it does not match are kept,
            and not counted. An image with tags of several values counts for each. `keep_last_per="(.+)-[0-9]+"` counts
            `main-41` and `main-42` as `main`; `keep_last_per="v([0-9]+)"` counts per major version.
        older_than: only what was built, or where that is known pushed, longer ago than this before the snapshot was
            taken. `older_than="30d"`
        platforms: only what is for these platforms and no others. `platforms=["linux/arm/v7"]`
        labels: only what has these labels or annotations, in every one of its images: key to pattern.
            `labels={"stage": "test*"}`
        untagged: manifests that no tag, index or subject keeps, where the store shows them: all, or those built longer
            ago than a duration. A subject in another repository keeps them, too. `untagged="7d"`
        orphans: referrers, signatures and SBOMs whose subject is gone, and indexes of which not one child is left. A
            subject is gone where no repository of the snapshot has it; in a repository of nothing but attachments
            (`COSIGN_REPOSITORY`) only if nothing of the registry was left out or could not be read. `orphans=True`
        protect: tags (`v*`), repositories (`team/base`), tags of some (`team/app:1.*`) and digests that stay, whatever
            else is said. `protect=["v*", "latest"]`
        in_use: what runs somewhere, and stays: a list of references and digests, or the path of a file of them or of
            what `kubectl get pods -A -o json` printed, see `regscope.remediation.in_use.images_in_use`. The host of a
            reference counts for nothing, and of its path the end is enough, or the end of the repository's: a mirror or
            proxy has other prefixes. `in_use="pods.json"`

    A policy may be a list of such rules: for each tag the first decides that is about tags, and whose `repositories`
    and `tags` include it and whose `exclude_…` do not. Of `untagged` and `orphans` the first counts that gives it for
    the repository. What any of the rules names in `protect` or `in_use` stays, whichever rule decides. To keep 10
    releases in each repository, and 3 images of each branch:

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
        InvalidInput: a rule can't be understood, or nothing is said that anything may go by.
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
                "the policy says nothing that may go",
                next_step="Give one of tags, keep_last, older_than, platforms, labels, untagged and orphans.",
            )
        if self.keep_last_per is not None and self.keep_last is None:
            raise InvalidInput("keep_last_per without keep_last", next_step="Say how many of each: keep_last=3")
        return self

    @property
    def is_about_tags(self) -> bool:
        """Whether there is a rule by which tags are matched."""
        return bool(
            self.tags or self.keep_last is not None or self.older_than is not None or self.platforms or self.labels
        )

    @classmethod
    def from_file(cls, path: Path | str) -> Retention:
        """A policy from a YAML or TOML file, whose keys are the attributes; `in_use` may name a file beside it.

        Raises:
            InvalidInput: the file can't be read, or says what a policy can't.
        """
        path = Path(path).expanduser()
        found = read_policy(path)
        if isinstance(found, list):
            raise InvalidInput(
                f"the policy {path} is a list of rules", next_step="rs.plan(snap, PATH) takes it as it is."
            )
        return cls(**found)

    def rules(self) -> dict[str, Any]:
        """What is said, without what is left at its default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def changed(self, **rules: Any) -> Retention:
        """The same with other rules over its own."""
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
