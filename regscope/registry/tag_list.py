"""A repository's tag list (distribution-spec, Listing tags)."""

from __future__ import annotations

from typing import NamedTuple

from regscope.errors import InvalidDigest
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.paging import named_pages
from regscope.spec.digest import Digest


class TagList(NamedTuple):
    """Attributes:
    tags: sorted.
    digests: of manifests without a tag, which zuul-registry lists among the tags; sorted.
    """

    tags: list[str]
    digests: list[Digest]


def read_tag_list(client: DockerRegistryV2Client, repository: str, timeout: AskTimeout = "default") -> TagList:
    """The whole list; registries send it in any order, in pages of any length.

    Raises:
        ResourceNotFound: no such repository.
    """
    url, what = client.url(repository, "tags", "list"), f"the tag list of {repository}"
    names = sorted(set(named_pages(client, url, what, "tags", timeout=timeout)))
    return TagList([name for name in names if ":" not in name], [d for name in names if (d := _digest(name))])


def _digest(name: str) -> Digest | None:
    try:
        return Digest(name)
    except InvalidDigest:
        return None
