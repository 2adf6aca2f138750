"""The tags of a repository (distribution-spec, Listing tags)."""

from __future__ import annotations

import builtins

from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.paging import pages, strings
from regscope.spec.descriptor import Descriptor
from regscope.spec.reference import check_repository


class Tags:
    """The tags of one repository."""

    def __init__(
        self, repo: str, client: DockerRegistryV2Client | None = None, *, timeout: AskTimeout = "default"
    ) -> None:
        self.repo = check_repository(repo)
        self.client = client or DockerRegistryV2Client.from_api_endpoint()
        self.timeout = timeout

    def list(self) -> builtins.list[str]:
        """All tags, sorted; registries send them in any order, in pages of any length.

        Raises:
            ResourceNotFound: no such repository.
        """
        url = self.client.url(self.repo, "tags", "list")
        found = {
            tag
            for page in pages(self.client, url, f"the tag list of {self.repo}", self.timeout)
            for tag in strings(page, "tags")
        }
        return sorted(found)

    def get(self, tag: str) -> Descriptor | None:
        """What the tag points to; None where there is no such tag."""
        return ManifestRef(self.repo, tag, self.client, timeout=self.timeout).get_metadata()
