"""The catalog: which repositories a registry holds (Docker Registry HTTP API V2, Listing repositories)."""

from __future__ import annotations

from regscope.errors import AuthFailed, PermissionDeny, ResourceNotFound, Unsupported
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.paging import pages, strings


def list_repositories(client: DockerRegistryV2Client) -> list[str]:
    """All repositories that the registry names, sorted.

    Raises:
        PermissionDeny, Unsupported: the catalog is closed to these credentials, or there is none: the
            repositories must be named.
    """
    names: list[str] = []
    try:
        for page in pages(client, client.url("_catalog") + "?n=1000", "the catalog"):
            names += strings(page, "repositories")
    except (PermissionDeny, ResourceNotFound, Unsupported) as error:
        raise _closed(error) from None
    return sorted(set(names))


def _closed(error: PermissionDeny | ResourceNotFound | Unsupported) -> AuthFailed | PermissionDeny | Unsupported:
    kind = PermissionDeny if isinstance(error, PermissionDeny) else Unsupported
    return kind(
        f"the registry does not list its repositories: {error.message}",
        error.status_code,
        code=error.code,
        url=error.url,
        next_step="Name the repositories yourself: scan(store, repositories=['team/app']), --repository team/app.",
    )
