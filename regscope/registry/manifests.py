"""Manifests by tag or digest (distribution-spec, Pulling manifests, Pushing manifests), verified."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from regscope.errors import (
    AuthFailed,
    ContentError,
    ContentMissing,
    InvalidInput,
    InvalidManifest,
    RequestErrorWithResponse,
    ResourceNotFound,
    TooManyRequests,
    UnSupportMediaType,
)
from regscope.registry.answer import Answer
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.default_client import default_client
from regscope.registry.eventually import eventually
from regscope.registry.fallback_tag import add_referrer, fallback_tag, remove_referrer
from regscope.registry.referrers import list_referrers
from regscope.registry.responses import METADATA_LIMIT, content_length, discard, read_whole
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest, mismatch
from regscope.spec.manifest import (
    DEEPEST,
    MODELS,
    DockerManifestList,
    Manifest,
    ManifestSchema1,
    OCIIndex,
    OCIManifestSchema1,
    child_for,
    parse_manifest,
    too_deep,
)
from regscope.spec.media_types import ACCEPT_MANIFESTS, SCHEMA1, without_parameters
from regscope.spec.platform import LINUX_AMD64, Platform
from regscope.spec.reference import check_repository, check_tag
from regscope.spec.schema1 import schema1_payload, signatures_of, signed_schema1
from regscope.text import plain

_LISTED_WITHIN = 1.0  # seconds after a push


class RawManifest(NamedTuple):
    """A manifest as it was read: its exact bytes, which hash to `digest`, and the media type of its header."""

    raw: bytes
    digest: Digest
    media_type: str | None = None

    def parse(self) -> Manifest:
        """The model of it; see `parse_manifest` for what can be wrong."""
        return parse_manifest(self.raw, self.media_type)


class ManifestRef:
    """A manifest in a repository, by tag or digest.

    Args:
        repo: the repository's whole name.
        reference: a tag or a digest.
        client: of the registry.
        timeout: seconds; the client's own by default.

    Attributes:
        TYPES: the model of each media type that `get` can be asked for.
    """

    TYPES = MODELS

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
            outlast_errors=method != "HEAD",  # which is followed by a GET
        )

    def fetch(self, accept: str = ACCEPT_MANIFESTS) -> RawManifest:
        """The manifest's bytes, verified against the digest that was asked for.

        For a tag the digest is that of the bytes. If the registry states another one, the registry must also have the
        manifest under its own: then what it states is not believed any longer, else the bytes were damaged on their
        way. Of a schema 1 manifest only what its signatures sign, which is what its digest names.

        Raises:
            DigestMismatch, TooLarge: and the RequestErrors.

        Warns:
            DigestWarning: `Docker-Content-Digest` is no digest, or the digest of another manifest.
        """
        return self._verified(*self._read(accept))

    def _read(self, accept: str) -> tuple[Answer, bytes]:
        return read_whole(lambda: self._ask("GET", accept), METADATA_LIMIT, self._what)

    def fetch_unless(self, known: Digest) -> RawManifest | None:
        """The manifest, unless the tag still stands for `known`: then None, where the registry can say so.

        By one GET with `If-None-Match` (RFC 9110, 13.1.2); a registry that knows no conditions sends the manifest.

        Raises:
            DigestMismatch, TooLarge: and the RequestErrors.
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
        """Whether the repository has a manifest of this digest, asked only where it says another one."""
        if not self.client.stated_digests.are_believed:
            return True
        try:
            ManifestRef(self.repo, digest, self.client, timeout=self.timeout).fetch()
        except (ContentError, RequestErrorWithResponse):
            return False
        return True

    def get(self, media_type: str | None = None, *, platform: Platform | str = LINUX_AMD64) -> Manifest:
        """The manifest as a model.

        Args:
            media_type: the kind that is wanted. With none, an image manifest, through an index to `platform`.
            platform: the child of an index that is wanted: the one that fits best (see `Platform.distance`).

        Raises:
            UnSupportMediaType: `media_type` is no manifest's, or the registry has another kind.
            ResourceNotFound: no such manifest, or none for `platform`.
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
            raise UnSupportMediaType(f"{self.repo}:{self.reference} is {manifest.media_type}, not {media_type}")
        return manifest

    def get_metadata(self, media_type: str | None = None) -> Descriptor | None:
        """Media type, digest and size (bytes), by one HEAD request; None where there is no such manifest.

        See `describe` for what it does where HEAD is not answered.

        Raises:
            UnSupportMediaType: `media_type` is no manifest's.
        """
        try:
            return self.describe(media_type)
        except ResourceNotFound:
            return None

    def describe(self, media_type: str | None = None) -> Descriptor:
        """Media type, digest and size (bytes), by one HEAD request.

        By GET where HEAD is refused, finds nothing, or leaves something out, and where the registry has stated digests
        that are not those of its manifests.

        Raises:
            UnSupportMediaType: `media_type` is no manifest's.
            ResourceNotFound: there is no such manifest.
        """
        accept = _known(media_type) if media_type else ACCEPT_MANIFESTS
        return self._described(accept) or self._measured(accept)

    def answers_head(self) -> bool:
        """Whether one HEAD request finds it. Where it does not, `describe` still may: not every registry knows HEAD."""
        return self._head(ACCEPT_MANIFESTS) is not None

    def _head(self, accept: str) -> Answer | None:
        try:
            response = self._ask("HEAD", accept)
        except (AuthFailed, TooManyRequests):
            raise
        except RequestErrorWithResponse:  # of any kind, 404 too (Nexus): some registries and proxies know GET alone
            return None
        discard(response)
        return response

    def _described(self, accept: str) -> Descriptor | None:
        """As the header of a HEAD says; None where that says nothing, or not all, as at Red Hat's registry and ECR."""
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

    def put(self, manifest: Manifest | bytes, media_type: str | None = None) -> Descriptor:
        """Push a manifest under this tag or digest: the very bytes that were read, or given.

        What it names must be in the repository already. A schema 1 manifest whose signatures do not fit what it says
        is signed, by the key that `get_private_key` gives. One with a `subject` is noted under the subject's fallback
        tag where the registry does not keep count of referrers itself.

        Args:
            manifest: a model, or the bytes of one.
            media_type: of bytes that do not name theirs.

        Raises:
            InvalidInput: neither a model nor bytes.
            InvalidManifest: bytes that are no manifest.
            DigestMismatch: the digest that it is pushed under, or that the registry gives back, is another.
            RequestError: it was refused.
        """
        model = parse_manifest(manifest, media_type) if isinstance(manifest, bytes) else manifest
        if not isinstance(model, Manifest):
            raise InvalidInput(f"a manifest is pushed as a model or as bytes, not as {type(model).__name__}")
        raw, kind = model.raw, model.media_type
        if isinstance(model, ManifestSchema1):
            from regscope.registry.signing_key import get_private_key  # the few who write one wait for libtrust

            raw, kind = signed_schema1(model, get_private_key()), ManifestSchema1.content_type()
        named = schema1_payload(raw) if isinstance(model, ManifestSchema1) else raw
        if isinstance(self.reference, Digest):
            self.reference.verify(named, self._what)
        response = self.client.request("PUT", self._url, headers={"Content-Type": kind}, data=raw, timeout=self.timeout)
        discard(response)
        stated = self.client.stated_digests.read(response) or (
            self.reference if isinstance(self.reference, Digest) else None
        )
        digest = stated or Digest.of(named)
        digest.verify(named, self._what)
        if (subject := _subject(model)) is not None and not self._is_listed(response, subject, digest):
            add_referrer(self._referrers_of(subject), _referrer(model, digest))
        return Descriptor(mediaType=kind, digest=digest, size=len(named))

    def _is_listed(self, response: Answer, subject: Descriptor, digest: Digest) -> bool:
        """Whether the registry keeps count of a referrer, as it says: some say so and have no list, or an empty one."""
        if "OCI-Subject" not in response.headers:
            return False

        def is_there() -> bool:
            listed = list_referrers(self.client, self.repo, subject.digest)
            return any(entry.digest == digest for entry in listed or ())

        return eventually(is_there, _LISTED_WITHIN)

    def delete(self, raise_not_found: bool = True) -> bool:
        """Delete the manifest, and with it every tag on it; `Tags.untag` removes one tag alone.

        Tags are looked for, since some registries refuse a manifest that has one, and others leave them: so every tag
        of the repository is asked for, unless the registry was seen to take them along. One with a `subject` is taken
        off the subject's fallback tag, too.

        Returns:
            Whether it was there.

        Raises:
            ResourceNotFound: there is none, unless `raise_not_found` is False.
            Unsupported: the registry deletes nothing.
            RequestError: it was refused, or accepted and not done.
        """
        from regscope.registry.deletion import Deletion  # which reads manifests by this class

        deletion = Deletion(self.client, self.repo, self.timeout)
        try:
            digest, subject = self._digest_and_subject()
            named = [] if isinstance(self.reference, Digest) else [self.reference]
            deletion.manifest(digest, named if self.client.deletions.takes_tags_along else deletion.tags_on(digest))
        except ResourceNotFound:
            if raise_not_found:
                raise
            return False
        if subject is not None and not self.client.has_referrers_api:
            remove_referrer(self._referrers_of(subject), digest)
        return True

    def _digest_and_subject(self) -> tuple[Digest, Descriptor | None]:
        """What is to be deleted, and what it refers to: nothing, where a digest is named and cannot be read."""
        try:
            found = self.fetch()
        except ContentError:
            if isinstance(self.reference, Digest):
                return self.reference, None
            raise  # of a tag whose manifest cannot be read nobody knows what would be deleted
        with contextlib.suppress(ContentError):
            return found.digest, _subject(found.parse())
        return found.digest, None

    def _referrers_of(self, subject: Descriptor) -> ManifestRef:
        return ManifestRef(self.repo, fallback_tag(subject.digest), self.client, timeout=self.timeout)

    def _fetch_other(self, digest: Digest) -> RawManifest:
        return ManifestRef(self.repo, digest, self.client, timeout=self.timeout).fetch()


def image_below(
    found: RawManifest, platform: Platform, name: str, read: Callable[[Digest], RawManifest]
) -> RawManifest:
    """What an index has for a platform, through indexes within it; `found` itself, where it is no index.

    Args:
        name: what `found` is called.
        read: a manifest by its digest.

    Raises:
        ContentMissing: nothing for `platform`.
        InvalidManifest: they are within one another without end.
    """
    for _ in range(DEEPEST + 1):
        manifest = found.parse()
        if not isinstance(manifest, OCIIndex | DockerManifestList):
            return found
        found = read(child_for(manifest, platform, name).digest)
    raise too_deep(name)


def _no_manifest(what: str, media_type: str) -> InvalidManifest:
    """The error for an answer of something before the registry, such as a portal's page."""
    return InvalidManifest(
        f"{what} is no JSON object, but {plain(media_type, 100) or 'something without a media type'}",
        next_step="Check that the address is a registry's: a portal or a proxy may answer in its place.",
    )


def _known(media_type: str) -> str:
    if media_type not in MODELS:
        raise UnSupportMediaType(f"{media_type!r} is not a manifest that regscope reads")
    return media_type


def _subject(manifest: Manifest) -> Descriptor | None:
    return manifest.subject if isinstance(manifest, OCIManifestSchema1 | OCIIndex) else None


def _referrer(manifest: Manifest, digest: Digest) -> Descriptor:
    """How a manifest stands in the list of its subject's referrers (distribution-spec, Listing referrers)."""
    assert isinstance(manifest, OCIManifestSchema1 | OCIIndex)
    kind = manifest.artifactType
    if kind is None and isinstance(manifest, OCIManifestSchema1):
        kind = manifest.config.mediaType
    return Descriptor(
        mediaType=manifest.media_type,
        digest=digest,
        size=len(manifest.raw),
        artifactType=kind,
        annotations=manifest.annotations,
    )


def _is_signed_schema1(raw: bytes) -> bool:
    """Whether it looks like one, whatever the header says."""
    return b'"fsLayers"' in raw and b'"signatures"' in raw
