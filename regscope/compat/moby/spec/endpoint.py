"""The address of a registry."""

from __future__ import annotations

from regscope.registry.endpoint import OFFICIAL_ENDPOINT, APIEndpoint

__all__ = ["OFFICIAL_ENDPOINT", "APIEndpoint"]
