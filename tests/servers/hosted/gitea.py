"""Gitea and Forgejo: what they do otherwise than the registry behind.

`tests/field/test_gitea.py` asks the same of a real Gitea 1.26. "source" is code.gitea.io/gitea at v1.26.0: container.go
and manifest.go in routers/api/packages/container, api.go and packages/package.go in routers/api/v1; "seen" is what the
real one did here.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import secrets
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from ..certificates import CertificateAuthority
from ..deleting import ask, asked
from ..proxy import Forward, ProxyRequest, ProxyResponse
from ..registry import Registry
from .hosted import Profile, answered, authorization, error
from .upstream import Stored

USER = "team"
_API = "/api/v1/"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class GiteaRegistry(Profile):
    """Before `registry`. All repositories are `OWNER/NAME`, and everybody who logs in may read all owners' packages.

    Args:
        password: of the user `team`.
        administrator: whether the user is a site administrator.
        lists_one_package: whether the versions of one package have a list of their own (source: api.go; older versions
            and Forgejo have none: stored version of api.go, ae0c793).
        below: the path below which the server is installed, which older versions write into the realm, without a
            `service` (stored version of container.go).
        page: entries of a page at most (source: modules/setting/api.go, MAX_RESPONSE_ITEMS).

    Attributes:
        by_tag_alone: repository and digest of manifests that were pushed by tags alone: they go with their last tag,
            and have no version of their own (seen; source: manifest.go, createPackageAndVersion).
        secrets: the user's password and tokens, each with its scopes; None for all.
        tokens: of the registry, each with whether it may write.
    """

    hosts = ("git.example.com", "codeberg.org")

    def __init__(
        self,
        registry: Registry,
        authority: CertificateAuthority,
        *,
        password: str = "secret",
        administrator: bool = True,
        lists_one_package: bool = True,
        below: str | None = None,
        page: int = 50,
    ) -> None:
        super().__init__(registry, authority)
        self.secrets: dict[str, frozenset[str] | None] = {password: None}
        self.administrator, self.lists_one_package = administrator, lists_one_package
        self.below, self.page = below, page
        self.by_tag_alone: set[tuple[str, str]] = set()
        self.tokens: dict[str, bool] = {}
        self._pushed: dict[tuple[str, str], tuple[int, datetime]] = {}  # how often and when, by repository and tag
        self._uploaded: set[tuple[str, str]] = set()  # repository and digest of blobs that no manifest names yet
        self._ids: dict[tuple[object, ...], int] = {}
        self._next = itertools.count(1)
        for rule in (
            self._token,
            self._rest,
            self._challenge,
            self._catalog,
            self._refuse,
            self._blob,
            self._put,
            self._untag,
        ):
            self.rule(rule)

    def _token(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """By GET with user and password, or for everybody to read; not for a token without a scope for packages (seen;
        source: container.go, Authenticate)."""
        if urlsplit(request.path).path != f"{self.below or ''}/v2/token":
            return None
        if authorization(request) and not self._may(request, "read:package"):
            return self._unauthorized(request)
        token = secrets.token_urlsafe(12)
        self.tokens[token] = self._may(request, "write:package")
        return answered({"token": token})

    def _challenge(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if authorization(request).removeprefix("Bearer ") in self.tokens or self._secret(request):
            return None
        return self._unauthorized(request)

    def _unauthorized(self, request: ProxyRequest) -> ProxyResponse:
        """Two challenges, each in a header of its own (seen; source: APIUnauthorizedError)."""
        realm = f'Bearer realm="https://{request.headers["Host"]}{self.below or ""}/v2/token"'
        if self.below is None:
            realm += ',service="container_registry",scope="*"'
        headers = (("WWW-Authenticate", realm), ("WWW-Authenticate", 'Basic realm="Gitea Container Registry"'))
        return error(401, "UNAUTHORIZED", "", *headers)

    def _catalog(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """By a hundred at most: those that have a version (seen; source: container.go, GetRepositoryList)."""
        address = urlsplit(request.path)
        if address.path != "/v2/_catalog":
            return None
        query = parse_qs(address.query)
        size = min(int(query.get("n", ["100"])[0]), 100)
        after = [name for name in self.upstream_files.repositories() if name > query.get("last", [""])[0]]
        link = f'</v2/_catalog?n={size}&last={after[size - 1]}>; rel="next"' if len(after) >= size else ""
        return answered({"repositories": after[:size]}, *([("Link", link)] if link else []))

    def _refuse(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """What may only read gets 401 and another realm (seen)."""
        token = authorization(request).removeprefix("Bearer ")
        if request.method in ("GET", "HEAD") or self.tokens.get(token) or self._may(request, "write:package"):
            return None
        realm = ("WWW-Authenticate", 'Basic realm="Gitea Package API"')
        return ProxyResponse(401, [("Content-Type", "text/plain; charset=utf-8"), realm], b"reqPackageAccess\n")

    def _rest(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Lists and files need a login in any case (seen; source: api.go, reqToken)."""
        address = urlsplit(request.path)
        start = f"{self.below or ''}{_API}"
        if not address.path.startswith(start):
            return None
        secret = self._secret(request)
        if not secret:
            said = "invalid username, password or token" if authorization(request) else "token is required"
            return _said(401, said)
        parts = [unquote(part) for part in address.path.removeprefix(start).split("/")]
        wanted = "read:user" if parts == ["user"] else "read:package"
        if not self._may(request, wanted):
            scopes = ",".join(sorted(self.secrets[secret] or ()))
            said = f"required=[{wanted}], token scope={scopes}"
            return _said(403, f"token does not have at least one of required scope(s), {said}")
        if parts == ["user"]:
            return answered({"login": USER, "is_admin": self.administrator})
        query = parse_qs(address.query)
        match parts:
            case ["packages", owner]:
                return self._owner(owner, query)
            case ["packages", owner, "container", name] if self.lists_one_package:
                return self._package(owner, name, query)
            case ["packages", owner, "container", name, version, "files"]:
                return self._files(owner, name, version)
        return _said(404, "not found")

    def _owner(self, owner: str, query: dict[str, list[str]]) -> ProxyResponse:
        """All versions of an owner; `q` is a part of the package's name (seen; source: package.go, ListPackages)."""
        names = [name for name in self.upstream_files.repositories() if name.startswith(f"{owner}/")]
        if not names:
            return _said(404, f"user redirect does not exist [name: {owner}]")
        part = query.get("q", [""])[0]
        return self._listed([name for name in names if part in name.partition("/")[2]], query, owner)

    def _package(self, owner: str, name: str, query: dict[str, list[str]]) -> ProxyResponse:
        if not self.upstream_files.manifests(f"{owner}/{name}"):
            return _said(404, "GetPackageByName: package does not exist")
        return self._listed([f"{owner}/{name}"], query, f"{owner}/container/{quote(name, safe='')}")

    def _listed(self, repositories: list[str], query: dict[str, list[str]], path: str) -> ProxyResponse:
        """The newest first, by pages that are counted from the start of the list (seen; source: package_version.go)."""
        rows = [row for repository in repositories for row in self._versions(repository)]
        rows.sort(key=lambda row: (row["created_at"], row["id"]), reverse=True)
        number, size = int(query.get("page", ["1"])[0]), min(int(query.get("limit", ["30"])[0]), self.page)
        headers = [("X-Total-Count", str(len(rows)))]
        if number * size < len(rows):  # the server's own idea of its address (source: SetLinkHeader, setting.AppURL)
            more = urlencode({"limit": size, "page": number + 1})
            headers.append(("Link", f'<http://localhost:3000{_API}packages/{path}?{more}>; rel="next"'))
        return answered(rows[(number - 1) * size : number * size], *headers)

    def _versions(self, repository: str) -> list[dict[str, Any]]:
        """A version for each tag, and for each digest that was pushed by its digest. One that was pushed again has a
        new id (seen; source: createPackageAndVersion)."""
        owner, _, name = repository.partition("/")
        found = []
        for stored in self.upstream_files.manifests(repository):
            own = [] if (repository, stored.digest) in self.by_tag_alone and stored.tags else [stored.digest]
            for version in (*own, *stored.tags):
                times, created = self._pushed.get((repository, version), (0, stored.uploaded))
                place = (repository, version, stored.digest, stored.uploaded, times)
                number = self._ids.setdefault(place, next(self._next))
                user = {"id": 1, "login": owner, "username": owner}
                about = {"id": number, "owner": user, "repository": None, "creator": user, "type": "container"}
                found.append({**about, "name": name, "version": version, "created_at": f"{created:%FT%TZ}"})
        return found

    def _files(self, owner: str, name: str, version: str) -> ProxyResponse:
        """The manifest is the file manifest.json, of an image with its config and layers (seen)."""
        stored = self._stored(f"{owner}/{name}", version)
        if stored is None:
            return _said(404, "package does not exist")
        sizes = _parts(stored).items()
        files = [{"size": size, "name": digest.replace(":", "_"), **_hashes(digest)} for digest, size in sizes]
        size = self.upstream_files.registry.blob_digests()[stored.digest]
        return answered([*files, {"size": size, "name": "manifest.json", **_hashes(stored.digest)}])

    def _stored(self, repository: str, version: str) -> Stored | None:
        stored = self.upstream_files.manifests(repository)
        return next((each for each in stored if version in (each.digest, *each.tags)), None)

    def _blob(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """A blob is served as long as a version of the repository has it, or none had it since its upload: it is gone
        at once with the last manifest that names it (seen; source: manifest.go, createFileFromBlobReference)."""
        address = urlsplit(request.path)
        repository, found, digest = address.path.removeprefix("/v2/").rpartition("/blobs/")
        if request.method in ("POST", "PUT") and "/blobs/uploads/" in address.path:
            query = parse_qs(address.query)
            answer = forward()
            if answer.status == 201:
                repository = address.path.removeprefix("/v2/").partition("/blobs/uploads/")[0]
                self._uploaded.update((repository, name) for key in ("digest", "mount") for name in query.get(key, ()))
            return answer
        if not found or request.method not in ("GET", "HEAD") or (repository, digest) in self._uploaded:
            return None
        if digest in {name for each in self.upstream_files.manifests(repository) for name in _named(each)}:
            return None
        return error(404, "BLOB_UNKNOWN", "blob unknown to registry")

    def _put(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """What was pushed by a tag alone goes when the tag moves on (seen)."""
        repository, reference = asked(request)
        if request.method != "PUT" or not reference:
            return None
        before = self.upstream_files.tags(repository).get(reference)
        known = {each.digest for each in self.upstream_files.manifests(repository)}
        answer = forward()
        if answer.status != 201:
            return answer
        names = {name for each in self.upstream_files.manifests(repository) for name in _named(each)}
        self._uploaded -= {(repository, name) for name in names}
        if ":" in reference:
            self.by_tag_alone.discard((repository, reference))
            return answer
        self._pushed[repository, reference] = (next(self._next), datetime.now(UTC))
        if (now := self.upstream_files.tags(repository)[reference]) not in known:
            self.by_tag_alone.add((repository, now))
        self._forget(repository, before)
        return answer

    def _untag(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """The version of a tag alone, 202; the manifest stays where another version has it (seen)."""
        repository, tag = asked(request)
        if request.method != "DELETE" or not tag or ":" in tag:
            return None
        before = self.upstream_files.tags(repository).get(tag)
        if not self.upstream_files.remove_tag(repository, tag):
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown to registry")
        self._forget(repository, before)
        return ProxyResponse(202)

    def _forget(self, repository: str, digest: str | None) -> None:
        """Delete a manifest that no version holds any more."""
        if (repository, digest) in self.by_tag_alone and digest not in self.upstream_files.tags(repository).values():
            ask(self, "DELETE", f"/v2/{repository}/manifests/{digest}")

    def token(self, *scopes: str) -> str:
        """Another token of the user."""
        self.secrets[token := secrets.token_hex(20)] = frozenset(scopes)
        return token

    def _secret(self, request: ProxyRequest) -> str:
        """The password or token of a request, as a password (seen) or, at the REST API, as a token; or nothing."""
        said = authorization(request)
        forms = {f"Basic {base64.b64encode(f'{USER}:{each}'.encode()).decode()}": each for each in self.secrets}
        forms |= {f"token {each}": each for each in self.secrets if urlsplit(request.path).path.find(_API) >= 0}
        return forms.get(said, "")

    def _may(self, request: ProxyRequest, scope: str) -> bool:
        """Whether the login has a scope: `write:package` includes `read:package` (seen)."""
        secret = self._secret(request)
        scopes = self.secrets.get(secret, frozenset())
        return scopes is None or not scopes.isdisjoint((scope, scope.replace("read:", "write:")))


def _said(status: int, message: str) -> ProxyResponse:
    return answered({"message": message, "url": "https://git.example.com/api/swagger"}, status=status)


def _parts(stored: Stored) -> dict[str, int]:
    """The size of the config and of each layer."""
    parts = [stored.document.get("config"), *stored.document.get("layers", ())]
    return {part["digest"]: part["size"] for part in parts if part}


def _named(stored: Stored) -> set[str]:
    """Every digest in a manifest, also in those of schema 1 and of artifacts, which a real one refuses."""
    return set(_DIGEST.findall(json.dumps(stored.document)))


def _hashes(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}
