"""`regscope login` says which rights the login needs at a provider, whether or not it is accepted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regscope.hosted.azure import Azure
from tests.cli.conftest import Run
from tests.hosted.pushed import fill
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.azure import AzureRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry


@pytest.mark.parametrize("location", ["ours.azurecr.io", "ours.azurecr.io/team"])
def test_a_login_names_the_rights_that_it_needs(
    run: Run, behind: Registry, authority: CertificateAuthority, docker_config: Path, location: str
) -> None:
    fill(behind)
    with reached(AzureRegistry(behind, authority, password="secret")) as profile:
        arguments = ("login", location, "-u", "ann", "--password-stdin", "--ca", profile.ca)
        done = run(*arguments, stdin="wrong\n")
        assert done.code == 4
        assert Azure.needs in done.err
        done = run(*arguments, stdin="secret\n")
        assert done.code == 0, done.err
        assert f"{Azure.name} needs {Azure.needs}" in done.err
    assert list(json.loads((docker_config / "config.json").read_text())["auths"]) == ["ours.azurecr.io"]
