"""Azure Container Registry: what it does otherwise than the registry behind.

Sources: acr-cli is Azure/acr-cli at cfbb835 (docs/swagger.yaml, acr/models.go, cmd/); harbor is goharbor/harbor at
c50c7dd, in src/pkg/reg/adapter/azurecr; "documented" is the page of learn.microsoft.com; "reported" names an issue.
"""

from __future__ import annotations

import base64
import secrets
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ..certificates import CertificateAuthority
from ..deleting import ask, asked
from ..proxy import Forward, ProxyRequest, ProxyResponse
from ..registry import Registry
from .hosted import Profile, answered, authorization, error
from .upstream import Stored

NOBODY = "00000000-0000-0000-0000-000000000000"  # the user of `az acr login` (acr-cli internal/api/acrsdk.go)


class AzureRegistry(Profile):
    """Before `registry`.

    Args:
        password: of the user `ann`; without one everybody may read and write.
        refresh_token: what `az acr login` leaves behind, an identity token.
        metadata: whether a token may have `metadata_read`: a scope map can leave it out.

    Attributes:
        locked: repository and tag or digest of what may be neither deleted nor written; its deletion is refused if
            one of the two is off (reported: acr-cli#134, acr#561).
        read_only: the same of what may be deleted and not written.
        hidden: repository and digest of what is in no list, `listEnabled: false`; `manifestCount` counts it (no source
            says whether it does).
        unreadable: repositories of which nothing may be pulled (reported: acr-cli#523).
        scopes: those that tokens were asked for.
    """

    hosts = ("ours.azurecr.io", "images.example.com")

    def __init__(
        self,
        registry: Registry,
        authority: CertificateAuthority,
        *,
        password: str = "",
        refresh_token: str = "",
        metadata: bool = True,
    ) -> None:
        super().__init__(registry, authority)
        self.password, self.refresh_token, self.metadata = password, refresh_token, metadata
        self.locked: set[tuple[str, str]] = set()
        self.read_only: set[tuple[str, str]] = set()
        self.hidden: set[tuple[str, str]] = set()
        self.unreadable: set[str] = set()
        self.scopes: list[str] = []
        self._tokens: dict[str, set[str]] = {}
        for rule in (self._token, self._challenge, self._refuse, self._lists, self._untag, self._delete):
            self.rule(rule)

    def _token(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """By GET with a password, and by POST with the identity token (acr-cli internal/api/acrsdk.go)."""
        path, _, query = request.path.partition("?")
        if path != "/oauth2/token":
            return None
        said = parse_qs(request.body.decode() if request.method == "POST" else query)
        if request.method == "POST":
            known = bool(self.refresh_token) and said.get("refresh_token") == [self.refresh_token]
        else:
            known = authorization(request) == f"Basic {base64.b64encode(f'ann:{self.password}'.encode()).decode()}"
        if not known:
            return error(401, "UNAUTHORIZED", "authentication required")
        scopes = {scope for each in said.get("scope", []) for scope in each.split()}
        self.scopes += sorted(scopes)
        token = secrets.token_urlsafe(12)
        self._tokens[token] = {found for scope in scopes for found in self._granted(scope)}
        return answered({"access_token": token})

    def _granted(self, scope: str) -> list[str]:
        name, _, actions = scope.rpartition(":")
        return [f"{name}:{action}" for action in actions.split(",") if self.metadata or action != "metadata_read"]

    def _challenge(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """The realm is on the registry's own host, and the service is NAME.azurecr.io (harbor adapter_test.go). What
        lies below /acr/v1 needs `metadata_read` (acr-cli internal/api/acrsdk.go)."""
        token, wanted = authorization(request).removeprefix("Bearer "), _wanted(request)
        if not (self.password or self.refresh_token) or (
            token in self._tokens and (not wanted or wanted in self._tokens[token])
        ):
            return None
        challenge = f'Bearer realm="https://{request.headers["Host"]}/oauth2/token",service="ours.azurecr.io"'
        if wanted:
            challenge += f',scope="{wanted}"'
        if token in self._tokens:
            challenge += ',error="insufficient_scope"'
        return error(401, "UNAUTHORIZED", "authentication required", ("WWW-Authenticate", challenge))

    def _refuse(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        repository, _ = asked(request)
        if request.method == "GET" and repository in self.unreadable:
            return error(403, "DENIED", "requested access to the resource is denied")
        return None

    def _lists(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Pages of `n` that follow `last`, a name or a digest (acr-cli docs/swagger.yaml, acr/models.go)."""
        address = urlsplit(request.path)
        path, query = unquote(address.path), parse_qs(address.query)
        if request.method != "GET" or not (path.startswith("/acr/v1/") or path == "/v2/_catalog"):
            return None
        repository, _, kind = path.removeprefix("/acr/v1/").rpartition("/")
        if kind == "_catalog":
            return answered({"repositories": _page(self.upstream_files.repositories(), query)})
        whole = "/" not in path.removeprefix("/acr/v1/") or not kind.startswith("_")
        manifests = self.upstream_files.manifests(path.removeprefix("/acr/v1/") if whole else repository)
        if not manifests:
            return error(404, "NAME_UNKNOWN", "repository name not known to registry")
        if whole:
            return answered({"imageName": repository, "manifestCount": len(manifests)})
        manifests = [each for each in manifests if (repository, each.digest) not in self.hidden]
        about: dict[str, Any] = {"registry": "ours.azurecr.io", "imageName": repository}
        if kind == "_manifests":
            rows = {each.digest: self._manifest(repository, each) for each in manifests}
        else:
            shown = [(tag, each) for each in manifests for tag in each.tags if (repository, tag) not in self.hidden]
            rows = {tag: self._tag(repository, tag, each) for tag, each in shown}
        return answered({**about, kind.strip("_"): [rows[name] for name in _page(sorted(rows), query)]})

    def _manifest(self, repository: str, stored: Stored) -> dict[str, Any]:
        row = {
            "digest": stored.digest,
            "imageSize": stored.image_size,
            "createdTime": _time(stored),
            "lastUpdateTime": _time(stored),
            "mediaType": stored.media_type,
            "changeableAttributes": self._attributes(repository, stored.digest),
        }
        return row | ({"tags": stored.tags} if stored.tags else {})

    def _tag(self, repository: str, tag: str, stored: Stored) -> dict[str, Any]:
        return {
            "name": tag,
            "digest": stored.digest,
            "createdTime": _time(stored),
            "lastUpdateTime": _time(stored),
            "signed": False,
            "changeableAttributes": self._attributes(repository, tag),
        }

    def _attributes(self, repository: str, reference: str) -> dict[str, bool]:
        place = (repository, reference)
        may_go, may_move = place not in self.locked, place not in self.locked | self.read_only
        return {"deleteEnabled": may_go, "writeEnabled": may_move, "readEnabled": True, "listEnabled": True}

    def _untag(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """The tag alone, 202 (acr-cli docs/swagger.yaml; documented: container-registry-delete); 405 where it is locked
        (acr-cli internal/worker/purger.go)."""
        repository, found, tag = unquote(urlsplit(request.path).path).removeprefix("/acr/v1/").rpartition("/_tags/")
        if request.method != "DELETE" or not found:
            return None
        if (repository, tag) in self.locked | self.read_only:
            return _is_locked()
        if not self.upstream_files.remove_tag(repository, tag):
            return error(404, "TAG_UNKNOWN", "the tag does not exist")
        return ProxyResponse(202)

    def _delete(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        repository, digest = asked(request)
        if request.method != "DELETE" or not digest:
            return None
        if ":" not in digest:
            # By its digest alone (acr-cli docs/swagger.yaml; reported: fluxcd/pkg#328).
            return error(405, "UNSUPPORTED", "the operation is unsupported")
        manifests = {each.digest: each for each in self.upstream_files.manifests(repository)}
        if digest in manifests and any(
            (repository, name) in self.locked | self.read_only for name in (digest, *manifests[digest].tags)
        ):
            return _is_locked()
        answer = forward()  # with all its tags (documented: container-registry-delete)
        if answer.status == 202:
            # The server removes referrers with their subject (acr-cli cmd/repository/image_functions.go).
            for each in manifests.values():
                if each.document.get("subject", {}).get("digest") == digest:
                    ask(self, "DELETE", f"/v2/{repository}/manifests/{each.digest}")
        return answer


def _is_locked() -> ProxyResponse:
    # The code and the words of acr-cli#70 (reported).
    said = "The operation is disallowed on this registry, repository or image."
    return error(405, "REGISTRY_DISALLOWED_OPERATION", said)


def _wanted(request: ProxyRequest) -> str:
    """The scope that a request below /acr/v1 needs."""
    path = unquote(urlsplit(request.path).path)
    if path == "/acr/v1/_catalog":
        return "registry:catalog:*"
    repository = path.removeprefix("/acr/v1/").partition("/_")[0] if path.startswith("/acr/v1/") else ""
    action = "delete" if request.method == "DELETE" else "metadata_read"
    return f"repository:{repository}:{action}" if repository else ""


def _page(names: list[str], query: dict[str, list[str]]) -> list[str]:
    last, size = query.get("last", [""])[0], int(query.get("n", ["100"])[0])
    return [name for name in names if name > last][: min(size, 100)]


def _time(stored: Stored) -> str:
    """With seven digits after the second (acr-cli acr/models.go, its examples)."""
    return f"{stored.uploaded:%Y-%m-%dT%H:%M:%S.%f}0Z"
