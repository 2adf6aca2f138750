"""Blobs of a repository."""

from __future__ import annotations

from regscope.registry.blobs import Blob

__all__ = ["Blob"]
