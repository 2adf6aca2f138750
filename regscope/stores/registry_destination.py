"""A registry, to copy images to."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from regscope.concurrency import CHANGES_AT_ONCE
from regscope.errors import RequestErrorWithResponse
from regscope.registry.blob_stat import look_for
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef, RawManifest
from regscope.registry.mounting import mount
from regscope.registry.open_uploads import OpenUploads
from regscope.registry.origin import without_secrets
from regscope.registry.request_body import Content
from regscope.registry.responses import discard
from regscope.registry.sending import Sender
from regscope.registry.uploads import Upload
from regscope.spec.digest import Digest
from regscope.spec.media_types import SCHEMA1
from regscope.stores.destination import Name, Taken
from regscope.stores.digest_cache import default_folder
from regscope.stores.registry_store import RegistryStore


def _beside_the_cache() -> Path:
    folder = default_folder()  # which the cache wants for itself
    return folder.with_name(f"{folder.name}-uploads")


class RegistryDestination:
    """Images go to a registry through `client`; large uploads that were cut off are gone on with."""

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self.client = client
        self._open_uploads = OpenUploads(_beside_the_cache())

    @cached_property
    def location(self) -> str:
        """The registry's address."""
        return without_secrets(self.client.api_base_url)

    def check(self, repository: str, reference: str, manifest: RawManifest) -> None:
        """Any manifest has; only names are bound to rules."""
        ManifestRef(repository, reference, self.client)

    def in_the_way(self, names: Iterable[Name]) -> dict[str, Digest]:
        """By one HEAD request for each tag; see `ManifestRef.describe` for what it does where that finds nothing."""

        def there(name: Name) -> Digest | None:
            found = ManifestRef(name.repository, name.reference, self.client).get_metadata()
            return None if found is None else found.digest

        tags = list(dict.fromkeys(name for name in names if name.is_tag))
        with ThreadPoolExecutor(CHANGES_AT_ONCE, thread_name_prefix="regscope-names") as pool:
            return {
                f"{name.repository}:{name.reference}": digest
                for name, digest in zip(tags, pool.map(there, tags), strict=True)
                if digest not in (None, name.digest)
            }

    def has_manifest(self, repository: str, digest: Digest) -> bool:
        """By one HEAD request; where a registry knows none, the manifest is sent once more."""
        return ManifestRef(repository, digest, self.client).answers_head()

    def take_blob(self, repository: str, digest: Digest, content: Content, nearby: str | None) -> Taken:
        """Mounted from `nearby`, which costs no more than to ask whether it is there; else sent if it is not."""
        upload: Upload | None = None
        if nearby is not None:
            mounted = mount(self.client, repository, digest, nearby, content.size)
            if mounted == "mounted":
                return "mounted"
            upload = mounted if isinstance(mounted, Upload) else None
        # Where nobody may ask whether it is there, it is sent.
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
        """By one PUT request; a referrer is noted under its fallback tag where the registry keeps no count of them."""
        target = ManifestRef(repository, reference or manifest.digest, self.client)
        try:
            target.put(manifest.parse())
        except RequestErrorWithResponse:
            # A tag that must not move is refused also where it stands for this very manifest.
            if (there := target.get_metadata()) is None or there.digest != manifest.digest:
                raise

    def take_back(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """By one PUT request."""
        if manifest.media_type in SCHEMA1:  # its signatures are not kept, and no part of its digest
            self.take_manifest(repository, reference, manifest)
            return
        headers = {"Content-Type": manifest.parse().media_type}
        url = self.client.url(repository, "manifests", reference or manifest.digest)
        discard(self.client.request("PUT", url, headers=headers, data=manifest.raw))

    def close(self) -> None:
        """Nothing is left to do."""


def adding_to(store: RegistryStore) -> RegistryDestination:
    """The registry that is open, to copy images to."""
    return RegistryDestination(store.client)
