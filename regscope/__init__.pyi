"""The public names, and the module of each: read by type checkers, and by `lazy_loader` when regscope is imported."""

from .analysis.base_drift import base_drift as base_drift
from .analysis.diff import Diff as Diff, diff as diff
from .analysis.file_duplicates import dedup_ratios as dedup_ratios, file_duplicates as file_duplicates
from .analysis.final_tree import final_files as final_files
from .analysis.growth import growth as growth
from .analysis.history_cost import history_cost as history_cost
from .analysis.largest_files import file_types as file_types, largest_files as largest_files
from .analysis.lineage import lineage as lineage
from .analysis.published import published as published
from .analysis.risky_files import secrets as secrets, setuid as setuid
from .analysis.sharing import sharing as sharing
from .analysis.sizes import image_sizes as image_sizes, layer_sizes as layer_sizes
from .analysis.stale import stale as stale
from .analysis.stored_layers import stored_layers as stored_layers
from .analysis.twins import twins as twins
from .analysis.waste import waste as waste, wasted_files as wasted_files
from .analysis.what_if import WhatIf as WhatIf, what_if as what_if
from .demo import build_demo as build_demo
from .checkup.doctor import Checkup as Checkup, doctor as doctor
from .demo_registry import DemoRegistry as DemoRegistry
from .errors import (
    AuthFailed as AuthFailed,
    CapabilityWarning as CapabilityWarning,
    MirrorWarning as MirrorWarning,
    PermissionDeny as PermissionDeny,
    RegistryWarning as RegistryWarning,
    RegscopeError as RegscopeError,
    RegscopeWarning as RegscopeWarning,
    RequestError as RequestError,
    RequestErrorWithResponse as RequestErrorWithResponse,
    ResourceNotFound as ResourceNotFound,
    UnSupportMediaType as UnSupportMediaType,
)
from .file_rows import FilesOnDisk as FilesOnDisk
from .images.attaching import attach as attach
from .images.copying import Copied as Copied, copy as copy
from .images.image import Image as Image
from .compat.moby.registry.resources.image import ImageRef as ImageRef, LayerRef as LayerRef
from .images.index_of import make_index as make_index
from .registry.blobs import Blob as Blob
from .registry.capabilities import Capabilities as Capabilities
from .registry.client import DockerRegistryV2Client as DockerRegistryV2Client
from .registry.default_client import default_client as default_client, set_default_client as set_default_client
from .registry.endpoint import OFFICIAL_ENDPOINT as OFFICIAL_ENDPOINT, APIEndpoint as APIEndpoint
from .registry.manifests import ManifestRef as ManifestRef
from .registry.tags import Tags as Tags
from .remediation.applied import Applied as Applied
from .remediation.plan import Plan as Plan
from .remediation.planning import plan as plan
from .remediation.recompressing import recompress as recompress
from .remediation.retention import Retention as Retention
from .remediation.rewriting import Rewriting as Rewriting, Rewritten as Rewritten
from .remediation.slimming import slim as slim
from .remediation.twin_merging import Merging as Merging, merge_twins as merge_twins
from .remediation.undoing import undo as undo
from .remediation.undone import Undone as Undone
from .scanning.files import scan_files as scan_files
from .scanning.metadata import scan as scan
from .schema import TABLES as TABLES
from .spec.digest import Digest as Digest
from .spec.image_config import ImageJSON as ImageJSON
from .spec.manifest import (
    DockerManifestList as DockerManifestList,
    ManifestSchema1 as ManifestSchema1,
    ManifestSchema2 as ManifestSchema2,
    OCIIndex as OCIIndex,
    OCIManifestSchema1 as OCIManifestSchema1,
    parse_manifest as parse_manifest,
)
from .spec.platform import Platform as Platform
from .spec.reference import Reference as Reference
from .stores.content_store import ContentStore as ContentStore
from .stores.digest_cache import DigestCache as DigestCache
from .stores.open_store import open as open
from .tables import Snapshot as Snapshot
from .version import __version__ as __version__
from .views.explorer.explore import Explorer as Explorer, explore as explore
from .views.explorer.file_browser import file_browser as file_browser
from .views.explorer.image_picker import image_picker as image_picker
from .views.explorer.layer_bars import layer_bars as layer_bars
from .views.explorer.registry_treemap import registry_treemap as registry_treemap
from .views.guide import Guide as Guide, guide as guide
from .views.file_tree import FilePage as FilePage, file_tree as file_tree
from .views.remediator.remediate import remediate as remediate
from .views.report import Report as Report, report as report
