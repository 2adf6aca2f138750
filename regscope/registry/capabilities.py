"""What a registry can do, found out by asking it, without changing what it holds."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple, Protocol

from regscope import text
from regscope.errors import (
    AuthFailed,
    CapabilityWarning,
    ContentMissing,
    PermissionDeny,
    RegscopeError,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    Unsupported,
)
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.deletion import Deletion
from regscope.registry.manifests import ManifestRef
from regscope.registry.paging import strings
from regscope.registry.referrers import has_referrers_api
from regscope.registry.responses import discard, read_json
from regscope.registry.tags import Tags
from regscope.registry.uploads import open_upload
from regscope.spec.digest import Digest
from regscope.spec.index_children import DEEPEST

_PAGE_LIMIT = 2**20
_OF_PROVIDERS = ("reasons", "provider", "adds", "needs", "would_add")
_LACKING = {
    "catalog": "does not list its repositories: name them when scanning",
    "delete": "does not delete manifests: nothing can be cleaned up through its API",
    "tag_delete": "does not delete a tag by its name: untagging takes a detour",
    "referrers": "has no referrers API: signatures and SBOMs are found by their fallback tags",
    "ranges": "sends no part of a blob: a download that breaks off starts over",
}


class _Offers(Protocol):
    """What a provider says of itself, see `regscope.hosted.provider.Provider`."""

    name: ClassVar[str]
    adds: ClassVar[tuple[str, ...]]
    needs: ClassVar[str]
    would_add: ClassVar[Mapping[str, str]]
    untags: ClassVar[bool]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a registry offers to these credentials; None for what could not be found out.

    Attributes:
        catalog: it lists its repositories.
        delete: it deletes manifests by digest.
        tag_delete: it deletes a tag and leaves its manifest (distribution-spec, Deleting tags).
        referrers: it has the referrers API (distribution-spec, Listing referrers).
        ranges: it sends a part of a blob (RFC 9110, 14).
        chunk_minimum: the least bytes of a chunk of an upload (`OCI-Chunk-Min-Length`); 0 where it asks for none.
        reasons: by name, for all that is False or None: why.
        provider: who runs it, where that is known.
        adds: what the provider's own API adds to that of the distribution-spec.
        needs: which rights the login needs for that.
        would_add: what it would add, by the credential that it takes.
    """

    catalog: bool | None = None
    delete: bool | None = None
    tag_delete: bool | None = None
    referrers: bool | None = None
    ranges: bool | None = None
    chunk_minimum: int | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    provider: str | None = None
    adds: tuple[str, ...] = ()
    needs: str = ""
    would_add: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, str]:
        """Each by its name, worded for people."""
        names = [found.name for found in fields(self) if found.name not in _OF_PROVIDERS]
        found = {name.replace("_", " "): self._worded(name) for name in names}
        if self.provider is not None:
            found["provider"] = f"{self.provider} adds {', '.join(self.adds)}, by {self.needs}"
            found |= {f"with {credential}": f"also {what}" for credential, what in self.would_add.items()}
        return found

    def beside(self, provider: _Offers, lists: bool) -> Capabilities:
        """With what a provider adds; `lists` says whether it lists the repositories."""
        own_ways = {"catalog": lists, "tag_delete": provider.untags}
        reasons = {name: why for name, why in self.reasons.items() if not own_ways.get(name)}
        return replace(
            self,
            catalog=lists or self.catalog,
            tag_delete=provider.untags or self.tag_delete,
            reasons=reasons,
            provider=provider.name,
            adds=provider.adds,
            needs=provider.needs,
            would_add=provider.would_add,
        )

    def _worded(self, name: str) -> str:
        value = getattr(self, name)
        if value is None:
            said = "not known"
        elif isinstance(value, bool):
            said = "yes" if value else "no"
        else:
            said = text.size(value) if value else "none"
        return f"{said}: {self.reasons[name]}" if name in self.reasons else said

    def warn(self, location: str) -> None:
        """A CapabilityWarning for each that the registry at `location` lacks."""
        for name, what in _LACKING.items():
            if getattr(self, name) is False:
                warnings.warn(CapabilityWarning(f"{location} {what}", name), stacklevel=3)

    def _repr_html_(self) -> str:
        return text.card("Capabilities", self.facts())


def probe_capabilities(client: DockerRegistryV2Client, repository: str | None = None) -> Capabilities:
    """Ask a registry what it can do, by about ten requests that leave its content as it was.

    It is asked to delete what cannot be there: the digest of random bytes, and a tag with a random name. An upload is
    opened and cancelled; docker-registry keeps some bytes of it until it next purges old uploads.

    Args:
        client: of the registry.
        repository: one that exists; by default the first in the catalog.

    Raises:
        RequestError: it does not answer these credentials, or has no such repository.
    """
    discard(client.request("GET", client.url()))
    if repository:
        Tags(repository, client).list()
    catalog, names = _catalog(client)
    repository = repository or next(iter(names), None)
    found = {"catalog": catalog}
    for name, probe in _PROBES.items():
        found[name] = _asked(probe, client, repository) if repository else _Found(None, "no repository is known")
    return Capabilities(
        **{name: answer.value for name, answer in found.items()},
        reasons={name: answer.why for name, answer in found.items() if answer.why},
    )


class _Found(NamedTuple):
    value: Any
    why: str = ""


def _asked(probe: Callable[[DockerRegistryV2Client, str], _Found], client: DockerRegistryV2Client, at: str) -> _Found:
    try:
        return probe(client, at)
    except Unsupported as error:
        return _Found(False, error.message)
    except RegscopeError as error:
        return _Found(None, error.message)


def _catalog(client: DockerRegistryV2Client) -> tuple[_Found, list[str]]:
    try:
        page = read_json(client.request("GET", client.url("_catalog"), params={"n": 1}), _PAGE_LIMIT, "the catalog")
    except (AuthFailed, PermissionDeny, ResourceNotFound, Unsupported) as error:
        return _Found(False, error.message), []
    except RequestError as error:
        return _Found(None, error.message), []
    return _Found(True), strings(page, "repositories")


def _delete(client: DockerRegistryV2Client, repository: str) -> _Found:
    return _deletes(client, repository, Digest.of(secrets.token_bytes(32)))


def _tag_delete(client: DockerRegistryV2Client, repository: str) -> _Found:
    try:
        return _deletes(client, repository, f"regscope-asks-{secrets.token_hex(16)}")
    except RequestErrorWithResponse as error:
        if error.status_code != HTTPStatus.BAD_REQUEST:  # it takes the tag for a broken digest
            raise
        return _Found(False, error.message)


def _deletes(client: DockerRegistryV2Client, repository: str, absent: str) -> _Found:
    """Whether it would delete, shown by what it says of a manifest that is not there."""
    refusal = Deletion(client, repository).refusal(absent)
    return _Found(True) if refusal is None else _Found(None, f"it is no registry's answer: {refusal.message}")


def _referrers(client: DockerRegistryV2Client, repository: str) -> _Found:
    return _Found(True) if has_referrers_api(client, repository) else _Found(False, "it does not answer for them")


def _ranges(client: DockerRegistryV2Client, repository: str) -> _Found:
    if client.counts_pulls:
        return _Found(None, "not asked, since it would count as a pull")
    blob = _some_blob(client, repository)
    response = client.request("GET", client.url(repository, "blobs", blob), headers={"Range": "bytes=0-0"})
    response.close()
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        return _Found(True)
    return _Found(False, "asked for the first byte, it sends all of them")


def _some_blob(client: DockerRegistryV2Client, repository: str) -> Digest:
    for tag in Tags(repository, client).list():
        manifest = ManifestRef(repository, tag, client).fetch().parse()
        for _ in range(DEEPEST):
            if manifest.children:
                manifest = ManifestRef(repository, manifest.children[0].digest, client).fetch().parse()
        if manifest.blobs:
            return manifest.blobs[0].digest
    raise ContentMissing(f"{repository} has no image to try it with")


def _chunk_minimum(client: DockerRegistryV2Client, repository: str) -> _Found:
    upload = open_upload(client, repository)
    upload.cancel()
    return _Found(upload.chunk_minimum)


_PROBES = {
    "delete": _delete,
    "tag_delete": _tag_delete,
    "referrers": _referrers,
    "ranges": _ranges,
    "chunk_minimum": _chunk_minimum,
}
