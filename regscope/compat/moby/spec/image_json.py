"""Image configs."""

from __future__ import annotations

from datetime import UTC, datetime

from regscope.spec.image_config import ContainerConfig, HealthConfig, History, ImageJSON, RootFS

__all__ = ["ContainerConfig", "HealthConfig", "History", "ImageJSON", "RootFS", "default_created"]


def default_created() -> datetime:
    """The current time in UTC, without fractions of a second."""
    return datetime.now(UTC).replace(microsecond=0)
