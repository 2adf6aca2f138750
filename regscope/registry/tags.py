"""The tags of a repository (distribution-spec, Listing tags)."""

from __future__ import annotations

import builtins

from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.default_client import default_client
from regscope.registry.manifests import ManifestRef
from regscope.registry.tag_list import read_tag_list
from regscope.registry.untagging import untag
from regscope.spec.descriptor import Descriptor
from regscope.spec.reference import check_repository, check_tag


class Tags:
    """The tags of one repository."""

    def __init__(
        self, repo: str, client: DockerRegistryV2Client | None = None, *, timeout: AskTimeout = "default"
    ) -> None:
        self.repo = check_repository(repo)
        self.client = client or default_client
        self.timeout = timeout

    def list(self) -> builtins.list[str]:
        """All tags, sorted; registries send them in any order, in pages of any length.

        Raises:
            ResourceNotFound: no such repository.
        """
        return read_tag_list(self.client, self.repo, self.timeout).tags

    def untag(self, tag: str) -> bool:
        """Remove this tag only; its manifest and other tags on it stay. Returns True, or raises.

        Raises:
            ResourceNotFound: no such tag.
            Unsupported: the registry deletes nothing; nothing was changed.
        """
        untag(self.client, self.repo, check_tag(tag), self.timeout)
        return True

    def get(self, tag: str) -> Descriptor | None:
        """The descriptor of the manifest that the tag points to; None where there is no such tag."""
        return ManifestRef(self.repo, tag, self.client, timeout=self.timeout).get_metadata()
