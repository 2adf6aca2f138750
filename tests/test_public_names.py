"""The public surface, pinned: a name that comes or goes is a decision."""

from __future__ import annotations

import inspect
import subprocess
import sys

import regscope

NAMES = [
    "OFFICIAL_ENDPOINT", "TABLES", "APIEndpoint", "Applied", "AuthFailed", "Blob", "Capabilities",
    "CapabilityWarning", "ContentStore", "Copied", "DemoRegistry", "Diff", "Digest", "DigestCache",
    "DockerManifestList", "DockerRegistryV2Client", "Explorer", "FilePage", "FilesOnDisk", "Image", "ImageJSON",
    "ImageRef", "LayerRef", "ManifestRef", "ManifestSchema1", "ManifestSchema2", "Merging", "MirrorWarning",
    "OCIIndex", "OCIManifestSchema1", "PermissionDeny", "Plan", "Platform", "Reference", "RegistryWarning",
    "RegscopeError", "RegscopeWarning", "Report", "RequestError", "RequestErrorWithResponse", "ResourceNotFound",
    "Retention", "Rewriting", "Rewritten", "Snapshot", "Tags", "UnSupportMediaType", "Undone", "WhatIf",
    "__version__", "attach", "base_drift", "build_demo", "copy", "dedup_ratios", "default_client", "diff", "explore",
    "file_browser", "file_duplicates", "file_tree", "file_types", "final_files", "growth", "history_cost",
    "image_picker", "image_sizes", "largest_files", "layer_bars", "layer_sizes", "lineage", "make_index",
    "merge_twins", "open", "parse_manifest", "plan", "published", "recompress", "registry_treemap", "remediate",
    "report", "scan", "scan_files", "secrets", "set_default_client", "setuid", "sharing", "slim", "stale",
    "stored_layers", "twins", "undo", "waste", "wasted_files", "what_if",
]  # fmt: skip


def test_the_public_names_are_these_and_sorted() -> None:
    assert regscope.__all__ == NAMES
    assert dir(regscope) == sorted(NAMES)


def test_every_public_name_can_be_had_and_is_documented() -> None:
    for name in NAMES:
        value = getattr(regscope, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


def test_every_public_member_of_a_public_class_is_documented() -> None:
    for name in NAMES:
        value = getattr(regscope, name)
        if inspect.isclass(value):
            for member, found in vars(value).items():
                if not member.startswith("_") and (inspect.isfunction(found) or isinstance(found, property)):
                    assert inspect.getdoc(getattr(value, member)), f"{name}.{member}"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(regscope, "nonsense")


def test_scan_is_the_function_whatever_was_imported_before() -> None:
    code = "import regscope.scanning.metadata, regscope.cli.main, regscope as rs; assert callable(rs.scan)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_importing_regscope_loads_nothing_heavy() -> None:
    code = (
        "import sys, regscope; print(*sorted({'pandas', 'requests', 'pydantic', 'jinja2', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_the_command_line_says_help_without_loading_pandas() -> None:
    code = "import sys, regscope.cli.main; print('pandas' in sys.modules, 'requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
