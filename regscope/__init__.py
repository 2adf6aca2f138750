"""regscope turns a container registry into DataFrames, and what the DataFrames show into safe action.

    import regscope as rs

    store = rs.open("registry.example.com")
    snap = rs.scan(store)
    rs.sharing(snap)

Names are loaded when they are first used, so that `import regscope` costs little.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from regscope.version import __version__

if TYPE_CHECKING:
    from regscope.analysis.base_drift import base_drift
    from regscope.analysis.diff import Diff, diff
    from regscope.analysis.file_duplicates import dedup_ratios, file_duplicates
    from regscope.analysis.final_tree import final_files
    from regscope.analysis.growth import growth
    from regscope.analysis.history_cost import history_cost
    from regscope.analysis.largest_files import file_types, largest_files
    from regscope.analysis.lineage import lineage
    from regscope.analysis.published import published
    from regscope.analysis.risky_files import secrets, setuid
    from regscope.analysis.sharing import sharing
    from regscope.analysis.sizes import image_sizes, layer_sizes
    from regscope.analysis.stale import stale
    from regscope.analysis.stored_layers import stored_layers
    from regscope.analysis.twins import twins
    from regscope.analysis.waste import waste, wasted_files
    from regscope.analysis.what_if import WhatIf, what_if
    from regscope.compat.moby.registry.resources.image import ImageRef, LayerRef
    from regscope.demo import build_demo
    from regscope.demo_registry import DemoRegistry
    from regscope.errors import (
        AuthFailed,
        CapabilityWarning,
        MirrorWarning,
        PermissionDeny,
        RegistryWarning,
        RegscopeError,
        RegscopeWarning,
        RequestError,
        RequestErrorWithResponse,
        ResourceNotFound,
        UnSupportMediaType,
    )
    from regscope.file_rows import FilesOnDisk
    from regscope.images.attaching import attach
    from regscope.images.copying import Copied, copy
    from regscope.images.image import Image
    from regscope.images.index_of import make_index
    from regscope.registry.blobs import Blob
    from regscope.registry.capabilities import Capabilities
    from regscope.registry.client import DockerRegistryV2Client
    from regscope.registry.default_client import default_client, set_default_client
    from regscope.registry.endpoint import OFFICIAL_ENDPOINT, APIEndpoint
    from regscope.registry.manifests import ManifestRef
    from regscope.registry.tags import Tags
    from regscope.remediation.applied import Applied
    from regscope.remediation.plan import Plan
    from regscope.remediation.planning import plan
    from regscope.remediation.recompressing import recompress
    from regscope.remediation.retention import Retention
    from regscope.remediation.rewriting import Rewriting, Rewritten
    from regscope.remediation.slimming import slim
    from regscope.remediation.twin_merging import Merging, merge_twins
    from regscope.remediation.undoing import Undone, undo
    from regscope.scanning.files import scan_files
    from regscope.scanning.metadata import scan
    from regscope.schema import TABLES
    from regscope.spec.digest import Digest
    from regscope.spec.image_config import ImageJSON
    from regscope.spec.manifest import (
        DockerManifestList,
        ManifestSchema1,
        ManifestSchema2,
        OCIIndex,
        OCIManifestSchema1,
        parse_manifest,
    )
    from regscope.spec.platform import Platform
    from regscope.spec.reference import Reference
    from regscope.stores.content_store import ContentStore
    from regscope.stores.digest_cache import DigestCache
    from regscope.stores.open_store import open
    from regscope.tables import Snapshot
    from regscope.views.explorer.explore import Explorer, explore
    from regscope.views.explorer.file_browser import file_browser
    from regscope.views.explorer.image_picker import image_picker
    from regscope.views.explorer.layer_bars import layer_bars
    from regscope.views.explorer.registry_treemap import registry_treemap
    from regscope.views.file_tree import FilePage, file_tree
    from regscope.views.remediator.remediate import remediate
    from regscope.views.report import Report, report

_HOMES = {
    "APIEndpoint": "regscope.registry.endpoint",
    "Applied": "regscope.remediation.applied",
    "AuthFailed": "regscope.errors",
    "Blob": "regscope.registry.blobs",
    "Capabilities": "regscope.registry.capabilities",
    "CapabilityWarning": "regscope.errors",
    "ContentStore": "regscope.stores.content_store",
    "Copied": "regscope.images.copying",
    "DemoRegistry": "regscope.demo_registry",
    "Diff": "regscope.analysis.diff",
    "Digest": "regscope.spec.digest",
    "DigestCache": "regscope.stores.digest_cache",
    "DockerManifestList": "regscope.spec.manifest",
    "DockerRegistryV2Client": "regscope.registry.client",
    "Explorer": "regscope.views.explorer.explore",
    "FilePage": "regscope.views.file_tree",
    "FilesOnDisk": "regscope.file_rows",
    "Image": "regscope.images.image",
    "ImageJSON": "regscope.spec.image_config",
    "ImageRef": "regscope.compat.moby.registry.resources.image",
    "LayerRef": "regscope.compat.moby.registry.resources.image",
    "ManifestRef": "regscope.registry.manifests",
    "ManifestSchema1": "regscope.spec.manifest",
    "ManifestSchema2": "regscope.spec.manifest",
    "Merging": "regscope.remediation.twin_merging",
    "MirrorWarning": "regscope.errors",
    "OCIIndex": "regscope.spec.manifest",
    "OCIManifestSchema1": "regscope.spec.manifest",
    "OFFICIAL_ENDPOINT": "regscope.registry.endpoint",
    "PermissionDeny": "regscope.errors",
    "Plan": "regscope.remediation.plan",
    "Platform": "regscope.spec.platform",
    "Reference": "regscope.spec.reference",
    "RegistryWarning": "regscope.errors",
    "RegscopeError": "regscope.errors",
    "RegscopeWarning": "regscope.errors",
    "Report": "regscope.views.report",
    "RequestError": "regscope.errors",
    "RequestErrorWithResponse": "regscope.errors",
    "ResourceNotFound": "regscope.errors",
    "Retention": "regscope.remediation.retention",
    "Rewriting": "regscope.remediation.rewriting",
    "Rewritten": "regscope.remediation.rewriting",
    "Snapshot": "regscope.tables",
    "TABLES": "regscope.schema",
    "Tags": "regscope.registry.tags",
    "UnSupportMediaType": "regscope.errors",
    "Undone": "regscope.remediation.undoing",
    "WhatIf": "regscope.analysis.what_if",
    "attach": "regscope.images.attaching",
    "base_drift": "regscope.analysis.base_drift",
    "build_demo": "regscope.demo",
    "copy": "regscope.images.copying",
    "dedup_ratios": "regscope.analysis.file_duplicates",
    "default_client": "regscope.registry.default_client",
    "diff": "regscope.analysis.diff",
    "explore": "regscope.views.explorer.explore",
    "file_browser": "regscope.views.explorer.file_browser",
    "file_duplicates": "regscope.analysis.file_duplicates",
    "file_tree": "regscope.views.file_tree",
    "file_types": "regscope.analysis.largest_files",
    "final_files": "regscope.analysis.final_tree",
    "growth": "regscope.analysis.growth",
    "history_cost": "regscope.analysis.history_cost",
    "image_picker": "regscope.views.explorer.image_picker",
    "image_sizes": "regscope.analysis.sizes",
    "largest_files": "regscope.analysis.largest_files",
    "layer_bars": "regscope.views.explorer.layer_bars",
    "layer_sizes": "regscope.analysis.sizes",
    "lineage": "regscope.analysis.lineage",
    "make_index": "regscope.images.index_of",
    "merge_twins": "regscope.remediation.twin_merging",
    "open": "regscope.stores.open_store",
    "parse_manifest": "regscope.spec.manifest",
    "plan": "regscope.remediation.planning",
    "published": "regscope.analysis.published",
    "recompress": "regscope.remediation.recompressing",
    "registry_treemap": "regscope.views.explorer.registry_treemap",
    "remediate": "regscope.views.remediator.remediate",
    "report": "regscope.views.report",
    "scan": "regscope.scanning.metadata",
    "scan_files": "regscope.scanning.files",
    "secrets": "regscope.analysis.risky_files",
    "set_default_client": "regscope.registry.default_client",
    "setuid": "regscope.analysis.risky_files",
    "sharing": "regscope.analysis.sharing",
    "slim": "regscope.remediation.slimming",
    "stale": "regscope.analysis.stale",
    "stored_layers": "regscope.analysis.stored_layers",
    "twins": "regscope.analysis.twins",
    "undo": "regscope.remediation.undoing",
    "waste": "regscope.analysis.waste",
    "wasted_files": "regscope.analysis.waste",
    "what_if": "regscope.analysis.what_if",
}

__all__ = [
    "OFFICIAL_ENDPOINT",
    "TABLES",
    "APIEndpoint",
    "Applied",
    "AuthFailed",
    "Blob",
    "Capabilities",
    "CapabilityWarning",
    "ContentStore",
    "Copied",
    "DemoRegistry",
    "Diff",
    "Digest",
    "DigestCache",
    "DockerManifestList",
    "DockerRegistryV2Client",
    "Explorer",
    "FilePage",
    "FilesOnDisk",
    "Image",
    "ImageJSON",
    "ImageRef",
    "LayerRef",
    "ManifestRef",
    "ManifestSchema1",
    "ManifestSchema2",
    "Merging",
    "MirrorWarning",
    "OCIIndex",
    "OCIManifestSchema1",
    "PermissionDeny",
    "Plan",
    "Platform",
    "Reference",
    "RegistryWarning",
    "RegscopeError",
    "RegscopeWarning",
    "Report",
    "RequestError",
    "RequestErrorWithResponse",
    "ResourceNotFound",
    "Retention",
    "Rewriting",
    "Rewritten",
    "Snapshot",
    "Tags",
    "UnSupportMediaType",
    "Undone",
    "WhatIf",
    "__version__",
    "attach",
    "base_drift",
    "build_demo",
    "copy",
    "dedup_ratios",
    "default_client",
    "diff",
    "explore",
    "file_browser",
    "file_duplicates",
    "file_tree",
    "file_types",
    "final_files",
    "growth",
    "history_cost",
    "image_picker",
    "image_sizes",
    "largest_files",
    "layer_bars",
    "layer_sizes",
    "lineage",
    "make_index",
    "merge_twins",
    "open",
    "parse_manifest",
    "plan",
    "published",
    "recompress",
    "registry_treemap",
    "remediate",
    "report",
    "scan",
    "scan_files",
    "secrets",
    "set_default_client",
    "setuid",
    "sharing",
    "slim",
    "stale",
    "stored_layers",
    "twins",
    "undo",
    "waste",
    "wasted_files",
    "what_if",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'regscope' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
