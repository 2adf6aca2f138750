"""The tags of a repository (distribution-spec, Listing tags)."""

from __future__ import annotations

import builtins

from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.default_client import default_client
from regscope.registry.manifests import ManifestRef
from regscope.registry.paging import named_pages
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
        url = self.client.url(self.repo, "tags", "list")
        what = f"the tag list of {self.repo}"
        return sorted(set(named_pages(self.client, url, what, "tags", timeout=self.timeout)))

    def untag(self, tag: str) -> bool:
        """Remove this tag alone: its manifest, and other tags on it, stay. True, or an error.

        Raises:
            ResourceNotFound: no such tag.
            Unsupported: the registry deletes nothing; nothing was changed.
        """
        untag(self.client, self.repo, check_tag(tag), self.timeout)
        return True

    def get(self, tag: str) -> Descriptor | None:
        """What the tag points to; None where there is no such tag."""
        return ManifestRef(self.repo, tag, self.client, timeout=self.timeout).get_metadata()
