"""The address of a registry: its host and port, and whether it uses TLS."""

from __future__ import annotations

import http.client
import socket
import ssl
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, PrivateAttr

from regscope.errors import EndpointTimedOut, InvalidLocation, UnknownHost
from regscope.registry.connecting import open_tunnel, to_proxy
from regscope.registry.origin import origin, without_secrets
from regscope.registry.proxies import proxy_failed, proxy_for
from regscope.registry.tls import usual_context
from regscope.text import plain

# Docker Hub's registry has another host name than docker.io.
_HUB = "registry-1.docker.io"
# OpenSSL's reasons for an answer that is no TLS; with any other error the server does use TLS.
_NOT_TLS = {
    "",
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
    "UNEXPECTED_EOF_WHILE_READING",
}
_HUB_NAMES = {"docker.io", "index.docker.io", "registry.hub.docker.com", _HUB}


def is_docker_hub(url: str) -> bool:
    """Whether `url` is one of Docker Hub's addresses."""
    return origin(url)[1] in _HUB_NAMES


def full_name(location: str, repository: str) -> str:
    """A repository's whole name at `location`: at Docker Hub `alpine` is short for `library/alpine`."""
    return f"library/{repository}" if "/" not in repository and is_docker_hub(location) else repository


class APIEndpoint(BaseModel):
    """A registry's address, with or without a scheme.

    Without a scheme a TLS handshake is tried: https where it succeeds, else http. All of Docker Hub's names lead to the
    host of its registry.

    Raises:
        InvalidLocation: on first use, where `url` names no host.
        UnknownHost, EndpointTimedOut: on first use without a scheme, where the host does not answer.
    """

    url: str
    version: int = 2
    official: bool = False
    _secure: tuple[bool, bool] | None = PrivateAttr(default=None)

    @property
    def host(self) -> str:
        """`host` or `host:port`, under which credentials are stored."""
        netloc = self._parts.netloc.rpartition("@")[2]
        return _HUB if netloc.lower() in _HUB_NAMES else netloc

    @property
    def path(self) -> str:
        """The path of the registry on its host, without slashes around it; usually empty."""
        return self._parts.path.strip("/")

    @property
    def place(self) -> str:
        """Host and path, which identify the registry."""
        return f"{self.host.lower()}/{self.path}".rstrip("/")

    @property
    def states_scheme(self) -> bool:
        """Whether the address has a scheme, so that no handshake need be tried."""
        return bool(self._parts.scheme)

    def is_secure_repository(self, *, timeout: float | None = 10) -> tuple[bool, bool]:
        """Whether the server speaks TLS, and whether its certificate is valid; a stated scheme is believed."""
        if self._secure is None:
            scheme = self._parts.scheme
            self._secure = (scheme == "https",) * 2 if scheme else self._ask(timeout)
        return self._secure

    @property
    def api_base_url(self) -> str:
        """Host, port and path, without a scheme; a port that a stated scheme goes without saying is left out."""
        port = self._split_host.port
        if port is None and not self.states_scheme:
            port = 443 if self.is_secure_repository()[0] else 80
        return f"{self._hostname}{f':{port}' if port else ''}{self._parts.path.rstrip('/')}"

    @property
    def base_url(self) -> str:
        """The address with its scheme, and with the port only where one was given."""
        scheme = "https" if self.is_secure_repository()[0] else "http"
        return f"{scheme}://{self.host}{self._parts.path.rstrip('/')}"

    @property
    def _parts(self) -> SplitResult:
        try:
            parts = urlsplit(self.url if "://" in self.url else f"//{self.url}")
            fits = parts.scheme in ("", "http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # the port is no number, or is above 65535
            fits = False
        if not fits:
            raise InvalidLocation(
                f"{without_secrets(self.url)!r} is not the address of a registry",
                next_step="Write registry.example.com, localhost:5000 or https://registry.example.com:5000.",
            )
        return parts

    @property
    def _split_host(self) -> SplitResult:
        return urlsplit(f"//{self.host}")

    @property
    def _hostname(self) -> str:
        name = self._split_host.hostname or ""
        return f"[{name}]" if ":" in name else name

    def _ask(self, timeout: float | None) -> tuple[bool, bool]:
        address = (self._split_host.hostname or "", self._split_host.port or 443)
        try:
            with self._connection(address, timeout) as connection:
                return _handshake(connection, address[0])
        except ssl.SSLCertVerificationError:
            return self._answers(address, timeout), False
        except (socket.gaierror, UnicodeError):  # a label longer than a host name allows
            raise UnknownHost(
                f"there is no host named {plain(address[0], 300)}",
                url=f"https://{self.host}",
                next_step="Check the spelling, and that this machine can resolve the name.",
            ) from None
        except TimeoutError:
            raise EndpointTimedOut(
                f"{self.host} did not answer within {timeout} s",
                url=f"https://{self.host}",
                next_step="Check the address and the firewall, or write http:// before it to skip the question.",
            ) from None
        except OSError:
            return False, False

    def _answers(self, address: tuple[str, int], timeout: float | None) -> bool:
        """Whether a server with an invalid certificate answers HTTP."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with (
                self._connection(address, timeout) as connection,
                context.wrap_socket(connection, server_hostname=address[0]) as encrypted,
            ):
                encrypted.sendall(f"GET /v2/ HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n".encode())
                return encrypted.recv(5) == b"HTTP/"
        except ssl.SSLError as error:  # for example, the server requires a client certificate
            return (error.reason or "") not in _NOT_TLS
        except OSError:
            return False

    def _connection(self, address: tuple[str, int], timeout: float | None) -> socket.socket:
        proxy = proxy_for(f"https://{self.host}")
        if proxy is None:
            return socket.create_connection(address, timeout=timeout)
        connection = to_proxy(proxy, timeout)
        try:
            open_tunnel(connection, proxy, *address)
        except BaseException as error:
            connection.close()
            if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
                raise proxy_failed(proxy, error) from None
            raise
        return connection


def _handshake(connection: socket.socket, hostname: str) -> tuple[bool, bool]:
    try:
        with usual_context().wrap_socket(connection, server_hostname=hostname):
            return True, True
    except ssl.SSLCertVerificationError:
        raise
    except ssl.SSLError as error:
        return (error.reason or "") not in _NOT_TLS, False


OFFICIAL_ENDPOINT = APIEndpoint(url="https://registry.hub.docker.com", official=True)
