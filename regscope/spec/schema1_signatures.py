"""Signatures of schema 1 manifests (docs/spec/manifest-v2-1.md, Signed Manifests), by libtrust."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import libtrust
from libtrust.jsonsign import JSHeader, JsSignature

from regscope.errors import InvalidManifest
from regscope.text import plain


def signed(document: str, key: Any) -> bytes:
    """A document with a signature by `key`, a private key of libtrust's.

    The document must be ASCII: libtrust counts characters where docker counts bytes.
    """
    signature = libtrust.JSONSignature.new(document)
    signature.sign(key, datetime.now(UTC).replace(tzinfo=None))
    return bytes(signature.to_pretty_signature("signatures").encode("ascii"))


def check_signatures(payload: bytes, signatures: Sequence[dict[str, Any]]) -> None:
    """Check that all signatures are valid for `payload`.

    Raises:
        InvalidManifest: a signature is not valid.
    """
    encoded = base64.urlsafe_b64encode(payload).decode().rstrip("=")
    try:
        found = [JsSignature(JSHeader(**one["header"]), one["signature"], one["protected"]) for one in signatures]
        libtrust.JSONSignature(encoded, 3, len(payload), "", found).verify()
    except Exception as error:  # libtrust raises any error of the libraries that it uses
        why = plain(error, 200) or type(error).__name__
        raise InvalidManifest(f"a signature of the schema 1 manifest is not valid: {why}") from None
