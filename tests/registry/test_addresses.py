"""How far an address reaches, in every form that it can have."""

from __future__ import annotations

import socket

import pytest

from regscope.errors import UnsafeRedirect
from regscope.registry.addresses import Reach, Resolved, is_loopback, reach_of, reach_of_host
from regscope.registry.connecting import allowed, most_of_named


@pytest.mark.parametrize(
    "host", ["localhost", "x.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "127.1", "2130706433"]
)
def test_this_machine_is_known_in_every_spelling(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost.example.com", "notlocalhost", "10.0.0.1", "::2", "0.0.0.0", "127.example.com", "", "127.0.0.1."]
)
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",  # Amazon's containers
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:42::42",
        "fe80::a9fe:a9fe",
        "fe80::a9fe:a9fe%eth0",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b::c000:c0",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::",
        "2001:0:808:808:0:0:5601:5601",
        "fd12::5efe:169.254.169.254",
        "2a00:1450::200:5efe:a9fe:a9fe",
    ],
)
def test_metadata_is_known_in_every_form(address: str) -> None:
    assert reach_of(address) == Reach.METADATA


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "::8.8.8.8",  # IPv4-compatible addresses are not in use
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::808:808",  # NAT64 of one's own network
        "2002:0a00:0001::",
        "2002:7f00:1::1",
        "not an address",
    ],
)
def test_a_private_network_is_known_in_every_form(address: str) -> None:
    assert reach_of(address) == Reach.PRIVATE


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "169.253.0.1", "192.0.1.1"],
)
def test_the_world_is_not_taken_for_something_inside(address: str) -> None:
    assert reach_of(address) == Reach.PUBLIC


@pytest.mark.parametrize(
    "host", ["0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.16689662", "0xa9.0xfe.0xa9.0xfe"]
)
def test_numbers_are_read_as_the_resolver_reads_them(host: str) -> None:
    assert socket.getaddrinfo(host, 80)[0][4][0] == "169.254.169.254"  # or nothing is tested here
    assert reach_of_host(host) == Reach.METADATA


def found(*addresses: str) -> list[Resolved]:
    return [Resolved(socket.AF_INET, (address, 443), reach_of(address)) for address in addresses]


def test_only_addresses_that_do_not_reach_too_far_are_connected_to() -> None:
    mixed = found("10.0.0.1", "8.8.8.8", "169.254.169.254")
    assert [each.text for each in allowed(mixed, "a.test", Reach.PUBLIC)] == ["8.8.8.8"]
    assert [each.text for each in allowed(mixed, "a.test", Reach.PRIVATE)] == ["10.0.0.1", "8.8.8.8"]
    with pytest.raises(UnsafeRedirect, match=r"a\.test resolves to 10\.0\.0\.1, 169\.254\.169\.254") as caught:
        allowed(found("10.0.0.1", "169.254.169.254"), "a.test", Reach.PUBLIC)
    assert caught.value.next_step


def test_what_is_called_this_machine_is_no_other() -> None:
    assert allowed(found("127.0.0.1"), "a.localhost", Reach.PRIVATE)
    with pytest.raises(UnsafeRedirect, match="another machine"):
        allowed(found("8.8.8.8"), "a.localhost", Reach.PRIVATE)


@pytest.mark.parametrize(
    ("host", "addresses", "most"),
    [
        ("a.test", ["8.8.8.8"], Reach.PUBLIC),
        ("a.test", ["8.8.8.8", "10.0.0.1"], Reach.PRIVATE),
        ("a.test", ["169.254.169.254"], Reach.PRIVATE),
        ("169.254.169.254", ["169.254.169.254"], Reach.METADATA),
        ("0xa9fea9fe", ["169.254.169.254"], Reach.METADATA),
    ],
)
def test_the_registry_that_was_named_is_where_it_was_at_first(host: str, addresses: list[str], most: Reach) -> None:
    assert most_of_named(host, found(*addresses)) == most
