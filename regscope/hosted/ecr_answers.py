"""What the control plane of Amazon ECR says of images, and why some were not deleted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from regscope.errors import RequestError, RequestErrorWithResponse, ResourceNotFound
from regscope.hosted.provider import ListedManifest, ListedTag
from regscope.spec.digest import Digest

HELD = "ImageReferencedByManifestList"
_ABSENT = "ImageNotFound"


def row(said: Mapping[str, Any]) -> ListedManifest:
    """An entry of `imageDetails`.

    Raises:
        InvalidDigest: it has no valid digest.
    """
    tags = said.get("imageTags")
    size = said.get("imageSizeInBytes")
    return ListedManifest(
        Digest(str(said.get("imageDigest"))),
        tags=tuple(ListedTag(str(tag)) for tag in sorted(tags)) if isinstance(tags, list) else (),
        media_type=said.get("imageManifestMediaType"),
        size=size if isinstance(size, int) else None,
        pushed=time_of(said.get("imagePushedAt")),
        pulled=time_of(said.get("lastRecordedPullTime")),
        archived=said.get("imageStatus", "ACTIVE") != "ACTIVE",
    )


def time_of(said: Any) -> datetime | None:
    """A time as botocore gives it; None for a missing one."""
    return said.astimezone(UTC) if isinstance(said, datetime) else None


def failure(repository: str, image: Mapping[str, Any], said: Mapping[str, Any]) -> RequestError:
    """The error for an entry of `failures`."""
    code, reason = str(said.get("failureCode") or "unknown"), str(said.get("failureReason") or "")
    name = ":".join(filter(None, [repository, image.get("imageTag")])) + "@" + str(image.get("imageDigest") or "")
    message = f"{name.rstrip('@')} was not deleted: {code}. {reason}".rstrip()
    if code == _ABSENT:
        return ResourceNotFound(message, 404, code=code, next_step="It is gone already.")
    step = "Scan and plan again."
    if code == HELD:
        step = "Scan and plan again: an index needs it, and has to be deleted first."
    return RequestErrorWithResponse(message, code=code, next_step=step)


def failures(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of `failures` in an answer."""
    found = answer.get("failures")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
