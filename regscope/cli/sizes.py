"""Parsing of sizes such as `20MB`."""

from __future__ import annotations

import re

from regscope.errors import InvalidInput

_SIZE = re.compile(r"\s*(\d[\d,]*(?:\.\d*)?|\.\d+)\s*(?:([kmgtpe])(i?))?b?\s*", re.IGNORECASE)


def size_in_bytes(text: str) -> int:
    """The bytes of a size such as `20MB`, `1.5 GiB`, `2g` or a number of bytes.

    Raises:
        InvalidInput: the text is no such size.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise InvalidInput(f"{text!r} is not a size", next_step="Write 500MB, 1.5GiB or a number of bytes.")
    number, prefix, binary = found.groups()
    power = " kmgtpe".index((prefix or " ").lower())
    return int(float(number.replace(",", "")) * (1024 if binary else 1000) ** power)
