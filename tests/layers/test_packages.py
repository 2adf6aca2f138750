"""The packages that files list: this machine's own against what its package managers say, and made and damaged ones."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regscope.errors import TooLarge
from regscope.layers.budget import Budget
from regscope.layers.packages import MOST_BYTES, package_list, packages_in
from regscope.schema import make_table

DPKG, APK, RPM = "var/lib/dpkg/status", "lib/apk/db/installed", "var/lib/rpm/rpmdb.sqlite"


def names(manager: str, path: str, content: bytes) -> list[tuple[str, str, str | None]]:
    return [row[2:] for row in packages_in(manager, path, content)]


@pytest.mark.parametrize(
    ("path", "manager"),
    [
        (DPKG, "dpkg"),
        ("var/lib/dpkg/status.d/libc6", "dpkg"),
        ("var/lib/dpkg/status.d/libc6.md5sums", None),
        ("var/lib/dpkg/status-old", None),
        ("srv/var/lib/dpkg/status", None),
        (APK, "apk"),
        (RPM, "rpm"),
        ("usr/lib/sysimage/rpm/rpmdb.sqlite", "rpm"),
        ("var/lib/rpm/Packages", None),
        ("usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA", "python"),
        ("usr/lib/python3/dist-packages/six.egg-info/PKG-INFO", "python"),
        ("usr/lib/python3/dist-packages/six-1.16.0.egg-info", "python"),
        ("usr/lib/python3/dist-packages/six-1.16.0.dist-info/RECORD", None),
        ("METADATA", None),
        ("app/package.json", None),
        ("package.json", None),
        ("app/node_modules/a/package.json", "npm"),
        ("node_modules/a/package.json", "npm"),
        ("app/node_modules/@scope/a/package.json", "npm"),
        ("app/node_modules/a/node_modules/b/package.json", "npm"),
        ("app/node_modules/.pnpm/a@1.0.0/node_modules/@s/a/package.json", "npm"),
        ("app/node_modules/a/lib/package.json", None),
        ("app/node_modules/@scope/package.json", None),
        ("app/node_modules/.cache/package.json", None),
        ("app/node_modules/a/test/fixtures/node_modules/b/package.json", None),
        ("app/not_node_modules/a/package.json", None),
        ("", None),
    ],
)
def test_a_list_is_known_by_its_path(path: str, manager: str | None) -> None:
    assert package_list(path) == manager


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="needs dpkg")
def test_the_dpkg_packages_of_this_machine_are_those_that_dpkg_query_lists() -> None:
    wanted = "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n"
    listed = subprocess.run(["dpkg-query", "-W", "-f", wanted], capture_output=True, text=True, check=True).stdout
    rows = [tuple(line.split("\t")) for line in listed.splitlines()]
    said = sorted(row[1:] for row in rows if row[0] in ("installed", "triggers-awaited", "triggers-pending"))
    assert said
    assert sorted(names("dpkg", DPKG, Path("/", DPKG).read_bytes())) == said


def test_the_python_distributions_of_this_environment_are_those_that_importlib_finds() -> None:
    found, said = set(), set()
    for distribution in metadata.distributions():
        for name in ("METADATA", "PKG-INFO"):
            path = Path(str(distribution.locate_file("")), f"{distribution._path.name}/{name}")  # type: ignore[attr-defined]
            if path.is_file() and package_list(str(path)[1:]) == "python":
                said.add((distribution.metadata["Name"], distribution.version, None))
                found.update(names("python", str(path), path.read_bytes()))
    assert len(said) > 50
    assert found == said


def test_the_npm_packages_of_this_environment_are_those_that_its_folders_hold() -> None:
    roots = [path for path in Path("/usr").glob("**/node_modules") if path.is_dir()]
    if not roots:
        pytest.skip("no node_modules here")
    described = [path for root in roots for path in [*root.glob("*/package.json"), *root.glob("@*/*/package.json")]]
    for path in described:
        content = path.read_bytes()
        package = json.loads(content)
        if package_list(str(path)[1:]) and "name" in package and "version" in package:
            assert names("npm", str(path), content) == [(package["name"], package["version"], None)]


def test_dpkg_packages_that_are_removed_or_half_installed_are_left_out() -> None:
    stanza = "Package: {}\nStatus: {}\nArchitecture: amd64\nVersion: 1:2-3\nDescription: a\n Version: 9\n"
    states = [
        "install ok installed",
        "deinstall ok config-files",
        "install ok half-installed",
        "purge ok not-installed",
    ]
    content = "\n".join(stanza.format(f"p{n}", state) for n, state in enumerate(states)).encode()
    assert packages_in("dpkg", DPKG, content) == [(DPKG, "dpkg", "p0", "1:2-3", "amd64")]


def test_a_distroless_description_has_no_status_and_is_installed() -> None:
    content = b"Package: tzdata\nVersion: 2024a-0+deb12u1\nArchitecture: all\nMaintainer: a\n"
    assert names("dpkg", "var/lib/dpkg/status.d/tzdata", content) == [("tzdata", "2024a-0+deb12u1", "all")]


def test_an_apk_database_lists_its_packages_among_their_files() -> None:
    content = (
        b"C:Q1aaa=\nP:musl\nV:1.2.5-r0\nA:x86_64\nS:1\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1bbb=\n\n"
        b"C:Q1ccc=\nP:busybox\nV:1.36.1-r29\nA:x86_64\np:/bin/sh cmd:busybox=1.36.1-r29\nF:bin\nR:busybox\n\n"
    )
    assert packages_in("apk", APK, content) == [
        (APK, "apk", "musl", "1.2.5-r0", "x86_64"),
        (APK, "apk", "busybox", "1.36.1-r29", "x86_64"),
    ]


def header(**texts: str | int) -> bytes:
    """An rpm header as it stands in the database: how many entries, how large a store, and both of them."""
    tags = {"name": 1000, "version": 1001, "release": 1002, "epoch": 1003, "summary": 1004, "arch": 1022}
    entries, store = b"", b""
    for field, value in texts.items():
        kind = 4 if isinstance(value, int) else 6
        store += bytes(-len(store) % 4) if kind == 4 else b""
        entries += struct.pack(">IIII", tags[field], kind, len(store), 1)
        store += struct.pack(">I", value) if isinstance(value, int) else value.encode() + b"\0"
    return struct.pack(">II", len(texts), len(store)) + entries + store


def database(
    folder: Path, *headers: bytes, schema: str = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)"
) -> bytes:
    """A database as rpm leaves it: in write-ahead mode."""
    path = folder / "rpmdb.sqlite"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(schema)
    connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(each,) for each in headers])
    connection.commit()
    connection.close()
    content = path.read_bytes()
    assert content[18:20] == b"\2\2"
    return content


def test_an_rpm_database_lists_its_packages_with_epoch_version_and_release(tmp_path: Path) -> None:
    content = database(
        tmp_path,
        header(name="bash", version="5.2.26", release="3.fc40", summary="A shell", arch="x86_64"),
        header(name="bind-libs", version="9.18", release="1", epoch=32, arch="noarch"),
        header(name="gpg-pubkey", version="a15b79cc", release="63d04c2c"),
        header(name="nothing else"),
        b"",
        struct.pack(">II", 2**32 - 1, 2**32 - 1),
    )
    assert names("rpm", RPM, content) == [("bash", "5.2.26-3.fc40", "x86_64"), ("bind-libs", "32:9.18-1", "noarch")]


@pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="needs rpm and rpmbuild")
def test_a_database_that_rpm_wrote_lists_what_rpm_says(tmp_path: Path) -> None:
    spec = "Name: {}\nVersion: 1.2\nRelease: 4.fc40\n{}Summary: s\nLicense: MIT\n%description\nd\n%files\n"
    db = ["--define", "_db_backend sqlite", "--dbpath", str(tmp_path / "db")]
    subprocess.run(["rpm", *db, "--initdb"], check=True)
    for name, more in (("plain", ""), ("epochal", "Epoch: 2\nBuildArch: noarch\n")):
        (tmp_path / f"{name}.spec").write_text(spec.format(name, more))
        build = ["rpmbuild", "-bb", "--define", f"_topdir {tmp_path}/top", str(tmp_path / f"{name}.spec")]
        subprocess.run(build, check=True, capture_output=True)
    built = [str(path) for path in (tmp_path / "top").rglob("*.rpm")]
    subprocess.run(["rpm", *db, "-i", "--justdb", "--nodeps", "--ignorearch", *built], check=True)
    query = ["rpm", *db, "-qa", "--qf", "%{NAME} %{EVR} %{ARCH}\n"]
    said = [
        tuple(line.split())
        for line in subprocess.run(query, check=True, capture_output=True, text=True).stdout.splitlines()
    ]
    assert len(said) == 2
    assert sorted(names("rpm", RPM, (tmp_path / "db" / "rpmdb.sqlite").read_bytes())) == sorted(said)


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, x, blob AS (hex(zeroblob(100000000))))",
        "CREATE VIEW Packages AS WITH RECURSIVE n(blob) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT blob FROM n",
        "CREATE TABLE other (hnum)",
        "CREATE TABLE Packages (hnum)",
    ],
)
def test_a_database_that_computes_or_has_another_schema_gives_nothing(tmp_path: Path, schema: str) -> None:
    path = tmp_path / "hostile.sqlite"
    connection = sqlite3.connect(path)
    connection.execute(schema)
    if "x," in schema:
        connection.execute("INSERT INTO Packages (x) VALUES (1)")
    connection.commit()
    connection.close()
    assert packages_in("rpm", RPM, path.read_bytes()) == []


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_damaged_rpm_database_gives_rows_or_none(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    content = bytearray(database(folder, *[header(name=f"p{n}", version="1", release="1") for n in range(50)]))
    for position in data.draw(st.lists(st.integers(16, len(content) - 1), max_size=20)):
        content[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(content), len(content) // 2, 1000, 90]))
    assert len(packages_in("rpm", RPM, bytes(content[:cut]))) <= 50


def test_a_python_distribution_is_read_from_the_headers_and_not_the_description() -> None:
    content = b"Metadata-Version: 2.1\r\nName: PyYAML\r\nVersion: 6.0\r\n\r\nName: other\r\nVersion: 7\r\n"
    assert names("python", "a.dist-info/METADATA", content) == [("PyYAML", "6.0", None)]
    assert names("python", "a.dist-info/METADATA", b"Name: only\n") == []


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 10_000_000,
        b'{"name": "a", "version": ' + b'{"a":' * 100_000,
        b'{"name": "a", "version": ' + b"9" * 10_000 + b"}",
        b'{"name": ["a"], "version": "1"}',
        b'{"name": "", "version": "1"}',
        b'{"name": "a", "version": "' + b"1" * 2000 + b'"}',
        b'["name", "version"]',
        b"\xff\xfe",
        b"",
    ],
)
def test_a_hostile_package_json_gives_nothing(content: bytes) -> None:
    assert packages_in("npm", "node_modules/a/package.json", content) == []


def test_any_name_goes_into_the_table() -> None:
    rows = packages_in("npm", "node_modules/a/package.json", b'{"name": "a\\ud800b", "version": "1"}')
    rows += packages_in("dpkg", DPKG, b"Package: \xff\nVersion: 1\n")
    table = make_table("packages", [("sha256:a", *row) for row in rows])
    assert list(table["name"]) == ["a\ufffdb", "\ufffd"]


def test_what_is_too_large_is_not_looked_into() -> None:
    stanza = b"Package: a\nVersion: 1\n\n"
    assert packages_in("dpkg", DPKG, stanza) != []
    assert packages_in("dpkg", DPKG, stanza + b"\n" * MOST_BYTES) == []


def test_many_lines_and_stanzas_take_linear_time() -> None:
    size = MOST_BYTES // 8
    for content in (b"\n" * size, b" \n" * (size // 2), b"P:" * (size // 2), b"a" * size):
        assert packages_in("dpkg", DPKG, content) == []
        assert packages_in("apk", APK, content) == []


@given(st.sampled_from(["dpkg", "apk", "rpm", "python", "npm"]), st.binary(max_size=2000))
def test_any_bytes_give_rows_or_none(manager: str, content: bytes) -> None:
    assert isinstance(packages_in(manager, "a path", content), list)


def test_a_database_whose_schema_is_no_text_gives_no_rows(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "db")
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    database.execute("CREATE TABLE other (a)")
    database.commit()
    database.close()
    content = (tmp_path / "db").read_bytes()
    for name in (b"other", b"Packages", b"blob", b"BLOB"):
        assert packages_in("rpm", RPM, content.replace(name, b"\xff" * len(name))) == []


def test_lists_and_databases_count_against_their_layer() -> None:
    budget = Budget(0)
    for _ in range(5):
        packages_in("rpm", RPM, b"SQLite format 3\0" + bytes(1000), budget)
    with pytest.raises(TooLarge, match="looked into"):
        packages_in("rpm", RPM, b"SQLite format 3\0" + bytes(1000), budget)
