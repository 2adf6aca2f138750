"""Pulling as any client does: every manifest and blob by its digest, each looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from regscope.spec.digest import Digest
from regscope.spec.media_types import ACCEPT_MANIFESTS
from tests.lab.drawn_registries import Pushed


class Puller:
    """One client of one registry; what it has pulled by digest it does not ask for twice."""

    def __init__(self, url: str, web: requests.Session) -> None:
        self._url, self._web = url, web
        self._blobs: set[tuple[str, str]] = set()
        self._manifests: set[tuple[str, str]] = set()

    def pull(self, repository: str, reference: str) -> Digest:
        """All that a tag or digest needs, whatever the platform; returns the digest of its manifest.

        Raises:
            AssertionError: something is not there, or has other bytes.
        """
        if (repository, reference) in self._manifests:
            return Digest(reference)
        answer = self._got(repository, "manifests", reference)
        digest = Digest.of(answer)
        assert ":" not in reference or digest == reference, f"{repository}@{reference} has other bytes"
        self._manifests.add((repository, digest))
        document = json.loads(answer)
        for child in document.get("manifests") or ():
            if _is_blob(child):
                self._pull_blob(repository, child["digest"])
            else:
                self.pull(repository, child["digest"])
        for blob in [*(document.get("layers") or ()), *filter(None, [document.get("config")])]:
            self._pull_blob(repository, blob["digest"])
        return digest

    def lacking(self, repository: str, reference: str) -> str:
        """What of it cannot be pulled; empty where all can."""
        try:
            self.pull(repository, reference)
        except AssertionError as error:
            return str(error)
        return ""

    def _pull_blob(self, repository: str, digest: str) -> None:
        if (repository, digest) not in self._blobs:
            assert Digest.of(self._got(repository, "blobs", digest)) == digest, f"{repository}: {digest} is damaged"
            self._blobs.add((repository, digest))

    def _got(self, repository: str, kind: str, name: str) -> bytes:
        answer = self._web.get(f"{self._url}/v2/{repository}/{kind}/{name}", headers={"Accept": ACCEPT_MANIFESTS})
        assert answer.status_code == 200, f"{repository}: {kind}/{name}: {answer.status_code}"
        return answer.content


@contextmanager
def puller(url: str) -> Iterator[Puller]:
    """A client that knows nothing yet."""
    with requests.Session() as web:
        web.trust_env = False
        yield Puller(url, web)


def needed(pushed: Pushed) -> dict[Digest, int]:
    """All that the registry must have so that something can be pulled, itself included, and the sizes."""
    found = {Digest.of(content): len(content) for content in (pushed.raw, *pushed.blobs)}
    for child in pushed.children:
        found |= needed(child)
    return found


def _is_blob(entry: dict[str, Any]) -> bool:
    """What BuildKit's older caches list in an index: layers, and a config."""
    return "manifest" not in entry["mediaType"] and "index" not in entry["mediaType"]
