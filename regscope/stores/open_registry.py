"""Opening a registry by its address, with its logins and its mirrors."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from regscope import text
from regscope.errors import InvalidLocation, MirrorWarning, RequestError, TLSFailed
from regscope.hosted.finding import login_sources, without_prefix
from regscope.masking import without_secrets
from regscope.registry.below_path import answers_as_registry
from regscope.registry.client import DEFAULT_POOL_SIZE, DockerRegistryV2Client, Timeout
from regscope.registry.credentials import Keychain, Login, login_from
from regscope.registry.docker_config import find_logins
from regscope.registry.endpoint import APIEndpoint, is_docker_hub
from regscope.registry.tls import ClientCertificate
from regscope.settings import Settings, read_settings
from regscope.spec.reference import check_repository
from regscope.stores.content_store import ContentStore
from regscope.stores.mirrored_store import Mirror, MirroredStore
from regscope.stores.registry_store import RegistryStore


@dataclass(frozen=True)
class Access:
    """The options of the connection to a registry; see `regscope.open` for each."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    verify: bool | str = True
    client_certificate: ClientCertificate | None = None
    insecure: bool = False
    timeout: Timeout = (10, 60)
    pool_size: int = DEFAULT_POOL_SIZE
    concurrency: int | None = None
    rate: float | None = None
    slowest: float | None = None
    most_names: int | None = None
    api_token: str | None = field(default=None, repr=False)

    def completed(self, settings: Settings) -> Access:
        """The options, completed from the environment; a login in the address precedes that of the environment."""
        return replace(
            self,
            verify=settings.ca or True if self.verify is True else self.verify,
            client_certificate=self.client_certificate or settings.client_certificate,
            concurrency=settings.concurrency if self.concurrency is None else self.concurrency,
            rate=settings.rate if self.rate is None else self.rate,
            slowest=settings.slowest if self.slowest is None else self.slowest,
            most_names=settings.most_names if self.most_names is None else self.most_names,
            api_token=settings.api_token if self.api_token is None else self.api_token,
        )


def open_registry(location: str, access: Access, mirrors: Sequence[str] | None) -> ContentStore:
    """Open a registry for reading; see `regscope.open`.

    Raises:
        InvalidLocation: no registry answers at the address, or the path after a provider's host is no prefix of a name.
        UnknownHost, TimedOut: the host cannot be reached.
    """
    location, prefix = without_prefix(location)
    settings = read_settings()
    access = access.completed(settings)
    _check_path(location, access)
    login = (
        _login(access.username, access.password) or _login_in(location) or _login(settings.username, settings.password)
    )
    store = RegistryStore(_client(location, login, access, settings), prefix)
    places = _mirrors_of(location, settings.mirrors) if mirrors is None else mirrors
    found = [mirror for place in places if (mirror := _mirror(place, access, settings)) is not None]
    return MirroredStore(store, found) if found else store


def _client(location: str, login: Login | None, access: Access, settings: Settings) -> DockerRegistryV2Client:
    """A client of one registry, with `login`, else with the saved logins."""
    endpoint = APIEndpoint(url=location)
    host = endpoint.host
    return DockerRegistryV2Client.from_api_endpoint(
        endpoint,
        keychain=Keychain.of(login) if login else find_logins(host, endpoint.path).before(login_sources(host)),
        insecure=access.insecure or host.lower() in settings.insecure,
        verify_certificate=access.verify,
        client_certificate=access.client_certificate,
        default_timeout=access.timeout,
        pool_size=access.pool_size,
        concurrency=access.concurrency,
        rate=access.rate,
        slowest=access.slowest,
        most_names=access.most_names,
        api_token=access.api_token,
    )


def _login(username: str | None, password: str | None) -> Login | None:
    return login_from(username, password or "") if username else None


def _login_in(location: str) -> Login | None:
    try:
        parts = urlsplit(location if "://" in location else f"//{location}")
    except ValueError:  # no valid address: opening the endpoint raises the error
        return None
    return _login(unquote(parts.username or ""), unquote(parts.password or ""))


def _mirrors_of(location: str, named: Iterable[tuple[str, str]]) -> list[str]:
    """The mirrors of the registry at `location`, from pairs of registry and mirror."""
    place = APIEndpoint(url=location).place
    return [mirror for registry, mirror in named if APIEndpoint(url=registry).place == place]


def _mirror(place: str, access: Access, settings: Settings) -> Mirror | None:
    """The mirror at `place`, without the registry's logins; None, with a warning, if it cannot be reached."""
    scheme, separator, rest = place.strip().rpartition("://")
    host, _, path = rest.partition("/")
    below, api, _ = f"{path.rstrip('/')}/".rpartition("/v2/")
    prefix = f"{check_repository(path.rstrip('/'))}/" if path.strip("/") and not api else ""
    address = f"{scheme}{separator}{host}" + (f"/{below}" if api else "")
    own = replace(access, insecure=False, client_certificate=None, api_token=None)
    try:
        client = _client(address, _login_in(address), own, settings)
    except RequestError as error:
        warnings.warn(MirrorWarning(f"the mirror {without_secrets(place)} is not used: {error.message}"), stacklevel=4)
        return None
    return Mirror(RegistryStore(client), prefix)


def _check_path(location: str, access: Access) -> None:
    """Raise if no registry answers at an address with a path: the path is the name of a repository."""
    scheme, separator, rest = without_secrets(location).rpartition("://")
    host, _, path = rest.partition("/")
    if not path.strip("/"):
        return
    try:
        if _is_registry(location, access):
            return
        why = "no registry answers at that path"
    except TLSFailed:
        raise
    except RequestError as error:
        why = error.message
    raise InvalidLocation(
        text.plain(f"{without_secrets(location)!r} is not the address of a registry: {why}", 500),
        next_step=f"Open {scheme}{separator}{host}, and name {path!r} when scanning it.",
    )


def _is_registry(location: str, access: Access) -> bool:
    """Whether a registry answers at an address with a path."""
    endpoint = APIEndpoint(url=location)
    if is_docker_hub(f"https://{endpoint.host}"):  # paths below its address are repositories
        return False
    return answers_as_registry(endpoint.base_url, verify=access.verify, certificate=access.client_certificate)
