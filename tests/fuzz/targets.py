"""All targets, by name."""

from __future__ import annotations

from tests.fuzz import document_targets, file_targets, layer_targets, store_targets, wire_targets
from tests.fuzz.target import Target

_PLACES = (layer_targets, document_targets, wire_targets, store_targets, file_targets)
TARGETS: dict[str, Target] = {target.name: target for place in _PLACES for target in place.TARGETS}
