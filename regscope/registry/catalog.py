"""The catalog: which repositories a registry holds (Docker Registry HTTP API V2, Listing repositories)."""

from __future__ import annotations

from urllib.parse import quote

from regscope.errors import PermissionDeny, RequestErrorWithResponse, ResourceNotFound, Unsupported
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.paging import pages, strings

_PAGE = 1000


def list_repositories(client: DockerRegistryV2Client) -> list[str]:
    """All repositories that the registry names, sorted.

    Raises:
        PermissionDeny, Unsupported: the catalog is closed to these credentials, or there is none: the
            repositories must be named.
    """
    url = client.url("_catalog")
    try:
        try:
            names = _in_large_pages(client, url)
        except RequestErrorWithResponse as error:
            if error.status_code != 400:
                raise
            names = _names(client, url)  # distribution refuses an n above its catalog.maxentries
    except (PermissionDeny, ResourceNotFound, Unsupported) as error:
        raise _closed(error) from None
    return sorted(names)


def _names(client: DockerRegistryV2Client, url: str) -> set[str]:
    return {name for page in pages(client, url, "the catalog") for name in strings(page, "repositories")}


def _in_large_pages(client: DockerRegistryV2Client, url: str) -> set[str]:
    """All names. A full page without a link may not be the last one: the next is asked for by its last name."""
    found: set[str] = set()
    after = ""
    while True:
        new = _names(client, f"{url}?n={_PAGE}{after}") - found
        found |= new
        if len(new) < _PAGE:
            return found
        after = f"&last={quote(max(new), safe='')}"


def _closed(error: PermissionDeny | ResourceNotFound | Unsupported) -> PermissionDeny | Unsupported:
    kind = PermissionDeny if isinstance(error, PermissionDeny) else Unsupported
    return kind(
        f"the registry does not list its repositories: {error.message}",
        error.status_code,
        code=error.code,
        url=error.url,
        next_step="Name the repositories yourself: scan(store, repositories=['team/app']), --repository team/app.",
    )
