"""Whether a registry deletes at all, found out before anything is changed (distribution-spec, Content Management)."""

from __future__ import annotations

from regscope.errors import ResourceNotFound
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.responses import discard


def refusal_to_delete(
    client: DockerRegistryV2Client, repository: str, absent: str, timeout: AskTimeout = "default"
) -> ResourceNotFound | None:
    """Ask to delete what cannot be there: a registry that would is sorry not to have it, and then this is None.

    Raises:
        Unsupported: it deletes nothing.
        PermissionDeny, AuthFailed: these credentials may not.
    """
    try:
        discard(client.delete(client.url(repository, "manifests", absent), timeout=timeout))
    except ResourceNotFound as error:
        return None if error.code else error  # no registry's answer, but that of something before it
    return None
