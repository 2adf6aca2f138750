"""GitHub Container Registry and GitHub's REST API for packages: what they do otherwise than the registry behind.

Sources: cleanup is dataaxiom/ghcr-cleanup-action at f092b48 (src/); octokit is @octokit/openapi-types 29.0.1;
"documented" is the page of docs.github.com; "reported" names an issue or a pull request.
"""

from __future__ import annotations

import base64
import itertools
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from ..certificates import CertificateAuthority
from ..deleting import ask, asked
from ..proxy import Forward, ProxyRequest, ProxyResponse
from ..registry import Registry
from .github_answers import exceeded, message, page, version
from .hosted import Profile, answered, authorization, error
from .upstream import Taken

TOKEN = "ghp_classic"
SCOPES = ("read:packages", "write:packages", "delete:packages")
_KEEPS = timedelta(days=30)  # documented: deleting-and-restoring-a-package
_APIS = ("api.github.com", "api.ours.ghe.com")


class Deleted(NamedTuple):
    """A deleted version: its id, what was taken from the registry behind, and when."""

    number: int
    taken: Taken
    when: datetime


class GHCRRegistry(Profile):
    """Before `registry`; the first part of each name behind is its owner.

    Args:
        tokens: the personal access tokens that are known, and their scopes; a token that begins with `ghs_` is a
            workflow's.
        kind: what each owner is: Organization or User.
        user: whose the tokens are.
        public: whether anonymous users may pull.
        keeps: for how long a deleted version can be restored.
        restores_tags: whether a version is restored with its tags. GitHub's blog says "back to its original state"
            (changelog, 2021-02-17); of tags nobody has written.
        last_tagged_stays: whether the last tagged version is deleted only with its package (reported:
            posit-dev/positron#15764).

    Attributes:
        downloads: repository and digest of the public versions that have more than 5,000.
        unlisted: digests of versions that no list has yet.
        not_admin: repositories whose versions these tokens may not delete or restore.
        refuses_deletions: the next so many deletions answer with this status and message.
        limited: the next so many requests of the API answer that the limit is exceeded, in the form that it names.
        reused: repositories whose name was used again: nothing of them can be restored.
        restored: the ids of restored versions.
    """

    hosts = ("ghcr.io", "containers.ours.ghe.com", *_APIS)
    login: Mapping[str, str] = {"username": "ann", "password": TOKEN}

    def __init__(
        self,
        registry: Registry,
        authority: CertificateAuthority,
        *,
        tokens: Mapping[str, tuple[str, ...]] | None = None,
        kind: str = "Organization",
        user: str = "ann",
        public: bool = False,
        keeps: timedelta = _KEEPS,
        restores_tags: bool = True,
        last_tagged_stays: bool = False,
    ) -> None:
        super().__init__(registry, authority)
        self.tokens = {TOKEN: SCOPES} if tokens is None else dict(tokens)
        self.kind, self.user, self.public, self.keeps = kind, user, public, keeps
        self.restores_tags, self.last_tagged_stays = restores_tags, last_tagged_stays
        self.downloads: set[tuple[str, str]] = set()
        self.unlisted: set[str] = set()
        self.not_admin: set[str] = set()
        self.refuses_deletions: list[tuple[int, str]] = []
        self.limited: list[str] = []
        self.reused: set[str] = set()
        self.restored: list[int] = []
        self.registry_tokens: set[str] = set()
        self._ids: dict[tuple[str, str], int] = {}
        self._deleted: list[Deleted] = []
        self._numbers = itertools.count(1001)
        for rule in (self._api, self._token, self._challenge, self._registry):
            self.rule(rule)

    def id_of(self, repository: str, digest: str) -> int:
        """The id of a version; it gets one when it is first listed."""
        if (repository, digest) not in self._ids:
            self._ids[repository, digest] = next(self._numbers)
        return self._ids[repository, digest]

    def api_requests(self) -> list[str]:
        """The requests of the API since the last look, each as "METHOD path status"."""
        return [line for line in self.asked() if not line.partition(" ")[2].startswith("/v2/")]

    # The registry

    def _token(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Any user name with a token as password (cleanup registry.ts)."""
        if urlsplit(request.path).path != "/token":
            return None
        given = authorization(request).removeprefix("Basic ")
        password = base64.b64decode(given).decode().partition(":")[2] if given else ""
        if not (password in self.tokens if given else self.public):
            return error(403, "DENIED", "requested access to the resource is denied")
        self.registry_tokens.add(secrets.token_urlsafe(12))
        return answered({"token": next(iter(self.registry_tokens))})

    def _challenge(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """The realm is https://ghcr.io/token, and the service ghcr.io (cleanup registry.ts)."""
        token = authorization(request)
        if token.removeprefix("Bearer ") in self.registry_tokens:
            return None
        if token.startswith("Basic "):
            return error(403, "DENIED", "invalid token")  # reported: argocd-image-updater#303
        host = request.headers["Host"].partition(":")[0]
        repository, _ = asked(request)
        scope = f"repository:{repository or 'user/image'}:pull"
        challenge = f'Bearer realm="https://{host}/token",service="{host}",scope="{scope}"'
        return error(401, "UNAUTHORIZED", "authentication required", ("WWW-Authenticate", challenge))

    def _registry(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        path = urlsplit(request.path).path
        if path == "/v2/_catalog":
            return ProxyResponse(404, [], b"404 page not found")  # reported: vscode-docker#1525
        if request.method == "DELETE" and asked(request)[1]:
            # Tags and digests alike (reported: skopeo#1880, fluxcd/pkg#328).
            return error(405, "UNSUPPORTED", "The operation is unsupported.")
        if "/referrers/" in path:
            # Reported: NVIDIA/aicr#1957, artifacthub/hub#4785.
            name = path.removeprefix("/v2/").replace("/", "%2F").replace(":", "%2F")
            target = f"https://github.com/-/v2/packages/container/package/{name}"
            return ProxyResponse(303, [("Location", target)])
        return None

    # The API

    def _api(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.headers["Host"].partition(":")[0] not in _APIS:
            return None
        token = authorization(request).removeprefix("Bearer ")
        if self.limited:
            return exceeded(self.limited.pop(0))
        if token not in self.tokens:
            return message(401, "Bad credentials")
        answer = self._answer(request, token)
        # documented: rate-limits-for-the-rest-api; scopes-for-oauth-apps.
        answer.headers += [("X-RateLimit-Limit", "5000"), ("X-RateLimit-Remaining", "4999")]
        if not token.startswith("ghs_"):
            answer.headers.append(("X-OAuth-Scopes", ", ".join(self.tokens[token])))
        return answer

    def _answer(self, request: ProxyRequest, token: str) -> ProxyResponse:
        address = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        parts = address.path.strip("/").split("/")
        if parts == ["user"]:
            if token.startswith("ghs_"):  # cleanup octokit-client.ts
                return message(403, "Resource not accessible by integration")
            return answered({"login": self.user, "type": "User"})
        if parts[0] == "users" and len(parts) == 2:
            if not any(_owner(name) == parts[1] for name in self._known()):
                return message(404, "Not Found")
            return answered({"login": parts[1], "type": self.kind})  # cleanup package-repo.ts
        owner, rest = self._place(parts)
        if owner is None or rest[:1] != ["packages"]:
            return message(404, "Not Found")
        if "read:packages" not in self.tokens[token]:
            return message(403, "You need at least read:packages scope to get a package.")
        if rest == ["packages"]:
            return self._packages(owner, query, token, request)
        repository = f"{owner}/{unquote(rest[2])}"
        if repository not in self._known():
            return message(404, "Package not found.")
        if len(rest) == 3:
            return answered({"name": unquote(rest[2]), "package_type": "container"})
        if len(rest) == 4:
            return self._versions(repository, query, request)
        return self._changed(request.method, repository, rest[4:], token)

    def _place(self, parts: list[str]) -> tuple[str | None, list[str]]:
        """The owner that a path is about, and what follows."""
        if parts[0] == "user" and self.kind == "User":
            return self.user, parts[1:]
        is_right = parts[0] == ("users" if self.kind == "User" else "orgs")
        return (parts[1], parts[2:]) if is_right and len(parts) > 2 else (None, [])

    def _packages(self, owner: str, query: dict[str, str], token: str, request: ProxyRequest) -> ProxyResponse:
        if token.startswith("ghs_"):  # reported: constructorfabric/insight#2308, snok/container-retention-policy#96
            return message(403, "Resource not accessible by integration")
        names = [name for name in self.upstream_files.repositories() if _owner(name) == owner]
        rows = [
            {"id": at, "name": name.partition("/")[2], "package_type": "container"} for at, name in enumerate(names)
        ]
        return page(rows, query, request)

    def _versions(self, repository: str, query: dict[str, str], request: ProxyRequest) -> ProxyResponse:
        """One for each manifest, tagged or not (octokit package-version; cleanup)."""
        if query.get("state") == "deleted":
            rows = [
                version(each.number, each.taken.digest, each.taken.tags, each.taken.uploaded, each.when)
                for each in self._kept(repository)
            ]
        else:
            rows = [
                version(self.id_of(repository, each.digest), each.digest, each.tags, each.uploaded, None)
                for each in self.upstream_files.manifests(repository)
                if each.digest not in self.unlisted
            ]
        return page(sorted(rows, key=lambda row: -row["id"]), query, request)

    def _changed(self, method: str, repository: str, rest: list[str], token: str) -> ProxyResponse:
        number = int(rest[0])
        if method == "DELETE" and "delete:packages" not in self.tokens[token]:
            return message(403, "You need at least delete:packages scope to delete a package version.")
        if repository in self.not_admin:
            return message(404, "Package not found.")
        if method == "DELETE" and len(rest) == 1:
            return self._delete(repository, number)
        if method == "POST" and rest[1:] == ["restore"]:
            return self._restore(repository, number)
        return message(404, "Not Found")

    def _delete(self, repository: str, number: int) -> ProxyResponse:
        digest = next((name for (place, name), at in self._ids.items() if at == number and place == repository), None)
        stored = {each.digest: each for each in self.upstream_files.manifests(repository)}
        if digest not in stored:
            return message(404, "Package version not found.")  # also right after a list (cleanup package-repo.ts)
        if self.refuses_deletions:
            return message(*self.refuses_deletions.pop(0))
        if (repository, digest) in self.downloads:
            # The words and the status of Chizkiyahu/delete-untagged-ghcr-action#40 (reported).
            return message(
                400,
                "Publicly visible package versions with more than 5000 downloads cannot be deleted. Contact GitHub "
                "support for further assistance.",
            )
        tagged = [each for each in stored.values() if each.tags]
        if self.last_tagged_stays and [each.digest for each in tagged] == [digest]:
            return message(
                400, "You cannot delete the last tagged version of a package. You must delete the package instead."
            )
        taken = self.upstream_files.taken(repository, digest)
        # With all its tags (reported: bots-house/ghcr-delete-image-action#172); children stay (cleanup).
        ask(self, "DELETE", f"/v2/{repository}/manifests/{digest}")
        self._ids.pop((repository, digest))
        self._deleted.append(Deleted(number, taken, datetime.now(UTC)))
        return ProxyResponse(204)

    def _restore(self, repository: str, number: int) -> ProxyResponse:
        """204 (octokit), within 30 days, if the name was not used again (documented)."""
        found = next((each for each in self._kept(repository) if each.number == number), None)
        there = {each.digest for each in self.upstream_files.manifests(repository)}
        if found is None or found.taken.digest in there:
            return message(404, "Package version not found.")
        self.upstream_files.give_back(found.taken, with_tags=self.restores_tags)
        self._deleted.remove(found)
        self._ids[repository, found.taken.digest] = number
        self.restored.append(number)
        return ProxyResponse(204)

    def _kept(self, repository: str) -> list[Deleted]:
        """The deleted versions that can be restored."""
        if repository in self.reused:
            return []
        oldest = datetime.now(UTC) - self.keeps
        return [each for each in self._deleted if each.taken.repository == repository and each.when > oldest]

    def _known(self) -> set[str]:
        """The packages that have versions, or had some."""
        return {*self.upstream_files.repositories(), *(each.taken.repository for each in self._deleted)}


def _owner(repository: str) -> str:
    return repository.partition("/")[0]
