"""Manifests by tag or digest: read, pushed and deleted, with the changes to the lists of referrers."""

from __future__ import annotations

import contextlib

from regscope.errors import ContentError, InvalidInput, ResourceNotFound
from regscope.registry.deletion import Deletion
from regscope.registry.eventually import eventually
from regscope.registry.manifest_push import push_manifest
from regscope.registry.manifest_reader import ManifestReader, RawManifest
from regscope.registry.referrer_list import ReferrerList
from regscope.registry.referrers import list_referrers
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import MODELS, Manifest, OCIIndex, OCIManifestSchema1, parse_manifest

__all__ = ["ManifestRef", "RawManifest"]

_LISTED_WITHIN = 1.0  # seconds after a push, for the registry's list of referrers


class ManifestRef(ManifestReader):
    """A manifest in a repository, by tag or digest.

    Args:
        repo: the repository's full name.
        reference: a tag or a digest.
        client: the client of the registry; `default_client` by default.
        timeout: seconds; the client's `default_timeout` by default.

    Attributes:
        TYPES: the model of each media type that `get` accepts.
    """

    TYPES = MODELS

    def put(self, manifest: Manifest | bytes, media_type: str | None = None) -> Descriptor:
        """Push a manifest under this tag or digest: the exact bytes that were read, or given.

        The blobs and manifests that it names must be in the repository already. A schema 1 manifest whose signatures
        are not valid for its content is signed with the key of `get_private_key`. A manifest with a `subject` is added
        to the list under the subject's fallback tag if the registry does not list referrers itself.

        Args:
            manifest: a model, or the bytes of a manifest.
            media_type: the media type of bytes that do not state it.

        Raises:
            InvalidInput: `manifest` is neither a model nor bytes.
            InvalidManifest: the bytes are not a manifest.
            DigestMismatch: `reference`, or the digest that the registry states, is not the manifest's digest.
            RequestError: the registry refused the manifest.
        """
        model = parse_manifest(manifest, media_type) if isinstance(manifest, bytes) else manifest
        if not isinstance(model, Manifest):
            raise InvalidInput(f"a manifest must be a model or bytes, not {type(model).__name__}")
        pushed = push_manifest(self.client, self.repo, self.reference, model, timeout=self.timeout)
        if model.subject is not None:
            referrer = _referrer(model, pushed.descriptor.digest)
            if not (pushed.is_counted and self._is_listed(model.subject, referrer)):
                self._referrers_of(model.subject).add(referrer)
        return pushed.descriptor

    def _is_listed(self, subject: Descriptor, referrer: Descriptor) -> bool:
        """Whether the registry lists a referrer: some send `OCI-Subject` and have no list, or an empty one."""

        def is_there() -> bool:
            listed = list_referrers(self.client, self.repo, subject.digest)
            return any(entry.digest == referrer.digest for entry in listed or ())

        return eventually(is_there, _LISTED_WITHIN)

    def delete(self, raise_not_found: bool = True) -> bool:
        """Delete the manifest with all tags on it; `Tags.untag` removes one tag only.

        Some registries refuse to delete a manifest that has tags, and others keep the tags: so all tags of the
        repository are requested to find them, unless the registry was observed to delete tags with their manifest. A
        manifest with a `subject` is also removed from the list under the subject's fallback tag.

        Returns:
            Whether the manifest existed.

        Raises:
            ResourceNotFound: there is no such manifest, unless `raise_not_found` is False.
            Unsupported: the registry supports no deletion.
            RequestError: the registry refused the deletion, or accepted it and still serves the manifest or a tag.
        """
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
            self._referrers_of(subject).remove(digest)
        return True

    def _digest_and_subject(self) -> tuple[Digest, Descriptor | None]:
        """The digest to be deleted, and the manifest's subject; None for a digest whose manifest cannot be read."""
        try:
            found = self.fetch()
        except ContentError:
            if isinstance(self.reference, Digest):
                return self.reference, None
            raise  # the tag's manifest cannot be read, so its digest is not known
        with contextlib.suppress(ContentError):
            return found.digest, found.parse().subject
        return found.digest, None

    def _referrers_of(self, subject: Descriptor) -> ReferrerList:
        return ReferrerList(self.client, self.repo, subject.digest, self.timeout)


def _referrer(manifest: OCIManifestSchema1 | OCIIndex, digest: Digest) -> Descriptor:
    """The entry of a manifest in the list of its subject's referrers (distribution-spec, Listing referrers)."""
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
