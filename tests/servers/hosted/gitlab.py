"""GitLab's registry, and the GitLab that it belongs to: what they do otherwise than the registry behind.

Sources: spec is container-registry, docs/spec/gitlab/api.md; handlers is its source, registry/handlers and the tests of
its API; docs is docs.gitlab.com, api/container_registry; harbor is goharbor/harbor at c50c7dd, in
src/pkg/reg/adapter/gitlab; rails is gitlabhq, lib/container_registry and app/services/auth; "reported" names an issue.
"""

from __future__ import annotations

import base64
import secrets
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from ..certificates import CertificateAuthority
from ..deleting import asked
from ..proxy import Forward, ProxyRequest, ProxyResponse
from ..registry import Registry
from .hosted import Profile, answered, authorization, error
from .upstream import Stored

OF_REGISTRY = {"registry.gitlab.com": "gitlab.com", "registry.example.com": "gitlab.example.com"}
"""The GitLab of each registry."""


class GitLabRegistry(Profile):
    """Before `registry`.

    Args:
        password: of the user `ann`; without one everybody may read and write.
        database: whether the registry has the metadata database.

    Attributes:
        user: of the login.
        access_tokens: those of the REST API, each with its scopes.
        job_project: that of the CI job whose token is the password of `gitlab-ci-token`.
        protected: repository and tag of what may not be deleted.
        may_delete: whether the user's role allows it.
        by_name: whether the registry deletes a tag by its name (its fork does: rails client.rb, delete_repository_tag).
        being_deleted: repositories whose deletion is under way.
        referenced: whether a manifest in an index is refused to be deleted.
        limited: answers 429 that are still to come.
        scopes: those that tokens were asked for.
    """

    hosts = (*OF_REGISTRY, *OF_REGISTRY.values())

    def __init__(
        self, registry: Registry, authority: CertificateAuthority, *, password: str = "", database: bool = True
    ) -> None:
        super().__init__(registry, authority)
        self.user, self.password, self.database = "ann", password, database
        self.access_tokens: dict[str, set[str]] = {}
        self.job_project = ""
        self.protected: set[tuple[str, str]] = set()
        self.may_delete = self.by_name = True
        self.being_deleted: set[str] = set()
        self.referenced = True
        self.scopes: list[str] = []
        self._tokens: dict[str, set[str]] = {}
        for rule in (self._token, self._rest, self._challenge, self._lists, self._delete, self._version):
            self.rule(rule)

    def asked(self) -> list[str]:
        return [line for line in super().asked() if " /jwt/auth" not in line]

    def forget_tokens(self) -> None:
        """Let all tokens of the registry be expired."""
        self._tokens.clear()

    def projects(self) -> dict[str, list[str]]:
        """Each project, whose path has two parts, or three below `subgroup`, and its repositories."""
        found: dict[str, list[str]] = {}
        for repository in self.upstream_files.repositories():
            found.setdefault(_project(repository), []).append(repository)
        return found

    def _token(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """The token service is GitLab's (harbor adapter_test.go). Scopes that are not granted are left out of the
        token, and those of a group or of the catalog always are: only projects have a registry (rails
        container_registry_authentication_service.rb)."""
        path, _, query = request.path.partition("?")
        if path != "/jwt/auth":
            return None
        expected = f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"
        if (self.password or authorization(request)) and authorization(request) != expected:
            # The words of rails jwt_controller.rb, render_access_denied.
            return error(403, "DENIED", "access forbidden")
        scopes = {scope for each in parse_qs(query).get("scope", []) for scope in each.split()}
        self.scopes += sorted(scopes)
        token = secrets.token_urlsafe(12)
        self._tokens[token] = {found for scope in scopes for found in self._granted(scope)}
        return answered({"token": token})

    def _granted(self, scope: str) -> list[str]:
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind != "repository" or "/" not in name:
            return []
        return [f"repository:{name}:{action}" for action in actions.split(",") if action != "delete" or self.may_delete]

    def _challenge(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Service and realm as in harbor adapter_test.go; what lies below /gitlab/v1 needs `pull` (spec)."""
        token, wanted = authorization(request).removeprefix("Bearer "), _wanted(request)
        if token in self._tokens and wanted <= self._tokens[token]:
            return None
        realm = f"https://{OF_REGISTRY[request.headers['Host']]}/jwt/auth"
        challenge = f'Bearer realm="{realm}",service="container_registry"'
        if wanted:
            name = next(iter(wanted)).rpartition(":")[0]
            challenge += f',scope="{name}:{",".join(sorted(each.rpartition(":")[2] for each in wanted))}"'
        if token in self._tokens:
            challenge += ',error="insufficient_scope"'
        return error(401, "UNAUTHORIZED", "authentication required", ("WWW-Authenticate", challenge))

    def _lists(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Tags and repositories, by `n` and `last`; 404 without a body where there is no database (spec; handlers)."""
        address = urlsplit(request.path)
        path, query = unquote(address.path), parse_qs(address.query)
        if not path.startswith("/gitlab/v1/"):
            return None
        if not self.database:
            return ProxyResponse(404, [("Gitlab-Container-Registry-Version", "4.41.0-gitlab")])
        if not path.endswith("/"):
            return ProxyResponse(301, [("Location", f"{path}/?{address.query}")])
        size = query.get("n", ["100"])[0]
        if not size.isdigit() or not 1 <= int(size) <= 1000:
            return error(400, "INVALID_QUERY_PARAMETER_VALUE", "the value of a query parameter is invalid")
        if path.startswith("/gitlab/v1/repository-paths/"):
            prefix = path.removeprefix("/gitlab/v1/repository-paths/").removesuffix("/repositories/list/")
            names = [name for name in self.upstream_files.repositories() if f"{name}/".startswith(f"{prefix}/")]
            tagged = [name for name in names if self.upstream_files.tags(name)]
            rows = {name: {"name": name.rpartition("/")[2], "path": name} for name in tagged}
        else:
            repository = path.removeprefix("/gitlab/v1/repositories/").removesuffix("/tags/list/")
            manifests = self.upstream_files.manifests(repository)
            if not manifests:
                return error(404, "NAME_UNKNOWN", "repository name not known to registry")
            rows = {tag: _described(tag, each) for each in manifests for tag in each.tags}
        last = query.get("last", [""])[0]
        names = [name for name in sorted(rows) if name > last]
        page = names[: int(size)]
        more = urlencode({"last": page[-1], "n": size}) if len(names) > len(page) else ""
        # The address is a path alone (handlers: its API tests).
        link = [("Link", f'<{quote(path)}?{more}>; rel="next"')] if more else []
        return answered([rows[name] for name in page], *link)

    def _rest(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Everything on GitLab's own host: the REST API (docs)."""
        if request.headers["Host"] not in OF_REGISTRY.values():
            return None
        address = urlsplit(request.path)
        parts = [unquote(part) for part in address.path.removeprefix("/api/v4/").split("/")]
        if not address.path.startswith("/api/v4/"):
            return ProxyResponse(302, [("Location", "/users/sign_in")])
        token, job = request.headers.get("PRIVATE-TOKEN", ""), request.headers.get("JOB-TOKEN", "")
        if (token and token not in self.access_tokens) or (job and (job != self.password or not self.job_project)):
            return answered({"message": "401 Unauthorized"}, status=401)
        scopes = self.access_tokens.get(token, set())
        if token and not scopes & {"api", "read_api"}:
            return answered({"error": "insufficient_scope", "scope": "api read_api"}, status=403)
        visible = self.projects() if scopes or not self.password else {}
        if job:  # the job's own project alone (docs)
            visible = {name: found for name, found in self.projects().items() if name == self.job_project}
        return self._rest_answer(request, parts, parse_qs(address.query), visible, "api" in scopes or bool(job))

    def _rest_answer(
        self,
        request: ProxyRequest,
        parts: list[str],
        query: dict[str, list[str]],
        visible: dict[str, list[str]],
        may_delete: bool,
    ) -> ProxyResponse:
        ids = {name: number for number, name in enumerate(sorted(self.projects()), 1)}
        names = {str(number): name for name, number in ids.items()}
        if parts == ["projects"]:
            rows = [{"id": ids[name], "path_with_namespace": name} for name in sorted(visible)]
            return _page(request, rows, query)
        path = names.get(parts[1], parts[1])
        if parts[0] == "groups":
            repositories = [each for name in visible if name.startswith(f"{path}/") for each in visible[name]]
            found = bool(repositories)
        else:
            repositories, found = visible.get(path, []), path in visible
        if not found:
            return answered({"message": f"404 {parts[0].title()[:-1]} Not Found"}, status=404)
        if request.method == "DELETE":
            if not may_delete:
                return answered({"message": "403 Forbidden"}, status=403)
            repository, tag = self._by_id(parts[4]), parts[6]
            if (repository, tag) in self.protected:
                return answered({"message": "403 Forbidden - Tag is protected"}, status=403)
            if not self.upstream_files.remove_tag(repository, tag):
                return answered({"message": "404 Tag Not Found"}, status=404)
            return answered(200)
        return _page(request, [self._repository(name, ids) for name in sorted(repositories)], query)

    def _repository(self, name: str, ids: dict[str, int]) -> dict[str, Any]:
        status = "delete_ongoing" if name in self.being_deleted else None
        number = self.upstream_files.repositories().index(name) + 100
        return {"id": number, "path": name, "project_id": ids[_project(name)], "status": status}

    def _by_id(self, number: str) -> str:
        return self.upstream_files.repositories()[int(number) - 100]

    def _delete(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        repository, reference = asked(request)
        if request.method != "DELETE" or not reference:
            return None
        tags = self.upstream_files.tags(repository)
        touched = [reference] if ":" not in reference else [tag for tag, at in tags.items() if at == reference]
        if any((repository, tag) in self.protected for tag in touched):
            # The token says which tags may not be deleted (rails, tag_deny_access_patterns); status as in docs.
            return error(403, "DENIED", "requested access to the resource is denied")
        if ":" not in reference:
            if not self.by_name:
                return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            if not self.upstream_files.remove_tag(repository, reference):
                return error(404, "MANIFEST_UNKNOWN", "manifest unknown")
            return ProxyResponse(202)
        if self.referenced and any(reference in each.children for each in self.upstream_files.manifests(repository)):
            # 409 (handlers, manifests_api tests: ErrorCodeManifestReferencedInList).
            return error(409, "MANIFEST_REFERENCED_IN_LIST", "manifest referenced by a manifest list")
        return None  # with all its tags (rails client.rb, delete_repository_tag_by_digest)

    def _version(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """What a registry says of itself at /v2/ (rails client.rb)."""
        if request.path != "/v2/":
            return None
        answer = forward()
        answer.set_header("Gitlab-Container-Registry-Version", "4.41.0-gitlab")
        return answer


def _project(repository: str) -> str:
    parts = repository.split("/")
    return "/".join(parts[: 3 if parts[1:2] == ["subgroup"] else 2])


def _wanted(request: ProxyRequest) -> set[str]:
    """The scopes that a request needs."""
    path = unquote(urlsplit(request.path).path)
    if path == "/v2/_catalog":
        return {"registry:catalog:*"}
    if path.startswith("/gitlab/v1/"):
        name = path.removeprefix("/gitlab/v1/").partition("/")[2]
        name = name.removesuffix("/").removesuffix("/repositories/list").removesuffix("/tags/list")
        return {f"repository:{name}:pull"}
    for kind in ("/manifests/", "/blobs/", "/tags/"):
        name, found, _ = path.removeprefix("/v2/").rpartition(kind)
        if found:
            actions = {"GET": ["pull"], "HEAD": ["pull"], "DELETE": ["delete"]}.get(request.method, ["pull", "push"])
            return {f"repository:{name}:{action}" for action in actions}
    return set()


def _page(request: ProxyRequest, rows: list[dict[str, Any]], query: dict[str, list[str]]) -> ProxyResponse:
    """By 20 unless it is said otherwise, 100 at most; X-Next-Page is empty on the last page (docs, api/rest)."""
    number, size = int(query.get("page", ["1"])[0]), min(int(query.get("per_page", ["20"])[0]), 100)
    following = str(number + 1) if number * size < len(rows) else ""
    return answered(rows[(number - 1) * size : number * size], ("X-Next-Page", following))


def _described(tag: str, stored: Stored) -> dict[str, Any]:
    when = stored.uploaded.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "name": tag,
        "digest": stored.digest,
        "media_type": stored.media_type,
        "size_bytes": stored.image_size,
        "created_at": "2020-01-01T00:00:00.000Z",
        "updated_at": when,
        "published_at": when,
    }
