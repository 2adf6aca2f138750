"""Quay's API below /api/v1: by an OAuth token, anonymously what is public.

Sources as in quay.py; its errors have another form than the registry's (endpoints/exception.py).
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from ..proxy import ProxyRequest, ProxyResponse
from .hosted import answered, authorization

if TYPE_CHECKING:
    from .quay import QuayRegistry

_PAGE = 100


def answer_of_api(quay: QuayRegistry, request: ProxyRequest) -> ProxyResponse | None:
    """The answer to a request below /api/v1 (api/__init__.py, auth/oauth.py); None for others."""
    address = urlsplit(request.path)
    if not address.path.startswith("/api/v1/"):
        return None
    token, query = authorization(request).removeprefix("Bearer "), parse_qs(address.query)
    if token and token not in quay.api_tokens:
        return _refused(401, "invalid_token", "Requires authentication")
    scopes = quay.api_tokens.get(token, set())
    path = unquote(address.path).removeprefix("/api/v1/")
    if path == "repository":
        return _repositories(quay, query, bool(scopes))
    repository, found, rest = path.removeprefix("repository/").partition("/tag/")
    if repository in quay.private and not scopes:
        return _refused(401, "invalid_token", "Requires authentication")
    if not found or repository not in quay.upstream_files.repositories():
        return _refused(404, "not_found", "Not Found")
    if request.method == "GET":
        return _tags(quay, repository, query)
    if "repo:write" not in scopes:
        return _refused(403 if token else 401, "insufficient_scope", "Unauthorized")
    if request.method == "POST" and rest.endswith("/restore"):
        return _restore(quay, request, repository, rest.removesuffix("/restore"))
    if rest not in quay.upstream_files.tags(repository):
        return _refused(404, "not_found", "Not Found")
    quay.time_machine.end(repository, [rest])  # the tag alone (api/tag.py, deleteFullTag)
    return ProxyResponse(204)


def start_of(token: str) -> int:
    """What an opaque token says; 0 for one that is none of Quay's (v2/__init__.py, decrypt_page_token)."""
    return int(token[1:]) if token.startswith("_") and token[1:].isdigit() else 0


def _repositories(quay: QuayRegistry, query: dict[str, list[str]], is_known: bool) -> ProxyResponse:
    """`namespace`, `starred` or `public` is required; pages by an opaque `next_page` (api/repository.py)."""
    if not {"namespace", "public", "starred"} & {*query}:
        return _refused(400, "invalid_request", "namespace, starred or public are required for this API call")
    wanted = query.get("namespace", [""])[0]
    names = [name for name in quay.upstream_files.repositories() if name.startswith(f"{wanted}/")]
    names = [name for name in names if is_known or name not in quay.private]
    start = start_of(query.get("next_page", [""])[0])
    rows = []
    for name in names[start : start + _PAGE]:
        namespace, _, rest = name.partition("/")
        rows.append({"namespace": namespace, "name": rest, "is_public": name not in quay.private})
    more = {"next_page": f"_{start + _PAGE}"} if start + _PAGE < len(names) else {}
    return answered({"repositories": rows, **more})


def _tags(quay: QuayRegistry, repository: str, query: dict[str, list[str]]) -> ProxyResponse:
    """Newest first, 50 a page and 100 at most; dead ones too, unless they are left out (api/tag.py)."""
    rows = [
        _tag(tag, each.digest, each.uploaded)
        | {
            "size": each.image_size,
            "is_manifest_list": bool(each.children),
            "immutable": (repository, tag) in quay.immutable,
        }
        for each in quay.upstream_files.manifests(repository)
        for tag in each.tags
    ]
    if query.get("onlyActiveTags", ["false"])[0] != "true":
        ended = [each for each in quay.time_machine.history if each.repository == repository]
        rows += [_tag(at.name, at.digest, at.start) | {"end_ts": int(at.end.timestamp())} for at in ended]
    rows.sort(key=lambda row: (-row["start_ts"], row["name"]))
    number, size = int(query.get("page", ["1"])[0]), min(_PAGE, int(query.get("limit", ["50"])[0]))
    page = rows[(number - 1) * size : number * size]
    return answered({"tags": page, "page": number, "has_additional": number * size < len(rows)})


def _tag(name: str, digest: str, start: datetime) -> dict[str, Any]:
    return {"name": name, "reversion": False, "start_ts": int(start.timestamp()), "manifest_digest": digest}


def _restore(quay: QuayRegistry, request: ProxyRequest, repository: str, tag: str) -> ProxyResponse:
    """A manifest that the time machine has, under any tag (api/tag.py, RestoreTag)."""
    digest = str(json.loads(request.body).get("manifest_digest"))
    if digest not in {each.digest for each in quay.upstream_files.manifests(repository)}:
        return _refused(404, "not_found", "Not Found")
    if (repository, tag) in quay.immutable:
        return _refused(409, "tag_immutable", f"Cannot overwrite immutable tag '{tag}'")
    if tag in quay.upstream_files.tags(repository):
        quay.time_machine.end(repository, [tag])
    quay.upstream_files.set_tag(repository, tag, digest)
    return answered({})


def _refused(status: int, kind: str, said: str) -> ProxyResponse:
    document = {"detail": said, "error_message": said, "error_type": kind, "title": kind, "status": status}
    return answered(document, status=status)
