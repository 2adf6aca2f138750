"""Harbor: what it does otherwise than the registry behind, and its own API.

Sources: goharbor/harbor at c50c7dd; each comment names the file below src/ there, or api/v2.0/swagger.yaml.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ..certificates import CertificateAuthority
from ..deleting import ask, asked
from ..proxy import Forward, ProxyRequest, ProxyResponse
from ..registry import Registry
from .hosted import Profile, answered, authorization, error
from .upstream import Stored

HOST = "harbor.example.com"
_NEVER = "0001-01-01T00:00:00.000Z"  # Go's zero time, in pkg/artifact/model.go
_PAGE = 100  # the most entries of a page; ten where none is asked for (swagger)


class HarborRegistry(Profile):
    """Before `registry`.

    Args:
        password: of the user `ann`; without one everybody may read and write.
        is_admin: whether she may list the catalog (server/middleware/v2auth/auth.go); without a password, everybody.

    Attributes:
        may_list: whether she may list artifacts: a robot account may lack that right.
        may_delete: whether she may delete artifacts and tags.
        has_api: whether there is `/api/v2.0`: other services name the same token service (pkg/reg/adapter).
        immutable: repository and tag of immutable tags.
        pulled: by repository, and tag or digest: when it was pulled last.
    """

    hosts = (HOST,)

    def __init__(
        self, registry: Registry, authority: CertificateAuthority, *, password: str = "", is_admin: bool = True
    ) -> None:
        super().__init__(registry, authority)
        self.password, self.is_admin = password, is_admin
        self.may_list = self.may_delete = self.has_api = True
        self.immutable: set[tuple[str, str]] = set()
        self.pulled: dict[tuple[str, str], datetime] = {}
        self._tokens: dict[str, set[str]] = {}
        for rule in (self._token, self._challenge, self._api, self._pull, self._tags, self._delete):
            self.rule(rule)

    def forget_tokens(self) -> None:
        """Let all tokens so far have expired."""
        self._tokens.clear()

    def _is_ann(self, request: ProxyRequest) -> bool:
        return authorization(request) == f"Basic {base64.b64encode(f'ann:{self.password}'.encode()).decode()}"

    def _token(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """The actions that are granted, of those that are asked for (core/service/token)."""
        address = urlsplit(request.path)
        if address.path != "/service/token":
            return None
        if authorization(request) and not self._is_ann(request):
            return error(401, "UNAUTHORIZED", "unauthorized")
        token = secrets.token_urlsafe(12)
        allowed = {"pull", "push", "delete"} if self.may_delete else {"pull", "push"}
        self._tokens[token] = set()
        for scope in parse_qs(address.query).get("scope", []) if authorization(request) or not self.password else []:
            name, _, actions = scope.removeprefix("repository:").rpartition(":")
            self._tokens[token] |= {f"{name}:{action}" for action in actions.split(",") if action in allowed}
        return answered({"token": token, "access_token": "", "expires_in": 1800})

    def _challenge(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Basic for the catalog, and where a request has Authorization already; else Bearer
        (server/middleware/v2auth/auth.go)."""
        path = urlsplit(request.path).path
        if not path.startswith("/v2/"):
            return None
        known, name = self._tokens.get(authorization(request).removeprefix("Bearer ")), _repository(path)
        if path == "/v2/_catalog":
            if self.is_admin and (not self.password or self._is_ann(request)):
                # Those that are not empty (server/registry/catalog.go).
                return answered({"repositories": self.upstream_files.repositories()})
            said = "unauthorized to list catalog: unauthorized to list catalog"
            return error(401, "UNAUTHORIZED", said, ("WWW-Authenticate", 'Basic realm="harbor"'))
        action = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(request.method, "push")
        is_allowed = self.may_delete or action != "delete"
        if (self._is_ann(request) and is_allowed) or (known is not None and (not name or f"{name}:{action}" in known)):
            return None
        challenge = f'Bearer realm="https://{HOST}/service/token",service="harbor-registry"'
        if name:
            challenge += f',scope="repository:{name}:{"pull,push" if action == "push" else action}"'
        if authorization(request):
            challenge = 'Basic realm="harbor"'
        said = f"unauthorized to access repository: {name}, action: {action}"
        return error(401, "UNAUTHORIZED", said, ("WWW-Authenticate", challenge))

    def _pull(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """A GET of a manifest is a pull, a HEAD is none (server/registry/manifest.go)."""
        repository, reference = asked(request)
        if request.method == "GET" and reference:
            now = datetime.now(UTC)
            self.pulled[repository, self.upstream_files.tags(repository).get(reference, reference)] = now
            self.pulled[repository, reference] = now
        return None

    def _tags(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """An empty list for a repository without tags (server/registry/tag.go)."""
        path = urlsplit(request.path).path
        if not path.endswith("/tags/list") or not self.upstream_files.manifests(_repository(path)):
            return None
        answer = forward()
        return answer if answer.status == 200 else answered({"name": _repository(path), "tags": []})

    def _delete(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """By digest alone (server/registry/manifest.go)."""
        repository, reference = asked(request)
        if request.method != "DELETE" or not reference:
            return None
        if ":" not in reference:
            return error(400, "UNSUPPORTED", f"unsupported digest {reference}: invalid checksum digest format")
        return self._delete_artifact(repository, reference, 202)

    def _delete_artifact(self, repository: str, digest: str, status: int) -> ProxyResponse:
        """With its tags, its accessories, and its children that have no tag and no other parent; 412 for a child, and
        where a tag is immutable (controller/artifact/controller.go, deleteDeeply; controller/tag/controller.go)."""
        manifests = {each.digest: each for each in self.upstream_files.manifests(repository)}
        stored = manifests.get(digest)
        if stored is None:
            return error(404, "NOT_FOUND", f"artifact {repository}@{digest} not found")
        if any(digest in each.children for each in manifests.values()):
            return error(412, "VIOLATE_FOREIGN_KEY_CONSTRAINT", "the deleting artifact is referenced by others")
        for tag in stored.tags:
            if (repository, tag) in self.immutable:
                return error(412, "PRECONDITION", f"the tag {tag} configured as immutable, cannot be deleted")
        for each in self._accessories(repository, stored, manifests):
            self._delete_artifact(repository, each.digest, status)
        ask(self, "DELETE", f"/v2/{repository}/manifests/{digest}")
        others = {child for each in manifests.values() if each is not stored for child in each.children}
        for child in stored.children:
            if child in manifests and child not in others and not manifests[child].tags:
                self._delete_artifact(repository, child, status)
        return ProxyResponse(status)

    def _accessories(self, repository: str, subject: Stored, manifests: dict[str, Stored]) -> list[Stored]:
        """What names it as its subject, or has the tag of cosign's signature (server/middleware/subject, …/cosign)."""
        signature = self.upstream_files.tags(repository).get(f"{subject.digest.replace(':', '-')}.sig")
        return [
            each
            for each in manifests.values()
            if each.document.get("subject", {}).get("digest") == subject.digest or each.digest == signature
        ]

    def _api(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """The login of the registry, by Basic."""
        address = urlsplit(request.path)
        if not address.path.startswith("/api/v2.0/"):
            return None
        if not self.has_api:
            return ProxyResponse(404, [("Content-Type", "text/html")], b"<html>404</html>")
        if self.password and not self._is_ann(request):
            return error(401, "UNAUTHORIZED", "unauthorized")
        parts = [unquote(unquote(part)) for part in address.path.removeprefix("/api/v2.0/").split("/")]
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        match parts:
            case ["repositories"]:
                names = self.upstream_files.repositories()
                return self._page(request, query, [{"id": at, "name": name} for at, name in enumerate(names, 1)])
            case ["projects", project, "repositories", name, *rest]:
                return self._in_repository(request, query, f"{project}/{name}", rest)
        return error(404, "NOT_FOUND", f"{address.path} not found")

    def _in_repository(
        self, request: ProxyRequest, query: dict[str, str], repository: str, rest: list[str]
    ) -> ProxyResponse:
        manifests = {each.digest: each for each in self.upstream_files.manifests(repository)}
        if (not self.may_list and request.method == "GET") or (not self.may_delete and request.method == "DELETE"):
            return error(403, "FORBIDDEN", "forbidden")
        match rest:
            case [] if manifests:
                return answered({"name": repository, "artifact_count": len(manifests)})
            case ["artifacts"]:  # an empty list for an unknown repository (server/v2.0/handler/artifact.go)
                rows = [self._artifact(repository, each, manifests) for each in self._listed(repository, query)]
                return self._page(request, query, rows)
            case ["artifacts", reference] if request.method == "GET":
                digest = self.upstream_files.tags(repository).get(reference, reference)
                if digest in manifests:
                    return answered(self._artifact(repository, manifests[digest], manifests))
            case ["artifacts", _, "tags", tag] if request.method == "DELETE":
                if (repository, tag) in self.immutable:
                    return error(412, "PRECONDITION", f"the tag {tag} configured as immutable, cannot be deleted")
                if self.upstream_files.remove_tag(repository, tag):
                    return ProxyResponse(200)
        return error(404, "NOT_FOUND", f"{repository} {'/'.join(rest)} not found")

    def _listed(self, repository: str, query: dict[str, str]) -> list[Stored]:
        """Without accessories, and without untagged children unless `base=*` is asked for (pkg/artifact/dao/dao.go)."""
        manifests = {each.digest: each for each in self.upstream_files.manifests(repository)}
        attached = {
            found.digest for each in manifests.values() for found in self._accessories(repository, each, manifests)
        }
        # An accessory stays one when its subject is gone (server/middleware/subject/subject.go).
        attached |= {each.digest for each in manifests.values() if "subject" in each.document}
        children = {child for each in manifests.values() for child in each.children}
        return [
            each
            for each in manifests.values()
            if each.digest not in attached and (query.get("q") == "base=*" or each.tags or each.digest not in children)
        ]

    def _artifact(self, repository: str, stored: Stored, manifests: dict[str, Stored]) -> dict[str, Any]:
        return {
            "id": int(stored.digest[7:15], 16),
            "digest": stored.digest,
            "manifest_media_type": stored.media_type,
            "size": stored.image_size,
            "push_time": f"{stored.uploaded:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            "pull_time": self._pull_time(repository, stored.digest),
            "tags": [
                {
                    "name": tag,
                    "push_time": f"{stored.uploaded:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
                    "pull_time": self._pull_time(repository, tag),
                    "immutable": (repository, tag) in self.immutable,
                }
                for tag in stored.tags
            ]
            or None,
            "references": [{"child_digest": child} for child in stored.children] or None,
            "accessories": [
                {"digest": each.digest, "size": each.image_size, "subject_artifact_digest": stored.digest}
                for each in self._accessories(repository, stored, manifests)
            ]
            or None,
        }

    def _pull_time(self, repository: str, reference: str) -> str:
        when = self.pulled.get((repository, reference))
        return f"{when:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z" if when else _NEVER

    def _page(self, request: ProxyRequest, query: dict[str, str], rows: list[dict[str, Any]]) -> ProxyResponse:
        """With X-Total-Count, and links that have no host and are not quoted (server/v2.0/handler/base.go)."""
        size, number = min(int(query.get("page_size", 10)), _PAGE), int(query.get("page", 1))
        start = (number - 1) * size
        links = []
        for relation, other in (("prev", number - 1), ("next", number + 1)):
            if 0 <= (other - 1) * size < len(rows):
                asked_for = sorted({**query, "page": str(other), "page_size": str(size)}.items())
                after = f"{urlsplit(request.path).path}?{'&'.join(f'{name}={value}' for name, value in asked_for)}"
                links.append(f'<{after}>; rel="{relation}"')
        headers = [("X-Total-Count", str(len(rows))), *([("Link", " , ".join(links))] if links else [])]
        return answered(rows[start : start + size], *headers)


def _repository(path: str) -> str:
    """The repository of a path of the registry's API; empty for other paths."""
    for kind in ("manifests", "blobs", "tags", "referrers"):
        name, found, _ = path.removeprefix("/v2/").partition(f"/{kind}/")
        if found:
            return name
    return ""
