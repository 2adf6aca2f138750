"""The client, and the URLs of its requests."""

from __future__ import annotations

from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.default_client import default_client, set_default_client

__all__ = ["DockerRegistryV2Client", "URLBuilder", "default_client", "set_default_client"]


class URLBuilder:
    """The URLs of the API below `endpoint`, which has a scheme; `DockerRegistryV2Client.url` also quotes names."""

    @staticmethod
    def build_v2_url(endpoint: str) -> str:
        """The URL of the API's root, `/v2/`."""
        return f"{endpoint}/v2/"

    @staticmethod
    def build_blobs_url(endpoint: str, repo: str, digest: str) -> str:
        """The URL of a blob."""
        return f"{endpoint}/v2/{repo}/blobs/{digest}"

    @staticmethod
    def build_manifests_url(endpoint: str, repo: str, reference: str) -> str:
        """The URL of a manifest, by tag or digest."""
        return f"{endpoint}/v2/{repo}/manifests/{reference}"

    @staticmethod
    def build_upload_blobs_url(endpoint: str, repo: str) -> str:
        """The URL where uploads are opened."""
        return f"{endpoint}/v2/{repo}/blobs/uploads/"

    @staticmethod
    def build_tags_url(endpoint: str, repo: str) -> str:
        """The URL of the list of tags."""
        return f"{endpoint}/v2/{repo}/tags/list"
