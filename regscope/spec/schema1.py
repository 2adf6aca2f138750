"""Schema 1 manifests (Docker image manifest version 2, schema 1): their signatures and the image config in them."""

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
    """The signed part of a schema 1 manifest, which is the part that its digest is computed from.

    It is assembled by the `protected` header of the signatures (docs/spec/manifest-v2-1.md, Signed Manifests), so that
    unsigned additions are never read. The payload of an unsigned manifest is all of it.

    Raises:
        InvalidManifest: the signatures cannot be read, are not all for the same payload, or are not valid.
    """
    signatures = _step(raw).get("signatures")
    if not signatures:
        return raw
    try:
        headers = [from_json(_decoded(signature["protected"])) for signature in signatures]
        parts = {(int(header["formatLength"]), _decoded(header["formatTail"])) for header in headers}
    except (ValueError, LookupError, TypeError, OverflowError):
        raise InvalidManifest("the signatures of the schema 1 manifest cannot be read") from None
    if len(parts) != 1:
        raise InvalidManifest("the signatures of the schema 1 manifest are for different payloads")
    [(length, tail)] = parts
    if not 0 <= length <= len(raw):
        raise InvalidManifest("the signatures of the schema 1 manifest are for more bytes than it has")
    from regscope.spec.schema1_signatures import check_signatures  # slow to import, and rarely needed

    payload = raw[:length] + tail
    check_signatures(payload, signatures)
    return payload


def signatures_of(raw: bytes) -> list[JWS] | None:
    """The signatures of a schema 1 manifest that was verified by `schema1_payload`; None where it has none."""
    stated = _step(raw).get("signatures")
    return [JWS.model_validate(each) for each in stated] if stated else None


def signed_schema1(manifest: ManifestSchema1, key: Any) -> bytes:
    """A schema 1 manifest with signatures: its own where they are valid for its content, otherwise one by `key`.

    Args:
        key: a private key of libtrust's.
    """
    from regscope.spec.schema1_signatures import signed  # slow to import, and rarely needed

    document = from_json(manifest.raw)
    as_it_is = manifest.raw if document.pop("signatures", None) else _with_signatures(manifest)
    try:
        if as_it_is and schema1_payload(as_it_is):
            return as_it_is
    except InvalidManifest:
        pass  # the manifest was changed after it was signed
    return signed(schema1_form(document), key)


def _with_signatures(manifest: ManifestSchema1) -> bytes:
    """The manifest with its signatures, at the offset that the first one states; empty where there is none."""
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
    """The image config that is contained in the history of a schema 1 manifest, its steps oldest first.

    `rootfs.diff_ids` is empty: schema 1 has none.

    Raises:
        InvalidManifest: a history entry is not a valid JSON object, or there is not one entry for each layer.
    """
    if len(manifest.history) != len(manifest.fsLayers):
        raise InvalidManifest(
            f"the schema 1 manifest has {len(manifest.fsLayers)} layers, but {len(manifest.history)} history entries"
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
        raise InvalidManifest(f"a history entry of the schema 1 manifest is invalid: {first_fault(error)}") from None


def _step(text: str | bytes) -> dict[str, Any]:
    try:
        step = from_json(text)
    except ValueError as error:
        raise InvalidManifest(f"the schema 1 document is not JSON: {error}") from None
    if not isinstance(step, dict):
        raise InvalidManifest("the schema 1 document is not a JSON object")
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
