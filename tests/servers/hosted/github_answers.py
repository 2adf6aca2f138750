"""Answers in the forms of GitHub's REST API.

Sources: as in `ghcr`.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from ..proxy import ProxyRequest, ProxyResponse
from .hosted import answered


def version(number: int, digest: str, tags: list[str], created: datetime, deleted: datetime | None) -> dict[str, Any]:
    stamp = {"deleted_at": f"{deleted:%Y-%m-%dT%H:%M:%SZ}"} if deleted else {}
    return {
        "id": number,
        "name": digest,
        "created_at": f"{created:%Y-%m-%dT%H:%M:%SZ}",
        "updated_at": f"{created:%Y-%m-%dT%H:%M:%SZ}",
        "metadata": {"package_type": "container", "container": {"tags": tags}},
        **stamp,
    }


def page(rows: list[dict[str, Any]], query: dict[str, str], request: ProxyRequest) -> ProxyResponse:
    """A page of `per_page`, with a link to the next one and to the last (cleanup package-repo.ts)."""
    size, number = min(int(query.get("per_page", "30")), 100), int(query.get("page", "1"))
    last = max(1, -(-len(rows) // size))
    url = f"https://{request.headers['Host'].partition(':')[0]}{urlsplit(request.path).path}"
    links = [
        f'<{url}?{urlencode({**query, "page": to})}>; rel="{name}"'
        for name, to in (("next", number + 1), ("last", last))
        if number < last
    ]
    return answered(rows[(number - 1) * size : number * size], *([("Link", ", ".join(links))] if links else []))


def message(status: int, message: str, *headers: tuple[str, str]) -> ProxyResponse:
    """An error as the API words it."""
    document = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return answered(document, *headers, status=status)


def exceeded(form: str) -> ProxyResponse:
    """The forms in which the API says that its limit is exceeded (documented: rate-limits-for-the-rest-api)."""
    if form == "primary":
        reset = str(int(time.time()) + 1)
        return message(
            403, "API rate limit exceeded for user.", ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", reset)
        )
    if form == "until later":
        reset = str(int(time.time()) + 3000)
        return message(
            403, "API rate limit exceeded for user.", ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", reset)
        )
    said = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    if form == "secondary":
        return message(403, said, ("Retry-After", "1"))
    if form == "429":
        return message(429, said, ("Retry-After", "1"))
    return message(403, said)  # without a time (reported: snok/container-retention-policy#59)
