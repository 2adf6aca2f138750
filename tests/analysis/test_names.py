"""What tags lead to, and what manifests are called."""

from __future__ import annotations

from hypothesis import given, settings

from regscope.analysis.names import image_names, tagged_manifests
from tests.lab.drawn_snapshots import Drawn, digest, registries
from tests.lab.snapshots import Registry


@settings(max_examples=25, deadline=None)
@given(registries())
def test_a_tag_leads_to_its_manifest_and_through_indexes_to_their_children(drawn: Drawn) -> None:
    expected = set()
    for (repository, tag), manifest in drawn.tags.items():
        todo, seen = [manifest], set()
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += drawn.children.get(name, [])
        expected |= {(repository, tag, digest(f"manifest {name}"), name == manifest) for name in seen}
    rows = list(tagged_manifests(drawn.snapshot()).itertuples(index=False, name=None))
    assert set(rows) == expected
    assert rows == sorted(rows)
    assert len(rows) == len(expected)


def test_a_name_is_direct_before_it_is_first() -> None:
    made = Registry()
    image = made.image("image", ["layer"], "z:own", "z:second")
    made.index("index", [image], "a:1")
    made.place("a", image)
    assert image_names(made.snapshot()).to_dict() == {image: "z:own", digest("index"): "a:1"}


def test_nested_indexes_and_children_named_twice_or_missing_are_followed_once() -> None:
    made = Registry()
    image = made.image("image", ["layer"])
    inner = made.index("inner", [image, image, digest("not there")])
    made.index("outer", [inner, image], "r:1")
    made.place("r", image)
    made.place("r", inner)
    table = tagged_manifests(made.snapshot())
    assert sorted(table["digest"]) == sorted([image, inner, digest("outer")])
    assert table.set_index("digest")["is_direct"].to_dict() == {image: False, inner: False, digest("outer"): True}


def test_an_index_that_names_itself_is_no_endless_loop() -> None:
    made = Registry()
    made.index("one", [digest("two")], "r:1")
    made.place("r", made.index("two", [digest("one")]))
    assert len(tagged_manifests(made.snapshot())) == 2


def test_a_child_that_its_repository_does_not_keep_is_not_led_to() -> None:
    made = Registry()
    image = made.image("image", ["layer"], "other:1")
    made.index("index", [image], "r:1")
    assert image_names(made.snapshot()).to_dict() == {image: "other:1", digest("index"): "r:1"}


def test_tags_without_a_manifest_and_tags_about_another_one_name_nothing() -> None:
    made = Registry()
    image = made.image("image", ["layer"], "r:1")
    signature = made.image("signature", ["payload"], kind="artifact")
    made.place("r", signature, "referrer")
    made.rows["tags"] += [
        ("r", image.replace(":", "-") + ".sig", signature, image, None, None),
        ("r", "lost", digest("lost"), None, None, None),
    ]
    made.rows["referrers"].append((image, signature, None, "cosign tag"))
    assert image_names(made.snapshot()).to_dict() == {image: "r:1"}


def test_a_tag_about_a_manifest_that_is_gone_is_a_name_like_another() -> None:
    made = Registry()
    signature = made.image("signature", ["payload"], kind="artifact")
    made.place("r", signature, "tag")
    made.rows["tags"].append(("r", "sha256-gone.sig", signature, digest("gone"), None, None))
    assert image_names(made.snapshot()).to_dict() == {signature: "r:sha256-gone.sig"}
