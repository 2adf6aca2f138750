"""The table of kinds of places: what it names can be opened, and nothing else lists what there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import InvalidInput
from regscope.masking import without_secrets
from regscope.stores.cached_store import cache_of
from regscope.stores.kinds import (
    DOCKER_ARCHIVE,
    KINDS,
    LAYOUT,
    OCI_ARCHIVE,
    REGISTRY,
    STORAGE,
    WRITABLE,
    Kind,
    kind_of,
    listed,
    load,
    stated_kind,
)
from regscope.stores.open_destination import open_destination
from regscope.stores.open_store import as_it_is_now
from regscope.stores.registry_store import client_of
from regscope.stores.removal import open_removal
from tests.servers.registry import Registry

PACKAGE = Path(rs.__file__).parent


def test_every_opener_that_the_table_names_is_there() -> None:
    openers = [each for kind in KINDS for each in (kind.reader, kind.creator, kind.adder, kind.remover) if each]
    assert openers
    assert all(callable(load(opener)) for opener in openers)


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("registry.example.com", REGISTRY),
        ("localhost:5000", REGISTRY),
        ("http://localhost:5000", REGISTRY),
        ("https://registry.example.com/path", REGISTRY),
        ("oci:layout", LAYOUT),
        ("oci-archive:a.tar", OCI_ARCHIVE),
        ("docker-archive:a.tar", DOCKER_ARCHIVE),
        ("storage:s3://bucket/prefix", STORAGE),
        ("oci", REGISTRY),
    ],
)
def test_the_kind_of_a_location_is_told_by_what_stands_before_its_colon(location: str, kind: Kind) -> None:
    assert kind_of(location) == kind
    states_none = kind == REGISTRY and "://" not in location
    assert stated_kind(location) == (None if states_none else kind)


def test_a_store_says_its_kind_whatever_is_around_it(registry: Registry, layout: Path, tmp_path: Path) -> None:
    cached = rs.open(registry.url, mirrors=[registry.host])
    assert cached.kind == as_it_is_now(cached).kind == stated_kind(cached.location) == REGISTRY
    assert cache_of(cached) is not None
    assert cache_of(as_it_is_now(cached)) is None
    assert client_of(cached) is not None
    for kind in (LAYOUT, OCI_ARCHIVE, DOCKER_ARCHIVE):
        location = f"oci:{layout}" if kind == LAYOUT else kind.at(tmp_path / kind.scheme)
        if kind != LAYOUT:
            rs.copy(f"oci:{layout}", "base:1", location, progress=False)
        store = rs.open(location)
        assert store.kind == stated_kind(store.location) == kind
        assert store.tags("base")
        assert client_of(store) is None


def test_what_cannot_be_added_to_and_what_is_read_only_says_so(layout: Path, tmp_path: Path) -> None:
    archive = OCI_ARCHIVE.at(tmp_path / "a.tar")
    rs.copy(f"oci:{layout}", "base:1", archive, progress=False)
    with pytest.raises(InvalidInput, match="nothing can be added") as caught:
        open_destination(rs.open(archive))
    assert caught.value.next_step == "Name a new file: oci-archive:FILE or docker-archive:FILE."
    with pytest.raises(InvalidInput, match="is read only"):
        open_removal(archive)


def test_every_form_is_in_the_help_and_in_the_error_for_what_is_none() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "regscope", "--help"], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    with pytest.raises(InvalidInput) as caught:
        rs.open("ftp://host")
    for kind in KINDS:
        for form in kind.forms:
            assert form in re.sub(r"-\n +", "-", shown)  # the help breaks lines at hyphens
            assert form in caught.value.next_step
            assert form.split(":", 1)[0] in str(rs.open.__doc__)
    assert caught.value.next_step == f"Write {listed()}."


def test_a_scheme_is_not_taken_for_a_user_who_is_to_be_hidden() -> None:
    for kind in KINDS:
        if kind.scheme:
            said = f"copied to {kind.at('name@host')} and there"
            assert without_secrets(said) == said


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("tags o", ["oci\\:", "oci-archive\\:"]),
        ("tags stor", ["storage\\:"]),
        ("image load oci:x stor", []),
        ("tags oci:f", ["oci:folder/"]),
        ("tags docker-archive:", ["docker-archive:file.tar", "docker-archive:folder/"]),
        ("tags docker-archive:folder/", ["docker-archive:folder/inner.tar"]),
        ("tags oci:nowhere/", []),
        ("tags http://lo", []),
    ],
)
def test_a_shell_completes_locations(tmp_path: Path, words: str, offered: list[str]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.tar").touch()
    (tmp_path / "folder" / "inner.tar").touch()
    asked = {
        "_REGSCOPE_COMPLETE": "zsh_complete",
        "COMP_WORDS": f"regscope {words}",
        "COMP_CWORD": str(words.count(" ") + 1),
    }
    code = "from regscope.cli.main import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), **asked}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=60,
    )
    assert done.stdout.splitlines()[1::3] == offered


def test_no_other_room_asks_for_prefixes_or_for_the_classes_of_stores() -> None:
    schemes = "|".join(["https?", *(kind.scheme for kind in KINDS if kind.scheme)])
    by_prefix = re.compile(rf"(startswith|removeprefix)\(\(?[\"'](?:{schemes}):")
    by_class = re.compile(r"isinstance\([^)]*\b\w+(Store|Destination|Removal)\b")
    found = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "stores"
        for line in path.read_text().splitlines()
        if by_prefix.search(line) or by_class.search(line)
    ]
    assert found == []


def test_the_targets_are_those_that_can_be_written() -> None:
    assert [kind for kind in KINDS if kind not in WRITABLE] == [STORAGE]
