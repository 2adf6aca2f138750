"""Deleting a manifest with the tags on it, and checking the result (distribution-spec, Content Management).

Registries differ: Google and Docker Hub refuse to delete a manifest that has a tag, distribution deletes the tags with
it, `crane registry serve` keeps the tags and continues to serve them, and Pulp deletes some time after its answer.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from regscope.concurrency import READS_AT_ONCE
from regscope.errors import (
    AuthFailed,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    Unsupported,
)
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.eventually import eventually
from regscope.registry.manifest_reader import ManifestReader, RawManifest
from regscope.registry.responses import discard
from regscope.registry.tag_list import read_tag_list
from regscope.spec.digest import Digest
from regscope.spec.media_types import OCI_MANIFEST, SCHEMA1

_FIRST_WAIT = 5  # seconds
_NO_MANIFEST = b'{"schemaVersion":2}'  # Gitea answers to one without a version that it takes none (501)


class Deletion:
    """Deletes manifests and tags of one repository."""

    def __init__(self, client: DockerRegistryV2Client, repository: str, timeout: AskTimeout = "default") -> None:
        self._client = client
        self._repository = repository
        self._timeout = timeout

    def refusal(self, absent: str) -> ResourceNotFound | None:
        """Try to delete a manifest or tag that cannot exist; None where the answer shows that deletion is supported.

        Otherwise a 404 without an error code, which a proxy or another server before the registry has sent.

        Raises:
            Unsupported: the registry supports no deletion.
            PermissionDeny, AuthFailed: these credentials have no permission to delete.
        """
        try:
            self._send(absent)
        except ResourceNotFound as error:
            return None if error.code else error  # a registry's 404 has an error code
        return None

    def make_sure(self) -> None:
        """Check that manifests can be deleted; nothing is changed.

        Raises:
            Unsupported: the registry supports no deletion.
            PermissionDeny, AuthFailed: these credentials have no permission to delete.
        """
        refusal = self.refusal(Digest.of(secrets.token_bytes(32)))
        if refusal is not None:
            raise Unsupported(
                f"nothing can be deleted in {self._repository}: {refusal.message}",
                refusal.status_code,
                next_step="Check that the address is a registry's, and that its administrator allows deletion.",
            )

    def make_sure_it_takes(self) -> None:
        """Check that manifests can be pushed, by a push of what is no manifest under an unrelated digest.

        Raises:
            Unsupported: the registry accepts no manifests.
            PermissionDeny, AuthFailed: these credentials have no permission to push.
        """
        absent = Digest.of(secrets.token_bytes(32))
        headers = {"Content-Type": OCI_MANIFEST, "Connection": "close"}
        url = self._client.url(self._repository, "manifests", absent)
        try:
            discard(self._client.request("PUT", url, headers=headers, data=_NO_MANIFEST, timeout=self._timeout))
        except (AuthFailed, PermissionDeny, Unsupported):
            raise
        except RequestErrorWithResponse:  # refused as invalid: manifests are checked, and so accepted
            return
        with contextlib.suppress(ResourceNotFound):  # a registry that checks nothing has stored it
            self._send(absent)

    def manifest(self, digest: Digest, tags: Collection[str] = ()) -> None:
        """Delete a manifest and the tags on it; returns when the registry no longer serves any of them.

        If the registry deletes tags by their names, the tags are deleted first. If it then refuses to delete the
        manifest, the tags are set again.

        Args:
            tags: the tags on the manifest; see `tags_on`. The registry may delete others with it.

        Raises:
            ResourceNotFound: there is no such manifest.
            RequestError: the registry refused the deletion, or accepted it and still serves the manifest or a tag; the
                message names the tags concerned.
        """
        removed = self._remove_tags(digest, tags)
        try:
            self._until_gone(digest)
        except ResourceNotFound:
            if not removed:
                self._look_whether_it_deletes(digest)
                raise
        except RequestErrorWithResponse as error:
            may_yet_be = (error.status_code or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR  # as at Docker Hub
            if not (may_yet_be and self._is_gone_in_time(digest)):
                self._set_again(digest, removed)
                raise
        went_along = [self._went_along(tag, digest) for tag in tags]
        self._client.deletions.takes_tags_along |= self._client.deletions.by_tag is False and any(went_along)

    def tags_on(self, digest: Digest) -> list[str]:
        """The tags that point to a manifest, by a request for each tag of the repository.

        Raises:
            RequestError: a tag cannot be read, and could point to the manifest.
        """
        names = self.tags()
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            return [tag for tag, now in zip(names, pool.map(self.now, names), strict=True) if now == digest]

    def tags(self) -> list[str]:
        """All tags of the repository, sorted."""
        try:
            return read_tag_list(self._client, self._repository, self._timeout).tags
        except ResourceNotFound:  # some registries answer 404 for a repository without tags
            return []

    def knows_tags(self) -> bool:
        """Whether the registry deletes a tag by its name, and nothing else (distribution-spec, Deleting tags).

        The first call tries to delete a tag that cannot exist.
        """
        if self._client.deletions.by_tag is None:
            try:
                known = self.tag(f"regscope-asks-{secrets.token_hex(16)}")
            except ResourceNotFound as error:
                known = bool(error.code)  # a registry's 404 has an error code
            self._client.deletions.by_tag = known
        return self._client.deletions.by_tag

    def tag(self, tag: str) -> bool:
        """Delete a tag by its name; False where the registry does not support this.

        Raises:
            ResourceNotFound: there is no such tag.
            RequestError: the registry refused the deletion.
        """
        if self._client.deletions.untag is not None:
            self._client.deletions.untag(self._repository, tag)
            return True
        try:
            self._send(tag)
        except RequestErrorWithResponse as error:
            # Older registries take the tag for an invalid digest, and answer 400. One that deleted a tag by name before
            # refuses this tag alone.
            is_unknown = isinstance(error, Unsupported) or error.status_code == HTTPStatus.BAD_REQUEST
            if not is_unknown or self._client.deletions.by_tag:
                raise
            self._client.deletions.by_tag = False
            return False
        return True

    def now(self, reference: str) -> Digest | None:
        """The digest of the manifest under a tag or digest; None where there is none."""
        found = ManifestReader(self._repository, reference, self._client, timeout=self._timeout).get_metadata()
        return found.digest if found else None

    def is_gone(self, tag: str, digest: Digest | None = None) -> bool:
        """Whether a tag is gone, or points to another manifest than `digest`, within the time that deletions take."""
        return self._in_time(lambda: (now := self.now(tag)) is None or (digest is not None and now != digest))

    def put(self, reference: str, manifest: RawManifest) -> None:
        """Push a manifest, byte for byte; one of schema 1 is skipped, since it was read without its signatures."""
        if manifest.media_type in SCHEMA1:
            return
        # A server that refuses it unread must not take its bytes for the next request, which deletes.
        headers = {"Content-Type": manifest.parse().media_type, "Connection": "close"}
        url = self._client.url(self._repository, "manifests", reference)
        discard(self._client.request("PUT", url, headers=headers, data=manifest.raw, timeout=self._timeout))

    def _until_gone(self, digest: Digest) -> None:
        """Delete a manifest, twice if needed: Pulp keeps one that was pushed both by a tag and by its digest."""
        self._send(digest)
        if eventually(lambda: self.now(digest) is None, min(_FIRST_WAIT, self._client.retry_policy.settling)):
            return
        with contextlib.suppress(ResourceNotFound):
            self._send(digest)
        if not self._is_gone_in_time(digest):
            raise self._not_done(digest, digest)

    def _remove_tags(self, digest: Digest, tags: Iterable[str]) -> list[str]:
        """Delete the tags that can be deleted by name; returns the deleted ones."""
        removed: list[str] = []
        for tag in tags:
            if not self.knows_tags():
                break
            try:
                if self.now(tag) != digest:  # it points elsewhere, or was deleted with another tag
                    continue
                if self.tag(tag):
                    removed.append(tag)
            except ResourceNotFound:
                continue
            except BaseException:
                self._set_again(digest, removed)
                raise
        return removed

    def _look_whether_it_deletes(self, digest: Digest) -> None:
        """Raise Unsupported if the registry answers 404 to the deletion of a manifest that it has, as zuul-registry."""
        if self.now(digest) is not None:
            raise Unsupported(
                f"nothing can be deleted in {self._repository}: the registry has {digest}, but answers 404",
                HTTPStatus.NOT_FOUND,
                next_step="Delete the manifest by the registry's own tools.",
            )

    def _set_again(self, digest: Digest, tags: Collection[str]) -> None:
        if not tags:
            return
        try:
            manifest = ManifestReader(self._repository, digest, self._client, timeout=self._timeout).fetch()
            for tag in tags:
                self.put(tag, manifest)
        except RequestError as error:
            raise RequestError(
                f"the tags {', '.join(tags)} of {self._repository} were deleted, the registry refused to delete "
                f"{digest}, and the tags cannot be set again: {error.message}",
                next_step="Push the image again under these tags, or undo the run by its journal.",
            ) from None

    def _went_along(self, tag: str, digest: Digest) -> bool:
        """Whether a tag was deleted with its manifest; one that is still served is deleted by its name."""
        now = self.now(tag)
        if now != digest:
            return now is None
        with contextlib.suppress(ResourceNotFound):
            if self.knows_tags():
                self.tag(tag)
        if not self.is_gone(tag, digest):
            raise self._not_done(tag, digest)
        return False

    def _is_gone_in_time(self, reference: str) -> bool:
        return self._in_time(lambda: self.now(reference) is None)

    def _in_time(self, is_so: Callable[[], bool]) -> bool:
        return eventually(is_so, self._client.retry_policy.settling)

    def _not_done(self, reference: str, digest: Digest) -> RequestError:
        what = "it" if reference == digest else f"its tag {reference}"
        return RequestError(
            f"the registry accepted the deletion of {self._repository}@{digest}, and still serves {what}",
            next_step="Check again later whether it is gone; the registry's log may show the reason.",
        )

    def _send(self, reference: str) -> None:
        discard(
            self._client.request(
                "DELETE", self._client.url(self._repository, "manifests", reference), timeout=self._timeout
            )
        )
