"""The questions that only read."""

from __future__ import annotations

import platform
from contextlib import suppress
from http import HTTPStatus

from regscope import text
from regscope.checkup.findings import Findings
from regscope.errors import AuthFailed, NotOffered, PermissionDeny, RegscopeError
from regscope.registry.manifests import ManifestRef, RawManifest
from regscope.registry.product import greeted, product_of
from regscope.registry.referrers import list_referrers
from regscope.registry.responses import discard
from regscope.spec.manifest import Manifest
from regscope.spec.referring import subject_of_tag
from regscope.stores.registry_store import RegistryStore
from regscope.version import __version__

_MOST_TRIED = 10

HEADERS = (
    "Docker-Distribution-Api-Version",
    "Server",
    "WWW-Authenticate",
    "Gitlab-Container-Registry-Version",
    "X-JFrog-Version",
    "OCI-Subject",
)
"""The header fields of `/v2/` that tell which registry it is; none of them has a secret."""


class Reading:
    """Asks a registry, and keeps what later questions are about.

    Attributes:
        repository: the one that is asked about; empty as long as none is known.
        tag: one of its tags; empty where it has none.
    """

    def __init__(self, store: RegistryStore, findings: Findings, repository: str = "") -> None:
        self._store, self._client, self._findings = store, store.client, findings
        self.repository, self.tag = repository, ""
        self._raw: RawManifest | None = None

    def ask_all(self) -> None:
        """Ask every question, in the order in which one leads to the next."""
        ask = self._findings.ask
        ask("regscope", self._versions)
        if not ask("the registry answers", self._greeting):
            return
        ask("the login is accepted", self._login)
        ask("what runs it is known", self._product)
        ask("repositories are listed", self._repositories)
        if not self.repository:
            self._findings.leave_out("tags are listed", "no repository is known: name one with -r")
            return
        ask("tags are listed", self._tags)
        ask("manifests without a tag are listed", self._untagged)
        ask("push times are stated", self._pushed)
        ask("pull times are stated", self._pulled)
        if self.tag:
            ask("a tag is resolved by HEAD", self._head)
            ask("a manifest is read, and has its digest", self._manifest)
        if self._raw is not None:
            ask("a part of a blob is read", self._range)
            ask("referrers are listed by their API", self._referrers)
        ask("a rate limit is stated", self._rate_limit)

    def _versions(self) -> str:
        return f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"

    def _greeting(self) -> str:
        headers, _ = self._client.hello()
        with suppress(AuthFailed, PermissionDeny):  # the login is a question of its own
            discard(self._client.request("GET", self._client.url()))
        found = [f"{name}: {headers[name]}" for name in HEADERS if name in headers]
        return f"{self._store.location}; {'; '.join(found) or 'none of the usual header fields'}"

    def _login(self) -> str:
        if not self._client.keychain:
            raise NotOffered("no login was given or saved: everything is read anonymously")
        return "yes" if self._client.check_login() else "there is one; the registry answers without looking at it"

    def _product(self) -> str:
        provider, product = self._store.provider, product_of(greeted(self._client))
        if provider is None:
            if product is None:
                raise NotOffered("nothing shows it")
            return product
        more = "".join(f"; with {by}: {what}" for by, what in provider.would_add.items())
        return f"{provider.name}: {', '.join(provider.adds)}; needs {provider.needs}{more}"

    def _repositories(self) -> str:
        names = self._store.repositories()
        self.repository = self.repository or self._first_with_a_tag(names)
        return text.count(len(names), "repository", "repositories")

    def _first_with_a_tag(self, names: list[str]) -> str:
        """The first of the first few repositories that has a tag, else the first one."""
        with suppress(RegscopeError):
            for name in names[:_MOST_TRIED]:
                if self._store.tags(name):
                    return name
        return next(iter(names), "")

    def _tags(self) -> str:
        tags = self._store.tags(self.repository)
        self.tag = next((tag for tag in tags if subject_of_tag(tag) is None), "")
        return f"{self.repository} has {text.count(len(tags), 'tag')}"

    def _untagged(self) -> str:
        found = self._store.untagged(self.repository)
        if not self._store.sees_untagged:
            raise NotOffered("they cannot be seen here: freed bytes are upper bounds")
        return f"{text.count(len(found), 'manifest')} without a tag, children of indexes and referrers among them"

    def _pushed(self) -> str:
        pushed = self._store.pushed(self.repository, self.tag) if self.tag else None
        if pushed is None:
            raise NotOffered("the age of an image is that of its build")
        return f"{self.repository}:{self.tag} was pushed at {pushed:%Y-%m-%d %H:%M} UTC"

    def _pulled(self) -> str:
        if not self._store.sees_pulls:
            raise NotOffered("not_pulled_for matches nothing here")
        listing = self._store.listing(self.repository)
        rows = listing.manifests if listing is not None else ()
        known = sum(row.pulled is not None or any(tag.pulled for tag in row.tags) for row in rows)
        return f"known for {known:,} of {text.count(len(rows), 'manifest')} in {self.repository}"

    def _head(self) -> str:
        return self._store.resolve(self.repository, self.tag)

    def _manifest(self) -> str:
        self._raw = ManifestRef(self.repository, self._store.resolve(self.repository, self.tag), self._client).fetch()
        return f"{self._raw.media_type}, {text.size(len(self._raw.raw))}"

    def _range(self) -> str:
        blobs = self._image().stored_blobs
        if not blobs:
            raise NotOffered("the image has no blob")
        url = self._client.url(self.repository, "blobs", blobs[0].digest)
        response = self._client.request("GET", url, headers={"Range": "bytes=0-0"})
        response.close()
        if response.status_code != HTTPStatus.PARTIAL_CONTENT:
            raise NotOffered("the whole blob is the answer: an interrupted download starts again from the beginning")
        return f"the first byte of {blobs[0].digest}"

    def _image(self) -> Manifest:
        """The manifest, or the first child of an index."""
        assert self._raw is not None
        manifest = self._raw.parse()
        if manifest.is_index and manifest.children:
            return ManifestRef(self.repository, manifest.children[0].digest, self._client).fetch().parse()
        return manifest

    def _referrers(self) -> str:
        assert self._raw is not None
        found = list_referrers(self._client, self.repository, self._raw.digest)
        if found is None:
            raise NotOffered("signatures and SBOMs are found by their fallback tags")
        return text.count(len(found), "referrer")

    def _rate_limit(self) -> str:
        if self._store.rate_limit is None:
            raise NotOffered("no answer had one")
        return str(self._store.rate_limit)
