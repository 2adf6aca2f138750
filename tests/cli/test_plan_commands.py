"""`regscope plan`: rules as options and from files, what it prints, and what it says of wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regscope.remediation.plan import Plan
from tests.cli.conftest import Run
from tests.lab.drawn_registries import image, layer
from tests.lab.layouts import write


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """`app` with images of 1, 10, 100 and an unknown number of days, one of them twice."""
    old = image([layer("old", 100)], 100, stage="test")
    return write(
        tmp_path / "layout",
        {
            "app:new": image([layer("new", 100)], 1),
            "app:mid": image([layer("mid", 100)], 10),
            "app:old": old,
            "app:v1": old,
            "app:dark": image([layer("dark", 100)], None),
        },
    )


def actions(out: str) -> dict[str, str]:
    return {row["tag"]: row["action"] for row in json.loads(out)["goes"]}


def test_options_say_the_policy(run: Run, layout: Path) -> None:
    assert actions(run("plan", f"oci:{layout}", "--keep-last", 1, "--json").out) == {
        "mid": "delete", "old": "delete", "v1": "delete",
    }  # fmt: skip
    found = run("plan", f"oci:{layout}", "--older-than", "30d", "--protect", "v*", "--json")
    assert actions(found.out) == {"old": "untag"}
    assert found.code == 0
    assert actions(run("plan", f"oci:{layout}", "--tags", "/[mn].*/", "--exclude-tags", "new", "--json").out) == {
        "mid": "delete"
    }
    by_label = run("plan", f"oci:{layout}", "--label", "stage=t*", "--only-platform", "linux/amd64", "--json")
    assert actions(by_label.out) == {"old": "delete", "v1": "delete"}


def test_options_add_to_the_rules_of_a_file(run: Run, layout: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("older_than: 5d\nprotect: [v1]\n")
    found = run("plan", f"oci:{layout}", "--policy", tmp_path / "policy.yaml", "--older-than", "30d", "--json")
    assert json.loads(found.out)["policy"] == {"older_than": "30d", "protect": ["v1"]}
    assert actions(found.out) == {"old": "untag"}


def test_what_options_keep_is_kept_besides_what_the_file_keeps(run: Run, layout: Path, tmp_path: Path) -> None:
    (tmp_path / "pods.txt").write_text("x.io/app:old\n")
    (tmp_path / "policy.yaml").write_text("older_than: 5d\nprotect: [v1]\n")
    options = ("--protect", "mid", "--in-use", tmp_path / "pods.txt")
    found = run("plan", f"oci:{layout}", "--policy", tmp_path / "policy.yaml", *options, "--json")
    assert json.loads(found.out)["policy"] == {"older_than": "5d", "protect": ["v1", "mid"], "in_use": ["app:old"]}
    assert json.loads(found.out)["in_use"] == ["app:old"]
    assert actions(found.out) == {}


def test_a_file_may_have_a_list_of_rules_to_which_options_add_what_is_kept(
    run: Run, layout: Path, tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text("- {tags: v*, keep_last: 1}\n- {older_than: 5d}\n")
    policy = ("plan", f"oci:{layout}", "--policy", tmp_path / "policy.yaml")
    found = run(*policy, "--save", tmp_path / "plan.json", "--json")
    assert json.loads(found.out)["policy"] == [{"tags": ["v*"], "keep_last": 1}, {"older_than": "5d"}]
    assert actions(found.out) == {"mid": "delete", "old": "untag"}
    assert "rule 2: older_than=5d" in run(*policy).out
    assert "do not differ" in run(*policy, "--compare", tmp_path / "plan.json").err
    assert actions(run(*policy, "--protect", "mid", "--json").out) == {"old": "untag"}
    refused = run(*policy, "--keep-last", 3)
    assert (refused.code, "has a list of rules" in refused.err) == (2, True)


def test_images_can_be_counted_by_what_their_tags_have_in_common(run: Run, layout: Path) -> None:
    options = ("--keep-last", 1, "--keep-last-per", "(m|n|o)")
    assert actions(run("plan", f"oci:{layout}", *options, "--json").out) == {}
    assert actions(run("plan", f"oci:{layout}", "--keep-last", 1, "--keep-last-per", "()", "--json").out) == {
        "mid": "delete", "old": "delete", "v1": "delete",
    }  # fmt: skip


def test_people_see_what_goes_why_and_how_much_comes_back(run: Run, layout: Path) -> None:
    found = run("plan", f"oci:{layout}", "--older-than", "30d", "--protect", "v1")
    assert "freed" in found.out
    assert "older_than=30d: 100 days old" in found.out
    assert "protect=v1" in found.out
    assert "nothing was changed" in found.err


def test_a_saved_plan_can_be_compared_and_is_the_same_again(run: Run, layout: Path, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    run("plan", f"oci:{layout}", "--keep-last", 1, "--save", saved)
    assert len(Plan.load(saved).steps) == 2
    same = run("plan", f"oci:{layout}", "--keep-last", 1, "--compare", saved)
    assert "do not differ" in same.err
    other = run("plan", f"oci:{layout}", "--keep-last", 2, "--compare", saved, "--json")
    assert {row["tag"]: (row["action"], row["other_action"]) for row in json.loads(other.out)} == {
        "mid": ("keep", "delete")
    }


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "has no rule by which anything may be deleted"),
        (("--keep-last", "many"), 2, "--keep-last"),
        (("--keep-last", "-1"), 2, "--keep-last"),
        (("--older-than", "soon"), 2, "older_than: 'soon' is not a duration"),
        (("--untagged", "soon"), 2, "untagged: 'soon' is not a duration"),
        (("--label", "stage"), 2, "--label 'stage' is not KEY=PATTERN"),
        (("--tags", "/(/"), 2, "not a regular expression"),
        (("--orphans", "--tag", "new"), 2, "only some tags were scanned"),
        (("--orphans", "--policy", "absent.yaml"), 2, "cannot be read"),
        (("--orphans", "--in-use", "absent.json"), 2, "cannot be read"),
        (("--orphans", "--in-use", "/dev/null"), 2, "names no image in use: it is empty"),
        (("--keep-last", "1", "--keep-last-per", "main"), 2, "has no group"),
        (("--orphans", "--keep-last-per", "(.)"), 2, "keep_last_per without keep_last"),
        (("--orphans", "--compare", "absent.json"), 3, "no plan can be read"),
        (("--orphans", "--json", "--csv"), 2, "exclude each other"),
    ],
)
def test_wrong_rules_are_told_in_words(
    run: Run, layout: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    found = run("plan", f"oci:{layout}", *arguments)
    assert found.code == code
    assert words in found.err
    assert "Traceback" not in found.err
