"""A registry to try things on: in memory, on this machine alone, gone when it is closed."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

_NAME = r"(?P<name>[a-z0-9._/-]+)"
_ROUTES = {
    "base": re.compile(r"/v2/"),
    "catalog": re.compile(r"/v2/_catalog"),
    "tags": re.compile(rf"/v2/{_NAME}/tags/list"),
    "manifest": re.compile(rf"/v2/{_NAME}/manifests/(?P<reference>[\w.:-]+)"),
    "referrers": re.compile(rf"/v2/{_NAME}/referrers/(?P<reference>[\w:]+)"),
    "upload": re.compile(rf"/v2/{_NAME}/blobs/uploads/(?P<reference>[0-9a-f]*)"),
    "blob": re.compile(rf"/v2/{_NAME}/blobs/(?P<reference>[\w:]+)"),
}
_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass
class _Kept:
    """What is in it: content by digest, and of each repository the media types of its manifests, and its tags."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], str] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    alone: threading.Lock = field(default_factory=threading.Lock)


class DemoRegistry:
    """A registry with the OCI distribution API, for examples and for trying out what deletes things.

    It listens on loopback, takes anything from anybody there, and forgets all when it is closed:

        with rs.DemoRegistry() as registry:
            rs.copy("oci:layout", "team/app:*", registry.url)

    Attributes:
        url: its address.
    """

    def __init__(self) -> None:
        kept = _Kept()

        class Handler(_Handler):
            registry = kept

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._kept = kept
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="demo-registry", daemon=True).start()

    @property
    def stored_bytes(self) -> int:
        """Bytes of all that it keeps."""
        with self._kept.alone:
            return sum(map(len, self._kept.blobs.values()))

    def collect_garbage(self) -> int:
        """Forget what no manifest needs; how many bytes that gave back."""
        before = self.stored_bytes
        with self._kept.alone:
            blobs = self._kept.blobs
            needed = {needed for _, digest in self._kept.manifests for needed in _needed(digest, blobs[digest])}
            for digest in set(blobs) - needed:
                del blobs[digest]
        return before - self.stored_bytes

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DemoRegistry({self.url!r})"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: _Kept

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        method = "GET" if self.command == "HEAD" else self.command
        for route, form in _ROUTES.items():
            action: Callable[..., None] | None = getattr(self, f"_{method.lower()}_{route}", None)
            if (found := form.fullmatch(parts.path)) and action is not None:
                with self.registry.alone:
                    action(content=content, query=query, **found.groupdict())
                return
        self._refuse(404 if method == "GET" else 405, "UNSUPPORTED")

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _serve

    def _get_base(self, **_: Any) -> None:
        self._answer(200, b"{}", "application/json")

    def _get_catalog(self, **_: Any) -> None:
        names = sorted({name for name, _ in self.registry.manifests})
        self._answer(200, json.dumps({"repositories": names}).encode(), "application/json")

    def _get_tags(self, name: str, **_: Any) -> None:
        tags = sorted(tag for repository, tag in self.registry.tags if repository == name)
        if not any(repository == name for repository, _ in self.registry.manifests):
            self._refuse(404, "NAME_UNKNOWN")
            return
        self._answer(200, json.dumps({"name": name, "tags": tags}).encode(), "application/json")

    def _get_manifest(self, name: str, reference: str, **_: Any) -> None:
        digest = self.registry.tags.get((name, reference), reference)
        if (name, digest) not in self.registry.manifests:
            self._refuse(404, "MANIFEST_UNKNOWN")
            return
        media_type, raw = self.registry.manifests[name, digest], self.registry.blobs[digest]
        self._answer(200, raw, media_type, **{"Docker-Content-Digest": digest})

    def _put_manifest(self, name: str, reference: str, content: bytes, **_: Any) -> None:
        digest = _digest(content)
        if ":" in reference and reference != digest:
            self._refuse(400, "DIGEST_INVALID")
            return
        self.registry.blobs[digest] = content
        self.registry.manifests[name, digest] = self.headers.get("Content-Type", "")
        if ":" not in reference:
            self.registry.tags[name, reference] = digest
        subject = json.loads(content).get("subject") or {}
        about = {"OCI-Subject": subject["digest"]} if "digest" in subject else {}
        self._answer(
            201, b"", "", Location=f"/v2/{name}/manifests/{digest}", **{"Docker-Content-Digest": digest}, **about
        )

    def _delete_manifest(self, name: str, reference: str, **_: Any) -> None:
        tags = self.registry.tags
        if ":" not in reference and tags.pop((name, reference), None) is None:
            self._refuse(404, "MANIFEST_UNKNOWN")
            return
        if ":" in reference:
            if self.registry.manifests.pop((name, reference), None) is None:
                self._refuse(404, "MANIFEST_UNKNOWN")
                return
            for key in [key for key, digest in tags.items() if key[0] == name and digest == reference]:
                del tags[key]
        self._answer(202, b"", "")

    def _get_referrers(self, name: str, reference: str, **_: Any) -> None:
        found = []
        for (repository, digest), media_type in sorted(self.registry.manifests.items()):
            raw = self.registry.blobs[digest]
            read = json.loads(raw)
            if repository == name and (read.get("subject") or {}).get("digest") == reference:
                kind = read.get("artifactType") or (read.get("config") or {}).get("mediaType")
                found.append({"mediaType": media_type, "digest": digest, "size": len(raw), "artifactType": kind})
        listed = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": found}
        self._answer(200, json.dumps(listed).encode(), _INDEX)

    def _get_blob(self, reference: str, **_: Any) -> None:
        if reference not in self.registry.blobs:
            self._refuse(404, "BLOB_UNKNOWN")
            return
        self._answer(
            200, self.registry.blobs[reference], "application/octet-stream", **{"Docker-Content-Digest": reference}
        )

    def _delete_blob(self, reference: str, **_: Any) -> None:
        if self.registry.blobs.pop(reference, None) is None:
            self._refuse(404, "BLOB_UNKNOWN")
            return
        self._answer(202, b"", "")

    def _post_upload(self, name: str, content: bytes, query: dict[str, str], **_: Any) -> None:
        if query.get("mount") in self.registry.blobs:
            self._uploaded(name, query["mount"])
            return
        upload = secrets.token_hex(16)
        self.registry.uploads[upload] = bytearray()
        if "digest" in query:
            self._put_upload(name, upload, content, query)
            return
        self._answer(202, b"", "", Location=f"/v2/{name}/blobs/uploads/{upload}", Range="0-0")

    def _patch_upload(self, name: str, reference: str, content: bytes, **_: Any) -> None:
        if reference not in self.registry.uploads:
            self._refuse(404, "BLOB_UPLOAD_UNKNOWN")
            return
        upload = self.registry.uploads[reference]
        upload += content
        place = f"/v2/{name}/blobs/uploads/{reference}"
        self._answer(202, b"", "", Location=place, Range=f"0-{max(len(upload) - 1, 0)}")

    def _put_upload(self, name: str, reference: str, content: bytes, query: dict[str, str], **_: Any) -> None:
        if reference not in self.registry.uploads:
            self._refuse(404, "BLOB_UPLOAD_UNKNOWN")
            return
        blob = bytes(self.registry.uploads.pop(reference)) + content
        if _digest(blob) != query.get("digest"):
            self._refuse(400, "DIGEST_INVALID")
            return
        self.registry.blobs[_digest(blob)] = blob
        self._uploaded(name, _digest(blob))

    def _uploaded(self, name: str, digest: str) -> None:
        self._answer(201, b"", "", Location=f"/v2/{name}/blobs/{digest}", **{"Docker-Content-Digest": digest})

    def _refuse(self, status: int, code: str) -> None:
        self._answer(
            status, json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode(), "application/json"
        )

    def _answer(self, status: int, content: bytes, media_type: str, **headers: str) -> None:
        self.send_response(status)
        if media_type:
            self.send_header("Content-Type", media_type)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _needed(digest: str, raw: bytes) -> set[str]:
    """A manifest, and all that it names."""
    manifest = json.loads(raw)
    named = (manifest.get("config") or {}, *manifest.get("layers", ()), *manifest.get("manifests", ()))
    return {digest, *(each["digest"] for each in named if "digest" in each)}
