from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regscope.analysis.version_order import natural_order, version_change

VERSION = st.from_regex(r"([0-3]:)?[0-9][0-9a-b.+~]{0,6}(-[0-9a-b.+~]{1,4})?", fullmatch=True)


@pytest.mark.parametrize(
    ("manager", "older", "newer"),
    [
        ("dpkg", "1.0", "1.1"),
        ("dpkg", "1.9", "1.10"),
        ("dpkg", "2.0", "1:1.0"),
        ("dpkg", "1.0~rc1", "1.0"),
        ("dpkg", "0~", "0"),
        ("dpkg", "1.0-1", "1.0-1+deb12u1"),
        ("dpkg", "1.0-1", "1.0-1ubuntu1"),
        ("dpkg", "1.0a", "1.0+"),
        ("dpkg", "2024a-0+deb12u1", "2024b-0+deb12u1"),
        ("rpm", "1.0-1", "1.0-2"),
        ("rpm", "9-9", "1:1-1"),
        ("rpm", "1.0~rc1-1", "1.0-1"),
        ("rpm", "1.0-1", "1.0^git1-1"),
        ("rpm", "1.0^git1-1", "1.0.1-1"),
        ("rpm", "1.0a-1", "1.0.1-1"),
        ("rpm", "5.2.9-3.fc39", "5.2.26-3.fc40"),
        ("apk", "1.2.5-r0", "1.2.5-r10"),
        ("apk", "1.9.0-r0", "1.10.0-r0"),
        ("python", "2.9", "2.10.1"),
        ("npm", "4.17.9", "4.17.21"),
    ],
)
def test_a_version_is_newer_by_its_managers_rule(manager: str, older: str, newer: str) -> None:
    assert version_change(manager, older, newer) == "upgraded"
    assert version_change(manager, newer, older) == "downgraded"


@pytest.mark.parametrize(
    ("manager", "before", "after"),
    [
        ("dpkg", "1.0", "1.00"),
        ("dpkg", "1.0", "0:1.0-0"),
        ("rpm", "1.0-1", "1_0-1"),
        ("python", "1.0", "1.0.0"),
        ("python", "1.0rc1", "1.0"),
        ("python", "1.0", "1.0-r1"),
        ("npm", "1.0.0-beta.1", "1.0.0"),
        ("apk", "1.0_rc1-r0", "1.0-r0"),
        ("npm", "9" * 5000, "1"),
    ],
)
def test_versions_that_are_equal_or_without_a_known_order_are_changed(manager: str, before: str, after: str) -> None:
    assert version_change(manager, before, after) == "changed"


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="needs dpkg")
@settings(max_examples=150, deadline=None)
@given(VERSION, VERSION)
def test_the_order_of_dpkgs_versions_is_that_of_dpkg(before: str, after: str) -> None:
    def dpkg_says(relation: str) -> bool:
        asked = ["dpkg", "--compare-versions", before, relation, after]
        return subprocess.run(asked, check=False, capture_output=True).returncode == 0

    said = "upgraded" if dpkg_says("lt") else "downgraded" if dpkg_says("gt") else "changed"
    assert version_change("dpkg", before, after) == said


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["dpkg", "rpm", "apk", "python", "npm", "else"]))
def test_any_two_texts_have_an_answer_and_the_mirrored_one(before: str, after: str, manager: str) -> None:
    mirrored = {"upgraded": "downgraded", "downgraded": "upgraded", "changed": "changed"}
    assert version_change(manager, after, before) == mirrored[version_change(manager, before, after)]


@given(st.permutations(["1.10", "1.9", "", "a", "1.9~", "\u0663", "1.09", "2"]))
def test_any_texts_have_one_natural_order(versions: list[str]) -> None:
    assert sorted(versions, key=natural_order) == ["", "\u0663", "a", "1.9~", "1.09", "1.9", "1.10", "2"]
