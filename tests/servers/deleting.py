"""Manners of deleting that registries have and that the real ones here have not, as rules for the proxy."""

from __future__ import annotations

import json
import threading
from urllib.parse import urlsplit

from regscope.spec.media_types import ACCEPT_MANIFESTS

from .proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse, Rule


def refuses_tagged(proxy: FaultProxy, status: int, code: str) -> Rule:
    """A manifest is not deleted as long as a tag is on it: Google (400), Docker Hub (403)."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        repository, reference = asked(request)
        if request.method == "DELETE" and ":" in reference and reference in on_tags(proxy, repository).values():
            return refused(status, code)
        return None

    return rule


def refuses_children(proxy: FaultProxy, status: int, code: str) -> Rule:
    """A child is not deleted as long as its index is there: Harbor (412), zot (405)."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        repository, reference = asked(request)
        if request.method == "DELETE" and ":" in reference:
            for digest in on_tags(proxy, repository).values():
                index = json.loads(ask(proxy, "GET", f"/v2/{repository}/manifests/{digest}")[1])
                if reference in [child["digest"] for child in index.get("manifests", ())]:
                    return refused(status, code)
        return None

    return rule


def with_the_last_tag(proxy: FaultProxy, unless_put_by_digest: bool = False) -> Rule:
    """A manifest goes with its last tag: ECR always, Gitea unless it was put by its digest."""
    by_digest: set[str] = set()

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        repository, reference = asked(request)
        if request.method == "PUT" and ":" in reference and unless_put_by_digest:
            by_digest.add(reference)
        if request.method != "DELETE" or not reference or ":" in reference:
            return None
        digest = on_tags(proxy, repository).get(reference)
        answer = forward()
        if answer.status == 202 and digest not in (*on_tags(proxy, repository).values(), *by_digest):
            ask(proxy, "DELETE", f"/v2/{repository}/manifests/{digest}")
        return answer

    return rule


def with_any_tag(proxy: FaultProxy) -> Rule:
    """The deletion of a tag is that of its manifest, and of all tags on it: zot, once."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        repository, reference = asked(request)
        digest = on_tags(proxy, repository).get(reference) if request.method == "DELETE" else None
        if digest is None:
            return None
        status, body, _ = ask(proxy, "DELETE", f"/v2/{repository}/manifests/{digest}")
        return ProxyResponse(status, [("Content-Type", "application/json")], body)

    return rule


def later(proxy: FaultProxy, seconds: float | None, status: int = 202) -> Rule:
    """A deletion by digest is answered at once, and done later; never where `seconds` is None."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        _, reference = asked(request)
        if request.method != "DELETE" or ":" not in reference:
            return None
        if ask(proxy, "HEAD", request.path)[0] != 200:
            return None
        if seconds is not None:
            threading.Timer(seconds, ask, (proxy, "DELETE", request.path)).start()
        return ProxyResponse(status)

    return rule


def knows_no_tag_deletion(status: int = 400, code: str = "UNSUPPORTED") -> Rule:
    """A tag is not deleted by its name."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        _, reference = asked(request)
        return refused(status, code) if request.method == "DELETE" and reference and ":" not in reference else None

    return rule


def asked(request: ProxyRequest) -> tuple[str, str]:
    """Repository and reference of a request for a manifest; empty for another one."""
    path = urlsplit(request.path).path
    repository, found, reference = path.removeprefix("/v2/").rpartition("/manifests/")
    return (repository, reference) if found else ("", "")


def on_tags(proxy: FaultProxy, repository: str) -> dict[str, str]:
    """Every tag of a repository of the upstream, and the digest that it points to."""
    status, body, _ = ask(proxy, "GET", f"/v2/{repository}/tags/list")
    tags = (json.loads(body).get("tags") or []) if status == 200 else []
    found = {tag: ask(proxy, "HEAD", f"/v2/{repository}/manifests/{tag}")[2] for tag in tags}
    return {tag: digest for tag, digest in found.items() if digest}


def ask(proxy: FaultProxy, method: str, path: str) -> tuple[int, bytes, str]:
    """Status, body and stated digest of what the upstream answers."""
    connection = proxy.connect()
    try:
        connection.request(method, path, headers={"Accept": ACCEPT_MANIFESTS})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("Docker-Content-Digest") or ""
    finally:
        connection.close()


def refused(status: int, code: str) -> ProxyResponse:
    """An error as registries word it."""
    body = json.dumps({"errors": [{"code": code, "message": "refused"}]}).encode()
    return ProxyResponse(status, [("Content-Type", "application/json")], body)
