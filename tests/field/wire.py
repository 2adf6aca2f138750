"""A plain HTTP client of a registry, with which the tests fill it and look at it: nothing in it is regscope's own."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urljoin

import requests

from tests.field.servers.server import FieldServer
from tests.lab.drawn_registries import Pushed
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse, Rule

_REALM = re.compile(r'Bearer\s+realm="([^"]+)"')
_SCOPE = re.compile(r'scope="([^"]+:[^"]+)"')
_ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.manifest.v1",
        "oci.image.index.v1",
        "docker.distribution.manifest.v2",
        "docker.distribution.manifest.list.v2",
    )
)
_Value = TypeVar("_Value")

CATALOG = "_catalog"
"""In place of a repository: what no repository is needed for."""


class Wire:
    """Requests to one server, logged in for everything in the repository that they are about.

    Args:
        url: where they go; by default to the server itself.
    """

    def __init__(self, server: FieldServer, url: str | None = None) -> None:
        self.server = server
        self.url = url or server.url
        self._web = requests.Session()
        self._web.trust_env = False
        self._tokens: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._web.close()

    def ask(self, method: str, repository: str, path: str, **options: Any) -> requests.Response:
        """`METHOD /v2/REPOSITORY/PATH`; `path` may be a whole URL, of an upload."""
        url = urljoin(f"{self.url}/v2/{repository}/", path)
        headers = {"Accept": _ACCEPT if "manifests/" in path else "*/*", **options.pop("headers", {})}
        for _ in range(2):
            if token := self._tokens.get(repository):
                headers["Authorization"] = token
            answer = self._web.request(method, url, headers=headers, timeout=60, allow_redirects=False, **options)
            if answer.status_code != 401:
                break
            self._tokens[repository] = self._token(answer, repository)
        if answer.status_code in (302, 303, 307, 308) and method in ("GET", "HEAD"):
            headers.pop("Authorization", None)
            return self._web.request(method, urljoin(url, answer.headers["Location"]), headers=headers, timeout=60)
        return answer

    def authorization(self, repository: str) -> str | None:
        """The header with which the last request about a repository was let in."""
        return self._tokens.get(repository)

    def _token(self, answer: requests.Response, repository: str) -> str:
        challenge = answer.headers.get("WWW-Authenticate", "")
        realm = _REALM.search(challenge)
        login = (self.server.username or "", self.server.password or "")
        assert realm is not None, f"no token service: {challenge}"
        scopes = [scope for scope in _SCOPE.findall(challenge) if f":{repository}:" not in scope]
        if repository != CATALOG:
            scopes.append(f"repository:{repository}:pull,push")
        params = {"service": self.server.host, "scope": scopes}
        given = self._web.get(realm[1], params=params, auth=login if self.server.username else None, timeout=60)
        assert given.status_code == 200, given.text
        return f"Bearer {given.json()['token']}"

    def push(self, repository: str, pushed: Pushed, *tags: str, by_digest: bool = True) -> str:
        """Push a manifest with all below it under its tags, and under its digest unless that is unwanted; its digest.

        Pushed by tag alone is what docker does; children are always pushed by digest.
        """
        for blob in pushed.blobs:
            self.push_blob(repository, blob)
        for child in pushed.children:
            self.push(repository, child)
        for reference in [*([pushed.digest] if by_digest or not tags else []), *tags]:
            done = self.ask(
                "PUT",
                repository,
                f"manifests/{reference}",
                data=pushed.raw,
                headers={"Content-Type": pushed.media_type},
            )
            assert done.status_code == 201, f"PUT {reference}: {done.status_code} {done.text[:500]}"
        return pushed.digest

    def push_layout(self, layout: Path, prefix: str) -> None:
        """Push all that has a name in a layout, under that name behind `prefix`."""
        for entry in json.loads((layout / "index.json").read_bytes())["manifests"]:
            if name := entry.get("annotations", {}).get("org.opencontainers.image.ref.name"):
                repository, _, tag = name.partition(":")
                self.push(prefix + repository, _of_layout(layout, entry), tag)

    def push_blob(self, repository: str, content: bytes) -> str:
        """Push a blob, by POST and PUT; its digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if self.ask("HEAD", repository, f"blobs/{digest}").status_code == 200:
            return digest
        opened = self.ask("POST", repository, "blobs/uploads/", data=b"")
        assert opened.status_code == 202, f"{opened.status_code} {opened.text[:500]}"
        place = urljoin(opened.url, opened.headers["Location"])
        done = self.ask(
            "PUT", repository, f"{place}{'&' if '?' in place else '?'}digest={digest}", data=content,
            headers={"Content-Type": "application/octet-stream"},
        )  # fmt: skip
        assert done.status_code == 201, f"{done.status_code} {done.text[:500]}"
        return digest

    def tags(self, repository: str) -> list[str]:
        """All tags, sorted; none where there is no such repository."""
        found: set[str] = set()
        path = "tags/list"
        for _ in range(100):
            answer = self.ask("GET", repository, path)
            if answer.status_code == 404:
                break
            assert answer.status_code == 200, f"{answer.status_code} {answer.text[:500]}"
            page = set(answer.json().get("tags") or ())
            if not page - found or "next" not in answer.links:
                return sorted(found | page)
            found |= page
            path = urljoin(answer.url, answer.links["next"]["url"])
        return sorted(found)

    def digest(self, repository: str, reference: str) -> str | None:
        """Of the manifest's bytes under a tag or digest; None where there is none."""
        answer = self.ask("GET", repository, f"manifests/{reference}")
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, f"{answer.status_code} {answer.text[:500]}"
        return f"sha256:{hashlib.sha256(answer.content).hexdigest()}"

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a blob is there, by HEAD."""
        answer = self.ask("HEAD", repository, f"blobs/{digest}")
        assert answer.status_code in (200, 404), f"{answer.status_code} {answer.text[:500]}"
        return answer.status_code == 200

    def blob(self, repository: str, digest: str) -> bytes:
        """All bytes of a blob."""
        answer = self.ask("GET", repository, f"blobs/{digest}")
        assert answer.status_code == 200, f"{answer.status_code} {answer.text[:500]}"
        return answer.content

    def missing(self, repository: str, reference: str) -> list[str]:
        """What an image lacks, of all that its manifest names, down to the last blob; nothing where it is whole."""
        answer = self.ask("GET", repository, f"manifests/{reference}")
        if answer.status_code != 200:
            return [reference]
        document = json.loads(answer.content)
        lacking = [
            lost for child in document.get("manifests", ()) for lost in self.missing(repository, child["digest"])
        ]
        blobs = [*document.get("layers", ()), *filter(None, [document.get("config")])]
        return lacking + [blob["digest"] for blob in blobs if not self.has_blob(repository, blob["digest"])]

    def catalog(self) -> list[str] | None:
        """All repositories that it names, sorted; None where it names none to anybody."""
        found: set[str] = set()
        path = "/v2/_catalog"
        for _ in range(100):
            answer = self.ask("GET", CATALOG, path)
            if answer.status_code != 200:
                return None
            found |= set(answer.json()["repositories"] or ())
            if "next" not in answer.links:
                break
            path = urljoin(answer.url, answer.links["next"]["url"])
        return sorted(found)

    def state(self, repository: str) -> dict[str, str | None]:
        """Every tag, and the digest of the bytes under it."""
        return {tag: self.digest(repository, tag) for tag in self.tags(repository)}


def _of_layout(layout: Path, entry: dict[str, Any]) -> Pushed:
    raw = (layout / "blobs" / entry["digest"].replace(":", "/")).read_bytes()
    document = json.loads(raw)
    blobs = [*document.get("layers", ()), *filter(None, [document.get("config")])]
    return Pushed(
        raw,
        entry["mediaType"],
        tuple((layout / "blobs" / blob["digest"].replace(":", "/")).read_bytes() for blob in blobs),
        tuple(_of_layout(layout, child) for child in document.get("manifests", ())),
    )


def in_time(look: Callable[[], _Value], wanted: _Value, seconds: float = 10) -> _Value:
    """What is to be seen, as soon as it is what is wanted, or when the time is over: some do later what they said."""
    deadline = time.monotonic() + seconds
    while (found := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def to_the_token_service_through(proxy: FaultProxy) -> Rule:
    """The server's challenges lead to the proxy before it, so that requests for tokens go through it, too."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        answer = forward()
        if challenge := answer.header("WWW-Authenticate"):
            answer.set_header("WWW-Authenticate", challenge.replace(f'realm="{proxy.upstream}', f'realm="{proxy.url}'))
        return answer

    return rule
