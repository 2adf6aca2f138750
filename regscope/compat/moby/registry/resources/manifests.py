"""Manifests of a repository."""

from __future__ import annotations

from regscope.registry.manifests import ManifestRef
from regscope.spec.manifest import ManifestSchema1, ManifestSchema2, OCIManifestSchema1

__all__ = ["ManifestRef", "ManifestSchema1", "ManifestSchema2", "OCIManifestSchema1"]
