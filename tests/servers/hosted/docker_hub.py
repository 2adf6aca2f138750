"""Docker Hub: what it does otherwise than the registry behind, and its own API.

Sources: HubAPI is docs.docker.com/reference/api/hub/latest; HubReg is docs.docker.com/reference/api/registry/latest;
hub-tool is docker/hub-tool at 74bc560; renovate is renovatebot/renovate, lib/modules/datasource/docker; "pulls" is
docs.docker.com/docker-hub/usage/pulls; "reported" names an issue.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ..certificates import CertificateAuthority
from ..deleting import ask, asked
from ..proxy import Forward, ProxyRequest, ProxyResponse
from ..registry import Registry
from .hosted import Profile, answered, authorization, error
from .upstream import Stored

REGISTRY, API, TOKENS, BLOBS = "registry-1.docker.io", "hub.docker.com", "auth.docker.io", "cdn.docker.example"
_PAGE = 100  # the most entries of a page; ten where none is asked for (HubAPI)


class DockerHubRegistry(Profile):
    """Before `registry`.

    Args:
        password: of the user `ann`, or a personal access token of hers, which both APIs accept (HubAPI).
        pulls: GETs of manifests that are allowed; None for no limit, and no header fields then ("pulls").

    Attributes:
        private: repositories that are shown to `ann` alone.
        api_secret: what the API takes in place of the password; the same by default.
        hidden: repositories that the API shows to nobody, as with an organization's token without the scope.
        may_delete: whether `ann` may delete.
        refuses_tokens: whether the API answers 403 to requests with a token (reported: hub-feedback#2171, #2438).
        lacks: repository and tag of what the API does not list, though the registry has it (reported:
            hub-feedback#2533).
        left_over: the same of what the API lists, though it was deleted at the registry (reported: hub-feedback#2361).
        bare: the same of what is listed without digest and images (reported: hub-feedback#2369).
        moved: repository and tag, and the older digest that the API still states (reported: hub-feedback#2533).
        deletes_later: seconds after which a deletion is done that was answered by 500; None: at once, 202.
        takes_children: whether the deletion of an index takes its children along, as on the web (documented: manage;
            nobody says whether the API does).
        api_limit: requests to the API that are answered; later ones get 429 until `api_reset`, a time in seconds.
        manifests_pulled: the number of GETs of manifests.
    """

    hosts = (REGISTRY, "docker.io", API, TOKENS, BLOBS)

    def __init__(
        self, registry: Registry, authority: CertificateAuthority, *, password: str = "secret", pulls: int | None = None
    ) -> None:
        super().__init__(registry, authority)
        self.password, self.pulls, self.api_secret = password, pulls, password
        self.login = {"username": "ann", "password": password}
        self.private: set[str] = set()
        self.hidden: set[str] = set()
        self.may_delete = True
        self.refuses_tokens = False
        self.lacks: set[tuple[str, str]] = set()
        self.left_over: dict[tuple[str, str], str] = {}
        self.bare: set[tuple[str, str]] = set()
        self.moved: dict[tuple[str, str], str] = {}
        self.deletes_later: float | None = None
        self.takes_children = False
        self.api_limit, self.api_reset = 10**6, 0.0
        self.manifests_pulled = 0
        self.web_tokens: set[str] = set()
        self.pushed: dict[tuple[str, str], datetime] = {}
        self.pulled: dict[tuple[str, str], datetime] = {}  # by repository, and tag or digest
        self._tokens: dict[str, set[str]] = {}
        for rule in (self._token, self._from_cdn, self._api, self._challenge, self._counted, self._blob, self._delete):
            self.rule(rule)

    def _token(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """For five minutes (reported: hub-feedback#2094); an anonymous one for public repositories alone."""
        address = urlsplit(request.path)
        if request.headers["Host"] != TOKENS:
            return None
        name = ""
        if authorization(request):
            if authorization(request) != f"Basic {base64.b64encode(f'ann:{self.password}'.encode()).decode()}":
                return answered({"details": "incorrect username or password"}, status=401)
            name = "ann"
        token = secrets.token_urlsafe(12)
        scopes = [scope for each in parse_qs(address.query).get("scope", []) for scope in each.split()]
        self._tokens[token] = {found for scope in scopes for found in self._granted(scope, name)}
        return answered({"token": token, "access_token": token, "expires_in": 300})

    def _granted(self, scope: str, name: str) -> list[str]:
        repository, _, actions = scope.removeprefix("repository:").rpartition(":")
        if repository in self.private and not name:
            return []
        allowed = {"pull"} if not name else {"pull", "push", "delete"} if self.may_delete else {"pull", "push"}
        return [f"{repository}:{action}" for action in actions.split(",") if action in allowed]

    def _challenge(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Everything wants a token (HubReg); the catalog is refused with any (reported: hub-feedback#2094)."""
        path = urlsplit(request.path).path
        token = authorization(request).removeprefix("Bearer ")
        known, name, _ = self._tokens.get(token), *_repository(path)
        action = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(request.method, "push")
        if known is not None and path != "/v2/_catalog" and (not name or f"{name}:{action}" in known):
            return None
        challenge = f'Bearer realm="https://{TOKENS}/token",service="registry.docker.io"'
        if path == "/v2/_catalog":
            challenge += ',scope="registry:catalog:*"'
        elif name:
            challenge += f',scope="repository:{name}:{"pull,push" if action == "push" else action}"'
        if known is not None:
            challenge += ',error="insufficient_scope"'
        return error(401, "UNAUTHORIZED", "authentication required", ("WWW-Authenticate", challenge))

    def _counted(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """A GET of a manifest counts, a HEAD does not; both state what is left, in this form ("pulls")."""
        repository, reference = asked(request)
        if not reference or request.method not in ("GET", "HEAD"):
            return None
        if request.method == "GET":
            if self.pulls is not None and self.manifests_pulled >= self.pulls:
                return ProxyResponse(429, [("Content-Type", "text/plain")], b"You have reached your pull rate limit.\n")
            self.manifests_pulled += 1
            self.pulled[repository, reference] = datetime.now(UTC)
        answer = forward()
        if self.pulls is not None:
            left = self.pulls - self.manifests_pulled
            answer.headers += [("ratelimit-limit", f"{self.pulls};w=21600"), ("ratelimit-remaining", f"{left};w=21600")]
        return answer

    def _blob(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """By a redirect to another host (HubReg), which takes no token."""
        if request.method == "GET" and "/blobs/sha256:" in request.path:
            return ProxyResponse(307, [("Location", f"https://{BLOBS}{request.path}")])
        return None

    def _from_cdn(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.headers["Host"] != BLOBS:
            return None
        status, body, _ = ask(self, "GET", request.path)
        return ProxyResponse(400 if authorization(request) else status, [], body)

    def _delete(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        repository, reference = asked(request)
        if request.method != "DELETE" or not reference:
            return None
        manifests = {each.digest: each for each in self.upstream_files.manifests(repository)}
        if ":" not in reference:
            # Accepted; the API goes on listing the tag (reported: hub-feedback#2361).
            digest = self.upstream_files.tags(repository).get(reference)
            if digest is None:
                return error(404, "MANIFEST_UNKNOWN", "manifest unknown")
            self.left_over[repository, reference] = digest
            self.upstream_files.remove_tag(repository, reference)
            return ProxyResponse(202)
        stored = manifests.get(reference)
        if stored is not None and (stored.tags or any(reference in each.children for each in manifests.values())):
            # While a tag or another image refers to it (HubReg, DeleteImageManifest).
            return error(403, "DENIED", "requested access to the resource is denied")
        if stored is not None and self.deletes_later is not None:
            # 500, and done later all the same (HubReg, DeleteImageManifest; docker/docs#24078).
            threading.Timer(self.deletes_later, ask, (self, "DELETE", request.path)).start()
            return ProxyResponse(500)
        answer = forward()
        if answer.status == 202 and stored is not None and self.takes_children:
            held = {child for each in manifests.values() if each is not stored for child in each.children}
            for child in {*stored.children} - held:
                if child in manifests and not manifests[child].tags:
                    ask(self, "DELETE", f"/v2/{repository}/manifests/{child}")
        return answer

    def _api(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """With X-RateLimit header fields; 429 has the time of the next try in X-Retry-After (HubAPI, rate limiting)."""
        if request.headers["Host"] != API:
            return None
        if self.api_limit <= 0 and time.time() < self.api_reset:
            again = str(int(self.api_reset) + 1)
            return ProxyResponse(429, [("X-Retry-After", again), ("X-RateLimit-Remaining", "0")], b"{}")
        self.api_limit -= 1
        path = unquote(urlsplit(request.path).path)
        if (request.method, path) == ("POST", "/v2/auth/token"):
            return self._web_token(json.loads(request.body))
        token = authorization(request).removeprefix("Bearer ")
        if token and token not in self.web_tokens:
            return answered({"message": "unauthorized", "errinfo": {}}, status=401)
        if token and self.refuses_tokens:
            said = "access to the resource is forbidden with personal access token"
            return answered({"message": said, "errinfo": {}}, status=403)
        answer = self._answer(request, path, bool(token))
        answer.headers += [("X-RateLimit-Limit", "600"), ("X-RateLimit-Remaining", str(max(self.api_limit, 0)))]
        return answer

    def _web_token(self, said: dict[str, Any]) -> ProxyResponse:
        """For the user's name with a password or an access token (HubAPI, AuthCreateAccessToken)."""
        if said != {"identifier": "ann", "secret": self.api_secret}:
            return answered({"detail": "Incorrect authentication credentials"}, status=401)  # hub-feedback#2227
        token = secrets.token_urlsafe(12)
        self.web_tokens.add(token)
        return answered({"access_token": token})

    def _answer(self, request: ProxyRequest, path: str, is_known: bool) -> ProxyResponse:
        match path.strip("/").split("/"):
            case ["v2", "namespaces", namespace, "repositories"] if request.method == "GET":
                found = [name for name in self._shown(is_known) if name.startswith(f"{namespace}/")]
                rows = [{"name": name.partition("/")[2], "namespace": namespace} for name in found]
                return self._page(request, rows)
            case ["v2", "namespaces", namespace, "repositories", name, "tags"] if request.method == "GET":
                if f"{namespace}/{name}" in self._shown(is_known):
                    return self._page(request, self._tags(f"{namespace}/{name}"))
            case ["v2", "repositories", namespace, name, "tags", tag] if request.method == "DELETE":
                return self._untag(f"{namespace}/{name}", tag, is_known)
        return answered({"message": "object not found", "errinfo": {}}, status=404)

    def _shown(self, is_known: bool) -> list[str]:
        """Private repositories to whoever may see them (HubAPI, listNamespaceRepositories); names have two parts."""
        hidden = self.hidden if is_known else self.hidden | self.private
        return [name for name in self.upstream_files.repositories() if name.count("/") == 1 and name not in hidden]

    def _page(self, request: ProxyRequest, rows: list[dict[str, Any]]) -> ProxyResponse:
        """`next` is a whole address, or null (hub-tool pkg/hub/repositories.go)."""
        address = urlsplit(request.path)
        query = {name: int(values[0]) for name, values in parse_qs(address.query).items()}
        size, number = min(query.get("page_size", 10), _PAGE), query.get("page", 1)
        start = (number - 1) * size
        more = start + size < len(rows)
        after = f"https://{API}{address.path}?page={number + 1}&page_size={size}" if more else None
        results = rows[start : start + size]
        return answered({"count": len(rows), "next": after, "previous": None, "results": results})

    def _tags(self, repository: str) -> list[dict[str, Any]]:
        manifests = {each.digest: each for each in self.upstream_files.manifests(repository)}
        on = self.upstream_files.tags(repository)
        on |= {tag: digest for (name, tag), digest in self.left_over.items() if name == repository and tag not in on}
        on |= {tag: digest for (name, tag), digest in self.moved.items() if name == repository and tag in on}
        shown = {tag: digest for tag, digest in on.items() if (repository, tag) not in self.lacks}
        return [self._tag(repository, tag, digest, manifests) for tag, digest in sorted(shown.items())]

    def _tag(self, repository: str, tag: str, digest: str, manifests: dict[str, Stored]) -> dict[str, Any]:
        """The documented fields (HubAPI, paginated_tags), and those that its answers have beside them: `digest` and
        `media_type` of what the tag points to, an index or an image (renovate schema.ts; reported: renovate#24135)."""
        stored = manifests.get(digest)
        children = [manifests[child] for child in stored.children if child in manifests] if stored else []
        images = children or ([stored] if stored and "layers" in stored.document else [])
        pushed = self.pushed.get((repository, tag)) or (stored.uploaded if stored else None)
        entry = {
            "name": tag,
            "full_size": sum(each.image_size for each in images[:1]),
            "tag_status": "active",
            "last_updated": _time(pushed),
            "tag_last_pushed": _time(pushed),
            "tag_last_pulled": _time(self.pulled.get((repository, tag))),
            "images": [self._image(repository, each) for each in images],
            "content_type": "image",
            "media_type": stored.media_type if stored else "",
            "digest": digest,
        }
        if (repository, tag) in self.bare:
            entry = {name: value for name, value in entry.items() if name not in ("digest", "media_type")}
            entry["images"] = []
        return entry

    def _image(self, repository: str, stored: Stored) -> dict[str, Any]:
        return {
            "architecture": "amd64",
            "os": "linux",
            "digest": stored.digest,
            "size": stored.image_size,
            "status": "active",
            "last_pulled": _time(self.pulled.get((repository, stored.digest))),
            "last_pushed": _time(stored.uploaded),
        }

    def _untag(self, repository: str, tag: str, is_known: bool) -> ProxyResponse:
        """The tag alone (hub-tool pkg/hub/tags.go; reported: hub-tool#234, the manifests stay); 403 without the right
        (reported: hub-feedback#2008)."""
        if not is_known or not self.may_delete:
            said = "insufficient privileges"
            return answered({"message": said, "errinfo": {}}, status=403 if is_known else 401)
        if (repository, tag) in self.lacks:
            return answered({"message": "tag not found", "errinfo": {}}, status=404)
        was_left = self.left_over.pop((repository, tag), None)
        if not self.upstream_files.remove_tag(repository, tag) and not was_left:
            return answered({"message": "tag not found", "errinfo": {}}, status=404)
        return ProxyResponse(204)


def _repository(path: str) -> tuple[str, str]:
    """The repository of a path of the registry's API, and what follows it; empty for other paths."""
    for kind in ("manifests", "blobs", "tags", "referrers"):
        name, found, rest = path.removeprefix("/v2/").partition(f"/{kind}/")
        if found:
            return name, rest
    return "", ""


def _time(when: datetime | None) -> str | None:
    """With six digits after the second (HubAPI); null where it never was."""
    return f"{when:%Y-%m-%dT%H:%M:%S.%f}Z" if when else None
