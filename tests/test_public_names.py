"""The public surface, pinned: a name that comes or goes is a decision."""

from __future__ import annotations

import inspect
import pickle
import pkgutil
import subprocess
import sys

import regscope

NAMES = [
    "OFFICIAL_ENDPOINT", "TABLES", "APIEndpoint", "Applied", "AuthFailed", "Blob", "Capabilities",
    "CapabilityWarning", "Checkup", "ContentStore", "Copied", "DemoRegistry", "Diff", "Digest", "DigestCache",
    "DockerManifestList", "DockerRegistryV2Client", "Explorer", "FilePage", "FilesOnDisk", "Guide", "Image",
    "ImageJSON", "ImageRef", "LayerRef", "ManifestRef", "ManifestSchema1", "ManifestSchema2", "Merging",
    "MirrorWarning", "OCIIndex", "OCIManifestSchema1", "PermissionDeny", "Plan", "Platform", "Reference",
    "RegistryWarning", "RegscopeError", "RegscopeWarning", "Report", "RequestError", "RequestErrorWithResponse",
    "ResourceNotFound", "Retention", "Rewriting", "Rewritten", "Snapshot", "Tags", "UnSupportMediaType", "Undone",
    "WhatIf", "__version__", "attach", "base_drift", "build_demo", "copy", "dedup_ratios", "default_client", "diff",
    "doctor", "explore", "file_browser", "file_duplicates", "file_tree", "file_types", "final_files", "growth",
    "guide", "history_cost", "image_picker", "image_sizes", "largest_files", "layer_bars", "layer_sizes", "lineage",
    "make_index", "merge_twins", "open", "parse_manifest", "plan", "published", "recompress", "registry_treemap",
    "remediate", "report", "scan", "scan_files", "secrets", "set_default_client", "setuid", "sharing", "slim",
    "stale", "stored_layers", "twins", "undo", "waste", "wasted_files", "what_if",
]  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert regscope.__all__ == sorted(NAMES)
    assert dir(regscope) == sorted(NAMES)


def test_a_star_import_brings_them_all() -> None:
    found: dict[str, object] = {}
    exec("from regscope import *", found)
    assert {name: found[name] for name in NAMES} == {name: getattr(regscope, name) for name in NAMES}


def test_no_module_has_the_place_of_a_public_name() -> None:
    """A module `regscope.x` that is imported becomes the attribute `x`, whatever the function `x` is."""
    modules = {found.name for found in pkgutil.iter_modules(regscope.__path__)}
    assert not modules & set(NAMES)


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


def test_a_misspelt_name_is_an_attribute_error_that_names_what_is_near() -> None:
    assert not hasattr(regscope, "nonsense")
    done = subprocess.run(
        [sys.executable, "-c", "import regscope; regscope.skan"],
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1].startswith("AttributeError: ")
    assert "'scan'" in done.stderr.splitlines()[-1]


def test_public_objects_pickle() -> None:
    for value in (getattr(regscope, name) for name in NAMES):
        if inspect.isclass(value) or inspect.isfunction(value):
            assert pickle.loads(pickle.dumps(value)) is value


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
