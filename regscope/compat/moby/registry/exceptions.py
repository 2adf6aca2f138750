"""The errors of `regscope.errors` that the older client has."""

from __future__ import annotations

from regscope.errors import (
    AuthFailed,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    UnSupportMediaType,
)

__all__ = [
    "AuthFailed",
    "PermissionDeny",
    "RequestError",
    "RequestErrorWithResponse",
    "ResourceNotFound",
    "UnSupportMediaType",
]
