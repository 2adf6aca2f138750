"""What an IP address belongs to, in any notation: the internet, a private network, loopback, or a cloud's metadata.

The address that is connected to decides: a host name can resolve to another address the next time.
"""

from __future__ import annotations

import enum
import functools
import socket
import time
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

_NAMES_HOLD_FOR = 60  # seconds for which a resolved host name is cached
_MOST_ADDRESSES = 8  # addresses of one host name that are tried

_Address = IPv4Address | IPv6Address


class Reach(enum.IntEnum):
    """What an address belongs to, the most public first. A redirect may lead to the same kind or to one before it."""

    PUBLIC = 0
    PRIVATE = 1
    """Private networks, and this machine."""
    METADATA = 2
    """Where a cloud tells its machines who they are, and gives them credentials."""


_METADATA = tuple(
    map(
        ip_network,
        (
            "169.254.0.0/16",  # link-local: most clouds, at 169.254.169.254 and beside it
            "192.0.0.192/32",  # Oracle
            "100.100.100.200/32",  # Alibaba
            "168.63.129.16/32",  # Azure
            "fe80::a9fe:a9fe/128",  # OpenStack
            "fd00:ec2::/32",  # Amazon
            "fd20:ce::254/128",  # Google
            "fd00:42::42/128",  # Scaleway
        ),
    )
)
_PRIVATE = tuple(map(ip_network, ("192.0.0.0/24", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")))
# IPv6 networks whose addresses hold an IPv4 address, and by how many bits it stands from their right end.
_HOLDING_IPV4 = (
    (IPv6Network("::/96"), 0),  # IPv4-compatible
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("64:ff9b:1::/48"), 0),  # NAT64 of one's own
    (IPv6Network("2002::/16"), 80),  # 6to4
    (IPv6Network("2001::/32"), 64),  # Teredo's server
)
# What counts in these is the IPv4 address inside; Python 3.11.2 takes all of 6to4 for private.
_AS_THEIR_IPV4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("2002::/16"))
_ISATAP = {0x00005EFE, 0x02005EFE}


class Resolved(NamedTuple):
    """One address of a name, as a socket connects to it."""

    family: socket.AddressFamily
    sockaddr: tuple[str | int, ...] | tuple[int, bytes]
    reach: Reach

    @property
    def text(self) -> str:
        """The address alone."""
        return str(self.sockaddr[0])


def resolve(host: str, port: int) -> list[Resolved]:
    """The addresses of a name or a number, the first few.

    Raises:
        OSError, ValueError: there are none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[:_MOST_ADDRESSES]
    return [Resolved(family, sockaddr, reach_of(str(sockaddr[0]))) for family, _, _, _, sockaddr in found]


@functools.lru_cache(maxsize=1024)
def reach_of(address: str) -> Reach:
    """What an address belongs to; an IPv4 address embedded in an IPv6 address counts too."""
    parsed = _parsed(address)
    return Reach.PRIVATE if parsed is None else max(map(_reach, [parsed, *_held_by(parsed)]))


def reach_of_host(host: str) -> Reach:
    """What a host belongs to; for a host name, the least public of its addresses decides.

    A host name that does not resolve counts as public: the address is checked again when it is connected to.
    """
    address = written_address(host)
    if address is not None:
        return reach_of(str(address))
    return _reach_of_name(host, int(time.monotonic() // _NAMES_HOLD_FOR))


@functools.lru_cache(maxsize=256)
def _reach_of_name(host: str, _period: int) -> Reach:
    if host == "localhost" or host.endswith(".localhost"):
        return Reach.PRIVATE
    try:
        return max((address.reach for address in resolve(host, 0)), default=Reach.PUBLIC)
    except (OSError, ValueError):
        return Reach.PUBLIC


@functools.lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, as written: `localhost`, 127.0.0.0/8 or ::1."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = written_address(host)
    return address is not None and (getattr(address, "ipv4_mapped", None) or address).is_loopback


def written_address(host: str) -> _Address | None:
    """The address that `host` is, in any form that the resolver understands: `127.1`, `0x7f000001`, `2130706433`."""
    if (address := _parsed(host)) is not None:
        return address
    try:
        return IPv4Address(socket.inet_aton(host)) if host[:1].isdecimal() else None
    except (OSError, ValueError):
        return None


def _parsed(text: str) -> _Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _held_by(address: _Address) -> list[IPv4Address]:
    """The IPv4 addresses inside an IPv6 one."""
    if isinstance(address, IPv4Address):
        return []
    number = int(address)
    found = [number >> bits for network, bits in _HOLDING_IPV4 if address in network]
    if address in IPv6Network("2001::/32"):
        found.append(~number)  # Teredo's client, inverted
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        found.append(number)
    return [IPv4Address(each & 0xFFFFFFFF) for each in found]


def _reach(address: _Address) -> Reach:
    if _is_in(address, _METADATA):
        return Reach.METADATA
    if _is_in(address, _AS_THEIR_IPV4):
        return Reach.PUBLIC
    inside = not address.is_global or address.is_multicast or getattr(address, "is_site_local", False)
    return Reach.PRIVATE if inside or _is_in(address, _PRIVATE) else Reach.PUBLIC


def _is_in(address: _Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in network for network in networks)
