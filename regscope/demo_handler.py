"""The requests that a `DemoRegistry` answers (distribution-spec, Endpoints)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from regscope.demo_content import Kept, digest_like, document_of, is_digest, span_of, subject_of
from regscope.spec.digest import Digest
from regscope.spec.json_forms import one_line

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
_JSON = "application/json"
_MOST = 2**30
"""Bytes that one request may bring: all of it is kept in memory."""

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK_RANGE = re.compile(r"(?:bytes[ =])?(\d+)-(\d+)(?:/.*)?")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r?\n")


class DemoHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    registry: Kept

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        content = self._body()
        if content is None:
            self.close_connection = True  # the start of the next request is not known
            self._refuse(400, "SIZE_INVALID")
            return
        method = "GET" if self.command == "HEAD" else self.command
        for route, form in _ROUTES.items():
            action: Callable[..., None] | None = getattr(self, f"_{method.lower()}_{route}", None)
            if (found := form.fullmatch(parts.path)) and action is not None:
                with self.registry.alone:
                    action(content=content, query=query, **found.groupdict())
                return
        self._refuse(404 if method == "GET" else 405, "UNSUPPORTED")

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _serve

    def _body(self) -> bytes | None:
        """The request's body, chunked or not; None where it is cut off, too large, or not framed validly."""
        coding = self.headers.get("Transfer-Encoding")
        if coding is not None:
            return self._chunks() if coding.strip().lower() == "chunked" else None
        length = self.headers.get("Content-Length") or "0"
        if not (length.isascii() and length.isdecimal() and int(length) <= _MOST):
            return None
        content = self.rfile.read(int(length))
        return content if len(content) == int(length) else None

    def _chunks(self) -> bytes | None:
        """A chunked body (RFC 9112, 7.1); its trailer fields are ignored."""
        content = bytearray()
        while size := _CHUNK_SIZE.fullmatch(self.rfile.readline(1024)):
            length = int(size[1], 16)
            if not length:
                while (line := self.rfile.readline(8192)) not in (b"\r\n", b"\n"):
                    if not line.endswith(b"\n"):
                        return None
                return bytes(content)
            if len(content) + length > _MOST:
                return None
            piece = self.rfile.read(length)
            if len(piece) < length or self.rfile.readline(3) not in (b"\r\n", b"\n"):
                return None
            content += piece
        return None

    def _get_base(self, **_: Any) -> None:
        self._answer(200, b"{}", _JSON)

    def _get_catalog(self, query: dict[str, str], **_: Any) -> None:
        self._page({}, "repositories", sorted({name for name, _ in self.registry.manifests}), query)

    def _get_tags(self, name: str, query: dict[str, str], **_: Any) -> None:
        if not any(repository == name for repository, _ in self.registry.manifests):
            self._refuse(404, "NAME_UNKNOWN")
            return
        tags = sorted(tag for repository, tag in self.registry.tags if repository == name)
        self._page({"name": name}, "tags", tags, query)

    def _page(self, about: dict[str, str], what: str, names: Sequence[str], query: dict[str, str]) -> None:
        """The names after `last`, `n` of them at most."""
        names = [name for name in names if name > query.get("last", "")]
        most = query.get("n", "")
        shown = names[: int(most)] if most.isdecimal() and len(most) < 10 else names
        more = {}
        if len(shown) < len(names) and shown:
            more["Link"] = f'<{urlsplit(self.path).path}?n={most}&last={shown[-1]}>; rel="next"'
        self._answer(200, one_line({**about, what: shown}).encode(), _JSON, **more)

    def _get_manifest(self, name: str, reference: str, **_: Any) -> None:
        digest = self.registry.tags.get((name, reference), reference)
        if (name, digest) not in self.registry.manifests:
            self._refuse(404, "MANIFEST_UNKNOWN")
            return
        media_type, raw = self.registry.manifests[name, digest], self.registry.blobs[digest]
        self._answer(200, raw, media_type, **{"Docker-Content-Digest": digest})

    def _put_manifest(self, name: str, reference: str, content: bytes, **_: Any) -> None:
        digest = digest_like(content, reference) if ":" in reference else Digest.of(content)
        if digest is None:
            self._refuse(400, "DIGEST_INVALID")
            return
        document = document_of(content)
        if document is None:
            self._refuse(400, "MANIFEST_INVALID")
            return
        self.registry.blobs[digest] = content
        self.registry.manifests[name, digest] = self.headers.get("Content-Type") or str(document.get("mediaType", ""))
        if ":" not in reference:
            self.registry.tags[name, reference] = digest
        subject = subject_of(document)
        about = {"OCI-Subject": subject} if subject else {}
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

    def _get_referrers(self, name: str, reference: str, query: dict[str, str], **_: Any) -> None:
        if not is_digest(reference):
            self._refuse(400, "DIGEST_INVALID")
            return
        found = []
        for (repository, digest), media_type in sorted(self.registry.manifests.items()):
            raw = self.registry.blobs[digest]
            read = document_of(raw) or {}
            kind = read.get("artifactType") or (read.get("config") or {}).get("mediaType")
            if repository == name and subject_of(read) == reference and query.get("artifactType", kind) == kind:
                entry = {"mediaType": media_type, "digest": digest, "size": len(raw), "artifactType": kind}
                found.append(entry | ({"annotations": read["annotations"]} if read.get("annotations") else {}))
        listed = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": found}
        applied = {"OCI-Filters-Applied": "artifactType"} if "artifactType" in query else {}
        self._answer(200, one_line(listed).encode(), _INDEX, **applied)

    def _get_blob(self, reference: str, **_: Any) -> None:
        if reference not in self.registry.blobs:
            self._refuse(404, "BLOB_UNKNOWN")
            return
        blob = self.registry.blobs[reference]
        about = {"Docker-Content-Digest": reference, "Accept-Ranges": "bytes"}
        asked = _RANGE.fullmatch(self.headers.get("Range") or "")
        if asked is None or not any(asked.groups()):
            self._answer(200, blob, "application/octet-stream", **about)
            return
        start, end = span_of(asked[1], asked[2], len(blob))
        if start >= end:
            self._answer(416, b"", "", **{"Content-Range": f"bytes */{len(blob)}"})
            return
        about["Content-Range"] = f"bytes {start}-{end - 1}/{len(blob)}"
        self._answer(206, blob[start:end], "application/octet-stream", **about)

    def _delete_blob(self, reference: str, **_: Any) -> None:
        is_manifest = any(digest == reference for _, digest in self.registry.manifests)
        if is_manifest or self.registry.blobs.pop(reference, None) is None:
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
        self._going_on(202, name, upload)

    def _get_upload(self, name: str, reference: str, **_: Any) -> None:
        if self._is_open(reference):
            self._going_on(204, name, reference)

    def _delete_upload(self, reference: str, **_: Any) -> None:
        if self._is_open(reference):
            del self.registry.uploads[reference]
            self._answer(204, b"", "")

    def _may_go_on(self, name: str, reference: str, content: bytes) -> bool:
        if not self._is_open(reference):
            return False
        if not self._goes_on(reference, content):
            self._going_on(416, name, reference)
            return False
        return True

    def _patch_upload(self, name: str, reference: str, content: bytes, **_: Any) -> None:
        if self._may_go_on(name, reference, content):
            self.registry.uploads[reference] += content
            self._going_on(202, name, reference)

    def _put_upload(self, name: str, reference: str, content: bytes, query: dict[str, str], **_: Any) -> None:
        if not self._may_go_on(name, reference, content):
            return
        blob = bytes(self.registry.uploads.pop(reference)) + content
        digest = digest_like(blob, query.get("digest", ""))
        if digest is None:
            self._refuse(400, "DIGEST_INVALID")
            return
        self.registry.blobs[digest] = blob
        self._uploaded(name, digest)

    def _is_open(self, upload: str) -> bool:
        if upload in self.registry.uploads:
            return True
        self._refuse(404, "BLOB_UPLOAD_UNKNOWN")
        return False

    def _goes_on(self, upload: str, content: bytes) -> bool:
        """Whether a chunk's Content-Range, if it has one, begins at the upload's end and fits the chunk's length."""
        said = self.headers.get("Content-Range")
        if said is None or not content:
            return True
        span = _CHUNK_RANGE.fullmatch(said.strip())
        start = len(self.registry.uploads[upload])
        return span is not None and (int(span[1]), int(span[2])) == (start, start + len(content) - 1)

    def _going_on(self, status: int, name: str, upload: str) -> None:
        """The headers that state an upload's address and range."""
        end = max(len(self.registry.uploads[upload]) - 1, 0)
        self._answer(status, b"", "", Location=f"/v2/{name}/blobs/uploads/{upload}", Range=f"0-{end}")

    def _uploaded(self, name: str, digest: str) -> None:
        self._answer(201, b"", "", Location=f"/v2/{name}/blobs/{digest}", **{"Docker-Content-Digest": digest})

    def _refuse(self, status: int, code: str) -> None:
        self._answer(
            status, one_line({"errors": [{"code": code, "message": code.lower()}]}).encode(), "application/json"
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
