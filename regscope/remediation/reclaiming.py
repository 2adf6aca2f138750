"""How a store gives the bytes back that nothing needs any more."""

from __future__ import annotations

from regscope.errors import RegscopeError
from regscope.registry import product
from regscope.registry.client import DockerRegistryV2Client
from regscope.stores.content_store import ContentStore
from regscope.stores.kinds import LAYOUT, STORAGE, stated_kind
from regscope.stores.registry_store import registry_of

_FREED_AT_ONCE = "A layout gives the bytes back at once: only a backup undoes that."
_NOT_KNOWN = (
    "How this registry gives the bytes back is not known: nothing in its answers shows which software it is. "
    "Ask whoever runs it for its garbage collection."
)
_ITS_FILES = "Its files are docker-registry's (distribution), which gives the bytes back only when it is told to."
_COMMAND = (
    "Run its garbage collection where its files are: `registry garbage-collect /etc/docker/registry/config.yml` "
    "(distribution 3: /etc/distribution/config.yml; the program may be called docker-registry). Without "
    "--delete-untagged, which before distribution 3 deletes the children of tagged indexes."
)
_CAVEATS = (
    "While that runs nothing may be pushed: set `storage.maintenance.readonly.enabled: true`, or stop the registry. "
    "Restart it afterwards: its cache goes on answering for blobs that are gone."
)
_WAYS = {
    product.DISTRIBUTION: (
        f"It answers as docker-registry (distribution) does, which gives the bytes back only when it is told to.\n"
        f"{_COMMAND}\n{_CAVEATS}"
    ),
    product.HARBOR: (
        "Harbor gives the bytes back at its next garbage collection: Administration, Clean Up, Garbage Collection; "
        "or as an administrator `POST /api/v2.0/system/gc/schedule` with "
        '{"schedule": {"type": "Manual"}, "parameters": {"delete_untagged": false}}.\n'
        "Harbor goes on working meanwhile; blobs that were pushed less than 2 hours before are spared."
    ),
    product.GITLAB: (
        "GitLab with its metadata database (gitlab.com always) gives the bytes back by itself, after a day or more: "
        "nothing is to be done.\n"
        "GitLab without that database: `sudo gitlab-ctl registry-garbage-collect` on its server, which stops the "
        "registry meanwhile."
    ),
    product.GITEA: (
        "Gitea and Forgejo give the bytes back by themselves: nothing is to be done. Their daily task "
        "cleanup_packages deletes blobs that no image needs once these are a day old."
    ),
    product.PULP: (
        "Pulp serves the blobs no more; their files go with its next clean-up of orphans, "
        "`POST /pulp/api/v3/orphans/cleanup/`, which spares what is younger than a day unless it is told otherwise."
    ),
    product.QUAY: (
        "Quay gives the bytes back by itself, once the time machine lets go of the tags that were deleted (two weeks "
        "by default; a setting of each organization): nothing is to be done."
    ),
    product.DIGITALOCEAN: (
        "DigitalOcean gives the bytes back when it is told to: `doctl registry garbage-collection start`. "
        "The registry is read only meanwhile."
    ),
    product.NEXUS: (
        "Nexus gives the bytes back by two tasks of its administrator, one after the other: "
        "'Docker - Delete unused manifests and images', then 'Admin - Compact blob store'."
    ),
    product.ARTIFACTORY: (
        "Artifactory gives the bytes back by its own garbage collection, which runs every few hours, once they have "
        "left the trash can."
    ),
}
_BY_THEMSELVES = (product.DOCKER_HUB, product.GHCR, product.ECR)


def how_space_is_freed(store: ContentStore, is_distribution: bool = False) -> tuple[str, ...]:
    """What is to be done so that a store gives bytes back, in sentences; that it is not known, where it is not.

    Args:
        store: a layout, a registry's files, or a registry, which is asked once or twice.
        is_distribution: it keeps its files as distribution does: they were read.
    """
    if store.kind == LAYOUT:
        return (_FREED_AT_ONCE,)
    registry = registry_of(store)
    if registry is not None and registry.provider is not None:
        return (registry.provider.frees,)
    found = None if registry is None else _product(registry.client)
    if found is None and (is_distribution or store.kind == STORAGE):
        return (_ITS_FILES, _COMMAND, _CAVEATS)
    if found in _BY_THEMSELVES:
        return (f"{found} gives the bytes back by itself, in its own time: nothing is to be done.",)
    return tuple(_WAYS.get(found or "", _NOT_KNOWN).splitlines())


def when_bytes_come_back(location: str) -> str:
    """A word on that: a layout is its own garbage collector."""
    if stated_kind(location) == LAYOUT:
        return "A layout gives the bytes back at once: only a backup undoes that."
    return "The bytes come back when the registry collects its garbage."


def _product(client: DockerRegistryV2Client) -> str | None:
    try:
        return product.product_of(client)
    except RegscopeError:
        return None
