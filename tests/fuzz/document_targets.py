"""What registries say of images: manifests, configs, names, platforms and times."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from regscope.scanning.manifest_rows import manifest_rows
from regscope.schema import make_table
from regscope.spec.build_history import history_fault
from regscope.spec.image_config import parse_image_config, parse_time
from regscope.spec.index_children import best_children, platforms_of
from regscope.spec.instructions import normalised
from regscope.spec.manifest import ImageManifest, ManifestSchema1, parse_manifest
from regscope.spec.media_types import DOCKER_MANIFEST_LIST, DOCKER_SCHEMA1_SIGNED, MANIFESTS, OCI_INDEX, OCI_MANIFEST
from regscope.spec.platform import LINUX_AMD64, Platform
from regscope.spec.reference import Reference, check_repository, check_tag
from regscope.spec.schema1 import schema1_config, schema1_payload
from regscope.stores.stored_names import ImageName
from tests.fuzz.json_mutation import json_changed, lines_changed
from tests.fuzz.mutation import changed
from tests.fuzz.target import Target, each_of, of_text, these
from tests.lab.documents import CONFIG, DIGEST, LAYER, docker_image, index, json_values, oci_image, schema1

_STEP = {"created": "2015-04-22T18:00:03Z", "author": "a", "container_config": {"Cmd": ["/bin/sh", "-c", "x"]}}
_NEWEST = {**_STEP, "os": "linux", "architecture": "arm64", "config": {"Env": ["A=b"], "Labels": {"a": "b"}}}
_PROTECTED = "eyJmb3JtYXRMZW5ndGgiOjEwLCJmb3JtYXRUYWlsIjoiQ24wIn0"  # formatLength 10, formatTail "\n}"
_KEY = {"crv": "P-256", "kid": "AAAA:BBBB", "kty": "EC", "x": "a" * 43, "y": "b" * 43}
_SIGNATURE = {"header": {"alg": "ES256", "jwk": _KEY}, "signature": "c" * 86, "protected": _PROTECTED}
_CONFIG: dict[str, Any] = {
    "architecture": "amd64", "os": "linux", "variant": "v2", "created": "2020-01-01T00:00:00.123456789Z", "author": "a",
    "config": {
        "User": "1", "Env": ["A=b"], "Cmd": ["x"], "Entrypoint": None, "Labels": {"a": "b"}, "Volumes": {"/v": {}},
        "ExposedPorts": {"80/tcp": {}}, "Healthcheck": {"Test": ["CMD", "x"], "Interval": 30},
    },
    "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
    "history": [
        {"created": "2020-01-01T00:00:00Z", "created_by": "RUN x # buildkit", "comment": "buildkit.dockerfile.v0"},
        {"created": "2020-01-01T00:00:00Z", "created_by": "CMD x", "empty_layer": True, "author": "d"},
    ],
}  # fmt: skip
_ARTIFACT = oci_image(
    artifactType="application/spdx+json", subject={"mediaType": OCI_MANIFEST, "digest": DIGEST, "size": 30},
    annotations={"org.opencontainers.image.created": "2020-01-01T00:00:00Z"},
)  # fmt: skip
_ATTESTED = index(mediaType=OCI_INDEX, annotations={"a": "b"}, subject={**CONFIG, "mediaType": OCI_MANIFEST})
_ATTESTED["manifests"] = [
    *_ATTESTED["manifests"], LAYER,
    {**CONFIG, "mediaType": OCI_MANIFEST, "annotations": {
        "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": DIGEST,
    }},
]  # fmt: skip
_SCHEMA1 = schema1(_NEWEST, _STEP, signatures=[_SIGNATURE])
_DOCKER_LIST = index(mediaType=DOCKER_MANIFEST_LIST)

_NAMES = (
    b"registry.example.com:5000/team/app:1.0@" + DIGEST.encode(), b"[::1]:5000/a/b:v1", b"localhost/app", b"ubuntu",
    b"a/b_c.d-e__f/g:latest", DIGEST.encode(), b"linux/arm64/v8", b"windows(10.0.17763)/amd64", b"arm64",
)  # fmt: skip
_STEPS = (
    b"/bin/sh -c #(nop) ADD file:" + b"0" * 64 + b" in / ", b"RUN |2 A=1 B=2 /bin/bash -o pipefail -c x # buildkit",
    b"cmd /S /C powershell -Command $ErrorActionPreference = 'Stop'; x", b"COPY --from=0 /a /b", b"touch -d '@0' x",
)  # fmt: skip
_TIMES = (
    b"2020-01-01T00:00:00Z", b"2020-02-30T24:00:00.123456789+02:00", b"0001-01-01T00:00:00Z", b"1970-01-01", b"16000",
    b"9999-12-31T23:59:59.999999-23:59", b"2020-01-01 00:00:00", b"2020-01-01T00:00:00.1234567890123",
)  # fmt: skip


def _encoded(*documents: Any) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


def _manifest(raw: bytes, media_type: str | None = None) -> None:
    manifest = parse_manifest(raw, media_type)
    _ = manifest.digest, manifest.media_type, manifest.faults, manifest.raw, repr(manifest)
    if not isinstance(manifest, ManifestSchema1 | ImageManifest):
        best_children(manifest.children, LINUX_AMD64)
        platforms_of(manifest)


def _schema1(raw: bytes) -> None:
    manifest = parse_manifest(schema1_payload(raw), DOCKER_SCHEMA1_SIGNED)
    if isinstance(manifest, ManifestSchema1):
        schema1_config(manifest)


def _config(raw: bytes) -> None:
    config = parse_image_config(raw)
    _ = config.names_unreadable_time, config.faults, repr(config)
    history_fault(config.history, len(config.rootfs.diff_ids))


def _rows(raw: bytes) -> None:
    """The rows of a manifest and of its config, which stand in one line each."""
    first, _, second = raw.partition(b"\n")
    manifest = parse_manifest(first)
    config = parse_image_config(second) if isinstance(manifest, ImageManifest) else None
    if isinstance(manifest, ManifestSchema1):
        config = schema1_config(manifest)
    for table, rows in manifest_rows(manifest.digest, manifest, config, [5, 7]).rows.items():
        make_table(table, rows)


def _images() -> list[bytes]:
    documents = (oci_image(), docker_image(), _ARTIFACT, _ATTESTED, _DOCKER_LIST, schema1(_NEWEST, _STEP))
    return [b"%b\n%b\n" % (raw, json.dumps(_CONFIG).encode()) for raw in _encoded(*documents)]


def _manifests() -> list[bytes]:
    return _encoded(oci_image(), docker_image(), _ARTIFACT, _ATTESTED, _DOCKER_LIST, _SCHEMA1)


def _drawn_manifests() -> SearchStrategy[bytes]:
    """Documents with the fields of manifests, and anything in them."""
    fields = ("schemaVersion", "mediaType", "config", "layers", "manifests", "fsLayers", "history", "subject",
              "annotations", "artifactType", "signatures")  # fmt: skip
    descriptors = st.fixed_dictionaries(
        {"mediaType": st.sampled_from(sorted(MANIFESTS)) | json_values, "size": st.integers() | json_values,
         "digest": st.just(DIGEST) | json_values},
        optional={"platform": json_values, "annotations": json_values, "urls": json_values, "data": json_values},
    )  # fmt: skip
    values = json_values | descriptors | st.lists(descriptors | json_values, max_size=4)
    usual = st.fixed_dictionaries({"schemaVersion": st.sampled_from([1, 2, "2", None]), "config": descriptors})
    drawn = usual | st.dictionaries(st.sampled_from(fields), values)
    return drawn.map(lambda document: json.dumps(document).encode())


def _drawn_names() -> SearchStrategy[bytes]:
    forms = (r"([a-zA-Z0-9.-]{1,20}(:[0-9]{1,6})?/)?[a-z0-9._/-]{1,40}(:[A-Za-z0-9_.-]{1,130})?(@sha256:[0-9a-f]{64})?",
             r"(linux|windows\([0-9.]+\)|[!-~]+)/[!-~]{1,8}(/v?[0-9]{0,4}(\.[0-9]{0,4})?)?")  # fmt: skip
    return st.one_of(*(st.from_regex(form, fullmatch=True) for form in forms), st.text()).map(
        lambda name: name.encode("utf-8", "surrogatepass")
    )


TARGETS = (
    Target(
        "manifests",
        each_of(_manifest, partial(_manifest, media_type=OCI_MANIFEST), partial(_manifest, media_type=OCI_INDEX)),
        _manifests,
        json_changed,
        100,
        _drawn_manifests,
    ),
    Target("schema1", _schema1, these(*_encoded(_SCHEMA1, schema1(_NEWEST, _STEP))), json_changed, 40),
    Target("configs", _config, these(*_encoded(_CONFIG)), json_changed, 100),
    Target("rows", _rows, _images, lines_changed, 20),
    Target(
        "names",
        each_of(*map(of_text, (Reference.parse, Platform.parse, ImageName.parse, check_repository, check_tag))),
        these(*_NAMES),
        changed,
        150,
        _drawn_names,
    ),
    Target("times", of_text(parse_time), these(*_TIMES), changed, 200),
    Target("build-steps", of_text(normalised), these(*_STEPS), changed, 120),
)
