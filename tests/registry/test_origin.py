"""Which addresses are trusted, and which hops are followed."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from regscope.errors import UnsafeRedirect
from regscope.registry.addresses import Reach, _reach_of_name
from regscope.registry.origin import (
    check_hop,
    origin,
    resolved,
    same_origin,
    without_secrets,
)

PUBLIC = "https://registry.example.com/v2/"
ADDRESSES = {
    "inside.example.com": ["10.0.0.5"],
    "metadata.example.com": ["169.254.169.254"],
    "this-machine.example.com": ["127.0.0.1"],
    "half.example.com": ["93.184.216.34", "fd00::1"],
    "registry.corp": ["10.0.0.7"],
    "storage.corp": ["10.0.0.8"],
}


@pytest.fixture(autouse=True)
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names as the tests want them; what was asked for."""
    asked: list[str] = []

    def resolve(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        if host.endswith("unknown.example.com"):
            raise socket.gaierror(-2, "Name or service not known")
        return [(2, 1, 6, "", (address, 0)) for address in ADDRESSES.get(host, ["93.184.216.34"])]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    _reach_of_name.cache_clear()
    yield asked
    _reach_of_name.cache_clear()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("https://a.test/x", "https://a.test:443/y?z"),
        ("http://a.test", "http://A.TEST:80/"),
        ("https://u:p@a.test/", "https://a.test/"),
    ],
)
def test_an_origin_is_scheme_host_and_port(a: str, b: str) -> None:
    assert same_origin(a, b)


@pytest.mark.parametrize(
    "other",
    ["http://a.test/", "https://a.test:444/", "https://b.test/", "https://a.test.b.test/", "https://a.test@b.test"],
)
def test_another_scheme_port_or_host_is_another_origin(other: str) -> None:
    assert not same_origin("https://a.test/", other)


@pytest.mark.parametrize(
    "target",
    [
        "http://registry.example.com/",
        "http://storage.example.com/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://10.1.2.3/",
        "https://192.168.0.1/",
        "https://0x7f000001/",
        "https://127.1/",
        "https://inside.example.com/",
        "https://metadata.example.com/",
        "https://this-machine.example.com/",
        "https://half.example.com/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[64:ff9b::10.0.0.1]/",
        "https://[2002:0a00:0001::1]/",
        "https://[::10.0.0.1]/",
        "https://192.0.0.192/",
        "file:///etc/passwd",
        "ftp://registry.example.com/",
        "https:///nowhere",
        "",
    ],
)
def test_unsafe_hops_from_a_public_registry_are_refused(target: str) -> None:
    with pytest.raises(UnsafeRedirect) as caught:
        check_hop(PUBLIC, target)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (PUBLIC, "https://storage.example.net/blob?signature=x"),
        (PUBLIC, "https://8.8.8.8/"),
        ("http://localhost:5000/", "http://127.0.0.1:9000/"),
        ("http://10.0.0.1:5000/", "http://10.0.0.2:9000/"),
        ("http://registry.example.com/", "https://registry.example.com/"),
        ("https://registry.corp/", "https://storage.corp/"),
        ("https://registry.corp/", "https://10.0.0.9/"),
        (PUBLIC, "https://unknown.example.com/"),
    ],
)
def test_safe_hops_are_followed(source: str, target: str) -> None:
    check_hop(source, target)


@pytest.mark.parametrize(
    "source",
    [
        PUBLIC,
        "http://localhost:5000/",
        "http://10.0.0.1:5000/",
        "https://registry.corp/",
        "http://169.254.169.254:5000/",
    ],
)
@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "metadata.example.com", "0xa9fea9fe"]
)
def test_nothing_leads_to_a_clouds_metadata(source: str, host: str) -> None:
    with pytest.raises(UnsafeRedirect) as caught:
        check_hop(source, source.partition(":")[0] + f"://{host}/latest")
    assert caught.value.next_step


def test_how_far_a_hop_may_lead_depends_on_where_it_starts() -> None:
    assert check_hop(PUBLIC, "https://storage.example.net/") == Reach.PUBLIC
    assert check_hop("https://registry.corp/", "https://storage.example.net/") == Reach.PRIVATE


@pytest.mark.parametrize(
    "location",
    ["https://a.test\0/x", "https://a.test/x\0", "https://a b.test/", "https://a.test\x0b/x", "//a\x7f.test/"],
)
def test_a_location_with_what_no_address_has_is_refused(location: str) -> None:
    with pytest.raises(UnsafeRedirect, match="is no address"):
        resolved(PUBLIC, location)


def test_an_address_is_shown_without_its_secrets() -> None:
    assert without_secrets("https://ann:secret@a.test:1/b?signature=c#d") == "https://a.test:1/b"
    assert without_secrets("https://ann:secret@a.test:99999/b?signature=c") == "https://a.test:99999/b"
    assert without_secrets("https://a.test/\x1b[31m") == "https://a.test/ [31m"


@pytest.mark.parametrize("url", ["https://a.test:99999/", "https://a.test:x/", "http://[bad/", "//["])
def test_what_is_no_address_has_no_origin(url: str) -> None:
    assert origin(url) == ("", "", None)
    with pytest.raises(UnsafeRedirect):
        check_hop(PUBLIC, url)
    with pytest.raises(UnsafeRedirect, match="is no address"):
        resolved(PUBLIC, url)


def test_a_relative_location_is_resolved() -> None:
    assert resolved("https://a.test/v2/x?n=1", "/v2/y?last=b") == "https://a.test/v2/y?last=b"
    assert resolved("https://a.test/v2/x", "//b.test/y") == "https://b.test/y"


def test_a_name_is_not_resolved_for_every_blob(resolver: list[str]) -> None:
    for _ in range(20):
        check_hop(PUBLIC, "https://storage.example.net/blob")
    assert len(resolver) <= 2
