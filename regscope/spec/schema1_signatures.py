"""Signatures of schema 1 manifests (docs/spec/manifest-v2-1.md, Signed Manifests), by libtrust."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import libtrust
from libtrust.jsonsign import JSHeader, JsSignature
from libtrust.keys.ec_key import generate_private_key
from pydantic_core import from_json

from regscope.errors import InvalidManifest
from regscope.spec.manifest import ManifestSchema1
from regscope.text import plain


def signed_schema1(manifest: ManifestSchema1) -> bytes:
    """A schema 1 manifest with a signature: its own bytes where it has one, else signed by a key made for it.

    The document is written in ASCII: libtrust counts characters where docker counts bytes.
    """
    if manifest.signatures:
        return manifest.raw
    signature = libtrust.JSONSignature.new(json.dumps(from_json(manifest.raw), indent=3))
    signature.sign(generate_private_key(), datetime.now(UTC).replace(tzinfo=None))
    return bytes(signature.to_pretty_signature("signatures").encode("ascii"))


def check_signatures(payload: bytes, signatures: Sequence[dict[str, Any]]) -> None:
    """Make sure that each of the signatures is of `payload`.

    Raises:
        InvalidManifest: one is not.
    """
    encoded = base64.urlsafe_b64encode(payload).decode().rstrip("=")
    try:
        found = [JsSignature(JSHeader(**one["header"]), one["signature"], one["protected"]) for one in signatures]
        libtrust.JSONSignature(encoded, 3, len(payload), "", found).verify()
    except Exception as error:  # libtrust lets everything through that its own libraries raise
        why = plain(error, 200) or type(error).__name__
        raise InvalidManifest(f"a schema 1 manifest whose signature does not fit: {why}") from None
