"""Schema 1 manifests (Docker image manifest version 2, schema 1) seen as an image config with its history."""

from __future__ import annotations

import base64
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from regscope.errors import InvalidManifest
from regscope.spec.image_config import ImageJSON
from regscope.spec.json_forms import schema1_form
from regscope.spec.lenient_reading import first_fault
from regscope.spec.manifest import JWS, ManifestSchema1


def schema1_payload(raw: bytes) -> bytes:
    """What a schema 1 manifest's signatures sign, and its digest names: the document without them.

    It is put together as each signature's `protected` header says (docs/spec/manifest-v2-1.md, Signed Manifests), so
    that nothing which somebody added around the signed part is ever read. An unsigned manifest is its own payload.

    Raises:
        InvalidManifest: the signatures cannot be read, sign different things, or do not fit what they sign.
    """
    signatures = _step(raw).get("signatures")
    if not signatures:
        return raw
    try:
        headers = [from_json(_decoded(signature["protected"])) for signature in signatures]
        parts = {(int(header["formatLength"]), _decoded(header["formatTail"])) for header in headers}
    except (ValueError, LookupError, TypeError, OverflowError):
        raise InvalidManifest("a schema 1 manifest whose signatures cannot be read") from None
    if len(parts) != 1:
        raise InvalidManifest("a schema 1 manifest whose signatures sign different things")
    [(length, tail)] = parts
    if not 0 <= length <= len(raw):
        raise InvalidManifest("a schema 1 manifest whose signatures sign more than is there")
    from regscope.spec.schema1_signatures import check_signatures  # only the few who still meet one wait for it

    payload = raw[:length] + tail
    check_signatures(payload, signatures)
    return payload


def signatures_of(raw: bytes) -> list[JWS] | None:
    """The signatures in a schema 1 manifest that `schema1_payload` has checked; None where it has none."""
    stated = _step(raw).get("signatures")
    return [JWS.model_validate(each) for each in stated] if stated else None


def signed_schema1(manifest: ManifestSchema1, key: Any) -> bytes:
    """A schema 1 manifest with signatures: its own where they fit what it says, else one by `key`.

    Args:
        key: a private key of libtrust's.
    """
    from regscope.spec.schema1_signatures import signed  # only the few who write one wait for it

    document = from_json(manifest.raw)
    as_it_is = manifest.raw if document.pop("signatures", None) else _with_signatures(manifest)
    try:
        if as_it_is and schema1_payload(as_it_is):
            return as_it_is
    except InvalidManifest:
        pass  # it was changed since it was signed
    return signed(schema1_form(document), key)


def _with_signatures(manifest: ManifestSchema1) -> bytes:
    """The manifest with its signatures where the first of them was; empty where it has none, or none that says so."""
    if not manifest.signatures:
        return b""
    try:
        length = int(from_json(_decoded(manifest.signatures[0].protected))["formatLength"])
    except (ValueError, LookupError, TypeError, OverflowError):
        return b""
    signatures = schema1_form([each.model_dump(mode="json") for each in manifest.signatures]).encode()
    return manifest.raw[:length] + b',\n   "signatures": ' + signatures + manifest.raw[length:]


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def schema1_config(manifest: ManifestSchema1) -> ImageJSON:
    """The image config that a schema 1 manifest carries in its history, oldest step first.

    `rootfs.diff_ids` is empty: schema 1 does not know them.

    Raises:
        InvalidManifest: a history entry that is no image's JSON object, or not one entry for each layer.
    """
    if len(manifest.history) != len(manifest.fsLayers):
        raise InvalidManifest(
            f"a schema 1 manifest with {len(manifest.fsLayers)} layers and {len(manifest.history)} history entries"
        )
    steps = [_step(entry.v1Compatibility) for entry in reversed(manifest.history)]
    newest = steps[-1] if steps else {}
    document = {
        "created": newest.get("created"),
        "os": newest.get("os") or "linux",
        "architecture": newest.get("architecture") or manifest.architecture,
        "config": newest.get("config"),
        "history": [_history(step) for step in steps],
    }
    try:
        return ImageJSON.from_document(document, None)
    except ValidationError as error:
        raise InvalidManifest(f"a schema 1 history entry that breaks its form: {first_fault(error)}") from None


def _step(text: str | bytes) -> dict[str, Any]:
    try:
        step = from_json(text)
    except ValueError as error:
        raise InvalidManifest(f"a schema 1 document that is not JSON: {error}") from None
    if not isinstance(step, dict):
        raise InvalidManifest("a schema 1 document that is not a JSON object")
    return step


def _history(step: dict[str, Any]) -> dict[str, Any]:
    container = step.get("container_config")
    command = container.get("Cmd") if isinstance(container, dict) else None
    words = command if isinstance(command, list) else [command]  # old builders wrote a plain string
    return {
        "created": step.get("created"),
        "created_by": " ".join(str(word) for word in words if word is not None),
        "comment": step.get("comment"),
        "author": step.get("author"),
        "empty_layer": bool(step.get("throwaway", False)),
    }
