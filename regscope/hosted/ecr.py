"""Amazon Elastic Container Registry: the control plane beside the registry, asked with AWS credentials through boto3.

It lists all images, untagged and archived ones too, with their times, and deletes up to a hundred in a request
(botocore, service model ecr 2015-09-21). The registry's own login, `AWS` and a token of 12 hours, does not open it.
"""

from __future__ import annotations

import re
import secrets
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from regscope.errors import (
    AuthFailed,
    CapabilityWarning,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    Unsupported,
)
from regscope.hosted.aws import EXTRA, ControlPlane, Place, said_of
from regscope.hosted.aws_login import AWSLogin
from regscope.hosted.ecr_answers import HELD, failure, failures, row
from regscope.hosted.provider import ListedManifest, Listing, Provider
from regscope.registry.catalog import list_repositories
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credentials import LoginSource
from regscope.registry.deletion import Deletion
from regscope.registry.manifests import ManifestRef
from regscope.registry.origin import origin
from regscope.registry.tokens import TokenService
from regscope.registry.untagging import see_that_it_stays
from regscope.spec.digest import Digest

_HOSTS = re.compile(
    r"\d{12}\.dkr[.-]ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9-]+)\."
    r"(amazonaws\.com(\.cn|\.eu)?|on\.(?P<dual>aws)|sc2s\.sgov\.gov|c2s\.ic\.gov)",
    re.IGNORECASE,
)
Make = Callable[[DockerRegistryV2Client], Provider]
_warning = threading.Lock()
_BATCH = 100  # images in a request to delete (botocore, ImageIdentifierList)
_READS = "DescribeRepositories, DescribeImages and GetAccountSetting to read, BatchDeleteImage to delete"


class ByItsLogin(Provider):
    """A registry at AWS without boto3 or AWS credentials: it shows and does what any registry does."""

    name = "Amazon Elastic Container Registry"
    locations: ClassVar[tuple[str, ...]] = ("ACCOUNT.dkr.ecr.REGION.amazonaws.com",)
    frees = (
        "Amazon ECR frees the storage by itself; deleted images are no longer billed, and undo needs a backup. Unless "
        "the account has the setting BLOB_MOUNTING, each repository stores its own copy of a layer: where repositories "
        "share layers, more bytes are freed than the plan says."
    )
    adds: ClassVar[tuple[str, ...]] = ()
    needs = "the registry's login, or AWS credentials for one"
    would_add: ClassVar[Mapping[str, str]] = {
        f"boto3 ({EXTRA}) and AWS credentials that may do ecr:{_READS}": "manifests without a tag, push and pull "
        "times, sizes, archived images, the removal of a tag alone, and which images failed to be deleted",
    }
    lists_untagged = False
    counts_pulls = True

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client
        self._plane = ControlPlane(self.place(host_of(client)))
        self._has_warned = False

    @classmethod
    def place(cls, host: str) -> Place:
        """The control plane of a registry's host."""
        found = _HOSTS.fullmatch(host)
        assert found is not None
        ways = {"use_fips_endpoint": bool(found["fips"]), "use_dualstack_endpoint": bool(found["dual"])}
        return Place("ecr", found["region"].lower(), ways)

    @classmethod
    def is_at(cls, host: str) -> bool:
        """`ACCOUNT.dkr.ecr.REGION.amazonaws.com`, those of other partitions, of FIPS and of IPv6."""
        return _HOSTS.fullmatch(host) is not None

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        """False: its registries have no custom domains."""
        return False

    def is_partial(self, prefix: str) -> bool:
        """True for every prefix: whether repositories share their layers is not known."""
        return bool(prefix)

    def repositories(self, prefix: str) -> list[str]:
        """By the catalog."""
        return below(prefix, list_repositories(self._client))

    def manifests(self, repository: str) -> Listing | None:
        """None.

        Warns:
            CapabilityWarning: once.
        """
        with _warning:
            has_warned, self._has_warned = self._has_warned, True
        if not has_warned:
            (credential,) = self.would_add
            lacks = f"{self._client.api_base_url}: {self._plane.lacks()}"
            said = f"{lacks}. With {credential} regscope also shows {self.would_add[credential]}."
            warnings.warn(CapabilityWarning(said, "provider"), stacklevel=2)
        return None


class ECR(ByItsLogin):
    """A private registry, with AWS credentials."""

    adds: ClassVar[tuple[str, ...]] = (
        "manifests without a tag",
        "push and pull times",
        "sizes",
        "archived images",
        "the removal of a tag alone",
    )
    needs = f"AWS credentials that may do ecr:{_READS}"
    would_add: ClassVar[Mapping[str, str]] = {}
    lists_untagged = True
    lists_pulls = True
    untags = True
    deletes = True
    takes_tags_along = True

    def __init__(self, client: DockerRegistryV2Client) -> None:
        super().__init__(client)
        self._account = {"registryId": host_of(client).partition(".")[0]}

    @classmethod
    def of(cls, client: DockerRegistryV2Client) -> Provider:
        """The control plane, where boto3 and AWS credentials are there; else what the registry's login opens."""
        make: Make = ByItsLogin if ControlPlane(cls.place(host_of(client))).lacks() else cls
        return make(client)

    @classmethod
    def login_source(cls, host: str) -> LoginSource | None:
        """AWS itself, which gives a login to AWS credentials."""
        return AWSLogin(cls.place(host)) if cls.is_at(host) else None

    def is_partial(self, prefix: str) -> bool:
        """True for a prefix, unless the account's setting says that repositories share no layers."""
        if not prefix:
            return False
        try:
            return bool(self._plane.ask("GetAccountSetting", name="BLOB_MOUNTING").get("value") != "DISABLED")
        except RequestError:
            return True

    def repositories(self, prefix: str) -> list[str]:
        """By `DescribeRepositories`; without that permission by the catalog."""
        try:
            return below(prefix, self._described_repositories())
        except (PermissionDeny, AuthFailed):
            return super().repositories(prefix)

    def _described_repositories(self) -> list[str]:
        what = f"the repositories of {self._client.api_base_url}"
        found = self._plane.pages(
            "DescribeRepositories", "repositories", what, self._client.most_names, **self._account
        )
        return [str(each.get("repositoryName")) for each in found]

    def manifests(self, repository: str) -> Listing | None:
        """By `DescribeImages`, a thousand in a request; None where these credentials may not do that.

        Warns:
            CapabilityWarning: the result is None.
        """
        try:
            return Listing(self._described(repository))
        except (PermissionDeny, AuthFailed) as error:
            said = f"{repository}: manifests without a tag and times are not shown to these credentials"
            warnings.warn(CapabilityWarning(f"{said}: {said_of(error)}", "provider"), stacklevel=2)
            return None

    def _described(self, repository: str) -> list[ListedManifest]:
        what, anything = f"the images of {repository}", {"tagStatus": "ANY", "imageStatus": "ANY"}
        about, most = self._about(repository), self._client.most_names
        found = self._plane.pages("DescribeImages", "imageDetails", what, most, **about, filter=anything)
        return [row(each) for each in found]

    def untags_alone(self, repository: str, tag: str) -> bool:
        """Whether another tag is on the image: with its last tag it would be deleted."""
        return len(self._tags_beside(repository, tag)) > 1

    def _tags_beside(self, repository: str, tag: str) -> list[str]:
        """The tags on the image of a tag, with this one."""
        found = self._plane.ask("DescribeImages", **self._about(repository), imageIds=[{"imageTag": tag}])
        return [name for each in found.get("imageDetails", ()) for name in row(each).tag_names]

    def untag(self, repository: str, tag: str) -> None:
        """By `BatchDeleteImage` of the tag; if that took the image along, since other tags left meanwhile, it is pushed
        again."""
        tagged = ManifestRef(repository, tag, self._client)
        original, others = tagged.fetch(), self._tags_beside(repository, tag)
        for error in self._delete_batch(repository, [{"imageTag": tag, "imageDigest": original.digest}]).values():
            raise error
        see_that_it_stays(Deletion(self._client, repository), repository, tag, original, others)

    def delete(self, repository: str, digests: Sequence[Digest]) -> Mapping[Digest, RequestError]:
        """By `BatchDeleteImage`, a hundred in a request.

        An image that an index of the same request held is refused, and is in a further request once the index is gone.
        """
        failed: dict[Digest, RequestError] = {}
        waiting = list(digests)
        while waiting:
            failed |= self._delete_once(repository, waiting)
            held = [digest for digest in waiting if digest in failed and failed[digest].code == HELD]
            if len(held) == len(waiting):
                break
            waiting = held
            for digest in waiting:
                del failed[digest]
        return failed

    def _delete_once(self, repository: str, digests: Sequence[Digest]) -> dict[Digest, RequestError]:
        failed: dict[Digest, RequestError] = {}
        for start in range(0, len(digests), _BATCH):
            batch = [{"imageDigest": digest} for digest in digests[start : start + _BATCH]]
            try:
                failed |= self._delete_batch(repository, batch)
            except RequestError as error:
                if start == 0:
                    raise
                failed |= dict.fromkeys(digests[start:], error)
                break
        return failed

    def _delete_batch(self, repository: str, images: Sequence[Mapping[str, str]]) -> dict[Digest, RequestError]:
        """Why each of up to a hundred images or tags was not deleted."""
        answer = self._plane.ask("BatchDeleteImage", **self._about(repository), imageIds=images)
        failed: dict[Digest, RequestError] = {}
        for each in failures(answer):
            said = each.get("imageId") or {}
            digest = said.get("imageDigest") or images[0].get("imageDigest")
            failed[Digest(str(digest))] = failure(repository, said, each)
        return failed

    def check_deletes(self, repository: str) -> None:
        """By the deletion of an image that cannot exist."""
        absent = Digest.of(secrets.token_bytes(32))
        for error in self._delete_batch(repository, [{"imageDigest": absent}]).values():
            if not isinstance(error, ResourceNotFound):
                raise error

    def explained(self, error: RequestError, repository: str) -> RequestError:
        """An immutable tag cannot be moved, so the last one cannot be removed without its image."""
        if not isinstance(error, RequestErrorWithResponse) or "immutable" not in error.message.lower():
            return error
        return Unsupported(
            f"Amazon ECR deletes an image with its last tag, and the tags of {repository} are immutable: the last tag "
            f"of an image cannot be removed alone. {error.message}",
            error.status_code,
            error.response,
            code=error.code,
            url=error.url,
            next_step="Keep the tag, delete the image with it, or make the tags mutable: aws ecr "
            f"put-image-tag-mutability --repository-name {repository} --image-tag-mutability MUTABLE.",
        )

    def _about(self, repository: str) -> dict[str, str]:
        """The arguments that name a repository in the control plane."""
        return {**self._account, "repositoryName": repository}


def below(prefix: str, names: Sequence[str]) -> list[str]:
    """The names at and below a prefix, sorted; all where it is empty."""
    return sorted(name for name in names if not prefix or f"{name}/".startswith(f"{prefix}/"))


def host_of(client: DockerRegistryV2Client) -> str:
    """The registry's host."""
    return origin(client.api_base_url)[1]
