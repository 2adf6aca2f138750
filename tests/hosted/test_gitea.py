"""Gitea and Forgejo, as the profile plays them: what holds at a real one, too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosted.gitea_place import Place
from tests.hosted.gitea_statements import *  # noqa: F403
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.gitea import GiteaRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry


@pytest.fixture
def place(behind: Registry, authority: CertificateAuthority) -> Iterator[Place]:
    with reached(GiteaRegistry(behind, authority)) as profile:
        yield Place(
            profile,
            GiteaRegistry.hosts[0],
            {"verify": profile.ca},
            "secret",
            profile.token,
            behind.blob_digests,
            behind.garbage_collect,
        )


@pytest.fixture
def repository() -> str:
    return "team/app"
