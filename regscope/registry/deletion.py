"""Deleting a manifest with the tags on it, and seeing that it happened (distribution-spec, Content Management).

Registries differ: Google and Docker Hub refuse a manifest that still has a tag, distribution takes the tags along,
`crane registry serve` leaves them and goes on serving them, and Pulp deletes later than it says.
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


class Deletion:
    """Deletes in one repository."""

    def __init__(self, client: DockerRegistryV2Client, repository: str, timeout: AskTimeout = "default") -> None:
        self._client = client
        self._repository = repository
        self._timeout = timeout

    def refusal(self, absent: str) -> ResourceNotFound | None:
        """Ask to delete what cannot be there: a registry that would is sorry not to have it, and then this is None.

        Raises:
            Unsupported: it deletes nothing.
            PermissionDeny, AuthFailed: these credentials may not.
        """
        try:
            self._send(absent)
        except ResourceNotFound as error:
            return None if error.code else error  # no registry's answer, but that of something before it
        return None

    def make_sure(self) -> None:
        """Find out whether manifests can be deleted; nothing is changed.

        Raises:
            Unsupported: the registry deletes nothing.
            PermissionDeny, AuthFailed: these credentials may not.
        """
        refusal = self.refusal(Digest.of(secrets.token_bytes(32)))
        if refusal is not None:
            raise Unsupported(
                f"{self._repository} cannot be deleted from: {refusal.message}",
                refusal.status_code,
                next_step="Check that the address is a registry's, and that its administrator allows deletion.",
            )

    def make_sure_it_takes(self) -> None:
        """Find out whether manifests may be put: `{}`, which is no manifest, is put under another content's digest.

        Raises:
            Unsupported: the registry takes none.
            PermissionDeny, AuthFailed: these credentials may not.
        """
        absent = Digest.of(secrets.token_bytes(32))
        headers = {"Content-Type": OCI_MANIFEST, "Connection": "close"}
        url = self._client.url(self._repository, "manifests", absent)
        try:
            discard(self._client.request("PUT", url, headers=headers, data=b"{}", timeout=self._timeout))
        except (AuthFailed, PermissionDeny, Unsupported):
            raise
        except RequestErrorWithResponse:  # as it should
            return
        with contextlib.suppress(ResourceNotFound):  # a registry that looks at nothing has it now
            self._send(absent)

    def manifest(self, digest: Digest, tags: Collection[str] = ()) -> None:
        """Delete a manifest and the tags on it; returns when the registry has none of them any more.

        Where a registry deletes tags by their names they go first. Where it then refuses the manifest, they are set
        again.

        Args:
            tags: those on the manifest; see `tags_on`. The registry may take others along.

        Raises:
            ResourceNotFound: no such manifest.
            RequestError: it was refused, or accepted and not done; the message says which tags are gone or left.
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
        """The tags that point to a manifest: every tag of the repository is asked for.

        Raises:
            RequestError: one of them cannot be read, and so might be on it.
        """
        names = self.tags()
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            return [tag for tag, now in zip(names, pool.map(self.now, names), strict=True) if now == digest]

    def tags(self) -> list[str]:
        """All tags of the repository, sorted."""
        try:
            return read_tag_list(self._client, self._repository, self._timeout).tags
        except ResourceNotFound:  # some registries forget a repository that has no tag
            return []

    def knows_tags(self) -> bool:
        """Whether the registry deletes a tag by its name, and nothing else (distribution-spec, Deleting tags).

        It is asked once to delete a tag that cannot be there.
        """
        if self._client.deletions.by_tag is None:
            try:
                known = self.tag(f"regscope-asks-{secrets.token_hex(16)}")
            except ResourceNotFound as error:
                known = bool(error.code)  # else it is no registry's answer, but that of something before it
            self._client.deletions.by_tag = known
        return self._client.deletions.by_tag

    def tag(self, tag: str) -> bool:
        """Ask to delete a tag by its name; False where the registry knows no such deletion.

        Raises:
            ResourceNotFound: no such tag.
            RequestError: it was refused.
        """
        try:
            self._send(tag)
        except RequestErrorWithResponse as error:
            # Older ones take the tag for a broken digest; one that knew better before refuses this tag alone.
            is_unknown = isinstance(error, Unsupported) or error.status_code == HTTPStatus.BAD_REQUEST
            if not is_unknown or self._client.deletions.by_tag:
                raise
            self._client.deletions.by_tag = False
            return False
        return True

    def now(self, reference: str) -> Digest | None:
        """The digest of what is there; None where nothing is."""
        found = ManifestReader(self._repository, reference, self._client, timeout=self._timeout).get_metadata()
        return found.digest if found else None

    def is_gone(self, tag: str, digest: Digest | None = None) -> bool:
        """Whether a tag is gone, or points to something else than `digest` in time."""
        return self._in_time(lambda: (now := self.now(tag)) is None or (digest is not None and now != digest))

    def put(self, reference: str, manifest: RawManifest) -> None:
        """Put a manifest, byte for byte, and change nothing else; one of schema 1 has lost its signatures."""
        if manifest.media_type in SCHEMA1:
            return
        # Whoever refuses it unread must not take its bytes for the next request, which deletes.
        headers = {"Content-Type": manifest.parse().media_type, "Connection": "close"}
        url = self._client.url(self._repository, "manifests", reference)
        discard(self._client.request("PUT", url, headers=headers, data=manifest.raw, timeout=self._timeout))

    def _until_gone(self, digest: Digest) -> None:
        """Delete a manifest; once more where it stays: Pulp keeps one that was pushed by a tag and by its digest."""
        self._send(digest)
        if eventually(lambda: self.now(digest) is None, min(_FIRST_WAIT, self._client.retry_policy.settling)):
            return
        with contextlib.suppress(ResourceNotFound):
            self._send(digest)
        if not self._is_gone_in_time(digest):
            raise self._not_done(digest, digest)

    def _remove_tags(self, digest: Digest, tags: Iterable[str]) -> list[str]:
        """Remove what can be removed by its name; those that were."""
        removed: list[str] = []
        for tag in tags:
            if not self.knows_tags():
                break
            try:
                if self.now(tag) != digest:  # it has moved, or went along with another one
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
        """A registry that has a manifest and does not find it to delete it, as zuul-registry, deletes nothing."""
        if self.now(digest) is not None:
            raise Unsupported(
                f"{self._repository} cannot be deleted from: the registry has {digest}, and says 404 to its deletion",
                HTTPStatus.NOT_FOUND,
                next_step="Delete it by the registry's own means.",
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
                f"the tags {', '.join(tags)} of {self._repository} were removed, {digest} was refused, and the tags "
                f"cannot be set again: {error.message}",
                next_step="Push the image again under these tags, or undo the run by its journal.",
            ) from None

    def _went_along(self, tag: str, digest: Digest) -> bool:
        """Whether a tag of a deleted manifest is gone; one that is still served is removed by its name."""
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
            next_step="Look again later; the registry's log may say more.",
        )

    def _send(self, reference: str) -> None:
        discard(
            self._client.request(
                "DELETE", self._client.url(self._repository, "manifests", reference), timeout=self._timeout
            )
        )
