"""The catalog: which repositories a registry holds (Docker Registry HTTP API V2, Listing repositories)."""

from __future__ import annotations

from regscope.errors import PermissionDeny, RequestErrorWithResponse, ResourceNotFound, Unsupported
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.paging import named_pages

_PAGE = 1000
_MAY_BE_TOO_LARGE = {400, 405, 416, 422}  # answers to an n above the limit (distribution: catalog.maxentries)


def list_repositories(client: DockerRegistryV2Client) -> list[str]:
    """All repositories that the registry names, sorted.

    Raises:
        PermissionDeny, Unsupported: these credentials may not read the catalog, or the registry has none: name the
            repositories.
    """
    try:
        try:
            names = _names(client, _PAGE)
        except RequestErrorWithResponse as error:
            if error.status_code not in _MAY_BE_TOO_LARGE:
                raise
            names = _names(client, 0)
    except (PermissionDeny, ResourceNotFound, Unsupported) as error:
        raise _closed(error) from None
    return sorted(names)


def _names(client: DockerRegistryV2Client, size: int) -> set[str]:
    return set(named_pages(client, client.url("_catalog"), "the catalog", "repositories", size))


def _closed(error: PermissionDeny | ResourceNotFound | Unsupported) -> PermissionDeny | Unsupported:
    kind = PermissionDeny if isinstance(error, PermissionDeny) else Unsupported
    return kind(
        f"the registry does not list its repositories: {error.message}",
        error.status_code,
        code=error.code,
        url=error.url,
        next_step="Name the repositories yourself: scan(store, repositories=['team/app']), --repository team/app.",
    )
