"""Descriptors and platforms."""

from __future__ import annotations

from regscope.spec.descriptor import Descriptor
from regscope.spec.platform import Platform

__all__ = ["Descriptor", "Platform"]
