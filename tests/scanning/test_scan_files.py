from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import zstandard

from regscope.analysis.risky_files import secrets
from regscope.errors import InvalidInput, StoreError
from regscope.file_rows import FileRows, FilesOnDisk
from regscope.layers.budget import BOUNDS, Bound
from regscope.layers.entry_rows import entry_rows
from regscope.layers.tar_entries import Batch
from regscope.scanning import files, read_layer
from regscope.scanning.files import scan_files
from regscope.scanning.metadata import scan
from regscope.schema import TABLES
from regscope.spec.digest import Digest
from regscope.spec.media_types import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from regscope.stores.content_store import ContentStore
from regscope.stores.digest_cache import DigestCache
from regscope.stores.layout_writer import Layer, LayoutWriter, tar_of
from regscope.stores.open_store import open as open_store
from regscope.tables import Snapshot
from tests.lab.tars import END, entry, header, pax
from tests.layers.plain_reader import with_files
from tests.servers.faults import corrupt_body, cut_body
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry

TAR = tar_of({"etc/passwd": b"root:x:0:0\n", "usr/bin/tool": b"\x7fELF" * 100})


def image(folder: Path, *layers: tuple[bytes, str, bytes], name: str = "app:1") -> ContentStore:
    """A layout with one image, of layers as (content, media type, tar)."""
    with LayoutWriter(folder) as writer:
        made = [
            Layer(writer.blob(content, kind), Digest.of(tar), f"step {n}")
            for n, (content, kind, tar) in enumerate(layers)
        ]
        writer.tag(name, writer.image(made, created="2024-01-01T00:00:00Z"))
    return open_store(f"oci:{folder}", cache=False)


def gzipped(tar: bytes = TAR) -> tuple[bytes, str, bytes]:
    return gzip.compress(tar, mtime=0), OCI_LAYER_GZIP, tar


def read(store: ContentStore) -> Snapshot:
    return scan_files(scan(store), store)


def assert_same(found: Snapshot, expected: Snapshot) -> None:
    for name, table in expected.tables.items():
        pd.testing.assert_frame_equal(found.tables[name], table, check_categorical=False)


def problem(store: ContentStore) -> str:
    """The only thing that could not be read."""
    snap = read(store)
    assert list(snap.problems["what"]) == ["files"]
    assert len(snap.unpacked) == len(snap.files) == 0
    return str(snap.problems["error"][0])


def test_the_files_of_every_layer_are_those_that_a_plain_reader_finds(registry: Registry) -> None:
    store = open_store(registry.url, cache=False)
    snap = scan(store)
    found, expected = scan_files(snap, store), with_files(store, snap)
    assert not len(found.problems)
    order = ["layer_digest", "position"]
    columns = [column.name for column in TABLES["files"] if column.name not in ("magic", "secret")]
    a, b = (table.files.astype({"layer_digest": "str"}).sort_values(order)[columns] for table in (found, expected))
    pd.testing.assert_frame_equal(a.reset_index(drop=True), b.reset_index(drop=True), check_categorical=False)
    assert set(found.unpacked.itertuples(index=False)) == set(expected.unpacked.itertuples(index=False))


@pytest.mark.parametrize("where", ["layout", "registry", "archive"])
def test_layers_are_read_from_any_store(where: str, layout: Path, registry: Registry, tmp_path: Path) -> None:
    import regscope as rs

    if where == "archive":
        rs.copy(f"oci:{layout}", ["app:1.0", "app:1.1"], f"docker-archive:{tmp_path / 'saved.tar'}")
    location = {"layout": f"oci:{layout}", "registry": registry.url, "archive": f"docker-archive:{tmp_path}/saved.tar"}
    snap = read(open_store(location[where]))
    assert {"bin/tool-3", "srv/app.py"} <= set(snap.files["path"])


SKIPPABLE = b"\x50\x2a\x4d\x18\4\0\0\0abcd"
COMPRESSED: dict[str, Callable[[bytes], tuple[bytes, str]]] = {
    "gzip": lambda tar: (gzip.compress(tar), OCI_LAYER_GZIP),
    "two gzip members": lambda tar: (gzip.compress(tar[:700]) + gzip.compress(tar[700:]), OCI_LAYER_GZIP),
    "gzip, then zeros": lambda tar: (gzip.compress(tar) + bytes(2000), OCI_LAYER_GZIP),
    "gzip, then garbage": lambda tar: (gzip.compress(tar) + b"garbage", OCI_LAYER_GZIP),
    "zstd": lambda tar: (zstandard.compress(tar), OCI_LAYER_ZSTD),
    "two zstd frames": lambda tar: (zstandard.compress(tar[:700]) + zstandard.compress(tar[700:]), OCI_LAYER_ZSTD),
    "zstd, a skippable frame first": lambda tar: (
        b"\x50\x2a\x4d\x18\4\0\0\0abcd" + zstandard.compress(tar),
        OCI_LAYER_ZSTD,
    ),
    "a plain tar": lambda tar: (tar, OCI_LAYER),
    "gzip that is said to be a plain tar": lambda tar: (gzip.compress(tar), OCI_LAYER),
}


@pytest.mark.parametrize("compress", COMPRESSED.values(), ids=COMPRESSED.keys())
def test_any_compression_gives_the_same_rows(compress: Callable[[bytes], tuple[bytes, str]], tmp_path: Path) -> None:
    content, media_type = compress(TAR)
    snap = read(image(tmp_path / "layout", (content, media_type, TAR)))
    assert list(snap.files["path"]) == ["etc", "usr", "usr/bin", "etc/passwd", "usr/bin/tool"]
    unpacked = snap.unpacked.iloc[0]
    assert (unpacked["size"], unpacked["tar_size"], unpacked["diff_id"]) == (len(content), len(TAR), Digest.of(TAR))
    assert unpacked["compression"] == ("zstd" if media_type == OCI_LAYER_ZSTD else "none" if content == TAR else "gzip")


@pytest.mark.parametrize("tar", [b"", END, bytes(10240)], ids=["nothing", "an end", "an end filled up"])
def test_an_empty_layer_has_no_rows_and_is_no_problem(tar: bytes, tmp_path: Path) -> None:
    snap = read(image(tmp_path / "layout", gzipped(tar)))
    assert (len(snap.files), len(snap.unpacked), len(snap.problems)) == (0, 1, 0)
    assert list(snap.files.columns) == [column.name for column in TABLES["files"]]


def test_packages_and_what_the_content_is_are_seen_on_the_way(tmp_path: Path) -> None:
    status = b"Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2+b7\n\n"
    key = subprocess.run(["openssl", "genrsa"], capture_output=True, check=True).stdout
    tar = tar_of({"var/lib/dpkg/status": status, "root/.ssh/id_rsa": key, "bin/sh": b"#!/bin/true\n"})
    snap = read(image(tmp_path / "layout", gzipped(tar)))
    assert list(snap.packages.iloc[0])[1:] == ["var/lib/dpkg/status", "dpkg", "bash", "5.2.15-2+b7", "amd64"]
    by_path = snap.files.set_index("path")
    assert by_path["secret"].dropna().to_dict() == {"root/.ssh/id_rsa": "private key"}
    assert by_path["magic"]["bin/sh"] == "script"


def test_a_layer_that_is_not_what_its_digest_says_is_a_problem(registry: Registry, proxy: FaultProxy) -> None:
    snap = scan(open_store(registry.url, cache=False), repositories="base")
    layer = str(snap.layers["blob_digest"][0])
    proxy.rule(corrupt_body(f"/blobs/{layer}"))
    found = scan_files(snap, open_store(proxy.url, cache=False))
    assert list(found.problems["reference"]) == [layer]
    assert len(found.files) == 0


def test_a_layer_that_breaks_off_is_resumed(registry: Registry, proxy: FaultProxy) -> None:
    snap = scan(open_store(registry.url, cache=False), repositories="base")
    proxy.rule(cut_body(f"/blobs/{snap.layers['blob_digest'][0]}", after=1000))
    assert len(scan_files(snap, open_store(proxy.url, cache=False)).problems) == 0


def test_a_diff_id_that_is_not_that_of_the_tar_is_a_problem(tmp_path: Path) -> None:
    said = problem(image(tmp_path / "layout", (gzip.compress(TAR), OCI_LAYER_GZIP, b"another tar")))
    assert str(Digest.of(b"another tar")) in said


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "cut short": (lambda: gzip.compress(os.urandom(5000) + TAR)[:-900], "ends too early"),
    "a damaged compression": (lambda: gzip.compress(TAR)[:60] + b"\xff" * 60, "damaged"),
    "a damaged sum": (lambda: gzip.compress(TAR)[:-6] + b"\0\0\0\0\0\0", "damaged"),
    "no tar": (lambda: gzip.compress(b"no tar at all " * 1000), "no tar"),
    "ends within a file": (lambda: gzip.compress(header("a", 5000) + bytes(512)), "no tar"),
    "a negative size": (lambda: gzip.compress(header("a", b"\xff" * 12) + END), "negative"),
    "a long name": (lambda: gzip.compress(header("x", b"\x80" + (10**10).to_bytes(11, "big"), b"L")), "name"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "said"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_read_is_a_problem_in_words(make: Callable[[], bytes], said: str, tmp_path: Path) -> None:
    content = make()
    assert said in problem(image(tmp_path / "layout", (content, OCI_LAYER_GZIP, TAR)))


def bomb(kind: str) -> tuple[bytes, str]:
    """Ten gigabytes of zeros in as little as the format can say them in."""
    if kind == "zstd":  # 128 KiB in four bytes, more than a compressor makes of them: RFC 8878, 3.1.1.2
        block = 2**17 << 3 | 1 << 1
        repeated = block.to_bytes(3, "little") + b"\0"
        last = (block | 1).to_bytes(3, "little") + b"\0"
        return b"\x28\xb5\x2f\xfd\x00\x38" + repeated * (10 * 2**13 - 1) + last, OCI_LAYER_ZSTD
    member = gzip.compress(bytes(2**26), 9)
    return member * 160, OCI_LAYER_GZIP


@pytest.mark.parametrize("kind", ["zstd", "gzip"])
def test_a_bomb_is_left_alone_in_little_memory(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BOUNDS, "unpacked", Bound("bytes of tar", 2**28, 1))
    content, media_type = bomb(kind)
    file = header("zeros", b"\x80" + (10 * 2**30).to_bytes(11, "big"))
    started = gzip.compress(file) if kind == "gzip" else zstandard.compress(file)
    store = image(tmp_path / "layout", (started + content, media_type, b""))
    assert "bytes of tar" in problem(store)


def test_a_fault_of_ours_costs_one_layer_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = entry("bad", b"x" * 700) + END

    def broken(batch: Batch, first: int) -> pa.Table:
        if any(row[1] == "bad" for row in batch.rows):
            raise LookupError("a header\x1b[2J of the layer")
        return entry_rows(batch, first)

    monkeypatch.setattr(read_layer, "entry_rows", broken)
    snap = read(image(tmp_path / "layout", gzipped(bad), gzipped()))
    assert len(snap.files) == 5
    assert list(snap.problems["error"]) == ["the layer was not read: unexpected LookupError: a header [2J of the layer"]
    assert len(secrets(snap)) == 0


def test_what_raised_other_errors_once_is_a_problem_or_rows(tmp_path: Path) -> None:
    tars = {
        "ends within a sparse map": header("s", 0, b"S", magic=b"ustar  \0", extended=b"\1", real=b"00000000000\0"),
        "a number with two signs": pax(("size", b"--5")) + entry("a") + END,
        "an owner of no entry": pax(("uid", b"5")) + header("a", flag=b"V") + END,
    }
    layers = [gzipped(tar) for tar in tars.values()]
    snap = read(image(tmp_path / "layout", *layers, gzipped()))
    assert len(snap.problems) == 2
    assert len(snap.unpacked) == 2
    assert not snap.problems["error"].str.contains("unexpected").any()


def test_a_directory_of_old_tars_hides_no_file_after_it(tmp_path: Path) -> None:
    key = b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(bytes(range(150))) + b"\n"
    tar = header("d/", 1024, b"\0", magic=b"") + entry("root/.ssh/id_rsa", key) + END
    snap = read(image(tmp_path / "layout", gzipped(tar)))
    assert secrets(snap)["path"].tolist() == ["root/.ssh/id_rsa"]


def test_one_bad_layer_does_not_hide_the_others(tmp_path: Path) -> None:
    snap = read(image(tmp_path / "layout", (b"\x1f\x8bnonsense", OCI_LAYER_GZIP, b""), gzipped()))
    assert len(snap.files) == 5
    assert list(snap.problems["what"]) == ["files"]
    assert any("1 of 2 layers" in note for note in snap.notes())


def test_attestations_and_artifacts_are_left_out_and_that_is_said(layout: Path) -> None:
    snap = read(open_store(f"oci:{layout}", cache=False))
    file_systems = snap.layers.loc[snap.layers["media_type"].str.contains("tar"), "blob_digest"]
    assert set(snap.unpacked["layer_digest"]) == set(file_systems)
    assert len(snap.problems) == 0
    assert any("are no file systems" in note for note in snap.notes())


def test_whoever_watches_is_told_of_each_layer(layout: Path) -> None:
    store = open_store(f"oci:{layout}", cache=False)
    told: list[tuple[int, int]] = []
    snap = scan_files(scan(store), store, watch=lambda done, total: told.append((done, total)))
    assert len(told) == len(snap.unpacked)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    sizes = snap.layers.drop_duplicates("blob_digest").set_index("blob_digest")["size"]
    assert told[-1] == (sizes[snap.unpacked["layer_digest"]].sum(),) * 2


def test_images_can_be_chosen_by_name_glob_and_digest(layout: Path) -> None:
    store = open_store(f"oci:{layout}")
    snap = scan(store)
    worker = snap.tags.loc[snap.tags["repository"] == "team/worker", "digest"].iloc[0]
    for images in ("team/worker:2.0", "team/w*", f"team/worker@{worker}", worker, ["team/worker"]):
        assert len(scan_files(snap, store, images=images).unpacked) == 4
    assert len(scan_files(snap, store, images="team/api:1.0").unpacked) == 3  # through the index
    with pytest.raises(InvalidInput, match="matches nothing"):
        scan_files(snap, store, images="nobody:1")


def test_a_second_scan_opens_no_layer(layout: Path, registry: Registry, proxy: FaultProxy, tmp_path: Path) -> None:
    store = open_store(proxy.url, cache=DigestCache(tmp_path / "cache"))
    snap = scan(store)
    first = scan_files(snap, store)
    proxy.requests.clear()
    assert_same(scan_files(snap, store), first)
    assert proxy.requests == []


def test_a_cache_that_is_given_is_the_one_that_is_used(layout: Path, tmp_path: Path, cache_folder: Path) -> None:
    store, cache = open_store(f"oci:{layout}", cache=False), DigestCache(tmp_path / "given")
    found = scan_files(scan(store), store, cache=cache)
    assert len(cache) == len(found.unpacked) > 0
    assert not cache_folder.exists()


@pytest.mark.parametrize("planted", [b"", b"PAR1", b"PAR1" * 100, b"{}"])
def test_what_is_not_our_own_in_the_cache_is_read_again(planted: bytes, layout: Path, tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "cache")
    store = open_store(f"oci:{layout}", cache=cache)
    snap = scan(store)
    first = scan_files(snap, store)
    for key in list(cache._cache):
        if "files " in key:
            cache._cache[key] = hashlib.sha256(planted).digest() + planted
    assert_same(scan_files(snap, store), first)


@pytest.mark.parametrize("pool", ["threads", "processes", "dask"])
def test_any_executor_gives_the_same_tables(layout: Path, pool: str, tmp_path: Path) -> None:
    store = open_store(f"oci:{layout}", cache=DigestCache(tmp_path / "cache"))
    snap = scan(store)
    expected = scan_files(snap, open_store(f"oci:{layout}", cache=False))
    if pool == "threads":
        with ThreadPoolExecutor(3) as executor:
            assert_same(scan_files(snap, store, executor=executor), expected)
    elif pool == "processes":
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
            assert_same(scan_files(snap, store, executor=executor), expected)
    else:
        distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
        options = {"dashboard_address": None, "n_workers": 2, "threads_per_worker": 2, "processes": False}
        with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
            assert_same(scan_files(snap, store, executor=client.get_executor()), expected)


def test_files_can_go_to_a_folder_and_read_the_same(layout: Path, tmp_path: Path) -> None:
    store = open_store(f"oci:{layout}")
    snap = scan(store)
    in_memory, on_disk = scan_files(snap, store), scan_files(snap, store, into=tmp_path / "files")
    assert isinstance(on_disk.files, FilesOnDisk)
    assert len(on_disk.files) == len(in_memory.files)
    layers = list(in_memory.unpacked["layer_digest"])
    pd.testing.assert_frame_equal(
        on_disk.files.frame([layer for layer in layers if layer in on_disk.files.groups]), in_memory.files,
        check_categorical=False,
    )  # fmt: skip
    columns = ["path", "size"]
    for layer in layers:
        a, b = FileRows(on_disk.files, columns).of(layer), FileRows(in_memory.files, columns).of(layer)
        pd.testing.assert_frame_equal(a, b.reset_index(drop=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Dask, about what it does with pandas
        assert len(on_disk.files.to_dask().compute()) == len(in_memory.files)
    with pytest.raises(StoreError, match="not empty"):
        scan_files(snap, store, into=tmp_path / "files")


def test_too_many_rows_for_memory_go_to_a_folder_that_is_gone_when_nobody_wants_it(
    layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_MOST_IN_MEMORY", 10)
    store = open_store(f"oci:{layout}")
    snap = scan_files(scan(store), store)
    assert isinstance(snap.files, FilesOnDisk)
    folder = snap.files.folder
    saved = Snapshot.load(snap.save(tmp_path / "saved"))
    assert len(saved.files) == len(snap.files) > 10
    snap = replace(snap, files=saved.files)
    assert not folder.exists()
    assert isinstance(saved.files, FilesOnDisk)
    assert saved.files.folder == tmp_path / "saved" / "files"


def test_a_folder_that_was_named_stays_wherever_it_is(
    layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = open_store(f"oci:{layout}")
    snap = scan_files(scan(store), store, into=tmp_path / "files")
    rows = len(snap.files)
    del snap
    assert len(FilesOnDisk(tmp_path / "files")) == rows


def test_a_snapshot_with_files_is_saved_and_loaded(layout: Path, tmp_path: Path) -> None:
    snap = read(open_store(f"oci:{layout}"))
    assert_same(Snapshot.load(snap.save(tmp_path / "saved")), snap)


def test_a_damaged_file_of_the_folder_is_said_to_be_damaged(layout: Path, tmp_path: Path) -> None:
    store = open_store(f"oci:{layout}")
    snap = scan_files(scan(store), store, into=tmp_path / "files")
    part = next((tmp_path / "files").iterdir())
    part.write_bytes(part.read_bytes()[:-50])
    assert isinstance(snap.files, FilesOnDisk)
    with pytest.raises(StoreError, match="damaged"):
        FilesOnDisk(tmp_path / "files").head()


def test_an_interrupted_scan_keeps_what_it_has_read(tmp_path: Path) -> None:
    layers = [gzipped(tar_of({f"file-{number}": os.urandom(2**20)})) for number in range(60)]
    image(tmp_path / "layout", *layers)
    code = (
        "import regscope as rs, sys\n"
        "store = rs.open(sys.argv[1]); snap = rs.scan(store); print('begun', flush=True)\n"
        "for _ in range(100): rs.scan_files(snap, store)\n"
    )
    environment = {**os.environ, "REGSCOPE_CACHE_DIR": str(tmp_path / "cache")}
    scanning = subprocess.Popen(
        [sys.executable, "-c", code, f"oci:{tmp_path / 'layout'}"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert scanning.stdout is not None
    assert scanning.stdout.readline() == "begun\n"
    cache = DigestCache(tmp_path / "cache")
    until = time.monotonic() + 60
    while not any("files " in key for key in cache._cache):
        assert time.monotonic() < until
    scanning.send_signal(signal.SIGINT)
    _, said = scanning.communicate(timeout=60)
    assert "KeyboardInterrupt" in said
    assert len(read(open_store(f"oci:{tmp_path / 'layout'}", cache=cache)).unpacked) == 60


def test_progress_shows_only_when_asked_for(layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(f"oci:{layout}", cache=False)
    snap = scan(store)
    scan_files(snap, store)
    assert capsys.readouterr().err == ""
    scan_files(snap, store, progress=True)
    assert "files" in capsys.readouterr().err


def test_a_layer_that_two_images_have_is_read_once(layout: Path, registry: Registry, proxy: FaultProxy) -> None:
    snap = scan(open_store(registry.url, cache=False))
    scan_files(snap, open_store(proxy.url, cache=False))
    asked = [request.path.rpartition("/")[2] for request in proxy.requests if "/blobs/" in request.path]
    assert len(asked) == len(set(asked)) > 5


def test_a_long_tar_is_read_in_pieces_by_several_threads(tmp_path: Path) -> None:
    content = os.urandom(5 * 2**20)
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for number in range(6):
            made = tarfile.TarInfo(f"file-{number}")
            made.size = len(content)
            archive.addfile(made, io.BytesIO(content))
    snap = read(image(tmp_path / "layout", gzipped(written.getvalue())))
    assert list(snap.files["sha256"]) == [hashlib.sha256(content).hexdigest()] * 6


def test_entries_beyond_one_batch_keep_their_order(tmp_path: Path) -> None:
    tar = b"".join(entry(f"f{number}") for number in range(20_000)) + END
    snap = read(image(tmp_path / "layout", gzipped(tar)))
    assert list(snap.files["path"]) == [f"f{number}" for number in range(20_000)]
    assert list(snap.files["position"]) == list(range(20_000))
