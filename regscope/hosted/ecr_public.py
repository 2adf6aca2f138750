"""Amazon ECR Public, `public.ecr.aws`: repositories below the alias of an account (botocore, ecr-public 2020-10-30)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from regscope.errors import CapabilityWarning, ResourceNotFound
from regscope.hosted.aws import EXTRA, ControlPlane, Place
from regscope.hosted.aws_login import AWSLogin
from regscope.hosted.ecr import ECR, ByItsLogin, Make
from regscope.hosted.ecr_answers import row, time_of
from regscope.hosted.provider import ListedManifest, Listing, Provider
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.credentials import LoginSource

_HOST = "public.ecr.aws"
_PLACE = Place("ecr-public", "us-east-1")  # its control plane is there alone
_READS = "DescribeRepositories, DescribeImages and DescribeImageTags to read, BatchDeleteImage to delete"
_FREES = "Amazon ECR Public frees the storage by itself; undo needs a backup."


class PublicByItsLogin(ByItsLogin):
    """Without boto3 or AWS credentials: what the registry shows to everybody."""

    name = "Amazon ECR Public"
    locations: ClassVar[tuple[str, ...]] = ("public.ecr.aws/ALIAS",)
    frees = _FREES
    needs = "nothing to read, the registry's login to write"
    would_add: ClassVar[Mapping[str, str]] = {
        f"boto3 ({EXTRA}) and AWS credentials that may do ecr-public:{_READS}": "in the account's own repositories "
        "manifests without a tag, push times, sizes and the removal of a tag alone",
    }
    counts_pulls = False

    @classmethod
    def is_at(cls, host: str) -> bool:
        """`public.ecr.aws`."""
        return host.lower() == _HOST

    @classmethod
    def place(cls, host: str) -> Place:
        """Its one control plane."""
        return _PLACE


class ECRPublic(ECR):
    """The public registry, with AWS credentials: more about the repositories of their account, nothing about others."""

    name = "Amazon ECR Public"
    locations: ClassVar[tuple[str, ...]] = ("public.ecr.aws/ALIAS",)
    frees = _FREES
    adds: ClassVar[tuple[str, ...]] = (
        "in the account's own repositories manifests without a tag",
        "push times",
        "sizes",
    )
    needs = f"AWS credentials that may do ecr-public:{_READS}"
    lists_pulls = False
    counts_pulls = False

    def __init__(self, client: DockerRegistryV2Client) -> None:
        super().__init__(client)
        self._account = {}
        self._names: dict[str, str] | None = None

    @classmethod
    def is_at(cls, host: str) -> bool:
        """`public.ecr.aws`."""
        return host.lower() == _HOST

    @classmethod
    def place(cls, host: str) -> Place:
        """Its one control plane."""
        return _PLACE

    @classmethod
    def of(cls, client: DockerRegistryV2Client) -> Provider:
        """As for private registries."""
        make: Make = PublicByItsLogin if ControlPlane(_PLACE).lacks() else cls
        return make(client)

    @classmethod
    def login_source(cls, host: str) -> LoginSource | None:
        """AWS itself; where it refuses, reading needs no login."""
        return AWSLogin(_PLACE, is_needed=False) if cls.is_at(host) else None

    def is_partial(self, prefix: str) -> bool:
        """True for every prefix: whether repositories share their layers is not known."""
        return bool(prefix)

    def manifests(self, repository: str) -> Listing | None:
        """By `DescribeImages` and `DescribeImageTags`; None for a repository of another account.

        Warns:
            CapabilityWarning: the result is None.
        """
        try:
            return super().manifests(repository)
        except ResourceNotFound as error:
            if error.code:
                raise
            warnings.warn(CapabilityWarning(error.message, "provider"), stacklevel=2)
            return None

    def _described(self, repository: str) -> list[ListedManifest]:
        about, most = self._about(repository), self._client.most_names
        what = f"the images of {repository}"
        found = self._plane.pages("DescribeImages", "imageDetails", what, most, **about)
        rows = [row(each) for each in found]
        what = f"the tags of {repository}"
        tags = self._plane.pages("DescribeImageTags", "imageTagDetails", what, most, **about)
        since: dict[str, datetime | None] = {str(each.get("imageTag")): time_of(each.get("createdAt")) for each in tags}
        return [
            each._replace(tags=tuple(tag._replace(pushed=since.get(tag.name)) for tag in each.tags)) for each in rows
        ]

    def _described_repositories(self) -> list[str]:
        what, most = f"the repositories of {self._client.api_base_url}", self._client.most_names
        found = self._plane.pages("DescribeRepositories", "repositories", what, most)
        self._names = {
            str(each.get("repositoryUri")).removeprefix(f"{_HOST}/"): str(each.get("repositoryName")) for each in found
        }
        return list(self._names)

    def _about(self, repository: str) -> dict[str, str]:
        """The name without the alias.

        Raises:
            ResourceNotFound: it is not a repository of this account.
        """
        names = self._names
        if names is None or repository not in names:
            self._described_repositories()
            names = self._names or {}
        if repository not in names:
            raise ResourceNotFound(
                f"{repository} is not a repository of the account of these AWS credentials, which see in it what "
                "everybody sees",
                next_step="Use credentials of the account that owns it.",
            )
        return {"repositoryName": names[repository]}
