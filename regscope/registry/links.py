"""The `Link` header (RFC 8288), also in the forms of some registries: without quotes, angle brackets or a relation."""

from __future__ import annotations

import re

_LONGEST = 2**16
_PARAMETER = re.compile(r""";\s*(?P<name>[\w*-]+)\s*(?:=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s,;]*)))?\s*""")
_TARGET = re.compile(r"\s*<(?P<target>[^>]*)>\s*")
_BARE_TARGET = re.compile(r"\s*(?P<target>[^;<>\s]+)\s*")


def next_link(header: str) -> str | None:
    """The address of the next page: that of the first link with rel="next", else of the first link without a rel."""
    nameless: str | None = None
    for target, relations in _links(header[:_LONGEST]):
        if "next" in relations:
            return target
        if not relations and nameless is None:
            nameless = target
    return nameless


def _links(header: str) -> list[tuple[str, list[str]]]:
    """Addresses, each with its relations in lower case."""
    found: list[tuple[str, list[str]]] = []
    position = 0
    while link := (_TARGET.match(header, position) or (None if found else _BARE_TARGET.match(header, position))):
        position = link.end()
        relations: list[str] = []
        while parameter := _PARAMETER.match(header, position):
            position = parameter.end()
            if parameter["name"].lower() == "rel" and not relations:
                value = parameter["quoted"] if parameter["quoted"] is not None else parameter["bare"] or ""
                relations = value.strip("\"'").lower().split()
        found.append((link["target"].strip(), relations))
        comma = header.find(",", position)
        if comma < 0:
            break
        position = comma + 1
    return found
