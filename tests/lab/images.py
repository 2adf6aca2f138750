"""A small layout with everything that registries hold, and the way into a registry."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from regscope.spec import media_types
from regscope.spec.annotations import REF_NAME
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.platform import Platform
from regscope.stores.layout_writer import Layer, LayoutWriter, tar_of
from tests.servers.oci import OCIRegistry
from tests.servers.registry import Registry

IN_TOTO = "application/vnd.in-toto+json"
SPDX = "application/spdx+json"
SIGNATURE = "application/vnd.dev.cosign.simplesigning.v1+json"

TAGS = {
    "app": ["1.0", "1.1", "latest"],  # and two tags about 1.0: see `write_layout`
    "base": ["1", "stable"],
    "legacy": ["1"],
    "team/api": ["1.0", "2.0"],
    "team/worker": ["2.0"],
    "tool": ["nightly"],
}
"""Repositories and tags of the layout, without the tags that are about another image."""


def write_layout(folder: Path) -> dict[str, Descriptor]:
    """Write the layout; returns what it holds by `repository:tag`, and the unnamed by what they are.

    Two images share a base with two tags on one digest, `team/api` is for three platforms and carries an
    attestation, `legacy:1` is a Docker image, and `app:1.0` has an SBOM, under the referrers fallback tag, and a
    signature, under cosign's tag.
    """
    with LayoutWriter(folder) as writer:
        found = _Images(writer).build()
        for name, descriptor in found.items():
            if ":" in name:
                writer.tag(name, descriptor)
        writer.keep(found["sbom"])
    return found


def push(layout: Path, registry: Registry | OCIRegistry, *, credentials: str | None = None, only: str = "") -> None:
    """Copy everything with a name, or the names that start with `only`, into a registry.

    `credentials` are `user:password`, for a registry that asks for Basic authentication or tokens.
    """
    for entry in json.loads((layout / "index.json").read_bytes())["manifests"]:
        name = entry.get("annotations", {}).get(REF_NAME, "")
        if not name or not name.startswith(only):
            continue
        if _is_for_skopeo(layout, entry):
            login = ["--dest-creds", credentials] if credentials else ["--dest-no-creds"]
            how = ["--all", "--preserve-digests", "-q", "--dest-tls-verify=false", *login]
            skopeo("copy", *how, f"oci:{layout}:{name}", f"docker://{registry.host}/{name}")
        elif credentials is None:
            with requests.Session() as web:
                web.trust_env = False
                _put(web, layout, registry.url, entry, *name.split(":"))


def _is_for_skopeo(layout: Path, entry: dict[str, Any]) -> bool:
    # skopeo 1.9 takes neither a Docker image out of a layout nor an index of artifacts.
    manifest = _read(layout, entry["digest"])
    children = manifest.get("manifests", ())
    return entry["mediaType"] != media_types.DOCKER_MANIFEST and not any(
        child.get("artifactType") for child in children
    )


def _put(web: requests.Session, layout: Path, url: str, entry: dict[str, Any], repository: str, reference: str) -> None:
    manifest = _read(layout, entry["digest"])
    for child in manifest.get("manifests", ()):
        _put(web, layout, url, child, repository, child["digest"])
    for blob in (*manifest.get("layers", ()), *filter(None, [manifest.get("config")])):
        put_blob(web, url, repository, _file(layout, blob["digest"]).read_bytes())
    content = _file(layout, entry["digest"]).read_bytes()
    put_manifest(web, url, repository, reference, content, entry["mediaType"])


def put_blob(web: requests.Session, url: str, repository: str, content: bytes) -> Digest:
    """Upload a blob by plain HTTP."""
    digest = Digest.of(content)
    upload = web.post(f"{url}/v2/{repository}/blobs/uploads/")
    assert upload.status_code == 202, upload.text
    done = web.put(urljoin(upload.url, upload.headers["Location"]), params={"digest": digest}, data=content)
    assert done.status_code == 201, done.text
    return digest


def put_manifest(
    web: requests.Session, url: str, repository: str, reference: str, content: bytes, media_type: str
) -> Digest:
    """Upload a manifest by plain HTTP; what it names must be there."""
    headers = {"Content-Type": media_type}
    done = web.put(f"{url}/v2/{repository}/manifests/{reference}", data=content, headers=headers)
    assert done.status_code == 201, done.text
    return Digest.of(content)


def _file(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def _read(layout: Path, digest: str) -> dict[str, Any]:
    return dict(json.loads(_file(layout, digest).read_bytes()))


def skopeo(*arguments: str) -> str:
    """What skopeo prints; without it the test is skipped."""
    if not shutil.which("skopeo"):
        pytest.skip("needs skopeo")
    done = subprocess.run(["skopeo", "--insecure-policy", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


class _Images:
    def __init__(self, writer: LayoutWriter) -> None:
        self.writer = writer
        system = {f"bin/tool-{number}": bytes([number]) * 4000 for number in range(8)}
        self.base = self._layer("ADD rootfs.tar.gz / # buildkit", {**system, "etc/os-release": b"ID=small\n"})
        self.runtime = self._layer("RUN /bin/sh -c apk add runtime", {"usr/lib/runtime.so": b"runtime " * 3000})

    def build(self) -> dict[str, Descriptor]:
        base = self.writer.image(
            [self.base, 'CMD ["sh"]'], created="2024-01-02T03:04:05Z", config={"Labels": {"maintainer": "base team"}}
        )
        app_1 = self._app("1.0", "2024-03-01T00:00:00Z")
        app_2 = self._app("1.1", "2024-04-01T00:00:00Z")
        sbom = self.writer.artifact(
            b'{"spdxVersion":"SPDX-2.3"}', SPDX, artifact_type=SPDX, subject=app_1, annotations={"tool": "by hand"}
        )
        about = str(app_1.digest).replace(":", "-")
        return {
            "base:1": base,
            "base:stable": base,
            "app:1.0": app_1,
            "app:1.1": app_2,
            "app:latest": app_2,
            f"app:{about}": self.writer.index([sbom]),
            f"app:{about}.sig": self._signature(app_1),
            "legacy:1": self._docker_image(),
            "team/api:1.0": self._api("1.0", "2024-02-01T00:00:00Z"),
            "team/api:2.0": self._api("2.0", "2024-05-01T00:00:00Z"),
            "team/worker:2.0": self._worker(),
            "tool:nightly": self.writer.image(
                [self._layer("COPY tool /", {"tool": b"#!"})], created="2024-06-01T00:00:00Z"
            ),
            "sbom": sbom,
        }

    def _layer(self, created_by: str, files: dict[str, bytes]) -> Layer:
        return self.writer.layer(tar_of(files), created_by)

    def _app(self, version: str, created: str) -> Descriptor:
        steps = [
            self.base,
            "ENV LANG=C.UTF-8",
            self.runtime,
            self._layer("COPY app /srv # buildkit", {"srv/app.py": f"version = {version!r}\n".encode() * 200}),
            'ENTRYPOINT ["python", "/srv/app.py"]',
        ]
        labels = {"org.opencontainers.image.version": version, "team": "web <b>&</b> mobile"}
        return self.writer.image(
            steps,
            created=created,
            config={"Labels": labels, "Env": ["LANG=C.UTF-8"], "Cmd": ["serve"]},
            annotations={"org.opencontainers.image.source": "https://example.com/app"},
        )

    def _api(self, version: str, created: str) -> Descriptor:
        platforms = [Platform(os="linux", architecture="amd64"), Platform.parse("linux/arm64/v8")]
        children = [
            self.writer.image(
                [self.base, self._layer(f"COPY api-{platform} /", {"api": f"{platform} {version}".encode() * 500})],
                created=created,
                os=platform.os,
                architecture=platform.architecture,
                variant=platform.variant,
            )
            for platform in platforms
        ]
        return self.writer.index([*children, self._attestation(children[0])], annotations={"version": version})

    def _attestation(self, subject: Descriptor) -> Descriptor:
        """As buildkit keeps provenance: a child for no platform, which names its sibling."""
        statement = json.dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": subject.digest}).encode()
        config = {
            "architecture": "unknown",
            "os": "unknown",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": []},
        }
        manifest = self._manifest(config, self.writer.blob(statement, IN_TOTO))
        naming = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": str(subject.digest),
        }
        unknown = Platform(os="unknown", architecture="unknown")
        return manifest.model_copy(update={"annotations": naming, "platform": unknown})

    def _signature(self, subject: Descriptor) -> Descriptor:
        payload = json.dumps({"critical": {"image": {"docker-manifest-digest": subject.digest}}}).encode()
        config = {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
        return self._manifest(config, self.writer.blob(payload, SIGNATURE))

    def _manifest(self, config: dict[str, Any], *layers: Descriptor) -> Descriptor:
        document = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": _entry(self.writer.blob(json.dumps(config).encode(), media_types.OCI_CONFIG)),
            "layers": [_entry(layer) for layer in layers],
        }
        return self.writer.blob(json.dumps(document).encode(), media_types.OCI_MANIFEST)

    def _docker_image(self) -> Descriptor:
        layer = self.writer.layer(
            tar_of({"old": b"old " * 900}), "/bin/sh -c #(nop) ADD file", media_types.DOCKER_LAYER
        )
        config = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2019-07-01T00:00:00Z",
            "config": {"Labels": None, "Cmd": ["/old"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created": "2019-07-01T00:00:00Z", "created_by": layer.created_by}],
        }
        document = {
            "schemaVersion": 2,
            "mediaType": media_types.DOCKER_MANIFEST,
            "config": _entry(self.writer.blob(json.dumps(config).encode(), media_types.DOCKER_CONFIG)),
            "layers": [_entry(layer.descriptor)],
        }
        return self.writer.blob(json.dumps(document).encode(), media_types.DOCKER_MANIFEST)

    def _worker(self) -> Descriptor:
        waste = self._layer("RUN /bin/sh -c fetch", {"tmp/cache": bytes(20_000), "srv/worker": b"work " * 700})
        removal = self._layer("RUN /bin/sh -c rm -rf /tmp/cache", {"tmp/.wh.cache": b""})
        return self.writer.image(
            [self.base, self.runtime, waste, removal, "USER 1000"],
            created="2024-05-05T05:05:05Z",
            config={"User": "1000", "Labels": {"team": "worker"}},
        )


def _entry(descriptor: Descriptor) -> dict[str, Any]:
    return {"mediaType": descriptor.mediaType, "digest": descriptor.digest, "size": descriptor.size}
