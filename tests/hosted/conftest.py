"""What the tests of providers share: an authority for their hosts' names, and a registry behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import run
from tests.hosted.pushed import fill
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.gitlab import GitLabRegistry
from tests.servers.hosted.google import GoogleRegistry
from tests.servers.hosted.hosted import reached, upstream
from tests.servers.registry import Registry

__all__ = ["run"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Registry]:
    """The registry behind the profile, empty."""
    with upstream(tmp_path / "registry") as registry:
        yield registry


@pytest.fixture
def google(behind: Registry, authority: CertificateAuthority) -> Iterator[GoogleRegistry]:
    """Google's hosts, with a password."""
    with reached(GoogleRegistry(behind, authority, password="secret")) as profile:
        yield profile


@pytest.fixture
def gitlab(behind: Registry, authority: CertificateAuthority) -> Iterator[GitLabRegistry]:
    """GitLab's hosts, with a password and access tokens, filled."""
    fill(behind)
    profile = GitLabRegistry(behind, authority, password="secret")
    profile.access_tokens = {"glpat-reads": {"read_api"}, "glpat-deletes": {"api"}, "glpat-other": {"read_user"}}
    with reached(profile):
        yield profile
