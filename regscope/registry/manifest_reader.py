"""Reading manifests by tag or digest, verified (distribution-spec, Pulling manifests)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from regscope.errors import (
    AuthFailed,
    ContentError,
    ContentMissing,
    InvalidManifest,
    RequestErrorWithResponse,
    ResourceNotFound,
    TooManyRequests,
    UnSupportMediaType,
)
from regscope.registry.answer import Answer
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.default_client import default_client
from regscope.registry.responses import METADATA_LIMIT, content_length, discard, read_whole
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest, mismatch
from regscope.spec.index_children import DEEPEST, child_for, too_deep
from regscope.spec.manifest import MODELS, Manifest, ManifestSchema1, parse_manifest
from regscope.spec.media_types import ACCEPT_MANIFESTS, SCHEMA1, without_parameters
from regscope.spec.platform import LINUX_AMD64, Platform
from regscope.spec.reference import check_repository, check_tag
from regscope.spec.schema1 import schema1_payload, signatures_of
from regscope.text import plain


class RawManifest(NamedTuple):
    """A manifest as it was read: its exact bytes, which hash to `digest`, and the media type in `Content-Type`."""

    raw: bytes
    digest: Digest
    media_type: str | None = None

    def parse(self) -> Manifest:
        """The manifest as a model; for errors see `parse_manifest`."""
        return parse_manifest(self.raw, self.media_type)


class ManifestReader:
    """Reads a manifest in a repository, by tag or digest.

    Args:
        repo: the repository's full name.
        reference: a tag or a digest.
        client: the client of the registry; `default_client` by default.
        timeout: seconds; the client's `default_timeout` by default.
    """

    def __init__(
        self,
        repo: str,
        reference: str = "latest",
        client: DockerRegistryV2Client | None = None,
        *,
        timeout: AskTimeout = "default",
    ) -> None:
        self.repo = check_repository(repo)
        self.reference = Digest(reference) if ":" in reference else check_tag(reference)
        self.client = client or default_client
        self.timeout = timeout

    @property
    def _url(self) -> str:
        return self.client.url(self.repo, "manifests", self.reference)

    def _ask(self, method: str, accept: str, **conditions: str) -> Answer:
        return self.client.request(
            method,
            self._url,
            headers={"Accept": accept, **conditions},
            timeout=self.timeout,
            outlast_errors=method != "HEAD",  # a failed HEAD is followed by a GET
        )

    def fetch(self, accept: str = ACCEPT_MANIFESTS) -> RawManifest:
        """The manifest's bytes, verified against the requested digest.

        For a tag, the digest is computed from the bytes. If the registry states another one, it is asked for the
        manifest by the computed digest: if it has it, its stated digests are ignored from then on; if not, the bytes
        were damaged in transit. Of a schema 1 manifest only the signed payload is returned, which hashes to its digest.

        Raises:
            DigestMismatch: the bytes do not hash to the requested or the stated digest.
            TooLarge: the manifest is larger than regscope reads.
            RequestError: the registry refused or failed.

        Warns:
            DigestWarning: `Docker-Content-Digest` is no digest, or the digest of another manifest.
        """
        return self._verified(*self._read(accept))

    def _read(self, accept: str) -> tuple[Answer, bytes]:
        return read_whole(lambda: self._ask("GET", accept), METADATA_LIMIT, self._what)

    def fetch_unless(self, known: Digest) -> RawManifest | None:
        """The manifest; None if the tag still points to `known` and the registry supports conditional requests.

        It is one GET with `If-None-Match` (RFC 9110, 13.1.2); a registry without conditional requests sends the
        manifest.

        Raises:
            DigestMismatch, TooLarge, RequestError: as in `fetch`.
        """
        condition = {"If-None-Match": f'"{known}"'}
        response, raw = read_whole(lambda: self._ask("GET", ACCEPT_MANIFESTS, **condition), METADATA_LIMIT, self._what)
        return None if response.status_code == HTTPStatus.NOT_MODIFIED else self._verified(response, raw)

    @property
    def _what(self) -> str:
        return f"the manifest {self.repo}:{self.reference}"

    def _verified(self, response: Answer, raw: bytes) -> RawManifest:
        media_type = without_parameters(response.headers.get("Content-Type"))
        if media_type in SCHEMA1 or _is_signed_schema1(raw):
            raw = schema1_payload(raw)
        stated = self.client.stated_digests.read(response)
        if isinstance(self.reference, Digest):
            digest = self.reference
            digest.verify(raw, self._what)
        else:
            if not raw.lstrip().startswith(b"{"):
                raise _no_manifest(self._what, media_type)
            digest = stated if stated is not None and stated.matches(raw) else Digest.of(raw)
        if stated is not None and stated != digest and not stated.matches(raw):
            if digest != self.reference and not self._is_there(digest):
                raise mismatch(stated, digest, self._what)
            self.client.stated_digests.doubt(response, stated, digest)
        return RawManifest(raw, digest, media_type or None)

    def _is_there(self, digest: Digest) -> bool:
        """Whether the repository has a manifest of this digest; True where its stated digests are ignored already."""
        if not self.client.stated_digests.are_believed:
            return True
        try:
            ManifestReader(self.repo, digest, self.client, timeout=self.timeout).fetch()
        except (ContentError, RequestErrorWithResponse):
            return False
        return True

    def get(self, media_type: str | None = None, *, platform: Platform | str = LINUX_AMD64) -> Manifest:
        """The manifest as a model.

        Args:
            media_type: the kind of manifest to return. By default an image manifest; from an index the one for
                `platform`.
            platform: selects the child of an index that fits best (see `Platform.distance`).

        Raises:
            UnSupportMediaType: `media_type` is not a manifest's, or the registry has another kind.
            ResourceNotFound: there is no such manifest, or none for `platform`.
        """
        if media_type is None:
            wanted = Platform.parse(platform) if isinstance(platform, str) else platform
            try:
                return image_below(self.fetch(), wanted, f"{self.repo}:{self.reference}", self._fetch_other).parse()
            except ContentMissing as error:
                raise ResourceNotFound(error.message, 404, next_step=error.next_step) from None
        response, raw = self._read(_known(media_type))
        manifest = self._verified(response, raw).parse()
        if isinstance(manifest, ManifestSchema1):
            manifest.signatures = signatures_of(raw)
        if manifest.media_type != media_type and not (
            isinstance(manifest, ManifestSchema1) and MODELS[media_type] is ManifestSchema1
        ):
            raise UnSupportMediaType(f"{self.repo}:{self.reference} is of type {manifest.media_type}, not {media_type}")
        return manifest

    def get_metadata(self, media_type: str | None = None) -> Descriptor | None:
        """Media type, digest and size (bytes), by one HEAD request; None where there is no such manifest.

        For registries that do not answer HEAD, see `describe`.

        Raises:
            UnSupportMediaType: `media_type` is not a manifest's.
        """
        try:
            return self.describe(media_type)
        except ResourceNotFound:
            return None

    def describe(self, media_type: str | None = None) -> Descriptor:
        """Media type, digest and size (bytes), by one HEAD request.

        A GET follows if the answer to HEAD is an error or incomplete; only GET is used if the registry has stated
        wrong digests before.

        Raises:
            UnSupportMediaType: `media_type` is not a manifest's.
            ResourceNotFound: there is no such manifest.
        """
        accept = _known(media_type) if media_type else ACCEPT_MANIFESTS
        return self._described(accept) or self._measured(accept)

    def answers_head(self) -> bool:
        """Whether a HEAD request finds the manifest. Not all registries support HEAD: `describe` also uses GET."""
        return self._head(ACCEPT_MANIFESTS) is not None

    def _head(self, accept: str) -> Answer | None:
        try:
            response = self._ask("HEAD", accept)
        except (AuthFailed, TooManyRequests):
            raise
        except RequestErrorWithResponse:  # any status, also 404 (Nexus): some registries and proxies support GET only
            return None
        discard(response)
        return response

    def _described(self, accept: str) -> Descriptor | None:
        """The descriptor by the header fields of a HEAD; None where they are incomplete, as at Red Hat and ECR."""
        stated = self.client.stated_digests
        response = self._head(accept) if stated.are_believed else None
        if response is None:
            return None
        digest, size = stated.read(response), content_length(response)
        kind = without_parameters(response.headers.get("Content-Type"))
        if digest is None or not size or not kind or (isinstance(self.reference, Digest) and digest != self.reference):
            return None
        return Descriptor(mediaType=kind, digest=digest, size=size)

    def _measured(self, accept: str) -> Descriptor:
        manifest = self.fetch(accept)
        kind = without_parameters(manifest.media_type)
        with contextlib.suppress(ContentError):
            kind = manifest.parse().media_type
        return Descriptor(mediaType=kind, digest=manifest.digest, size=len(manifest.raw))

    def _fetch_other(self, digest: Digest) -> RawManifest:
        return ManifestReader(self.repo, digest, self.client, timeout=self.timeout).fetch()


def image_below(
    found: RawManifest, platform: Platform, name: str, read: Callable[[Digest], RawManifest]
) -> RawManifest:
    """The image manifest for a platform in an index, also through nested indexes; `found` itself if it is no index.

    Args:
        name: the name of `found`, for errors.
        read: reads a manifest by its digest.

    Raises:
        ContentMissing: the index has no image for `platform`.
        InvalidManifest: the indexes are nested too deep.
    """
    for _ in range(DEEPEST + 1):
        manifest = found.parse()
        if not manifest.is_index:
            return found
        found = read(child_for(manifest, platform, name).digest)
    raise too_deep(name)


def _no_manifest(what: str, media_type: str) -> InvalidManifest:
    """The error for an answer that is not a registry's, such as the login page of a network."""
    return InvalidManifest(
        f"{what} is not a JSON object, but {plain(media_type, 100) or 'content without a media type'}",
        next_step="Check that the address is a registry's: a portal or a proxy may answer in its place.",
    )


def _known(media_type: str) -> str:
    if media_type not in MODELS:
        raise UnSupportMediaType(f"{media_type!r} is not the media type of a manifest that regscope reads")
    return media_type


def _is_signed_schema1(raw: bytes) -> bool:
    """Whether the bytes look like a signed schema 1 manifest, also under another media type."""
    return b'"fsLayers"' in raw and b'"signatures"' in raw
