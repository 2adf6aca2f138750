"""The servers that there are, and which of them the tests are run against."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.field.servers.crane import Crane
from tests.field.servers.distribution import Distribution
from tests.field.servers.gitea import Gitea
from tests.field.servers.immutable_tags import ImmutableTags
from tests.field.servers.pull_through import PullThrough
from tests.field.servers.pulp import Pulp
from tests.field.servers.server import FieldServer
from tests.field.servers.zuul import Zuul

KINDS: dict[str, type[FieldServer]] = {
    "gitea": Gitea,
    "pulp": Pulp,
    "zuul": Zuul,
    "crane": Crane,
    "immutable-tags": ImmutableTags,
    "pull-through": PullThrough,
    "distribution": Distribution,
}
"""By the names that `.ci/field` takes."""

ASKED_FOR = [name for name in os.environ.get("FIELD_SERVERS", "").split() if name]
"""The names in the variable `FIELD_SERVERS`, which `.ci/field` sets."""


def chosen(matches: Callable[[type[FieldServer]], bool] = lambda kind: True) -> list[str]:
    """Those of the servers asked for that a test is about."""
    return [name for name in ASKED_FOR if matches(KINDS[name])]
