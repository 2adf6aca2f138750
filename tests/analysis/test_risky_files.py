"""`setuid` and `secrets`: where they are, and whether somebody thought that they were gone."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from regscope.analysis.risky_files import secrets, setuid
from tests.lab.drawn_file_snapshots import both_ways
from tests.lab.drawn_snapshots import digest
from tests.lab.file_snapshots import (
    Entry,
    FilesRegistry,
    directory,
    file,
    hardlink,
    opaque,
    sha256,
    symlink,
    whiteout,
)

KEY = file("root/.ssh/id_rsa", "the key itself", secret="private key")


def test_files_that_run_as_their_owner_or_group_are_named_with_their_layer() -> None:
    made = FilesRegistry()
    made.layer(
        "base", file("usr/bin/su", "su", mode=0o4755), file("usr/bin/wall", "wall", mode=0o2755, gid=5),
        file("usr/bin/ls", "ls", mode=0o1755), directory("var/mail", mode=0o2775),
        hardlink("su", "usr/bin/su", mode=0o4755),
    )  # fmt: skip
    made.image("one", ["base=RUN apt"], "r:1")
    with both_ways(made.snapshot()) as ways:
        for way in ways:
            table = setuid(way)
            assert table["path"].tolist() == ["su", "usr/bin/su", "usr/bin/wall"]
            assert table["mode"].tolist() == [0o4755, 0o4755, 0o2755]
            assert table["setuid"].tolist() == [True, True, False]
            assert table["setgid"].tolist() == [False, False, True]
            assert table["gid"].tolist() == [0, 0, 5]
            assert table[["layer_digest", "created_by"]].iloc[2].tolist() == [digest("base"), "RUN apt"]
            assert table["images"].tolist() == [1, 1, 1]


def xattrs(capability: bytes, name: str = "security.capability") -> str:
    return json.dumps({name: base64.b64encode(capability).decode()})


RAW = 1 << 13
CAPABILITIES = {
    "one, as ping has it": (struct.pack("<5I", 0x02000001, RAW, 0, 0, 0), "cap_net_raw=ep"),
    "not effective": (struct.pack("<5I", 0x02000000, RAW | 1 << 10, 0, 0, 0), "cap_net_bind_service,cap_net_raw=p"),
    "also inherited": (struct.pack("<5I", 0x02000001, RAW | 1, RAW, 0, 0), "cap_chown=ep cap_net_raw=eip"),
    "of the second word": (struct.pack("<5I", 0x02000001, 0, 0, 1 << 7, 0), "cap_bpf=ep"),
    "unknown to us": (struct.pack("<5I", 0x02000001, 0, 0, 1 << 31, 0), "63=ep"),
    "of a user namespace": (struct.pack("<6I", 0x03000001, RAW, 0, 0, 0, 1000), "cap_net_raw=ep"),
    "of the first revision": (struct.pack("<3I", 0x01000001, RAW, 0), "cap_net_raw=ep"),
    "cut short": (b"\1\0\0\2", "unreadable"),
    "of another revision": (struct.pack("<5I", 0x09000001, RAW, 0, 0, 0), "unreadable"),
    "no number": (b"cap", "unreadable"),
}


@pytest.mark.parametrize(("value", "said"), CAPABILITIES.values(), ids=CAPABILITIES.keys())
def test_files_with_capabilities_run_with_more_than_their_users_rights(value: bytes, said: str) -> None:
    made = FilesRegistry()
    made.layer(
        "base", file("bin/ping", "p", xattrs=xattrs(value)), file("bin/su", "su", mode=0o4755),
        file("bin/ls", "ls", xattrs=xattrs(b"x", "user.note")), directory("d", xattrs=xattrs(value)),
    )  # fmt: skip
    made.image("one", ["base"], "r:1")
    with both_ways(made.snapshot()) as ways:
        for way in ways:
            table = setuid(way)
            assert table["path"].tolist() == ["bin/ping", "bin/su"]
            assert table["capabilities"].isna().tolist() == [False, True]
            assert table["capabilities"][0] == said
            assert table["setuid"].tolist() == [False, True]


def test_an_attribute_that_gives_nothing_is_none() -> None:
    made = FilesRegistry()
    made.layer("base", file("bin/ping", "p", xattrs=xattrs(struct.pack("<5I", 0x02000000, 0, 0, 0, 0))))
    assert setuid(made.snapshot()).empty


def test_what_is_replaced_in_the_same_tar_runs_as_nobody() -> None:
    made = FilesRegistry()
    made.layer("base", file("su", "su", mode=0o4755), file("su", "su", mode=0o755))
    assert setuid(made.snapshot()).empty


def is_deleted(above: list[Entry], key: Entry = KEY) -> bool:
    """Whether the key of the lowest layer is deleted where this layer is the third, in memory and on disk alike."""
    made = FilesRegistry()
    made.layer("keys", directory("root"), key)
    made.layer("other", file("etc/motd", "hello"), directory("root"))
    made.layer("above", *above)
    made.image("one", ["keys=COPY . /", "other", "above"], "r:1")
    with both_ways(made.snapshot()) as ways:
        found = [secrets(way)["deleted"].tolist() for way in ways]
    assert found[0] == found[1]
    assert len(found[0]) == 1
    return bool(found[0][0])


@pytest.mark.parametrize(
    "above",
    [
        [whiteout("root/.ssh/id_rsa")],
        [whiteout("root/.ssh")],
        [whiteout("root")],
        [opaque("root/.ssh")],
        [opaque("root")],
        [opaque("")],
        [file("root/.ssh/id_rsa", "another")],
        [symlink("root/.ssh/id_rsa", "/dev/null")],
        [directory("root/.ssh/id_rsa")],
        [file("root/.ssh", "no directory any more")],
        [symlink("root", "home")],
    ],
)
def test_a_secret_that_a_later_layer_deletes_or_overwrites_is_served_nevertheless(above: list[Entry]) -> None:
    assert is_deleted(above)


@pytest.mark.parametrize(
    "above",
    [
        [],
        [whiteout("root/.ssh/id_rsa.pub")],
        [whiteout("oot")],
        [opaque("root/.ssh/id_rsa")],
        [opaque("etc")],
        [directory("root/.ssh"), directory("root")],
        [file("root/.ssh/known_hosts", "a")],
        [Entry("root", whiteout="ignored")],
        [Entry(KEY.path, mode=0o600, size=KEY.size, sha256=KEY.sha256)],
    ],
)
def test_a_secret_that_nothing_hides_is_not_deleted(above: list[Entry]) -> None:
    assert not is_deleted(above)


def test_a_secret_at_the_root_is_deleted_as_others_are() -> None:
    key = file("key", "k", secret="token")
    assert is_deleted([opaque("")], key)
    assert is_deleted([whiteout("key")], key)
    assert not is_deleted([whiteout("keys")], key)


def test_a_lower_layer_deletes_nothing_above_it() -> None:
    made = FilesRegistry()
    made.layer("below", whiteout("root"))
    made.layer("keys", KEY)
    made.image("one", ["below", "keys"], "r:1")
    assert not secrets(made.snapshot())["deleted"].any()


def test_a_layer_of_another_image_deletes_nothing() -> None:
    made = FilesRegistry()
    made.layer("keys", KEY)
    made.layer("above", whiteout("root"))
    made.image("one", ["keys"], "r:1")
    made.image("two", ["other", "above"], "r:2")
    assert not secrets(made.snapshot())["deleted"].any()
    made.image("three", ["keys", "above"], "r:3")
    assert secrets(made.snapshot())["deleted"].all()


def test_a_layer_that_comes_again_puts_its_secret_back() -> None:
    made = FilesRegistry()
    made.layer("keys", KEY)
    made.layer("above", whiteout("root"))
    made.image("one", ["keys", "above", "keys"], "r:1")
    assert not secrets(made.snapshot())["deleted"].any()


def test_a_later_entry_of_the_same_tar_overwrites_and_its_marks_do_not() -> None:
    made = FilesRegistry()
    made.layer("keys", KEY, file(KEY.path, "harmless"))
    made.layer("marks", KEY, whiteout(KEY.path), opaque("root"))
    made.layer("before", file(KEY.path, "harmless"), KEY)
    made.image("one", ["keys", "marks", "before"], "r:1")
    table = secrets(made.snapshot()).set_index("layer_digest")
    assert table["deleted"].to_dict()[digest("before")] is False
    alone = FilesRegistry()
    alone.layer("keys", KEY, file(KEY.path, "harmless"))
    alone.layer("marks", KEY, whiteout(KEY.path), opaque("root"))
    assert secrets(alone.snapshot()).set_index("layer_digest")["deleted"].to_dict() == {
        digest("keys"): True,
        digest("marks"): False,
    }


def test_a_secret_comes_with_its_kind_its_place_and_never_with_what_it_holds() -> None:
    made = FilesRegistry()
    made.layer("keys", KEY, file("app/.env", "TOKEN=1", secret="environment"))
    made.image("one", ["keys=COPY . /"], "r:1", "q:1")
    table = secrets(made.snapshot())
    assert table[["secret", "path", "created_by", "images", "repositories"]].to_numpy().tolist() == [
        ["environment", "app/.env", "COPY . /", 1, 2],
        ["private key", "root/.ssh/id_rsa", "COPY . /", 1, 2],
    ]
    text = table.to_csv()
    assert "TOKEN" not in text
    assert sha256("the key itself") not in text
