"""Amazon ECR: what it does otherwise than the registry behind, and its control plane on a host of its own.

Sources: botocore is the service model ecr 2015-09-21, which also checks each answer here; registry_auth and
archive-image are pages of the user guide; the others are issues.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..certificates import CertificateAuthority
from ..deleting import ask, asked
from ..proxy import Forward, ProxyRequest, ProxyResponse
from ..registry import Registry
from .aws_api import AWSAPI, KEY, SECRET, Refused, page
from .hosted import Profile, answered, authorization, error
from .upstream import Stored

ACCOUNT, REGION = "123456789012", "eu-west-1"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
_MOST = 100  # images in a request (botocore, ImageIdentifierList)


class ECRRegistry(Profile):
    """Before `registry`.

    Attributes:
        immutable: repositories whose tags are immutable.
        archived: repository and digest of images in the archive.
        pulled: when each repository and digest was pulled last.
        mounting: whether the account has the setting BLOB_MOUNTING.
        passwords: those of the user AWS that are valid.
        most_in_a_page: entries of a list, also where more are asked for.
        api: the control plane.
    """

    hosts = (HOST, f"api.ecr.{REGION}.amazonaws.com")

    def __init__(self, registry: Registry, authority: CertificateAuthority, *, password: str = "") -> None:
        super().__init__(registry, authority)
        self.environment = {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_CA_BUNDLE": self.ca,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
        self.immutable: set[str] = set()
        self.archived: set[tuple[str, str]] = set()
        self.pulled: dict[tuple[str, str], datetime] = {}
        self.mounting = False
        self.most_in_a_page = 1000
        self.passwords = {password} if password else set()
        self.api = self._control_plane()
        for rule in (self._api, self._challenge, self._catalog, self._tag_list, self._push, self._pull, self._delete):
            self.rule(rule)

    def _control_plane(self) -> AWSAPI:
        operations = {
            "GetAuthorizationToken": self._authorization_token,
            "DescribeRepositories": self._describe_repositories,
            "DescribeImages": self._describe_images,
            "BatchDeleteImage": self._batch_delete,
            "GetAccountSetting": self._account_setting,
        }
        return AWSAPI("ecr", "2015-09-21", REGION, operations)

    # The registry

    def _api(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        return self.api.answer(request) if request.headers["Host"].startswith("api.") else None

    def _challenge(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Basic, for the user AWS (registry_auth; renovate lib/modules/datasource/docker/common.ts). A token that has
        expired is refused with 403 (deis/builder#426, aws-cli#6580: "denied: Your authorization token has expired")."""
        said = authorization(request).removeprefix("Basic ")
        user, _, password = base64.b64decode(said).decode().partition(":")
        if user == "AWS" and password in self.passwords:
            return None
        if user == "AWS" and password.startswith("token-"):
            return error(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
        challenge = f'Basic realm="https://{request.headers["Host"]}/",service="ecr.amazonaws.com"'
        return ProxyResponse(401, [("WWW-Authenticate", challenge)], b"Not Authorized")

    def _catalog(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """At most 1000 names (go-containerregistry#1091), and `last` is a token (OctopusDeploy/Issues#6495)."""
        address = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path != "/v2/_catalog":
            return None
        last, size = query.get("last", "token:0"), int(query.get("n", 100))
        if size > 1000:
            return error(405, "UNSUPPORTED", "Invalid parameter at 'maxResults' failed to satisfy constraint")
        if not last.startswith("token:"):
            return error(405, "UNSUPPORTED", "Invalid parameter at 'nextToken'")
        names, following = page(self.upstream_files.repositories(), {"nextToken": last, "maxResults": size})
        link = f'</v2/_catalog?last={following["nextToken"]}&n={size}>; rel="next"' if following else ""
        return answered({"repositories": names}, *([("Link", link)] if link else []))

    def _tag_list(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """As text/plain (registry_auth)."""
        if not urlsplit(request.path).path.endswith("/tags/list"):
            return None
        answer = forward()
        answer.set_header("Content-Type", "text/plain; charset=utf-8")
        return answer

    def _push(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """An immutable tag cannot be moved (containers-roadmap#862); a push restores an archived image
        (archive-image)."""
        repository, reference = asked(request)
        if request.method != "PUT" or not reference:
            return None
        if repository in self.immutable and reference in self.upstream_files.tags(repository):
            said = f"The image tag '{reference}' already exists in the '{repository}' repository and cannot be "
            return error(400, "TAG_INVALID", f"{said}overwritten because the repository is immutable.")
        answer = forward()
        self.archived.discard((repository, answer.header("Docker-Content-Digest") or ""))
        return answer

    def _pull(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Archived images answer 404 (archive-image); reading a manifest is a pull (containers-roadmap#2390, of
        BatchGetImage, which "is called once" for each pull: botocore)."""
        repository, reference = asked(request)
        if request.method not in ("GET", "HEAD") or not reference:
            return None
        digest = self.upstream_files.tags(repository).get(reference, reference)
        if (repository, digest) in self.archived:
            return error(404, "MANIFEST_UNKNOWN", "Requested image is archived")
        if request.method == "GET":
            self.pulled[repository, digest] = datetime.now(UTC)
        return None

    def _delete(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """By digest (containers-roadmap#1229, shipped); of a tag nobody has written it down."""
        _, reference = asked(request)
        if request.method == "DELETE" and reference and ":" not in reference:
            return error(405, "UNSUPPORTED", "The operation is unsupported.")
        return None

    # The control plane

    def _authorization_token(self, given: dict[str, Any]) -> dict[str, Any]:
        self.passwords.add(password := f"token-{secrets.token_hex(8)}")
        token = base64.b64encode(f"AWS:{password}".encode()).decode()
        until = datetime.now(UTC) + timedelta(hours=12)
        found = {"authorizationToken": token, "expiresAt": until, "proxyEndpoint": f"https://{HOST}"}
        return {"authorizationData": [found]}

    def _describe_repositories(self, given: dict[str, Any]) -> dict[str, Any]:
        names, following = page(self.upstream_files.repositories(), given, self.most_in_a_page)
        return {"repositories": [self._repository(name) for name in names], **following}

    def _repository(self, name: str) -> dict[str, Any]:
        return {
            "repositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}",
            "registryId": ACCOUNT,
            "repositoryName": name,
            "repositoryUri": f"{HOST}/{name}",
            "imageTagMutability": "IMMUTABLE" if name in self.immutable else "MUTABLE",
        }

    def _describe_images(self, given: dict[str, Any]) -> dict[str, Any]:
        """Without a filter active images only (botocore, DescribeImagesFilter)."""
        stored = self._stored(given)
        name, wanted = given["repositoryName"], given.get("filter", {})
        if images := given.get("imageIds"):
            found = [_found(stored, image) for image in images]
            if None in found:
                raise Refused("ImageNotFoundException", f"The image with imageId {images} does not exist")
            return {"imageDetails": [self._image(name, each) for each in found if each is not None]}
        status, tags = wanted.get("imageStatus", "ACTIVE"), wanted.get("tagStatus", "ANY")
        rows = [self._image(name, each) for each in stored if tags == "ANY" or bool(each.tags) == (tags == "TAGGED")]
        rows = [each for each in rows if status in ("ANY", each.get("imageStatus", "ACTIVE"))]
        shown, following = page(rows, given, self.most_in_a_page)
        return {"imageDetails": shown, **following}

    def _stored(self, given: dict[str, Any]) -> list[Stored]:
        name = given["repositoryName"]
        found = self.upstream_files.manifests(name) if given.get("registryId", ACCOUNT) == ACCOUNT else []
        if not found and name not in self.upstream_files.repositories():
            said = f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'"
            raise Refused("RepositoryNotFoundException", said)
        return found

    def _image(self, repository: str, stored: Stored) -> dict[str, Any]:
        place = repository, stored.digest
        row: dict[str, Any] = {
            "registryId": ACCOUNT,
            "repositoryName": repository,
            "imageDigest": stored.digest,
            "imageSizeInBytes": stored.image_size,
            "imagePushedAt": stored.uploaded,
            "imageManifestMediaType": stored.media_type,
            "imageStatus": "ARCHIVED" if place in self.archived else "ACTIVE",
        }
        if stored.tags:
            row["imageTags"] = stored.tags
        if place in self.pulled:
            row["lastRecordedPullTime"] = self.pulled[place]
        return row

    def _batch_delete(self, given: dict[str, Any]) -> dict[str, Any]:
        """The last tag takes the image along (botocore, BatchDeleteImage)."""
        if len(given["imageIds"]) > _MOST:
            raise Refused("InvalidParameterException", "Member must have length less than or equal to 100")
        stored, name = self._stored(given), given["repositoryName"]
        deleted, failed = [], []
        for image in given["imageIds"]:
            found = _found(stored, image)
            why = _refusal(stored, found, image)
            if why:
                failed.append({"imageId": image, "failureCode": why[0], "failureReason": why[1]})
                continue
            assert found is not None
            # An index of the same request still holds its children (aws-cdk#24822, open-supply-hub#1243).
            self._remove(name, found, image.get("imageTag"))
            deleted.append({"imageDigest": found.digest, **image})
        return {"imageIds": deleted, "failures": failed}

    def _remove(self, repository: str, found: Stored, tag: str | None) -> None:
        if tag and self.upstream_files.remaining(repository, found.digest, tag):
            self.upstream_files.remove_tag(repository, tag)
        else:
            ask(self, "DELETE", f"/v2/{repository}/manifests/{found.digest}")

    def _account_setting(self, given: dict[str, Any]) -> dict[str, Any]:
        """For the name BLOB_MOUNTING: ENABLED or DISABLED (botocore, GetAccountSetting)."""
        return {"name": given["name"], "value": "ENABLED" if self.mounting else "DISABLED"}


def _found(stored: Iterable[Stored], image: dict[str, str]) -> Stored | None:
    digest, tag = image.get("imageDigest"), image.get("imageTag")
    return next((each for each in stored if (each.digest == digest if digest else tag in each.tags)), None)


def _refusal(stored: list[Stored], found: Stored | None, image: dict[str, str]) -> tuple[str, str] | None:
    """The code and the reason of a failure (botocore, ImageFailureCode)."""
    tag = image.get("imageTag")
    if found is None:
        return "ImageNotFound", "Requested image not found"
    if tag and tag not in found.tags:
        return "ImageTagDoesNotMatchDigest", "The tag is not on this image"
    # Also for its last tag (containers-roadmap#1567).
    held = [each.digest for each in stored if found.digest in each.children]
    if held and (not tag or found.tags == [tag]):
        return "ImageReferencedByManifestList", f"Requested image referenced by manifest list: [{held[0]}]"
    return None
