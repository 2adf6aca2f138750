"""The metadata scan: what it asks for, what it survives, and where it runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from regscope.errors import ContentMissing, InvalidPlatform, RegscopeError, ResourceNotFound, Unsupported
from regscope.scanning.metadata import scan
from regscope.schema import BLOCKING, TABLES
from regscope.spec.descriptor import Descriptor
from regscope.spec.media_types import DOCKER_FOREIGN_LAYER
from regscope.spec.platform import Platform
from regscope.stores.digest_cache import DigestCache
from regscope.stores.layout_writer import LayoutWriter, tar_of
from regscope.stores.open_store import open as open_store
from regscope.tables import Snapshot
from tests.lab.images import TAGS
from tests.servers.faults import corrupt_body, cut_body, refuse, replace_body
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest
from tests.servers.registry import Registry

CREATED = "2024-01-01T00:00:00Z"


def assert_same(a: Snapshot, b: Snapshot) -> None:
    for name, table in a.tables.items():
        pd.testing.assert_frame_equal(table, b.tables[name], check_categorical=False)


@pytest.fixture(scope="module")
def from_layout(layout: Path) -> Snapshot:
    return scan(open_store(f"oci:{layout}"))


def test_every_table_is_there_with_its_columns(from_layout: Snapshot) -> None:
    for name, columns in TABLES.items():
        table = from_layout.tables[name]
        assert table.columns.tolist() == [column.name for column in columns]
        assert [str(dtype) for dtype in table.dtypes] == [column.dtype for column in columns]


def test_all_repositories_and_tags_are_found(from_layout: Snapshot) -> None:
    found = from_layout.tags[from_layout.tags["subject"].isna()]
    assert {
        name: tags.tolist() for name, tags in found.groupby("repository", observed=True)["tag"]
    } == TAGS  # sorted within a repository


def test_indexes_are_followed_and_attestations_are_told_from_images(
    from_layout: Snapshot, images: dict[str, Descriptor]
) -> None:
    of_api = from_layout.platforms[from_layout.platforms["index_digest"] == images["team/api:1.0"].digest]
    assert of_api["is_attestation"].tolist() == [False, False, True]
    assert of_api["variant"].tolist()[1] == "v8"
    kinds = from_layout.manifests.set_index(from_layout.manifests["digest"].astype("str"))["kind"]
    assert kinds[of_api["digest"].astype("str")].tolist() == ["image", "image", "artifact"]


def test_referrers_are_found_by_fallback_tag_cosign_tag_and_attestation(
    registry: Registry, images: dict[str, Descriptor]
) -> None:
    snap = scan(open_store(registry.url))
    of_app = snap.referrers[snap.referrers["subject"] == images["app:1.0"].digest]
    assert set(of_app["digest"]) == {
        images["sbom"].digest,
        images[f"app:{str(images['app:1.0'].digest).replace(':', '-')}.sig"].digest,
    }
    assert of_app.set_index("digest")["artifact_type"].to_dict()[images["sbom"].digest] == "application/spdx+json"
    assert (snap.referrers["found"] == "attestation").sum() == 2


def test_labels_and_annotations_keep_their_source(from_layout: Snapshot, images: dict[str, Descriptor]) -> None:
    labels = from_layout.labels[from_layout.labels["digest"] == images["app:1.0"].digest]
    found = dict(zip(zip(labels["source"], labels["key"], strict=True), labels["value"], strict=True))
    assert found["config", "team"] == "web <b>&</b> mobile"
    assert found["annotation", "org.opencontainers.image.source"] == "https://example.com/app"


def test_a_second_scan_asks_each_tag_once_and_fetches_nothing_again(registry: Registry, tmp_path: Path) -> None:
    store = open_store(registry.url, cache=DigestCache(tmp_path / "cache"))
    first = scan(store)
    before = len(registry.requests())
    second = scan(store)
    asked = Counter(f"{line.split()[0]} {kind(line)} {line.split()[2]}" for line in registry.requests()[before:])
    assert_same(first, second)
    assert asked == {
        "GET manifests 304": len(first.tags),
        "GET tags 200": first.tags["repository"].nunique(),
        "GET _catalog 200": 1,
    }


def kind(line: str) -> str:
    parts = line.split()[1].partition("?")[0].split("/")
    return next(part for part in ("manifests", "blobs", "tags", "_catalog", "referrers") if part in parts)


def test_a_first_scan_fetches_each_tag_and_each_config_once(registry: Registry, tmp_path: Path) -> None:
    before = len(registry.requests())
    snap = scan(open_store(registry.url, cache=DigestCache(tmp_path / "cache")))
    asked = Counter(line.split()[0] + " " + kind(line) for line in registry.requests()[before:])
    images = snap.manifests["kind"].isin(["image"]).sum()
    assert "HEAD manifests" not in asked
    assert images <= asked["GET blobs"] <= images + 3  # two tags on one image may race for its config


def test_without_a_cache_the_tables_are_the_same(registry: Registry) -> None:
    assert_same(scan(open_store(registry.url, cache=False)), scan(open_store(registry.url)))


@pytest.mark.parametrize("pool", ["threads", "processes", "dask"])
def test_any_executor_gives_the_same_tables(registry: Registry, pool: str) -> None:
    expected = scan(open_store(registry.url))
    store = open_store(registry.url)
    if pool == "threads":
        with ThreadPoolExecutor(2) as executor:
            assert_same(scan(store, executor=executor), expected)
    elif pool == "processes":
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
            assert_same(scan(store, executor=executor), expected)
    else:
        distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
        options = {"dashboard_address": None, "n_workers": 2, "threads_per_worker": 2, "processes": False}
        with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
            assert_same(scan(store, executor=client.get_executor()), expected)


def test_repositories_can_be_named_without_a_catalog(registry: Registry, proxy: FaultProxy) -> None:
    proxy.rule(refuse("_catalog", 404, "NOT_FOUND", "no catalog here"))
    with pytest.raises(Unsupported, match="does not list its repositories"):
        scan(open_store(proxy.url))
    snap = scan(open_store(proxy.url), repositories=["base", "team/api"])
    assert sorted(snap.tags["repository"].unique()) == ["base", "team/api"]
    assert snap.filtered == ("repositories",)
    assert not snap.sees_everything


def test_globs_choose_repositories_and_tags(layout: Path) -> None:
    snap = scan(open_store(f"oci:{layout}"), repositories="team/*", tags=["1.*", "nope"])
    assert snap.tags[["repository", "tag"]].to_numpy().tolist() == [["team/api", "1.0"]]


def test_platforms_choose_children_of_indexes(layout: Path) -> None:
    snap = scan(open_store(f"oci:{layout}"), repositories="team/api", platforms="linux/arm64")
    assert snap.manifests.loc[snap.manifests["kind"] == "image", "architecture"].unique().tolist() == ["arm64"]
    with pytest.raises(InvalidPlatform):
        scan(open_store(f"oci:{layout}"), platforms="linux")


@pytest.mark.parametrize(
    ("offered", "wanted", "taken"),
    [
        (["linux/arm/v5", "linux/arm/v7"], "linux/arm", ["v7"]),
        (["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", ["v6"]),
        (["linux/amd64/v2", "linux/amd64"], "linux/x86_64", [None]),
        (["linux/arm64", "linux/amd64"], ["linux/arm64/v8", "amd64"], [None, None]),
        (["linux/arm/v5", "linux/arm/v7"], ["linux/arm/v5", "linux/arm/v7"], ["v5", "v7"]),
    ],
)
def test_for_each_platform_the_best_child_is_followed(
    tmp_path: Path, offered: list[str], wanted: str | list[str], taken: list[str | None]
) -> None:
    snap = scan(open_store(index_for(tmp_path, offered)), platforms=wanted)
    images = snap.manifests[snap.manifests["kind"] == "image"]
    variants = images["variant"].astype(object).where(images["variant"].notna(), None)
    assert sorted(variants, key=str) == taken
    assert snap.problems.empty


def test_an_index_without_the_wanted_platform_is_a_problem_and_no_empty_table(tmp_path: Path) -> None:
    snap = scan(open_store(index_for(tmp_path, ["linux/amd64", "linux/arm64/v8"])), platforms=["linux/s390x", "arm"])
    [problem] = snap.problems.to_dict("records")
    assert (problem["repository"], problem["reference"], problem["what"]) == ("app", "1", "platform")
    assert problem["error"] == (
        "the index has no image for linux/s390x, linux/arm, only for linux/amd64, linux/arm64/v8"
    )
    assert problem["what"] not in BLOCKING
    assert snap.manifests["kind"].tolist() == ["index"]


def test_an_index_of_referrers_is_not_missed_for_a_platform(layout: Path) -> None:
    snap = scan(open_store(f"oci:{layout}"), platforms="linux/amd64")
    assert snap.problems.empty
    assert any(tag.startswith("sha256-") for tag in snap.tags["tag"])


def index_for(folder: Path, platforms: list[str]) -> str:
    """The location of a layout with one index, `app:1`, of an image for each of the platforms."""
    with LayoutWriter(folder / "layout") as writer:
        parsed = [Platform.parse(text) for text in platforms]
        children = [
            writer.image([], created=CREATED, os=one.os, architecture=one.architecture, variant=one.variant)
            for one in parsed
        ]
        writer.tag("app:1", writer.index(children))
    return f"oci:{folder / 'layout'}"


def test_what_was_left_out_of_a_manifest_or_config_is_a_problem_and_the_rest_is_in_the_tables(tmp_path: Path) -> None:
    labels: dict[str, Any] = {"a": 1, "b": "c", "d": None}
    with LayoutWriter(tmp_path) as writer:
        image = writer.image([], created=CREATED, config={"Labels": labels}, annotations=labels)
        writer.tag("app:1", image)
    snap = scan(open_store(f"oci:{tmp_path}"))
    assert snap.problems[["repository", "reference", "what"]].to_numpy().tolist() == [
        ["app", "1", "config"],
        ["app", "1", "field"],
    ]
    assert "config.Labels.a: " in snap.problems["error"][0]
    assert "annotations.a: " in snap.problems["error"][1]
    assert not set(snap.problems["what"]) & set(BLOCKING)
    assert snap.labels[["source", "key", "value"]].to_numpy().tolist() == [
        ["config", "b", "c"],
        ["annotation", "b", "c"],
    ]
    assert snap.manifests["os"].tolist() == ["linux"]


def test_a_repository_that_was_named_must_be_there(registry: Registry, layout: Path) -> None:
    with pytest.raises(ResourceNotFound):
        scan(open_store(registry.url), repositories="nope")
    with pytest.raises(ContentMissing):
        scan(open_store(f"oci:{layout}"), repositories="nope")
    with pytest.raises(RegscopeError, match="no repository of"):
        scan(open_store(registry.url), repositories="nope*")


def test_one_corrupt_manifest_is_a_problem_and_the_rest_is_read(registry: Registry, proxy: FaultProxy) -> None:
    expected = scan(open_store(registry.url))
    proxy.rule(corrupt_body("/base/manifests/stable"))
    snap = scan(open_store(proxy.url))
    [problem] = snap.problems.to_dict("records")
    assert (problem["repository"], problem["reference"], problem["what"]) == ("base", "stable", "manifest")
    assert "hash to" in problem["error"]
    assert len(snap.tags) == len(expected.tags) - 1
    assert not snap.sees_everything


def test_a_config_that_is_not_json_is_a_problem_and_the_layers_are_still_there(
    own_layout: Path, images: dict[str, Descriptor]
) -> None:
    manifest = json.loads((own_layout / "blobs" / "sha256" / images["tool:nightly"].digest.encoded).read_bytes())
    damaged = own_layout / "blobs" / manifest["config"]["digest"].replace(":", "/")
    damaged.write_bytes(b"not json")
    snap = scan(open_store(f"oci:{own_layout}"))
    assert snap.problems["what"].tolist() == ["config"]
    assert len(snap.layers[snap.layers["digest"] == images["tool:nightly"].digest]) == 1


def test_a_child_that_is_missing_is_a_problem(own_layout: Path, images: dict[str, Descriptor]) -> None:
    index = json.loads((own_layout / "blobs" / "sha256" / images["team/api:2.0"].digest.encoded).read_bytes())
    missing = index["manifests"][1]["digest"]
    (own_layout / "blobs" / missing.replace(":", "/")).unlink()
    snap = scan(open_store(f"oci:{own_layout}"))
    assert snap.problems[["reference", "what"]].to_numpy().tolist() == [[missing, "missing manifest"]]
    assert missing not in set(snap.placements["digest"])
    assert missing in set(snap.platforms["digest"])


def test_a_connection_that_breaks_once_is_no_problem(registry: Registry, proxy: FaultProxy) -> None:
    proxy.rule(cut_body("/manifests/", after=20, times=2))
    snap = scan(open_store(proxy.url))
    assert snap.problems.empty
    assert_same(snap, scan(open_store(registry.url)))


def test_a_manifest_that_is_a_web_page_is_a_problem(proxy: FaultProxy) -> None:
    proxy.rule(replace_body("/base/manifests/", b"<html>moved</html>", content_type="text/html"))
    snap = scan(open_store(proxy.url), repositories="base")
    assert set(snap.problems["what"]) == {"manifest"}
    assert snap.tags.empty


def test_an_empty_layout_gives_empty_tables(tmp_path: Path) -> None:
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (tmp_path / "index.json").write_text('{"schemaVersion":2,"manifests":[]}')
    snap = scan(open_store(f"oci:{tmp_path}"))
    assert all(table.empty for table in snap.tables.values())
    assert "0" in repr(snap)


def test_a_progress_bar_shows_only_when_asked_for(layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan(open_store(f"oci:{layout}"))
    assert capsys.readouterr().err == ""
    scan(open_store(f"oci:{layout}"), progress=True)
    assert "scan" in capsys.readouterr().err


def test_an_interrupted_scan_leaves_a_whole_cache_to_go_on_from(registry: Registry, tmp_path: Path) -> None:
    fetched: list[str] = []
    go_on = threading.Event()

    def only_the_first(request: ProxyRequest, forward: Forward) -> None:
        if request.method == "GET" and "/manifests/" in request.path:
            fetched.append(request.path)
            if len(fetched) > 3:
                go_on.wait(30)

    with FaultProxy(registry.url) as proxy:
        proxy.rule(only_the_first)
        environment = {**os.environ, "REGSCOPE_CACHE_DIR": str(tmp_path / "kept")}
        scanning = subprocess.Popen(
            [sys.executable, "-m", "regscope", "scan", proxy.url],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background ignores it
        )
        wait_until(lambda: len(fetched) > 3)
        time.sleep(0.5)
        scanning.send_signal(signal.SIGINT)
        _, said = scanning.communicate(timeout=60)
        go_on.set()
    assert scanning.returncode == 130
    assert "Traceback" not in said
    assert "interrupted" in said
    cache = DigestCache(tmp_path / "kept")
    assert len(cache) > 0
    assert_same(scan(open_store(registry.url, cache=cache)), scan(open_store(registry.url, cache=False)))


def wait_until(condition: object, seconds: float = 30) -> None:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.skipif(not shutil.which("skopeo"), reason="needs skopeo to make schema 1 images")
def test_schema_1_images_are_read_with_their_sizes(layout: Path, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry:
        subprocess.run(
            ["skopeo", "--insecure-policy", "copy", "-q", "--format", "v2s1", "--dest-tls-verify=false",
             f"oci:{layout}:app:1.0", f"docker://{registry.host}/old:1"], check=True, timeout=60,
        )  # fmt: skip
        snap = scan(open_store(registry.url))
        on_disk = registry.blob_digests()
    assert snap.problems.empty, snap.problems.to_string()
    [manifest] = snap.manifests.to_dict("records")
    assert (manifest["kind"], manifest["architecture"], manifest["os"]) == ("schema1", "amd64", "linux")
    assert snap.layers["size"].tolist() == [on_disk[digest] for digest in snap.layers["blob_digest"]]
    assert "COPY app /srv # buildkit" in snap.history["created_by"].tolist()
    assert snap.history["step"].tolist() == list(range(len(snap.history)))


@pytest.mark.parametrize("foreign_first", [True, False])
def test_a_layer_that_one_image_has_from_elsewhere_and_another_here_is_here(
    tmp_path: Path, foreign_first: bool
) -> None:
    with LayoutWriter(tmp_path / "layout") as writer:
        layer = writer.layer(tar_of({"file": b"content"}), "COPY file /")
        elsewhere = layer._replace(
            descriptor=layer.descriptor.model_copy(
                update={"mediaType": DOCKER_FOREIGN_LAYER, "urls": ["https://example.com/layer"]}
            )
        )
        order = [elsewhere, layer] if foreign_first else [layer, elsewhere]
        for number, one in enumerate(order):
            writer.tag(f"r:{number}", writer.image([one], created=f"2024-01-0{number + 1}T00:00:00Z"))
    snap = scan(open_store(f"oci:{tmp_path / 'layout'}"))
    [blob] = snap.blobs[snap.blobs["digest"] == layer.descriptor.digest].to_dict("records")
    assert not blob["foreign"]
    assert blob["size"] == layer.descriptor.size
