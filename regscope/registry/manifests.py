"""Manifests by tag or digest: read, pushed and deleted, with the lists of referrers that this changes."""

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

_LISTED_WITHIN = 1.0  # seconds after a push


class ManifestRef(ManifestReader):
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

    def put(self, manifest: Manifest | bytes, media_type: str | None = None) -> Descriptor:
        """Push a manifest under this tag or digest: the very bytes that were read, or given.

        What it names must be in the repository already. A schema 1 manifest whose signatures do not fit its content is
        signed by the key that `get_private_key` gives. One with a `subject` is added to the list under the subject's
        fallback tag where the registry does not list referrers itself.

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
        pushed = push_manifest(self.client, self.repo, self.reference, model, timeout=self.timeout)
        if model.subject is not None:
            referrer = _referrer(model, pushed.descriptor.digest)
            if not (pushed.is_counted and self._is_listed(model.subject, referrer)):
                self._referrers_of(model.subject).add(referrer)
        return pushed.descriptor

    def _is_listed(self, subject: Descriptor, referrer: Descriptor) -> bool:
        """Whether the registry lists a referrer, as it says: some say so and have no list, or an empty one."""

        def is_there() -> bool:
            listed = list_referrers(self.client, self.repo, subject.digest)
            return any(entry.digest == referrer.digest for entry in listed or ())

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
        """What is to be deleted, and what it refers to: nothing, where a digest is named and cannot be read."""
        try:
            found = self.fetch()
        except ContentError:
            if isinstance(self.reference, Digest):
                return self.reference, None
            raise  # of a tag whose manifest cannot be read nobody knows what would be deleted
        with contextlib.suppress(ContentError):
            return found.digest, found.parse().subject
        return found.digest, None

    def _referrers_of(self, subject: Descriptor) -> ReferrerList:
        return ReferrerList(self.client, self.repo, subject.digest, self.timeout)


def _referrer(manifest: OCIManifestSchema1 | OCIIndex, digest: Digest) -> Descriptor:
    """How a manifest stands in the list of its subject's referrers (distribution-spec, Listing referrers)."""
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
