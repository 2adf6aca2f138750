"""How a store frees the bytes of blobs that no manifest needs any more."""

from __future__ import annotations

from regscope.errors import RegscopeError
from regscope.hosted.finding import kind_of
from regscope.registry import product
from regscope.registry.client import DockerRegistryV2Client
from regscope.stores.content_store import ContentStore
from regscope.stores.kinds import LAYOUT, STORAGE, stated_kind
from regscope.stores.registry_store import registry_of

_FREED_AT_ONCE = "A layout frees the bytes at once: undo needs a backup."
_NOT_KNOWN = (
    "How this registry frees the bytes is not known: its answers do not show which software it is. "
    "Ask its operator for a garbage collection."
)
_ITS_FILES = "These are the files of docker-registry (distribution), which frees bytes only by a garbage collection."
_COMMAND = (
    "Run the garbage collection on the registry's host: `registry garbage-collect /etc/docker/registry/config.yml` "
    "(distribution 3: /etc/distribution/config.yml; the program may be called docker-registry). Do not use "
    "--delete-untagged: before distribution 3 it deletes the children of tagged indexes."
)
_CAVEATS = (
    "Nothing may be pushed while it runs: set `storage.maintenance.readonly.enabled: true`, or stop the registry. "
    "Restart the registry afterwards: else its cache still reports blobs that are gone."
)
_WAYS = {
    product.DISTRIBUTION: (
        f"It answers like docker-registry (distribution), which frees bytes only by a garbage collection.\n"
        f"{_COMMAND}\n{_CAVEATS}"
    ),
    product.PULP: (
        "Pulp does not serve the blobs any more; its next clean-up of orphans deletes their files: "
        "`POST /pulp/api/v3/orphans/cleanup/`. By default it keeps files that are younger than a day."
    ),
    product.DIGITALOCEAN: (
        "DigitalOcean frees bytes only by a garbage collection: run `doctl registry garbage-collection start`. "
        "The registry is read only meanwhile."
    ),
    product.NEXUS: (
        "Nexus frees the bytes by two tasks that an administrator runs, one after the other: "
        "'Docker - Delete unused manifests and images', then 'Admin - Compact blob store'."
    ),
    product.ARTIFACTORY: (
        "Artifactory frees the bytes by its own garbage collection, which runs every few hours, once the files have "
        "left the trash can."
    ),
}


def how_space_is_freed(store: ContentStore, is_distribution: bool = False) -> tuple[str, ...]:
    """How the bytes of a store are freed, and what the user has to do, in sentences.

    Args:
        store: a layout, a registry's files, or a registry, to which one or two requests are sent.
        is_distribution: whether the registry's files were read, and have the structure of distribution's.
    """
    if store.kind == LAYOUT:
        return (_FREED_AT_ONCE,)
    registry = registry_of(store)
    if registry is not None and registry.provider is not None:
        return (registry.provider.frees,)
    seen = None if registry is None else _greeted(registry.client)
    if seen is not None and (provider := kind_of(seen)) is not None:
        return (provider.frees,)
    found = None if seen is None else product.product_of(seen)
    if found is None and (is_distribution or store.kind == STORAGE):
        return (_ITS_FILES, _COMMAND, _CAVEATS)
    return tuple(_WAYS.get(found or "", _NOT_KNOWN).splitlines())


def when_bytes_come_back(location: str) -> str:
    """A sentence on when the bytes are freed: in a layout by the deletion, in a registry by its garbage collection."""
    if stated_kind(location) == LAYOUT:
        return "A layout frees the bytes at once: undo needs a backup."
    return "The bytes are freed by the registry's next garbage collection."


def _greeted(client: DockerRegistryV2Client) -> product.Greeted | None:
    try:
        return product.greeted(client)
    except RegscopeError:
        return None
