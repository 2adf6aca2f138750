"""Google Artifact Registry, which also serves the names of gcr.io.

The answer of `GET /v2/NAME/tags/list` has more than the distribution-spec says: `manifest` has every manifest, tagged
or not, with size, media type and times, and `child` the names one level below (google/go-containerregistry,
pkg/v1/google/list.go).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from regscope.errors import (
    CapabilityWarning,
    InvalidDigest,
    InvalidReference,
    RequestError,
    RequestErrorWithResponse,
    TooLarge,
    Unsupported,
)
from regscope.hosted.json_values import text_in
from regscope.hosted.provider import ListedManifest, ListedTag, Listing, Provider
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.paging import pages, strings
from regscope.registry.tokens import TokenService
from regscope.spec.digest import Digest
from regscope.spec.reference import check_repository

_HOSTS = re.compile(r"(.+\.)?gcr\.io|[a-z0-9-]+-docker\.pkg\.dev", re.IGNORECASE)
_MOST_IN_A_PAGE = 10_000  # go-containerregistry#1645
_AT_ONCE = 8
_DEEPEST = 32  # levels below a prefix
_PRECONDITION = "FAILED_PRECONDITION"
_HELD = "GOOGLE_MANIFEST_DANGLING_"  # TAG, PARENT_IMAGE


class Google(Provider):
    """Artifact Registry, read with the registry's own login."""

    name = "Google Artifact Registry"
    locations = ("LOCATION-docker.pkg.dev/PROJECT", "gcr.io/PROJECT")
    frees = (
        "Google Artifact Registry frees the storage by itself, after a while: nothing has to be done. After that undo "
        "needs a backup; sizeBytes of `gcloud artifacts repositories describe` shows the stored bytes."
    )
    adds = ("manifests without a tag", "push times", "repositories below a project", "sizes")
    needs = "the registry's login: artifactregistry.reader to read, artifactregistry.repoAdmin to delete"
    would_add: ClassVar[Mapping[str, str]] = {
        "an OAuth token for artifactregistry.googleapis.com": "the repositories of a project, its clean-up policies, "
        "and whether tags are immutable",
    }

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self._client = client
        self._lists_all = True  # as observed so far

    @classmethod
    def is_at(cls, host: str) -> bool:
        """`gcr.io`, `eu.gcr.io`, `europe-west1-docker.pkg.dev` and others of these forms."""
        return _HOSTS.fullmatch(host) is not None

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        """False: its registries have no custom domains."""
        return False

    def is_partial(self, prefix: str) -> bool:
        """True for a prefix below a repository of Artifact Registry (PROJECT at gcr.io, else PROJECT/REPOSITORY), and
        where not all names were listed."""
        host = urlsplit(self._client.api_base_url).hostname or ""
        whole = (1 if host.endswith("gcr.io") else 2) + ("." in prefix.partition("/")[0])  # example.com/project
        return prefix.count("/") >= whole or not self._lists_all

    def repositories(self, prefix: str) -> list[str]:
        """By one request for each name below the prefix."""
        if not prefix:
            raise Unsupported(
                f"{self._client.api_base_url} lists repositories only below a project",
                next_step=f"Name the project: {self._client.api_base_url.rpartition('/')[2]}/PROJECT.",
            )
        found: list[str] = []
        seen, level = {prefix}, [prefix]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for depth in range(_DEEPEST):
                answers = list(pool.map(self._below_the_first if depth == 0 else self._below, level))
                found += [name for name, (has_images, _) in zip(level, answers, strict=True) if has_images]
                level = sorted({name for _, names in answers for name in names} - seen)
                seen.update(level)
                if len(seen) > self._client.most_names:
                    raise _too_many(prefix, self._client.most_names)
                if not level:
                    break
        return sorted(found)

    def manifests(self, repository: str) -> Listing | None:
        """By one request; None where the answer has no such list, as that of the mirror of Docker Hub."""
        listed: dict[Digest, ListedManifest] = {}
        named: set[str] = set()
        for page in self._pages(repository):
            about = page.get("manifest")
            if not isinstance(about, dict) or self._is_cut(page, repository):
                return None
            named.update(strings(page, "tags"))
            try:
                listed.update({row.digest: row for row in _rows(about)})
            except InvalidDigest:
                return None
        tagged = {tag for row in listed.values() for tag in row.tag_names}
        for tag in sorted(named - tagged):  # pushed between the two halves of one answer
            self._put_on_its_manifest(repository, tag, listed)
        return Listing(list(listed.values()))

    def explained(self, error: RequestError, repository: str) -> RequestError:
        """A manifest with a tag cannot be deleted; where tags are immutable, tags cannot be deleted either."""
        if not isinstance(error, RequestErrorWithResponse):
            return error
        if "immutab" in error.message.lower() or error.code == _PRECONDITION:
            return Unsupported(
                f"{repository} keeps its tags, and all that is tagged: they are immutable there. {error.message}",
                error.status_code,
                error.response,
                code=error.code,
                url=error.url,
                next_step="Keep these tags by the policy, or let whoever owns the repository allow their deletion: "
                "gcloud artifacts repositories update REPOSITORY --no-immutable-tags.",
            )
        if (error.code or "").startswith(_HELD):
            error.next_step = "Scan and plan again: a tag or an index has come to hold it meanwhile."
        return error

    def _pages(self, name: str) -> Iterator[dict[str, Any]]:
        url = f"{self._client.url(name, 'tags', 'list')}?n={_MOST_IN_A_PAGE}"
        return pages(self._client, url, f"the tag list of {name}", "tags")

    def _below_the_first(self, name: str) -> tuple[bool, list[str]]:
        """Whether there are images under this name itself, and the names one level below.

        Raises:
            RequestError: the list of this name cannot be read, so the names below are not known.
        """
        has_images, below = False, list[str]()
        for page in self._pages(name):
            has_images |= bool(page.get("manifest") or page.get("tags"))
            children = strings(page, "child")
            below += [full for child in children if (full := _valid(f"{name}/{child}"))]
            self._lists_all &= not self._is_cut(page, name)
        return has_images, below

    def _below(self, name: str) -> tuple[bool, list[str]]:
        """As `_below_the_first`; a name whose list cannot be read counts as one with images: its scan has the error."""
        try:
            return self._below_the_first(name)
        except RequestError:
            return True, []

    def _is_cut(self, page: dict[str, Any], name: str) -> bool:
        """Whether an answer has the greatest length, so that there may be more names than it lists.

        Warns:
            CapabilityWarning: it has.
        """
        names, manifests = len(strings(page, "tags")) + len(strings(page, "child")), page.get("manifest")
        if max(names, len(manifests) if isinstance(manifests, dict) else 0) < _MOST_IN_A_PAGE:
            return False
        said = f"{name} lists {_MOST_IN_A_PAGE:,} tags, names or manifests, as many as it can: there may be others"
        warnings.warn(CapabilityWarning(said, "catalog"), stacklevel=3)
        return True

    def _put_on_its_manifest(self, repository: str, tag: str, listed: dict[Digest, ListedManifest]) -> None:
        found = ManifestRef(repository, tag, self._client).get_metadata()
        if found is not None:
            row = listed.get(found.digest, ListedManifest(found.digest, media_type=found.mediaType))
            listed[found.digest] = row._replace(tags=(*row.tags, ListedTag(tag)))


def _rows(about: Mapping[str, Any]) -> Iterator[ListedManifest]:
    """A row for each entry of `manifest`, whose numbers are strings, and whose times are in milliseconds.

    Raises:
        InvalidDigest: an entry has no valid digest.
    """
    for name, said in about.items():
        entry = said if isinstance(said, dict) else {}
        kind = entry.get("mediaType")
        yield ListedManifest(
            Digest(name),
            tags=tuple(map(ListedTag, sorted(strings(entry, "tag")))),
            media_type=text_in(kind),
            size=_number(entry.get("imageSizeBytes")),
            pushed=_time(entry.get("timeUploadedMs")),
        )


def _number(said: Any) -> int | None:
    text = said if isinstance(said, str) else str(said) if isinstance(said, int) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _time(said: Any) -> datetime | None:
    """The time; None for a missing or an impossible one."""
    if not (milliseconds := _number(said)):
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _valid(name: str) -> str:
    """The name, where it is a valid repository name; else empty."""
    try:
        return check_repository(name)
    except InvalidReference:
        return ""


def _too_many(prefix: str, most: int) -> TooLarge:
    return TooLarge(
        f"there are more than {most:,} names below {prefix}: not read further",
        next_step="Open a longer prefix, or raise the limit: most_names=…, REGSCOPE_MOST_NAMES.",
    )
