"""Amazon ECR Public: repositories below an account's alias, read by everybody, and a control plane in one region.

Sources: botocore is the service model ecr-public 2020-10-30, which also checks each answer here.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from ..proxy import Forward, ProxyRequest, ProxyResponse
from .aws_api import AWSAPI, page
from .ecr import ACCOUNT, ECRRegistry
from .hosted import answered, authorization, error
from .upstream import Stored

ALIAS, HOST = "team", "public.ecr.aws"
_REGION = "us-east-1"


class ECRPublicRegistry(ECRRegistry):
    """Before a registry whose repositories below `team/` are those of the caller's account."""

    hosts = (HOST, f"api.ecr-public.{_REGION}.amazonaws.com")

    def _control_plane(self) -> AWSAPI:
        operations = {
            "GetAuthorizationToken": self._authorization_token,
            "DescribeRepositories": self._describe_repositories,
            "DescribeImages": self._describe_images,
            "DescribeImageTags": self._describe_tags,
            "BatchDeleteImage": self._batch_delete,
        }
        return AWSAPI("ecr-public", "2020-10-30", _REGION, operations)

    def _challenge(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Bearer, at /token/ of the registry's own host; everybody gets a token. That only the account's own login may
        write is plain."""
        if urlsplit(request.path).path == "/token/":
            said = base64.b64decode(authorization(request).removeprefix("Basic ")).decode()
            user, _, password = said.partition(":")
            if user and password not in self.passwords:
                return error(401, "UNAUTHORIZED", "Not Authorized")
            return answered({"token": f"own-{secrets.token_hex(4)}" if user else "anonymous"})
        token = authorization(request).removeprefix("Bearer ")
        if token.startswith("own-") or (token == "anonymous" and request.method in ("GET", "HEAD")):
            return None
        challenge = f'Bearer realm="https://{HOST}/token/",service="{HOST}",scope="aws"'
        return error(401, "UNAUTHORIZED", "Not Authorized", ("WWW-Authenticate", challenge))

    def _catalog(self, request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        """Refused; how, nobody has written down."""
        if urlsplit(request.path).path == "/v2/_catalog":
            return error(401, "UNAUTHORIZED", "Not Authorized")
        return None

    def _authorization_token(self, given: dict[str, Any]) -> dict[str, Any]:
        """One, no list of them (botocore, GetAuthorizationTokenResponse)."""
        self.passwords.add(password := secrets.token_hex(8))
        token = base64.b64encode(f"AWS:{password}".encode()).decode()
        return {
            "authorizationData": {
                "authorizationToken": token,
                "expiresAt": datetime.now(UTC) + timedelta(hours=12),
            }
        }

    def _describe_repositories(self, given: dict[str, Any]) -> dict[str, Any]:
        """By names without the alias (botocore, Repository)."""
        own = [name for name in self.upstream_files.repositories() if name.startswith(f"{ALIAS}/")]
        names, following = page(own, given, self.most_in_a_page)
        return {"repositories": [self._repository(name) for name in names], **following}

    def _repository(self, name: str) -> dict[str, Any]:
        short = name.removeprefix(f"{ALIAS}/")
        return {
            "repositoryArn": f"arn:aws:ecr-public::{ACCOUNT}:repository/{short}",
            "registryId": ACCOUNT,
            "repositoryName": short,
            "repositoryUri": f"{HOST}/{name}",
        }

    def _describe_images(self, given: dict[str, Any]) -> dict[str, Any]:
        return super()._describe_images(_full(given))

    def _stored(self, given: dict[str, Any]) -> list[Stored]:
        return super()._stored({"repositoryName": given["repositoryName"]})

    def _image(self, repository: str, stored: Stored) -> dict[str, Any]:
        """Without a status and the time of a pull (botocore, ImageDetail)."""
        row = super()._image(repository, stored)
        return {name: value for name, value in row.items() if name not in ("imageStatus", "lastRecordedPullTime")} | {
            "repositoryName": repository.removeprefix(f"{ALIAS}/")
        }

    def _describe_tags(self, given: dict[str, Any]) -> dict[str, Any]:
        """With the time at which each was set (botocore, ImageTagDetail)."""
        rows = [
            {
                "imageTag": tag,
                "createdAt": each.uploaded + timedelta(hours=1),
                "imageDetail": {"imageDigest": each.digest},
            }
            for each in self._stored(_full(given))
            for tag in each.tags
        ]
        shown, following = page(rows, given, self.most_in_a_page)
        return {"imageTagDetails": shown, **following}

    def _batch_delete(self, given: dict[str, Any]) -> dict[str, Any]:
        return super()._batch_delete(_full(given))


def _full(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "repositoryName": f"{ALIAS}/{given['repositoryName']}"}
