"""Google Artifact Registry and gcr.io: what they do otherwise than the registry behind.

Sources: ggcr is google/go-containerregistry at 3f4ff3c; harbor is goharbor/harbor at c50c7dd, in
src/pkg/reg/adapter/googlegcr; "reported" names an issue.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime
from urllib.parse import urlsplit

from ..certificates import CertificateAuthority
from ..deleting import asked
from ..proxy import Forward, ProxyRequest, ProxyResponse
from ..registry import Registry
from .hosted import Profile, answered, authorization, error
from .upstream import Stored

USER = "_json_key"  # ggcr pkg/v1/google/auth.go


class GoogleRegistry(Profile):
    """Before `registry`.

    Args:
        password: that the token service wants; without one everybody may read and write.
        immutable: tags can be neither moved nor deleted (artifactregistry.v1 discovery document,
            dockerConfig.immutableTags).
        refuses: how that is refused. Over this API nobody has written it down: status, code and message.
    """

    hosts = ("gcr.io", "eu.gcr.io", "europe-west1-docker.pkg.dev")

    def __init__(
        self,
        registry: Registry,
        authority: CertificateAuthority,
        *,
        password: str = "",
        immutable: bool = False,
        refuses: tuple[int, str, str] = (400, "FAILED_PRECONDITION", "the tag is immutable"),
    ) -> None:
        super().__init__(registry, authority)
        self.password, self.immutable, self.refuses = password, immutable, refuses
        self.tokens: set[str] = set()
        for rule in (self._token, self._challenge, self._catalog, self._tag_list, self._manifest, self._delete):
            self.rule(rule)

    def _token(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """The token service is on the registry's own host (ggcr pkg/v1/remote/transport/ping.go, reported: reg#136)."""
        if urlsplit(request.path).path != "/v2/token":
            return None
        expected = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        if authorization(request) != f"Basic {expected}":
            return error(401, "UNAUTHORIZED", "not authenticated")
        self.tokens.add(secrets.token_urlsafe(12))
        return answered({"token": next(iter(self.tokens)), "expires_in": 3600})

    def _challenge(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """`service` stands before `realm` (ggcr pkg/v1/remote/transport/ping.go)."""
        if not self.password or authorization(request).removeprefix("Bearer ") in self.tokens:
            return None
        host = request.headers["Host"]
        challenge = f'Bearer service="{host}",realm="https://{host}/v2/token"'
        return error(401, "UNAUTHORIZED", "unauthorized", ("WWW-Authenticate", challenge))

    def _catalog(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Refused, as it is without the right to list every project; what pkg.dev says nobody has written down."""
        if urlsplit(request.path).path == "/v2/_catalog":
            return error(403, "DENIED", "permission denied for the catalog")
        return None

    def _tag_list(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """With every manifest, tagged or not, and the names one level below (ggcr pkg/v1/google/list.go; harbor
        adapter.go): numbers are strings, and times milliseconds."""
        name, found, _ = urlsplit(request.path).path.removeprefix("/v2/").rpartition("/tags/list")
        if request.method != "GET" or not found:
            return None
        children = {each[len(name) + 1 :].partition("/")[0] for each in self._repositories() if _is_below(each, name)}
        manifests = self.upstream_files.manifests(name)
        if not (children or manifests):
            return error(404, "NAME_UNKNOWN", f"repository {name} not found")
        return answered(
            {
                "child": sorted(children),
                "manifest": {each.digest: _described(each) for each in manifests},
                "name": name,
                "tags": sorted(tag for each in manifests for tag in each.tags),
            }
        )

    def _manifest(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Not found where its media type is not among those that are asked for (reported: gcr-cleaner#113)."""
        repository, reference = asked(request)
        if request.method not in ("GET", "HEAD") or not reference:
            return None
        for each in self.upstream_files.manifests(repository):
            is_it = reference == each.digest or reference in each.tags
            if is_it and each.media_type and each.media_type not in request.headers.get("Accept", ""):
                said = f'Manifest has media type "{each.media_type}" but client accepts others'
                return error(404, "MANIFEST_UNKNOWN", said)
        return None

    def _delete(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        repository, reference = asked(request)
        if request.method != "DELETE" or not reference:
            return None
        if ":" in reference:
            return self._delete_manifest(repository, reference)
        if reference not in self.upstream_files.tags(repository):
            return error(404, "MANIFEST_UNKNOWN", f"tag {reference} not found")
        if self.immutable:
            return error(*self.refuses)
        # A tag alone is deleted by its name: 202 (harbor adapter.go DeleteManifest; reported: reg#136).
        self.upstream_files.remove_tag(repository, reference)
        return ProxyResponse(202)

    def _delete_manifest(self, repository: str, digest: str) -> ProxyResponse | None:
        # Refused while a tag is on it (reported: reg#136, docker-credential-gcr#73, kube-image-keeper#636).
        tags = [tag for tag, at in self.upstream_files.tags(repository).items() if at == digest]
        if tags:
            return error(400, "GOOGLE_MANIFEST_DANGLING_TAG", f"Manifest is still referenced by tag: {tags[0]}")
        # Refused while an index has it (reported: gcr-cleaner#130).
        held = [each.digest for each in self.upstream_files.manifests(repository) if digest in each.children]
        if held:
            said = f"Manifest {digest} is referenced by image {held[0]}"
            return error(400, "GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE", said)
        return None

    def _repositories(self) -> list[str]:
        return self.upstream_files.repositories()


def _is_below(name: str, prefix: str) -> bool:
    return name.startswith(f"{prefix}/")


def _described(stored: Stored) -> dict[str, object]:
    return {
        "imageSizeBytes": str(stored.image_size),
        "layerId": "",
        "mediaType": stored.media_type,
        "tag": stored.tags,
        "timeCreatedMs": str(_milliseconds(datetime(1970, 1, 1, tzinfo=UTC))),
        "timeUploadedMs": str(_milliseconds(stored.uploaded)),
    }


def _milliseconds(when: datetime) -> int:
    return round(when.timestamp() * 1000)
