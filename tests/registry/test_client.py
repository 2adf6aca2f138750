"""The one path of every request: redirects, retries, connections, and errors that say what to do."""

from __future__ import annotations

import contextlib
import email.utils
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3

from regscope.errors import (
    AuthFailed,
    ConnectionFailed,
    PermissionDeny,
    RegscopeError,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    TimedOut,
    TLSFailed,
    TooManyRequests,
    UnknownHost,
    UnsafeRedirect,
    Unsupported,
)
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.tags import Tags
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from tests.servers import faults
from tests.servers.certificates import Certificate, CertificateAuthority
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry

Images = dict[str, Descriptor]
NOBODY = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def certificate(authority: CertificateAuthority) -> Certificate:
    return authority.issue()


def config_of(images: Images, layout: Path, name: str = "base:1") -> Digest:
    digest = images[name].digest
    manifest = ManifestRef_raw(layout, digest)
    return manifest


def ManifestRef_raw(layout: Path, digest: Digest) -> Digest:
    raise NotImplementedError
