"""From what a user writes to a store."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from regscope import text
from regscope.errors import InvalidInput, InvalidLocation, MirrorWarning, RequestError, TLSFailed
from regscope.hosted.finding import without_prefix
from regscope.masking import without_secrets
from regscope.registry.below_path import answers_as_registry
from regscope.registry.client import DEFAULT_POOL_SIZE, DockerRegistryV2Client, Timeout
from regscope.registry.credentials import Keychain, Login, login_from
from regscope.registry.docker_config import find_logins
from regscope.registry.endpoint import APIEndpoint, is_docker_hub
from regscope.registry.tls import ClientCertificate
from regscope.settings import read_settings
from regscope.spec.reference import check_repository
from regscope.stores.cached_store import CachedStore
from regscope.stores.content_store import ContentStore
from regscope.stores.digest_cache import DigestCache
from regscope.stores.docker_archive import DockerArchiveStore
from regscope.stores.layout_files import form_of_archive
from regscope.stores.mirrored_store import Mirror, MirroredStore
from regscope.stores.oci_archive import OCIArchiveStore
from regscope.stores.oci_layout import OCILayoutStore
from regscope.stores.registry_storage import RegistryStorageStore
from regscope.stores.registry_store import RegistryStore

_FORMS = (
    "Write registry.example.com, http://localhost:5000, oci:FOLDER, oci-archive:FILE, docker-archive:FILE or "
    "storage:FOLDER."
)


def open(
    location: str,
    *,
    username: str | None = None,
    password: str | None = None,
    cache: DigestCache | bool = True,
    verify: bool | str = True,
    client_certificate: ClientCertificate | None = None,
    insecure: bool = False,
    mirrors: Sequence[str] | None = None,
    timeout: Timeout = (10, 60),
    pool_size: int = DEFAULT_POOL_SIZE,
    concurrency: int | None = None,
    rate: float | None = None,
    slowest: float | None = None,
    most_names: int | None = None,
) -> ContentStore:
    """Open a registry, an OCI image layout, a saved archive or a registry's storage for reading.

    What is not given for a registry is taken from the environment: see `regscope.settings.VARIABLES`.

    Args:
        location: `registry.example.com[:port]`, `http://localhost:5000`, `https://example.com/path` where one is below
            a path, `oci:FOLDER`, `oci-archive:FILE`, `docker-archive:FILE`, or `storage:FOLDER`, where distribution's
            registry keeps its files; any URL that fsspec knows will do as well, `storage:s3://bucket/prefix`. It alone
            shows what no tag keeps, beside the registries of providers that list it. Where the host alone shows whose
            registry it is, the beginning of names may follow it, such as a project's: then these are meant.
        username, password: for a registry; by default those in a location like
            `https://name:password@registry.example.com`, then those of the environment, then what `docker login` or
            `podman login` left behind.
        cache: the cache to use; True for the user's own (a registry only), False for none.
        verify: the path of a certificate authority's PEM file for a registry, or False for no verification.
        client_certificate: for a registry that wants one: a PEM file, or one with the certificate and one with its key.
        insecure: allow credentials over plain HTTP or unverified TLS to a host other than this machine.
        mirrors: of a registry, to read content from, in order: `mirror.example.com`, or with the path under which it
            keeps the registry's repositories, `mirror.example.com/hub`; one that is itself below a path is told by the
            end of its API's address, `mirror.example.com/path/v2/`. Each is logged in to with what is saved for it
            alone. By default those that the environment names for this registry.
        timeout: seconds for a request, or a pair for connecting and for each read.
        pool_size: connections kept open to a registry.
        concurrency: requests at once to each host; no limit by default.
        rate: requests a second to each host; no limit by default.
        slowest: bytes a second; an answer that comes slower for as long as the timeout of its reads is given up. 1000
            by default, 0 for never.
        most_names: that are read of one list of repositories or tags; 250,000 by default.

    Raises:
        InvalidLocation: it is none of these; as where a repository's name follows the registry's.
        InvalidInput: a variable in the environment has a value that it cannot have.
        RegscopeError: saved logins cannot be read.
        NotAStore: the folder or file is not what it was called.
        UnknownHost, TimedOut: a registry without a scheme whose host cannot be asked.

    Warns:
        MirrorWarning: a mirror without a scheme whose host cannot be asked; it is left out.
        RegscopeWarning: a registry without a scheme that speaks no TLS, on another machine: it is read in the clear,
            and written to only once `http://` is said, or `insecure`.
    """
    kind, colon, rest = location.partition(":")
    if colon and kind == "oci":
        return _with_cache(OCILayoutStore(path_in(location)), cache)
    if colon and kind == "docker-archive":
        return _with_cache(DockerArchiveStore(path_in(location)), cache)
    if colon and kind == "oci-archive":
        return _with_cache(OCIArchiveStore(path_in(location)), cache)
    if colon and kind == "storage":
        if not rest.strip():
            raise InvalidLocation(f"{location!r} names no place", next_step=_FORMS)
        return _with_cache(RegistryStorageStore(rest), cache)
    _refuse_paths(location)
    location, prefix = without_prefix(location)
    settings = read_settings()
    for_all: dict[str, Any] = {
        "insecure_hosts": settings.insecure,
        "verify_certificate": settings.ca or True if verify is True else verify,
        "default_timeout": timeout,
        "pool_size": pool_size,
        "concurrency": settings.concurrency if concurrency is None else concurrency,
        "rate": settings.rate if rate is None else rate,
        "slowest": settings.slowest if slowest is None else slowest,
        "most_names": settings.most_names if most_names is None else most_names,
    }
    certificate = client_certificate or settings.client_certificate
    _make_sure_of_path(location, for_all["verify_certificate"], certificate)
    client = _client(
        location,
        _login(username, password) or _login_in(location) or _login(settings.username, settings.password),
        insecure=insecure,
        client_certificate=certificate,
        **for_all,
    )
    store: ContentStore = RegistryStore(client, prefix)
    places = _mirrors_of(location, settings.mirrors) if mirrors is None else mirrors
    if found := [mirror for place in places if (mirror := _mirror(place, for_all)) is not None]:
        store = MirroredStore(store, found)
    return _with_cache(store, DigestCache() if cache is True else cache)


def as_store(place: ContentStore | str, **options: Any) -> ContentStore:
    """What stands for a store: one that is open, or a location as for `open`.

    Args:
        options: of `open`, for a location.

    Raises:
        InvalidInput: it is neither.
        RegscopeError: as `open`.
    """
    if isinstance(place, str):
        return open(place, **options)
    if isinstance(place, type) or not (hasattr(place, "location") and hasattr(place, "stored_blobs")):
        raise InvalidInput(
            f"a store is wanted here, and this is {text.plain(repr(place), 100)}",
            next_step="Pass the result of regscope.open(...), or a location: registry.example.com, oci:FOLDER.",
        )
    return place


def _mirrors_of(location: str, named: Iterable[tuple[str, str]]) -> list[str]:
    """Those of the pairs of registry and mirror that are the registry's at `location`."""
    place = APIEndpoint(url=location).place
    return [mirror for registry, mirror in named if APIEndpoint(url=registry).place == place]


def _mirror(place: str, options: Mapping[str, Any]) -> Mirror | None:
    """The mirror at `place`; None, with a warning, where its host cannot be asked."""
    scheme, separator, rest = place.strip().rpartition("://")
    host, _, path = rest.partition("/")
    below, api, _ = f"{path.rstrip('/')}/".rpartition("/v2/")
    prefix = f"{check_repository(path.rstrip('/'))}/" if path.strip("/") and not api else ""
    address = f"{scheme}{separator}{host}" + (f"/{below}" if api else "")
    try:
        client = _client(address, _login_in(address), insecure=False, **options)
    except RequestError as error:
        warnings.warn(MirrorWarning(f"the mirror {without_secrets(place)} is left out: {error.message}"), stacklevel=3)
        return None
    return Mirror(RegistryStore(client), prefix)


def _client(
    location: str, login: Login | None, *, insecure: bool, insecure_hosts: Collection[str], **options: Any
) -> DockerRegistryV2Client:
    """A client of one registry, with `login`, else with those that are saved for it."""
    endpoint = APIEndpoint(url=location)
    host = endpoint.host
    return DockerRegistryV2Client.from_api_endpoint(
        endpoint,
        keychain=Keychain.of(login) if login else find_logins(host, endpoint.path),
        insecure=insecure or host.lower() in insecure_hosts,
        **options,
    )


def _login(username: str | None, password: str | None) -> Login | None:
    return login_from(username, password or "") if username else None


def _login_in(location: str) -> Login | None:
    try:
        parts = urlsplit(location if "://" in location else f"//{location}")
    except ValueError:  # no address: its endpoint will say so
        return None
    return _login(unquote(parts.username or ""), unquote(parts.password or ""))


def _with_cache(store: ContentStore, cache: DigestCache | bool) -> ContentStore:
    return CachedStore(store, cache) if isinstance(cache, DigestCache) else store


def path_in(location: str) -> Path:
    """The path in a location such as `oci:FOLDER`.

    Raises:
        InvalidLocation: there is none.
    """
    path = location.partition(":")[2]
    if not path:
        raise InvalidLocation(f"{location!r} names no path", next_step=_FORMS)
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InvalidLocation(f"{location!r} names no path: {error}", next_step=_FORMS) from None


def _refuse_paths(location: str) -> None:
    scheme = location.rpartition("://")[0]
    shown = without_secrets(location)
    if not location.strip() or scheme not in ("", "http", "https"):
        raise InvalidLocation(f"{shown!r} is not a store", next_step=_FORMS)
    kind = "" if scheme else _kind_of_path(location)
    if kind == "folder":
        raise InvalidLocation(f"{shown!r} is a folder", next_step=f"Write oci:{shown} for an OCI image layout.")
    if kind == "file":
        raise InvalidLocation(f"{shown!r} is a file", next_step=_form_of(Path(location).expanduser(), shown))
    if any(character.isspace() for character in location):
        raise InvalidLocation(f"{shown!r} is not a store", next_step=_FORMS)
    if not scheme and location.startswith(("/", ".", "~")):
        raise InvalidLocation(f"there is no folder or file {shown!r}", next_step=_FORMS)


def _make_sure_of_path(location: str, verify: bool | str, certificate: ClientCertificate | None) -> None:
    """Refuse a path at which there is no registry: it is a repository's name."""
    scheme, separator, rest = without_secrets(location).rpartition("://")
    host, _, path = rest.partition("/")
    if not path.strip("/"):
        return
    try:
        if _is_registry(location, verify, certificate):
            return
        why = "no registry answers at that path"
    except TLSFailed:
        raise
    except RequestError as error:
        why = error.message
    raise InvalidLocation(
        text.plain(f"{without_secrets(location)!r} names more than a registry: {why}", 500),
        next_step=f"Open {scheme}{separator}{host}, and name {path!r} when scanning it.",
    )


def _is_registry(location: str, verify: bool | str, certificate: ClientCertificate | None) -> bool:
    """Whether there is a registry at an address with a path."""
    endpoint = APIEndpoint(url=location)
    if is_docker_hub(f"https://{endpoint.host}"):  # below its address there are repositories alone
        return False
    return answers_as_registry(endpoint.base_url, verify=verify, certificate=certificate)


def _form_of(path: Path, shown: str) -> str:
    """What to write for a file."""
    if form := form_of_archive(path):
        return f"Write {form}:{shown} for a saved image."
    return f"Write docker-archive:{shown} or oci-archive:{shown} for a saved image; this file seems to be neither."


def _kind_of_path(location: str) -> str:
    try:
        path = Path(location).expanduser()
        return "folder" if path.is_dir() else "file" if path.is_file() else ""
    except (OSError, RuntimeError):  # too long for a path, or the home of an unknown user
        return ""
