"""Schema 1 manifests (Docker image manifest version 2, schema 1) seen as an image config with its history."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from regscope.errors import InvalidManifest
from regscope.spec.image_config import ImageJSON
from regscope.spec.manifest import ManifestSchema1


def schema1_config(manifest: ManifestSchema1) -> ImageJSON:
    """The image config that a schema 1 manifest carries in its history, oldest step first.

    `rootfs.diff_ids` is empty: schema 1 does not know them.

    Raises:
        InvalidManifest: a history entry that is not a JSON object, or not one entry for each layer.
    """
    if len(manifest.history) != len(manifest.fsLayers):
        raise InvalidManifest(
            f"a schema 1 manifest with {len(manifest.fsLayers)} layers and {len(manifest.history)} history entries"
        )
    steps = [_step(entry.v1Compatibility) for entry in reversed(manifest.history)]
    newest = steps[-1] if steps else {}
    return ImageJSON.model_validate(
        {
            "created": newest.get("created"),
            "os": newest.get("os") or "linux",
            "architecture": newest.get("architecture") or manifest.architecture,
            "config": newest.get("config"),
            "history": [_history(step) for step in steps],
        }
    )


def _step(text: str) -> dict[str, Any]:
    try:
        step = from_json(text)
    except ValueError as error:
        raise InvalidManifest(f"a schema 1 history entry that is not JSON: {error}") from None
    if not isinstance(step, dict):
        raise InvalidManifest("a schema 1 history entry that is not a JSON object")
    return step


def _history(step: dict[str, Any]) -> dict[str, Any]:
    command = (step.get("container_config") or {}).get("Cmd") or []
    return {
        "created": step.get("created"),
        "created_by": " ".join(str(word) for word in command),
        "comment": step.get("comment"),
        "author": step.get("author"),
        "empty_layer": bool(step.get("throwaway", False)),
    }
