"""Quay: what it does otherwise than the registry behind.

Sources: quay/quay at ffba0c7, named by file (v2/… is endpoints/v2, api/… endpoints/api, oci/… data/model/oci);
"reported" names an issue.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from regscope.spec.media_types import OCI_INDEX

from ..certificates import CertificateAuthority
from ..deleting import ask, asked
from ..proxy import Forward, ProxyRequest, ProxyResponse
from ..registry import Registry
from .hosted import Profile, answered, authorization, error
from .quay_api import answer_of_api, start_of
from .time_machine import Ended, TimeMachine

_SCOPE = re.compile(r"repository:(?:[.a-zA-Z0-9_\-]+/)*[.a-zA-Z0-9_\-]+:(?:push|pull|\*)(?:,(?:push|pull|\*))*")
_COSIGN = ("sig", "att", "sbom")


class QuayRegistry(Profile):
    """Before `registry`.

    Args:
        password: of the robot `org+robot`; others may read what is public.

    Attributes:
        private: repositories that the API shows only to a token.
        api_tokens: OAuth tokens, each with its scopes.
        immutable: repository and tag of what may be neither moved nor deleted (v2/manifest.py, TagImmutable).
        by_name: whether it deletes a tag by its name; before 3.13 it does not (reported: quay#3128, regclient#393).
        referrers: whether it lists referrers (v2/referrers.py, features.REFERRERS_API).
        expires_signatures: whether cosign's tags go with the last tag of their image (oci/tag.py,
            _expire_cosign_sibling_tags).
        time_machine: what is served, and the tags that were deleted or moved.
        scopes: those that tokens were asked for.
    """

    hosts = ("quay.io", "images.example.com")
    login: Mapping[str, str] = {"username": "org+robot", "password": "secret"}

    def __init__(self, registry: Registry, authority: CertificateAuthority, *, password: str = "secret") -> None:
        super().__init__(registry, authority)
        self.password = password
        self.private: set[str] = set()
        self.api_tokens: dict[str, set[str]] = {}
        self.immutable: set[tuple[str, str]] = set()
        self.by_name = self.referrers = self.expires_signatures = True
        self.time_machine = TimeMachine(self.upstream_files)
        self.scopes: list[str] = []
        self._tokens: dict[str, set[str]] = {}
        for rule in (
            self._token,
            self._answer_api,
            self._challenge,
            self._lists,
            self._referrers,
            self._read,
            self._push,
        ):
            self.rule(rule)
        self.rule(self._delete)

    def asked(self) -> list[str]:
        return [line for line in super().asked() if " /v2/auth" not in line]

    def forget_tokens(self) -> None:
        """Let all tokens of the registry be expired."""
        self._tokens.clear()

    def time_passes(self) -> None:
        """Let the time machine and the hidden tags of pushes by digest end: what has no tag is deleted (oci/tag.py)."""
        self.time_machine.history.clear()
        self.time_machine.temporary.clear()
        for repository in self.upstream_files.repositories():
            alive = self.time_machine.alive(repository)
            for each in self.upstream_files.manifests(repository):
                if each.digest not in alive:
                    ask(self, "DELETE", f"/v2/{repository}/manifests/{each.digest}")

    def _token(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Its scopes are pull, push and * alone; any other is 400. Without a login and a scope there is no token
        (v2/v2auth.py)."""
        path, _, query = request.path.partition("?")
        if path != "/v2/auth":
            return None
        expected = f"Basic {base64.b64encode(f'org+robot:{self.password}'.encode()).decode()}"
        login, scopes = authorization(request), parse_qs(query).get("scope", [])
        self.scopes += sorted(scopes)
        if login and login != expected:
            return error(401, "UNAUTHORIZED", "Specified credentials are invalid")
        if not login and not scopes:
            return error(401, "UNAUTHORIZED", "access to the requested resource is not authorized")
        for scope in scopes:
            if not _SCOPE.fullmatch(scope):
                return error(400, "INVALID_REQUEST", f"Unable to decode repository and actions: {scope}")
        token = secrets.token_urlsafe(12)
        self._tokens[token] = {found for scope in scopes for found in self._granted(scope, bool(login))}
        return answered({"token": token})

    def _granted(self, scope: str, is_known: bool) -> list[str]:
        name, _, actions = scope.rpartition(":")
        public = name.partition(":")[2] not in self.private
        may = {"pull", "push"} if is_known else {"pull"} if public else set()
        return [f"{name}:{action}" for action in actions.split(",") if action in may]

    def _answer_api(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        with self.time_machine.lock:
            return answer_of_api(self, request)

    def _challenge(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """On the registry's own host; the catalog needs a token without a scope (auth/registry_jwt_auth.py, v2/catalog
        .py)."""
        token, (repository, actions) = authorization(request).removeprefix("Bearer "), _wanted(request)
        wanted = {f"repository:{repository}:{action}" for action in actions}
        if not request.path.startswith("/v2/") or (token in self._tokens and wanted <= self._tokens[token]):
            return None
        host = request.headers["Host"]
        challenge = f'Bearer realm="https://{host}/v2/auth",service="{host}"'
        if repository:
            challenge += f',scope="repository:{repository}:{",".join(actions)}"'
        said = "access to the requested resource is not authorized"
        return error(401, "UNAUTHORIZED", said, ("WWW-Authenticate", challenge))

    def _lists(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """A hundred names a page at most. The link of the catalog is absolute and its `next_page` opaque; the catalog
        has what the login may read, and nothing of others (v2/__init__.py, v2/catalog.py)."""
        address = urlsplit(request.path)
        query, host = parse_qs(address.query), request.headers["Host"]
        size = max(min(int(query.get("n", ["100"])[0]), 100), 1)
        if address.path == "/v2/_catalog":
            names, key = [name for name in self.upstream_files.repositories() if not name.startswith("public/")], "_"
            start = start_of(query.get("next_page", query.get("last", [""]))[0])
            page, document = names[start : start + size], {"repositories": names[start : start + size]}
            more = urlencode({"n": size, "next_page": f"{key}{start + size}"}) if start + size < len(names) else ""
        elif address.path.endswith("/tags/list"):
            repository = unquote(address.path).removeprefix("/v2/").removesuffix("/tags/list")
            if repository not in self.upstream_files.repositories():
                return error(404, "NAME_UNKNOWN", "repository not found")
            names = sorted(tag for tag in self.upstream_files.tags(repository) if tag > query.get("last", [""])[0])
            page, document = names[:size], {"name": repository, "tags": names[:size]}
            more = urlencode({"n": size, "last": page[-1]}) if len(names) > size else ""
        else:
            return None
        return answered(document, *([("Link", f'<https://{host}{address.path}?{more}>; rel="next"')] if more else []))

    def _referrers(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        repository, found, digest = urlsplit(request.path).path.removeprefix("/v2/").rpartition("/referrers/")
        if not found or not self.referrers:
            return None
        alive = self.time_machine.alive(repository)
        if digest not in alive:
            return error(400, "MANIFEST_INVALID", "manifest invalid")
        rows = [each for each in self.upstream_files.manifests(repository) if each.digest in alive]
        entries = [
            {"mediaType": each.media_type, "digest": each.digest, "size": 100, "artifactType": "sbom"}
            for each in rows
            if each.document.get("subject", {}).get("digest") == digest
        ]
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        answer = answered(document)
        answer.set_header("Content-Type", OCI_INDEX)
        return answer

    def _read(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """What has no tag any more is not served, though the time machine has it (v2/manifest.py)."""
        repository, reference = asked(request)
        if request.method not in ("GET", "HEAD") or not reference:
            return None
        if ":" in reference:
            return (
                None
                if reference in self.time_machine.alive(repository)
                else error(404, "MANIFEST_UNKNOWN", "manifest unknown")
            )
        if reference in self.upstream_files.tags(repository):
            return None
        if self.time_machine.ended(repository, reference):
            said = f"Tag {reference} was deleted or has expired. To pull, revive via time machine"
            return error(404, "TAG_EXPIRED", said)
        return None

    def _push(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        repository, reference = asked(request)
        if request.method != "PUT" or not reference:
            return None
        if (repository, reference) in self.immutable:
            return _is_immutable()
        before = self.upstream_files.tags(repository).get(reference)
        start = self.time_machine.starts(repository).get(reference, datetime.now(UTC))
        answer = forward()
        if answer.status == 201 and ":" in reference:
            self.time_machine.temporary.add((repository, reference))
        elif answer.status == 201 and before and before != self.upstream_files.tags(repository)[reference]:
            self.time_machine.history.append(Ended(repository, reference, before, start, datetime.now(UTC)))
        return answer

    def _delete(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """A tag alone; a digest with all its tags, and 404 where it has none. 409 where a tag is immutable (v2/manifest
        .py)."""
        repository, reference = asked(request)
        if request.method != "DELETE" or not reference:
            return None
        if ":" not in reference and not self.by_name:
            return error(405, "UNSUPPORTED", "The operation is unsupported.")
        with self.time_machine.lock:
            return self._deleted(repository, reference)

    def _deleted(self, repository: str, reference: str) -> ProxyResponse:
        tags = self.upstream_files.tags(repository)
        names = [name for name, digest in tags.items() if reference in (name, digest)]
        if not names:
            return _is_unknown()
        if any((repository, name) in self.immutable for name in names):
            return _is_immutable()
        digest = tags[names[0]]
        self.time_machine.end(repository, names)
        if self.expires_signatures and digest not in self.upstream_files.tags(repository).values():
            dashed = digest.replace(":", "-")
            mutable = {f"{dashed}.{end}" for end in _COSIGN if (repository, f"{dashed}.{end}") not in self.immutable}
            self.time_machine.end(repository, sorted(mutable & {*tags}))
        return ProxyResponse(202)


def _wanted(request: ProxyRequest) -> tuple[str, list[str]]:
    """The repository of a request, and the actions that it needs."""
    path = unquote(urlsplit(request.path).path)
    for kind in ("/manifests/", "/blobs/", "/tags/", "/referrers/"):
        name, found, _ = path.removeprefix("/v2/").rpartition(kind)
        if found:
            return name, ["pull"] if request.method in ("GET", "HEAD") else ["pull", "push"]
    return "", []


def _is_unknown() -> ProxyResponse:
    return error(404, "MANIFEST_UNKNOWN", "manifest unknown")


def _is_immutable() -> ProxyResponse:
    return error(409, "TAG_IMMUTABLE", "tag is immutable and cannot be overwritten")
