"""The tags of a repository."""

from __future__ import annotations

from regscope.registry.tags import Tags

__all__ = ["Tags"]
