"""The questions that write: a small image is pushed into a scratch repository, untagged, deleted and restored."""

from __future__ import annotations

import io
import secrets
import tempfile
from pathlib import Path

from regscope.checkup.findings import Findings
from regscope.errors import NotOffered, RegscopeError
from regscope.registry.blobs import Blob
from regscope.registry.manifests import ManifestRef
from regscope.remediation.planning import plan
from regscope.remediation.retention import Retention
from regscope.remediation.undoing import undo
from regscope.scanning.metadata import scan
from regscope.spec.digest import Digest
from regscope.spec.json_forms import compact
from regscope.spec.media_types import OCI_CONFIG, OCI_MANIFEST
from regscope.stores.presence import resolved
from regscope.stores.registry_removal import removing_from
from regscope.stores.registry_store import RegistryStore


class Writing:
    """Asks what can be changed, with an image of its own in `repository`; nothing else is changed there."""

    def __init__(self, store: RegistryStore, findings: Findings, repository: str) -> None:
        self._store, self._client, self._findings = store, store.client, findings
        self._repository = repository
        name = f"regscope-doctor-{secrets.token_hex(6)}"
        self._tag, self._other = name, f"{name}-b"
        self._digest = Digest.of(b"")

    def ask_all(self) -> None:
        """Ask every question; what was pushed is deleted at the end, as far as the registry deletes."""
        ask = self._findings.ask
        if not ask("an image is pushed", self._push):
            return
        ask("it is there under its tags", self._is_there)
        ask("one tag is removed, and the image stays", self._untag)
        with tempfile.TemporaryDirectory() as folder:
            journal = Path(folder) / "journal"
            provider = self._store.provider
            backup = f"oci:{folder}/backup" if provider is not None and provider.drops_blobs else None
            if ask("the image is deleted by a plan", lambda: self._delete(journal, backup)):
                ask("undo restores it", lambda: self._undo(journal, backup))
        ask("all of it is deleted again", self._clean)

    def _push(self) -> str:
        config = compact({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
        content = io.BytesIO(config)
        blob = Blob(self._repository, Digest.of(config), fileobj=content, client=self._client).upload()
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": blob.digest, "size": len(config)},
            "layers": [],
            "annotations": {"org.opencontainers.image.title": self._tag},  # a manifest that nobody else has
        }
        raw = compact(document)
        self._digest = Digest.of(raw)
        for tag in (self._tag, self._other):
            ManifestRef(self._repository, tag, self._client).put(raw, OCI_MANIFEST)
        return f"{self._repository}:{self._tag}, {self._digest}"

    def _is_there(self) -> str:
        for reference in (self._tag, self._other, self._digest):
            if (now := resolved(self._store, self._repository, reference)) != self._digest:
                raise RegscopeError(f"{reference} points to {now}, not to {self._digest}")
        return "by two tags and by its digest"

    def _untag(self) -> str:
        removal = removing_from(self._store)
        how = removal.how_tags_go(self._repository)
        removal.untag(self._repository, self._other)
        if resolved(self._store, self._repository, self._other) is not None:
            raise RegscopeError(f"the tag {self._other} is still there")
        self._look_for_it()
        return how or "by the provider's own API"

    def _look_for_it(self) -> None:
        if resolved(self._store, self._repository, self._tag) != self._digest:
            raise RegscopeError(f"the image went with its tag: {self._tag} is gone")

    def _delete(self, journal: Path, backup: str | None) -> str:
        snap = scan(self._store, repositories=[self._repository], progress=False)
        made = plan(snap, Retention(tags=[self._tag], repositories=[self._repository]))
        done = made.apply(self._store, dry_run=False, journal=journal, backup=backup, progress=False)
        if done.stopped_by is not None:
            raise done.stopped_by
        if resolved(self._store, self._repository, self._digest) is not None:
            raise RegscopeError(f"the registry accepted the deletion of {self._digest}, and still serves it")
        return "with its tag"

    def _undo(self, journal: Path, backup: str | None) -> str:
        done = undo(journal, self._store, backup=backup, dry_run=False, progress=False)
        if not done.ok:
            raise RegscopeError(str(done.table["reason"].dropna().iloc[0]))
        self._look_for_it()
        return "byte for byte, with its tag" + (" from a backup, which is needed here" if backup else "")

    def _clean(self) -> str:
        removal = removing_from(self._store)
        if resolved(self._store, self._repository, self._digest) is None:
            return "nothing was left"
        try:
            removal.forget_manifest(self._repository, self._digest, [self._tag, self._other])
        except RegscopeError as error:
            raise NotOffered(
                f"{self._repository}:{self._tag} is left: {error.message}", next_step="Delete it in the registry's UI."
            ) from None
        return "what was pushed is gone"
