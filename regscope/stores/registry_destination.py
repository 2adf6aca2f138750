"""A registry as a destination of copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from regscope.concurrency import CHANGES_AT_ONCE
from regscope.errors import RequestError, RequestErrorWithResponse, ResourceNotFound
from regscope.registry.blob_stat import look_for
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef, RawManifest
from regscope.registry.mounting import mount
from regscope.registry.open_uploads import OpenUploads
from regscope.registry.origin import without_secrets
from regscope.registry.request_body import Content
from regscope.registry.responses import discard
from regscope.registry.sending import Sender
from regscope.registry.tag_list import read_tag_list
from regscope.registry.uploads import Upload
from regscope.spec.digest import Digest
from regscope.spec.media_types import SCHEMA1
from regscope.stores.destination import Name, Taken
from regscope.stores.digest_cache import default_folder
from regscope.stores.registry_store import RegistryStore

_FEW = 3  # tags that are asked for one by one


def _beside_the_cache() -> Path:
    folder = default_folder()  # the cache of the store is not used
    return folder.with_name(f"{folder.name}-uploads")


class RegistryDestination:
    """Pushes images to a registry with `client`; interrupted large uploads are continued."""

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self.client = client
        self._open_uploads = OpenUploads(_beside_the_cache())

    @cached_property
    def location(self) -> str:
        """The registry's address."""
        return without_secrets(self.client.api_base_url)

    def check(self, repository: str, reference: str, manifest: RawManifest) -> None:
        """Check the names: a registry can have any manifest."""
        ManifestRef(repository, reference, self.client)

    def in_the_way(self, names: Iterable[Name]) -> dict[str, Digest]:
        """The tags to be moved: those in the repository's tag list, by one HEAD request each.

        For a few tags the list is not read; see `ManifestRef.describe` for a HEAD that finds nothing.
        """

        def there(name: Name) -> Digest | None:
            found = ManifestRef(name.repository, name.reference, self.client).get_metadata()
            return None if found is None else found.digest

        tags = self._listed(list(dict.fromkeys(name for name in names if name.is_tag)))
        with ThreadPoolExecutor(CHANGES_AT_ONCE, thread_name_prefix="regscope-names") as pool:
            return {
                f"{name.repository}:{name.reference}": digest
                for name, digest in zip(tags, pool.map(there, tags), strict=True)
                if digest not in (None, name.digest)
            }

    def _listed(self, names: list[Name]) -> list[Name]:
        """The names that may be there: without those that a tag list does not have, where several are asked for."""
        of = Counter(name.repository for name in names)
        lists = {repository: self._tag_list(repository) for repository, many in of.items() if many > _FEW}
        return [name for name in names if (tags := lists.get(name.repository)) is None or name.reference in tags]

    def _tag_list(self, repository: str) -> Collection[str] | None:
        """The tags of a repository; None where they cannot be listed, and where the list is empty: it may be hidden."""
        try:
            return set(read_tag_list(self.client, repository).tags) or None
        except ResourceNotFound as error:
            return frozenset() if error.code else None
        except RequestError:
            return None

    def has_manifest(self, repository: str, digest: Digest) -> bool:
        """Whether the manifest exists, by one HEAD request; False where that is not supported."""
        return ManifestRef(repository, digest, self.client).answers_head()

    def take_blob(self, repository: str, digest: Digest, content: Content, nearby: str | None) -> Taken:
        """Mounts the blob from `nearby`, which costs no more than a HEAD; else uploads it unless it exists."""
        upload: Upload | None = None
        if nearby is not None:
            mounted = mount(self.client, repository, digest, nearby, content.size)
            if mounted == "mounted":
                return "mounted"
            upload = mounted if isinstance(mounted, Upload) else None
        # Without permission to read, the blob is uploaded.
        found = "absent" if upload is not None else look_for(self.client, repository, digest, content.size)
        if found == "there":
            return "there"
        sender = Sender(self.client, repository, looks=found == "damaged")
        if sender.is_small(content):
            sender.send_at_once(content, digest, upload)
        else:
            self._send(repository, digest, content, upload, looks=found == "damaged")
        return "sent"

    def _send(self, repository: str, digest: Digest, content: Content, upload: Upload | None, *, looks: bool) -> None:
        with self._open_uploads.of(self.client, repository, digest) as noted:
            sender = Sender(self.client, repository, opened=noted.note, looks=looks)
            if noted.upload is not None and sender.go_on(noted.upload, content, digest):
                if upload is not None:
                    upload.cancel()
                return
            sender.send_streaming(content, digest, upload)

    def take_manifest(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """Puts the manifest; a referrer is also listed under the fallback tag if there is no referrers API."""
        target = ManifestRef(repository, reference or manifest.digest, self.client)
        try:
            target.put(manifest.parse())
        except RequestErrorWithResponse:
            # A registry with immutable tags refuses a tag even if it points to this manifest.
            if (there := target.get_metadata()) is None or there.digest != manifest.digest:
                raise

    def take_back(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """Puts the manifest."""
        if manifest.media_type in SCHEMA1:  # its signatures are not stored, and not part of its digest
            self.take_manifest(repository, reference, manifest)
            return
        headers = {"Content-Type": manifest.parse().media_type}
        url = self.client.url(repository, "manifests", reference or manifest.digest)
        discard(self.client.request("PUT", url, headers=headers, data=manifest.raw))

    def close(self) -> None:
        """Do nothing."""


def adding_to(store: RegistryStore) -> RegistryDestination:
    """The destination for an open registry."""
    return RegistryDestination(store.client)
