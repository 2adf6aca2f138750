"""Opening a store by its location."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from regscope import text
from regscope.errors import InvalidInput, InvalidLocation
from regscope.masking import without_secrets
from regscope.registry.client import DEFAULT_POOL_SIZE, Timeout
from regscope.registry.tls import ClientCertificate
from regscope.stores.cached_store import CachedStore
from regscope.stores.content_store import ContentStore
from regscope.stores.digest_cache import DigestCache
from regscope.stores.kinds import KINDS, LAYOUT, REGISTRY, kind_of, listed, load
from regscope.stores.layout_files import kind_of_archive
from regscope.stores.open_registry import Access, open_registry
from regscope.stores.wrapped_store import unwrapped


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
    api_token: str | None = None,
) -> ContentStore:
    """Open a registry, an OCI image layout, a saved archive or a registry's storage for reading.

    Options of a registry that are not given are read from the environment: see `regscope.settings.VARIABLES`.

    Args:
        location: `registry.example.com[:port]`, `http://localhost:5000`, `https://example.com/path` for a registry
            below a path, `oci:FOLDER`, `oci-archive:FILE`, `docker-archive:FILE`, or `storage:FOLDER`, the storage of
            distribution's registry, also at a URL that fsspec supports, `storage:s3://bucket/prefix`. Untagged
            manifests are shown by its storage, and by hosted registries whose provider lists them. After the host of
            such a provider the beginning of repository names, such as a project, may follow: only these are opened.
        username, password: for a registry; by default those in a location like
            `https://name:password@registry.example.com`, then those of the environment, then those that `docker login`
            or `podman login` saved.
        cache: the cache to use; True for the user's own (a registry only), False for none.
        verify: the path of a certificate authority's PEM file for a registry, or False for no verification.
        client_certificate: for a registry that requires one: a PEM file, or a pair of files for certificate and key.
        insecure: allow credentials over plain HTTP or unverified TLS to a host other than this machine.
        mirrors: mirrors of the registry, from which content is read, in order: `mirror.example.com`, or with the path
            of the registry's repositories there, `mirror.example.com/hub`; for a mirror below a path write its API's
            address, `mirror.example.com/path/v2/`. A mirror gets only the login that is saved for it. By default the
            mirrors of the environment.
        timeout: seconds for a request, or a pair for connecting and for each read.
        pool_size: connections kept open to a registry.
        concurrency: requests at once to each host; no limit by default.
        rate: requests a second to each host; no limit by default.
        slowest: bytes a second; a response that is slower for the timeout of a read is aborted. 1000 by default, 0 for
            no limit.
        most_names: the most names that are read from a list of repositories or tags; 250,000 by default.
        api_token: a token for the own API of a hosted registry's provider, where the registry's login does not do.

    Raises:
        InvalidLocation: `location` has none of these forms, for example a repository's name after the registry's.
        InvalidInput: a variable in the environment has an invalid value.
        RegscopeError: saved logins cannot be read.
        NotAStore: the folder or file is no store of the stated kind.
        UnknownHost, TimedOut: the host of a registry without a scheme cannot be reached.

    Warns:
        MirrorWarning: the host of a mirror without a scheme cannot be reached; the mirror is not used.
        RegscopeWarning: a registry without a scheme on another machine has no TLS: it is read without encryption, and
            written to only with `http://` in the location, or with `insecure`.
    """
    kind = kind_of(location)
    if kind != REGISTRY:
        return _cached(load(kind.reader)(kind.place_in(location)), cache)
    _refuse_paths(location)
    access = Access(
        username=username,
        password=password,
        verify=verify,
        client_certificate=client_certificate,
        insecure=insecure,
        timeout=timeout,
        pool_size=pool_size,
        concurrency=concurrency,
        rate=rate,
        slowest=slowest,
        most_names=most_names,
        api_token=api_token,
    )
    return _cached(open_registry(location, access, mirrors), DigestCache() if cache is True else cache)


def _cached(store: ContentStore, cache: DigestCache | bool) -> ContentStore:
    return CachedStore(store, cache) if isinstance(cache, DigestCache) else store


def as_store(place: ContentStore | str) -> ContentStore:
    """The store for an argument, which is an open store, or a location as for `open`.

    Raises:
        InvalidInput: the argument is neither.
        RegscopeError: as for `open`.
    """
    if isinstance(place, str):
        return open(place)
    if isinstance(place, type) or not (hasattr(place, "location") and hasattr(place, "stored_blobs")):
        raise InvalidInput(
            f"expected a store, got {text.plain(repr(place), 100)}",
            next_step=f"Pass the result of regscope.open(...), or a location: {listed()}.",
        )
    return place


def as_it_is_now(place: ContentStore | str) -> ContentStore:
    """As `as_store`, without cache and mirrors, for the current state of the store.

    Raises:
        As `as_store`.
    """
    return unwrapped(open(place, cache=False, mirrors=()) if isinstance(place, str) else as_store(place))


def _refuse_paths(location: str) -> None:
    scheme = location.rpartition("://")[0]
    shown = without_secrets(location)
    if not location.strip() or scheme not in ("", "http", "https"):
        raise InvalidLocation(f"{shown!r} is not a store", next_step=f"Write {listed()}.")
    kind = "" if scheme else _kind_of_path(location)
    if kind == "folder":
        raise InvalidLocation(f"{shown!r} is a folder", next_step=f"Write {LAYOUT.at(shown)} for {LAYOUT.title}.")
    if kind == "file":
        raise InvalidLocation(f"{shown!r} is a file", next_step=_form_of(Path(location).expanduser(), shown))
    if any(character.isspace() for character in location):
        raise InvalidLocation(f"{shown!r} is not a store", next_step=f"Write {listed()}.")
    if not scheme and location.startswith(("/", ".", "~")):
        raise InvalidLocation(f"there is no folder or file {shown!r}", next_step=f"Write {listed()}.")


def _form_of(path: Path, shown: str) -> str:
    """The next step for a location that is a file's path."""
    if kind := kind_of_archive(path):
        return f"Write {kind.at(shown)} for {kind.title}."
    files = " or ".join(kind.at(shown) for kind in KINDS if kind.follows == "file")
    return f"Write {files} for a saved image; this file is neither."


def _kind_of_path(location: str) -> str:
    try:
        path = Path(location).expanduser()
        return "folder" if path.is_dir() else "file" if path.is_file() else ""
    except (OSError, RuntimeError):  # too long for a path, or the home of an unknown user
        return ""
