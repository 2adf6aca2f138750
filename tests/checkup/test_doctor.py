"""The check-up says what works at a registry, leaves nothing behind, and shows no secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import regscope as rs
from regscope.checkup.findings import FAILS, LACKS, OUTCOMES, WORKS
from regscope.errors import InvalidInput, InvalidReference
from regscope.stores.registry_store import RegistryStore
from tests.cli.conftest import Run, run
from tests.hosted.pushed import PUSHES
from tests.hosted.test_to_the_byte import NOT_ALL_SEEN, PROFILES
from tests.lab.drawn_registries import Contents
from tests.servers import faults
from tests.servers.certificates import CertificateAuthority
from tests.servers.distributions import VERSIONS, filled
from tests.servers.hosted.harbor import HOST, HarborRegistry
from tests.servers.hosted.hosted import reached, upstream
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry

__all__ = ["run"]

ALL = {**PROFILES, "Harbor": (HarborRegistry, HOST), **NOT_ALL_SEEN}
SCRATCH = "team/scratch"


def outcomes(found: rs.Checkup) -> dict[str, str]:
    return dict(zip(found.table["question"], found.table["outcome"].astype("str"), strict=True))


def content(registry: Registry) -> dict[str, list[str]]:
    """The tags of each repository that has any."""
    store = rs.open(registry.url, cache=False)
    return {name: tags for name in store.repositories() if (tags := store.tags(name))}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_answer_of_a_real_registry(tmp_path: Path, version: str) -> None:
    with filled(version, tmp_path / "registry", PUSHES) as registry:
        before = content(registry)
        found = rs.doctor(registry.url, write=SCRATCH)
        assert content(registry) == before
    assert found.ok, found.table.to_string()
    table = found.table.set_index("question")
    assert list(table["outcome"].cat.categories) == list(OUTCOMES)
    assert {question for question, outcome in outcomes(found).items() if outcome == LACKS} == {
        "the login is accepted",
        "manifests without a tag are listed",
        "push times are stated",
        "pull times are stated",
        "referrers are listed by their API",
        "a rate limit is stated",
    }
    assert table.loc["what runs it is known", "answer"] == "distribution"
    assert table.loc["repositories are listed", "answer"] == "3 repositories"
    assert table.loc["undo restores it", "outcome"] == WORKS
    assert (table["seconds"] >= 0).all()


def test_without_a_scratch_repository_nothing_is_written(behind_proxy: FaultProxy) -> None:
    found = rs.doctor(behind_proxy.url)
    assert found.ok
    assert "an image is pushed" not in outcomes(found)
    assert {request.method for request in behind_proxy.requests} <= {"GET", "HEAD"}


@pytest.mark.parametrize("provider", ALL)
def test_every_provider(tmp_path: Path, provider: str) -> None:
    make, location = ALL[provider]
    with upstream(tmp_path / "registry") as registry:
        Contents(pushes=PUSHES).push_to(registry.url)
        with reached(make(registry, CertificateAuthority(tmp_path / "authority"))) as profile:
            before = content(registry)
            store = rs.open(location, verify=profile.ca, cache=False, **profile.login)
            found = rs.doctor(store, repository="team/app", write=SCRATCH)
            assert isinstance(store, RegistryStore)
            assert store.provider is not None
            named = store.provider.name
            assert content(registry) == before
    assert found.ok, found.table.to_string()
    said = dict(zip(found.table["question"], found.table["answer"], strict=True))
    assert said["what runs it is known"].startswith(f"{named}: ")


def test_a_wrong_login_is_a_row_that_says_so_without_the_password(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry", htpasswd={"ann": "right"}) as registry:
        found = rs.doctor(rs.open(registry.url, username="ann", password="wr0ng-s3cret", cache=False))
    assert not found.ok
    assert outcomes(found)["the login is accepted"] == FAILS
    failed = found.table[found.table["outcome"] == FAILS]
    assert (failed["next_step"] != "").all()
    everything = f"{found.table.to_csv()}{found!r}{found._repr_html_()}"
    assert "wr0ng-s3cret" not in everything


def test_a_registry_that_refuses_deletions(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry", delete=False) as registry:
        found = rs.doctor(registry.url, write=SCRATCH)
    answers = outcomes(found)
    assert answers["an image is pushed"] == WORKS
    assert answers["one tag is removed, and the image stays"] == FAILS
    assert answers["the image is deleted by a plan"] == FAILS
    assert answers["all of it is deleted again"] == LACKS
    left = found.table.set_index("question").loc["all of it is deleted again"]
    assert re.match(rf"{SCRATCH}:regscope-doctor-\w+ is left: ", left["answer"])
    assert left["next_step"]


def test_what_does_not_answer_is_one_row(behind_proxy: FaultProxy) -> None:
    store = rs.open(behind_proxy.url, cache=False)
    behind_proxy.rule(faults.replace_body("/v2/", b"gone", status=404))
    found = rs.doctor(store)
    assert outcomes(found) == {"regscope": WORKS, "the registry answers": FAILS}


def test_what_is_no_registry_and_no_name(tmp_path: Path, layout: Path, behind_proxy: FaultProxy) -> None:
    with pytest.raises(InvalidInput, match="is no registry"):
        rs.doctor(f"oci:{layout}")
    with pytest.raises(InvalidReference):
        rs.doctor(behind_proxy.url, write="Not A Name")


def test_the_command_prints_the_table_and_fails_where_something_fails(run: Run, behind_proxy: FaultProxy) -> None:
    done = run("doctor", behind_proxy.url)
    assert done.code == 0, done.err
    assert "a manifest is read, and has its digest" in done.out
    assert '"outcome": "not offered"' in run("doctor", behind_proxy.url, "--json").out
    behind_proxy.rule(faults.replace_body("/tags/list", b"{}", status=403))
    assert run("doctor", behind_proxy.url, "--about", "team/app").code == 1


@pytest.fixture
def behind_proxy(tmp_path: Path) -> object:
    """A proxy before a registry of its own."""
    with Registry(tmp_path / "own-registry") as registry, FaultProxy(registry.url) as proxy:
        Contents(pushes=PUSHES).push_to(registry.url)
        yield proxy
