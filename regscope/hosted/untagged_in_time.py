"""Waiting until a provider has removed a tag that it was told to remove."""

from __future__ import annotations

from regscope.errors import RequestError
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.eventually import eventually
from regscope.registry.manifests import ManifestRef


def see_it_untagged(client: DockerRegistryV2Client, repository: str, tag: str, who: str) -> None:
    """Return when the registry serves the tag no longer.

    Raises:
        RequestError: `who` accepted the deletion, and the registry still serves the tag.
    """
    tagged = ManifestRef(repository, tag, client)
    if not eventually(lambda: tagged.get_metadata() is None, client.retry_policy.settling):
        raise RequestError(
            f"{who} accepted the deletion of the tag {repository}:{tag}, and still serves it",
            next_step="Check again later whether it is gone: some tags are deleted in the background.",
        )
