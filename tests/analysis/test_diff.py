"""Image against image: every row can be worked out on paper; what is drawn is held against a plain model."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regscope.analysis.diff import Diff, diff
from regscope.analysis.file_changes import COMPARED
from regscope.analysis.final_tree import final_files
from regscope.errors import InvalidInput, InvalidPlatform
from regscope.tables import Snapshot
from tests.lab.drawn_snapshots import NOW, digest
from tests.lab.file_stacks import FileRegistry, directory, file, link, whiteout
from tests.lab.snapshots import CONFIG_SIZE, Registry

STATUS = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n\n"
PROMISED = {
    "files": {
        "path": "str",
        "kind": "category",
        "change": "category",
        "size_before": "Int64",
        "size_after": "Int64",
        "growth": "int64",
        "differs": "str",
    },
    "packages": {
        "manager": "category",
        **dict.fromkeys(["name", "version_before", "version_after"], "str"),
        "change": "category",
    },
    "config": dict.fromkeys(["key", "before", "after"], "str"),
    "history": {
        "change": "category",
        "instruction": "str",
        **dict.fromkeys(["step_before", "step_after", "size_before", "size_after"], "Int64"),
    },
    "layers": {"blob_digest": "str", "held_by": "category", "size": "Int64", "created_by": "str"},
}


def rows(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Rows as plain tuples, None for what is absent."""
    plain = table.astype(object)
    return list(plain.where(plain.notna(), None).itertuples(index=False, name=None))


def installed(*packages: str) -> dict[str, Any]:
    """dpkg's list, of `name=version`."""
    return file("var/lib/dpkg/status", "".join(STATUS.format(*package.split("=")) for package in packages))


def two_builds() -> Snapshot:
    """A base, and two builds on it that differ in everything."""
    made = FileRegistry(base=100, old=20, new=50, extra=3)
    for layer, entries in {
        "base": [
            directory("etc"),
            file("etc/config", "a" * 10),
            file("etc/gone", "b" * 7),
            file("etc/script", "c" * 5),
            link("etc/link", "config"),
            installed("bash=5.1", "libc6=2.36", "dropped=1"),
        ],
        "old": [file("app/program", "d" * 30), file("app/a.dist-info/METADATA", "Name: a\nVersion: 1.9\n")],
        "new": [
            file("app/program", "e" * 40),
            file("etc/script", "c" * 5, mode=0o755, days=1),
            whiteout("etc/gone"),
            link("etc/link", "script"),
            installed("bash=5.2~rc1", "libc6=2.36-0", "fresh=1"),
            file("app/a.dist-info/METADATA", "Name: a\nVersion: 1.10\n"),
        ],
        "extra": [file("data", "f" * 3)],
    }.items():
        made.files(layer, *entries)
    made.image("1", ["base=ADD rootfs", "old=COPY . /app"], "app:1", more_steps=1, created=NOW - timedelta(days=9))
    made.image("2", ["base=ADD rootfs", "new=COPY . /app", "extra=RUN make"], "app:2", "other:1")
    for image, key, value in (("1", "version", "1"), ("2", "version", "2"), ("1", "same", "s"), ("2", "same", "s")):
        made.rows["labels"].append((digest(image), "config", key, value))
    made.rows["labels"].append((digest("2"), "annotation", "added", "<b>yes</b>"))
    return made.snapshot()


def test_files_that_were_added_removed_and_changed_are_told_largest_first() -> None:
    found = diff(two_builds(), "app:1", "app:2").files
    before, after = (len("".join(STATUS.format(*p.split("=")) for p in packages)) for packages in (
        ("bash=5.1", "libc6=2.36", "dropped=1"), ("bash=5.2~rc1", "libc6=2.36-0", "fresh=1")
    ))  # fmt: skip
    assert rows(found) == [
        ("var/lib/dpkg/status", "file", "content", before, after, after - before, "size, content"),
        ("app/program", "file", "content", 30, 40, 10, "size, content"),
        ("app/a.dist-info/METADATA", "file", "content", 21, 22, 1, "size, content"),
        ("etc/gone", "file", "removed", 7, None, -7, ""),
        ("etc/script", "file", "attributes", 5, 5, 0, "mode, mtime"),
        ("data", "file", "added", None, 3, 3, ""),
        ("etc/link", "symlink", "content", 0, 0, 0, "link"),
    ]


def test_packages_are_those_of_the_lists_that_are_visible_and_in_their_managers_order() -> None:
    assert rows(diff(two_builds(), "app:1", "app:2").packages) == [
        ("dpkg", "bash", "5.1", "5.2~rc1", "upgraded"),
        ("dpkg", "dropped", "1", None, "removed"),
        ("dpkg", "fresh", None, "1", "added"),
        ("dpkg", "libc6", "2.36", "2.36-0", "changed"),
        ("python", "a", "1.9", "1.10", "upgraded"),
    ]


def test_what_differs_of_configs_is_told_and_what_is_the_same_is_not() -> None:
    assert rows(diff(two_builds(), "app:1", "app:2").config) == [
        ("created", (NOW - timedelta(days=9)).isoformat(), NOW.isoformat()),
        ("label version", "1", "2"),
        ("annotation added", None, "<b>yes</b>"),
    ]


def test_steps_that_came_went_or_made_another_layer_are_told() -> None:
    assert rows(diff(two_builds(), "app:1", "app:2").history) == [
        ("rebuilt", "COPY . /app", 1, 1, 0, 0),
        ("removed", "ENV A=b", 2, None, 0, None),
        ("added", "RUN make", None, 2, None, 0),
    ]


def test_layers_and_totals_are_those_of_both_images() -> None:
    found = diff(two_builds(), "app:1", "app:2")
    assert rows(found.layers) == [
        (digest("base"), "both", 100, "ADD rootfs"),
        *sorted([(digest("old"), "a", 20, "COPY . /app"), (digest("new"), "b", 50, "COPY . /app")]),
        (digest("extra"), "b", 3, "RUN make"),
    ]
    assert (found.size_before, found.size_after) == (120 + CONFIG_SIZE, 153 + CONFIG_SIZE)
    assert found.shared_bytes == 100


def test_an_image_is_named_by_tag_or_digest() -> None:
    snap = two_builds()
    for name in (f"app@{digest('2')}", digest("2"), "other:1", "other"):
        assert diff(snap, "app:1", name).b == digest("2")


@pytest.mark.parametrize("name", ["app:3", "app", "app:*", "nothing:1"])
def test_a_name_of_no_image_or_of_several_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        diff(two_builds(), "app:1", name)


def indexes() -> Snapshot:
    """Two builds for two platforms each, and an image for one."""
    made = Registry()
    for build in ("1", "2"):
        children = [
            made.image(f"amd {build}", ["base", f"amd layer {build}"]),
            made.image(f"arm {build}", ["base", f"arm layer {build}"], platform="linux/arm64/v8"),
        ]
        for child in children:
            made.place("app", child)
        made.index(f"index {build}", children, f"app:{build}")
    made.image("alone", ["base"], "app:arm", platform="linux/arm64/v8")
    made.image("s390x", ["base"], "app:s390x", platform="linux/s390x")
    return made.snapshot()


def test_of_several_platforms_the_one_that_is_asked_for_is_taken() -> None:
    snap = indexes()
    found = diff(snap, "app:1", "app:2", platform="linux/arm64")
    assert (found.a, found.b) == (digest("arm 1"), digest("arm 2"))
    assert found.platforms == ("linux/arm64/v8", "linux/arm64/v8")
    with pytest.raises(InvalidInput, match="no image for linux/s390x"):
        diff(snap, "app:1", "app:2", platform="linux/s390x")
    with pytest.raises(InvalidPlatform):
        diff(snap, "app:1", "app:2", platform="linux")


def test_a_platform_that_is_asked_for_may_take_an_image_for_an_older_one() -> None:
    made = Registry()
    children = [made.image(f"arm {name}", [f"layer {name}"], platform=f"linux/arm/{name}") for name in ("v5", "v6")]
    for child in children:
        made.place("app", child)
    made.index("index", children, "app:1")
    made.image("alone", ["base"], "app:arm", platform="linux/arm/v7")
    found = diff(made.snapshot(), "app:1", "app:arm", platform="linux/arm/v7")
    assert (found.a, found.b) == (digest("arm v6"), digest("alone"))


def test_of_several_platforms_the_one_that_both_have_is_taken() -> None:
    found = diff(indexes(), "app:1", "app:arm")
    assert (found.a, found.b) == (digest("arm 1"), digest("alone"))


def test_where_both_have_several_platforms_or_none_in_common_a_choice_is_asked_for() -> None:
    with pytest.raises(InvalidInput, match="both have linux/amd64, linux/arm64/v8"):
        diff(indexes(), "app:1", "app:2")
    with pytest.raises(InvalidInput, match="no platform in common"):
        diff(indexes(), "app:1", "app:s390x")


def test_two_images_of_one_platform_each_are_compared_whatever_these_are() -> None:
    found = diff(indexes(), "app:arm", "app:s390x")
    assert ("architecture", "arm64", "s390x") in rows(found.config)
    assert found.facts()["platform"] == "linux/arm64/v8 → linux/s390x"


def test_without_files_all_else_is_compared_and_a_note_says_so() -> None:
    whole = two_builds()
    unread = whole.unpacked[whole.unpacked["layer_digest"] != digest("extra")]
    found, full = (diff(snap, "app:1", "app:2") for snap in (dataclasses.replace(whole, unpacked=unread), whole))
    assert found.files.empty
    assert found.packages.empty
    assert any("were not read" in note for note in found.notes())
    assert full.notes() == []
    for name in ("config", "history", "layers"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(full, name))
    assert found.facts()["files"] == "–"


def test_columns_and_dtypes_are_those_that_are_promised_with_rows_and_without() -> None:
    answers = [
        diff(two_builds(), "app:1", "app:2"),
        diff(two_builds(), "app:1", "app:1"),
        diff(indexes(), "app:arm", "app:s390x"),
    ]
    for name, columns in PROMISED.items():
        tables = [getattr(answer, name) for answer in answers]
        for table in tables:
            assert {column: str(dtype) for column, dtype in table.dtypes.items()} == columns
            assert table.index.equals(pd.RangeIndex(len(table)))
            assert table.dtypes.to_dict() == tables[0].dtypes.to_dict()
        assert len(tables[0])


def test_no_table_is_changed_and_the_order_of_their_rows_does_not_matter() -> None:
    snap = two_builds()
    before = {name: table.copy(deep=True) for name, table in snap.tables.items()}
    others = {name: table.iloc[::-1].reset_index(drop=True) for name, table in snap.tables.items() if name != "files"}
    found, turned = diff(snap, "app:1", "app:2"), diff(dataclasses.replace(snap, **others), "app:1", "app:2")
    for name in PROMISED:
        pd.testing.assert_frame_equal(getattr(turned, name), getattr(found, name))
    for name, table in snap.tables.items():
        pd.testing.assert_frame_equal(table, before[name])


def test_the_answer_in_words_counts_what_changed() -> None:
    facts = diff(two_builds(), "app:1", "app:2").facts()
    assert facts["files"] == "1 added, 1 removed, 4 with other content, 1 with other attributes"
    assert facts["packages"] == "1 added, 1 removed, 2 upgraded, 1 changed"
    assert facts["layers"] == "1 shared (100 bytes), 1 only before, 2 only after"
    assert facts["size"] == "127 bytes → 160 bytes (+33 bytes)"
    assert diff(two_builds(), "app:1", "app:1").facts()["files"] == "no difference"


def test_the_answer_is_shown_with_what_a_stranger_wrote_escaped() -> None:
    made = FileRegistry()
    hostile = "<img src=x onerror=alert(1)>\x1b[31m"
    made.files("one", file(hostile, "a"))
    made.files("two", file("b"))
    made.image("1", ["one"], "app:1")
    made.image("2", ["two"], "app:2")
    found = diff(made.snapshot(), "app:1", "app:2")
    assert "&lt;img src" in found._repr_html_()
    assert "<img" not in found._repr_html_()
    assert "1 added, 1 removed" in repr(found)
    assert "\x1b" not in found._repr_html_() + repr(found)


def test_several_versions_of_one_name_are_compared_in_order() -> None:
    made = FileRegistry()
    versions = {"one": ["1.9.0", "2.0.0"], "two": ["1.10.0", "2.0.0", "3.0.0"]}
    for layer, found in versions.items():
        for n, version in enumerate(found):
            path, content = f"app{n}/node_modules/left/package.json", f'{{"name": "left", "version": "{version}"}}'
            made.files(f"{layer} {n}", file(path, content))
        made.image(layer, [f"{layer} {n}" for n in range(len(found))], f"app:{layer}")
    assert rows(diff(made.snapshot(), "app:one", "app:two").packages) == [
        ("npm", "left", "1.9.0", "1.10.0", "upgraded"),
        ("npm", "left", None, "3.0.0", "added"),
    ]


# Drawn

PATHS = ["a", "b", "a/c", "a/d", "a/c/e", "lib/apk/db/installed", "node_modules/n/package.json"]
ENTRY = st.one_of(
    st.builds(file, st.sampled_from(PATHS), st.sampled_from(["", "x", "yy"]), mode=st.sampled_from([0o644, 0o755]),
              uid=st.integers(0, 1), days=st.integers(0, 1), xattrs=st.sampled_from([None, '{"a": "Yg=="}'])),
    st.builds(file, st.just(PATHS[-2]), st.sampled_from(["P:a\nV:1\n\nP:b\nV:1\n", "P:a\nV:2\n", "P:c\nV:1_rc\n"])),
    st.builds(file, st.just(PATHS[-1]), st.sampled_from([f'{{"name": "n", "version": "{v}"}}' for v in ("1", "2")])),
    st.builds(directory, st.sampled_from(PATHS[:3])),
    st.builds(link, st.sampled_from(PATHS), st.sampled_from(["a", "b"])),
    st.builds(whiteout, st.sampled_from(PATHS)),
    st.builds(whiteout, st.just("a"), st.just("opaque")),
)  # fmt: skip
STEP = st.sampled_from(["RUN a", "RUN b", "COPY c /"])


@st.composite
def pairs(draw: st.DrawFn) -> Snapshot:
    """Two images, `i:a` and `i:b`, over a few layers with files."""
    made = FileRegistry(**{f"l{n}": draw(st.integers(0, 99)) for n in range(4)})
    for n in range(4):
        made.files(f"l{n}", *draw(st.lists(ENTRY, max_size=6, unique_by=lambda entry: entry["path"])))
    layers = st.lists(st.sampled_from(range(4)), max_size=4, unique=True)
    for image in ("a", "b"):
        made.image(
            image, [f"l{n}={draw(STEP)}" for n in draw(layers)], f"i:{image}", more_steps=draw(st.integers(0, 2))
        )
        for key in draw(st.sets(st.sampled_from("xy"))):
            made.rows["labels"].append((digest(image), "config", key, draw(st.sampled_from("12"))))
    return made.snapshot()


@settings(max_examples=8, deadline=None)
@given(pairs())
def test_an_image_differs_in_nothing_from_itself(snap: Snapshot) -> None:
    found = diff(snap, "i:a", "i:a")
    for name in ("files", "packages", "config", "history"):
        assert getattr(found, name).empty
    assert set(found.layers["held_by"]) <= {"both"}
    assert found.size_before == found.size_after


MIRRORED = {
    "added": "removed",
    "removed": "added",
    "upgraded": "downgraded",
    "downgraded": "upgraded",
    "a": "b",
    "b": "a",
}
SIDES = {"before": "after", "after": "before"}


def mirrored(name: str, table: pd.DataFrame) -> set[tuple[Any, ...]]:
    """The rows as they are where both images are exchanged."""
    seen = table.assign(**{column: table[column].astype(object).map(lambda cell: MIRRORED.get(cell, cell))
                           for column in ("change", "held_by") if column in table})  # fmt: skip
    if "growth" in seen:
        seen["growth"] = -seen["growth"]
    exchanged = {
        column: column.replace(side, SIDES[side]) for column in seen for side in SIDES if column.endswith(side)
    }
    plain = seen.rename(columns=exchanged)[list(table)]
    return set(rows(plain.drop(columns=["kind", "created_by"], errors="ignore")))


@settings(max_examples=12, deadline=None)
@given(pairs())
def test_exchanging_both_images_mirrors_the_answer(snap: Snapshot) -> None:
    there, back = diff(snap, "i:a", "i:b"), diff(snap, "i:b", "i:a")
    for name in PROMISED:
        table = getattr(back, name).drop(columns=["kind", "created_by"], errors="ignore")
        assert mirrored(name, getattr(there, name)) == set(rows(table))
    assert (there.size_before, there.shared_bytes) == (back.size_after, back.shared_bytes)


@settings(max_examples=15, deadline=None)
@given(pairs())
def test_the_changes_of_files_lead_from_one_image_to_the_other(snap: Snapshot) -> None:
    found = diff(snap, "i:a", "i:b").files
    before, after = (
        {row[0]: row[1:] for row in rows(final_files(snap, digest(image))[["path", *COMPARED]])} for image in "ab"
    )
    after_all = dict(before)
    for path, change, size_before, size_after, growth in rows(
        found[["path", "change", "size_before", "size_after", "growth"]]
    ):
        assert size_before == (before[path][1] if path in before else None)
        assert size_after == (after[path][1] if path in after else None)
        assert growth == (size_after or 0) - (size_before or 0)
        assert (change == "added") == (path not in before)
        assert (change == "removed") == (path not in after)
        if change == "removed":
            del after_all[path]
        else:
            assert before.get(path) != after[path]
            content = slice(0, COMPARED.index("mode"))
            assert (change == "attributes") == (path in before and before[path][content] == after[path][content])
            after_all[path] = after[path]
    assert after_all == after


@settings(max_examples=12, deadline=None)
@given(pairs())
def test_the_packages_before_with_their_changes_are_those_after(snap: Snapshot) -> None:
    def packages(image: str) -> set[tuple[str, str, str]]:
        visible = {(row[0], row[1]) for row in rows(final_files(snap, digest(image))[["layer_digest", "path"]])}
        return {row[2:5] for row in rows(snap.packages) if row[:2] in visible}

    found: Diff = diff(snap, "i:a", "i:b")
    table = rows(found.packages)
    gone = {(manager, name, before) for manager, name, before, _, _ in table if before}
    come = {(manager, name, after) for manager, name, _, after, _ in table if after}
    assert gone == packages("a") - packages("b")
    assert come == packages("b") - packages("a")
