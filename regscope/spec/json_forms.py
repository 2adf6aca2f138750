"""The forms of JSON that are written. Digests are taken of most of them: none of them may change by a byte."""

from __future__ import annotations

import json
from typing import Any


def compact(document: Any) -> bytes:
    r"""Without spaces, in ASCII: manifests, configs and indexes made here; plans and the lines of journals.

    >>> compact({"b": [1, "é"], "a": None})
    b'{"b":[1,"\\u00e9"],"a":null}'
    """
    return json.dumps(document, separators=(",", ":")).encode()


def compact_with_letters(document: Any) -> bytes:
    r"""Without spaces, in UTF-8: the rest of an index, where entries of it are left out.

    >>> compact_with_letters({"b": [1, "é"], "a": None})
    b'{"b":[1,"\xc3\xa9"],"a":null}'
    """
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def one_line(document: Any) -> str:
    r"""With a space after each comma and colon, in ASCII: the text that plans and steps are hashed as, and small files.

    >>> one_line({"b": [1, "é"], "a": None})
    '{"b": [1, "\\u00e9"], "a": null}'
    """
    return json.dumps(document)


def readable(document: Any) -> str:
    """With two spaces for each level: what commands print."""
    return json.dumps(document, indent=2)


def docker_config_form(document: Any) -> str:
    """With a tab for each level, as Docker writes its `config.json`."""
    return json.dumps(document, indent="\t")


def schema1_form(document: Any) -> str:
    """With three spaces for each level, as Docker writes schema 1, whose signatures are about this text."""
    return json.dumps(document, indent=3)
