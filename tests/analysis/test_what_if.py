"""`what_if` against plain sets, and its words."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regscope.analysis.sharing import sharing
from regscope.analysis.what_if import what_if
from regscope.errors import InvalidInput
from tests.lab.drawn_snapshots import Drawn, digest, registries


def example() -> Drawn:
    """An index of two images, one of them tagged as well; an SBOM on the other; a shared base layer."""
    return Drawn(
        sizes={"base": 1000, "amd": 100, "arm": 200, "sbom": 30, "other": 5},
        layers={"amd64": ["base", "amd"], "arm64": ["base", "arm"], "sbom": ["sbom"], "plain": ["base", "other"]},
        children={"index": ["amd64", "arm64"]},
        subjects={"sbom": "arm64"},
        tags={("app", "1"): "index", ("app", "amd"): "amd64", ("other", "x"): "plain", ("app", "same"): "index"},
    )


@settings(max_examples=150, deadline=None)
@given(registries(), st.data())
def test_any_set_of_deletions_frees_what_plain_sets_say(drawn: Drawn, data: st.DataObject) -> None:
    tags = data.draw(st.sets(st.sampled_from(sorted(drawn.tags))))
    nodes = data.draw(st.sets(st.sampled_from(sorted(drawn.placed())), max_size=3))
    if not tags and not nodes:
        return
    tags_on_nodes = {tag for tag, manifest in drawn.tags.items() if (tag[0], manifest) in nodes}
    wanted = [f"{repository}:{tag}" for repository, tag in tags]
    wanted += [f"{repository}@{digest(f'manifest {manifest}')}" for repository, manifest in nodes]
    answer = what_if(drawn.snapshot(), delete=wanted)
    freed, gone = drawn.freed(tags | tags_on_nodes, nodes)
    assert answer.freed_bytes == freed
    assert set(zip(answer.gone["repository"], answer.gone["digest"], strict=True)) == {
        (repository, digest(f"manifest {manifest}")) for repository, manifest in gone
    }
    assert answer.blobs["size"].sum() == freed


@settings(max_examples=40, deadline=None)
@given(registries())
def test_deleting_everything_frees_everything_but_what_stands_alone(drawn: Drawn) -> None:
    snap = drawn.snapshot()
    answer = what_if(snap, delete=["*"])
    assert answer.freed_bytes == snap.blobs["size"].sum()
    assert len(answer.gone) == len(snap.placements)
    assert answer.kept.empty


def test_two_tags_on_one_manifest_free_nothing_one_by_one_and_all_together() -> None:
    snap = example().snapshot()
    assert what_if(snap, delete="app:1").freed_bytes == 0
    assert what_if(snap, delete="app:same").freed_bytes == 0
    assert what_if(snap, delete=["app:1", "app:same"]).freed_bytes > 200


def test_an_index_takes_its_children_and_their_sboms_but_not_a_child_with_its_own_tag() -> None:
    answer = what_if(example().snapshot(), delete=["app:1", "app:same"])
    gone = set(answer.gone["digest"])
    assert gone == {digest(f"manifest {name}") for name in ("index", "arm64", "sbom")}
    assert digest("base") not in set(answer.blobs["digest"])


def test_a_child_of_an_index_that_stays_is_kept_and_the_reason_is_given() -> None:
    answer = what_if(example().snapshot(), delete=[digest("manifest arm64")])
    assert answer.freed_bytes == 0
    assert answer.gone.empty
    [reason] = answer.kept["reason"]
    assert reason == f"it is a child of the index {digest('manifest index')}, which stays"


def test_a_referrer_of_an_image_that_stays_is_kept() -> None:
    answer = what_if(example().snapshot(), delete=[digest("manifest sbom")])
    assert answer.gone.empty
    assert answer.kept["reason"].item() == f"it is attached to {digest('manifest arm64')}, which stays"


def test_a_tag_whose_manifest_another_tag_keeps_is_named_with_that_tag() -> None:
    answer = what_if(example().snapshot(), delete="app:1")
    assert answer.kept[["repository", "tag"]].to_numpy().tolist() == [["app", "1"]]
    assert answer.kept["reason"].item() == "the tag same stays, on the same manifest"


def test_a_digest_takes_all_of_its_tags_along() -> None:
    answer = what_if(example().snapshot(), delete=digest("manifest index"))
    assert answer.gone.set_index("digest")["tags"].to_dict()[digest("manifest index")] == "1, same"


def test_globs_name_repositories_and_tags() -> None:
    snap = example().snapshot()
    assert what_if(snap, delete="a*:*").freed_bytes == what_if(snap, delete="app").freed_bytes > 0


@pytest.mark.parametrize("wanted", ["nope", "app:nope", "app@" + digest("nope"), digest("nope"), "", ":", "@"])
def test_what_names_nothing_is_an_error_and_not_a_zero(wanted: str) -> None:
    with pytest.raises(InvalidInput, match="matches nothing"):
        what_if(example().snapshot(), delete=["app:1", wanted])


def test_where_untagged_manifests_cannot_be_seen_the_answer_is_an_upper_bound() -> None:
    snap = example().snapshot()
    snap = dataclasses.replace(snap, sees_untagged=False)
    answer = what_if(snap, delete="other")
    assert answer.at_most
    assert "at most" in repr(answer)
    assert "upper bound" in answer._repr_html_()
    assert not what_if(example().snapshot(), delete="other").at_most


def test_a_blob_that_lives_elsewhere_frees_nothing() -> None:
    snap = example().snapshot()
    before = what_if(snap, delete="other").freed_bytes
    snap.blobs["foreign"] = snap.blobs["digest"] == digest("other")
    assert what_if(snap, delete="other").freed_bytes == before - 5


def test_a_table_says_what_is_meant_by_its_columns() -> None:
    snap = example().snapshot()
    by_name = what_if(snap, delete=["app:1", "app:same"])
    assert what_if(snap, delete=pd.DataFrame({"repository": ["app", "app"], "tag": ["1", "same"]})).freed_bytes == (
        by_name.freed_bytes
    )
    by_digest = pd.DataFrame({"repository": ["app"], "digest": [digest("manifest index")]})
    assert what_if(snap, delete=by_digest).freed_bytes == by_name.freed_bytes
    assert what_if(snap, delete=sharing(snap).query("level == 'tag'")).freed_bytes == snap.blobs["size"].sum()
    assert what_if(snap, delete=by_digest.head(0)).freed_bytes == 0


def test_a_table_that_does_not_fit_is_an_error() -> None:
    snap = example().snapshot()
    with pytest.raises(InvalidInput, match="no tag 'nope'"):
        what_if(snap, delete=pd.DataFrame({"repository": ["app"], "tag": ["nope"]}))
    with pytest.raises(InvalidInput, match="does not select tags or manifests"):
        what_if(snap, delete=pd.DataFrame({"tag": ["1"]}))
