"""A token service as registries use it: signed tokens for Basic auth and OAuth2 grants."""

from __future__ import annotations

import base64
import functools
import json
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .certificates import Certificate, pem, self_signed
from .loopback import LoopbackHandler, LoopbackServer

Answer = Literal["token", "access_token", "both"]


@dataclass(frozen=True)
class TokenRequest:
    """One request as it arrived; grant_type is empty for GET, user is empty for nobody."""

    method: str
    user: str
    service: str
    scopes: tuple[str, ...]
    grant_type: str
    authorization: bool
    status: int


class TokenService(LoopbackServer):
    """Grants each user ("" is everyone without a name) the actions its repository globs allow.

    A glob like "registry:catalog" is for a resource that is no repository. Without an entry for ""
    nobody gets a token anonymously. The registry forgives an expiry of up to 60 seconds: only a
    `lifetime` (seconds until a token really expires) below -60 makes tokens that it refuses as expired.
    With `rotate` each refresh token is taken once, and the answer has the next. All settings may be changed while the
    service runs.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, str] | None = None,
        grants: Mapping[str, Mapping[str, Collection[str]]] | None = None,
        service: str = "registry.test",
        issuer: str = "issuer.test",
        expires_in: int | None = 300,
        lifetime: int = 300,
        answer: Answer = "token",
        refresh: bool = False,
        rotate: bool = False,
        oauth: bool = True,
        tls: Certificate | None = None,
    ) -> None:
        owner = self

        class Handler(LoopbackHandler):
            def _serve(self) -> None:
                (owner._post if self.command == "POST" else owner._get)(self)

            do_GET = do_POST = _serve

        super().__init__(Handler, tls)
        folder.mkdir(parents=True, exist_ok=True)
        self.bundle = folder / "token-roots.pem"
        self.bundle.write_bytes(pem(_signer()[1]))
        self.realm = f"{self.url}/token"
        self.users = dict(users or {})
        self.grants = {user: dict(rules) for user, rules in (grants or {}).items()}
        self.service, self.issuer = service, issuer
        self.expires_in, self.lifetime = expires_in, lifetime
        self.answer: Answer = answer
        self.refresh, self.rotate, self.oauth = refresh, rotate, oauth
        self.requests: list[TokenRequest] = []
        self._refresh_tokens: dict[str, str] = {}

    def registry_settings(self) -> dict[str, str]:
        """The `auth.token` part of a registry's configuration."""
        return {
            "realm": self.realm,
            "service": self.service,
            "issuer": self.issuer,
            "rootcertbundle": str(self.bundle),
        }

    def refresh_token(self, user: str) -> str:
        """A new refresh token for a user, as a login with `offline_token` would give."""
        token = secrets.token_urlsafe(16)
        self._refresh_tokens[token] = user
        return token

    def sign(self, user: str, access: list[dict[str, Any]], lifetime: int | None = None) -> str:
        """A signed token for the access given, whatever the grants say."""
        now = int(time.time())
        expiry = now + (self.lifetime if lifetime is None else lifetime)
        der = _signer()[1].public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        claims = {
            "iss": self.issuer,
            "sub": user,
            "aud": self.service,
            "exp": expiry,
            "nbf": min(now, expiry) - 10,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": access,
        }
        text = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        return f"{text}.{_base64url(_signer()[0].sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def granted(self, user: str, scopes: Collection[str]) -> list[dict[str, Any]]:
        """What a user gets of the scopes wanted; scopes without any allowed action are left out."""
        found = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, wanted = rest.rpartition(":")
            key = name if kind == "repository" else f"{kind}:{name}"
            allowed = {
                action
                for glob, actions in self.grants.get(user, {}).items()
                if fnmatchcase(key, glob) and (kind == "repository" or ":" in glob)
                for action in actions
            }
            if actions := [action for action in wanted.split(",") if action in allowed]:
                found.append({"type": kind, "name": name, "actions": actions})
        return found

    def _get(self, handler: LoopbackHandler) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        header = handler.headers.get("Authorization", "")
        user = ""
        known = not header and "" in self.grants
        if header.lower().startswith("basic "):
            user, _, password = base64.b64decode(header[6:]).decode().partition(":")
            known = self._knows(user, password)
        offline = query.get("offline_token") == ["true"]
        self._reply(handler, query, user, known, offline)

    def _post(self, handler: LoopbackHandler) -> None:
        form = parse_qs(handler.read_body().decode())
        grant = _first(form, "grant_type")
        user, known = _first(form, "username"), False
        if grant == "password":
            known = self._knows(user, _first(form, "password"))
        elif grant == "refresh_token":
            token = _first(form, "refresh_token")
            user = (self._refresh_tokens.pop if self.rotate else self._refresh_tokens.get)(token, "")
            known = bool(user)
        offline = _first(form, "access_type") == "offline" or (self.rotate and grant == "refresh_token")
        self._reply(handler, form, user, known, offline)

    def _knows(self, user: str, password: str) -> bool:
        return bool(user) and self.users.get(user) == password

    def _reply(
        self, handler: LoopbackHandler, fields: dict[str, list[str]], user: str, known: bool, offline: bool
    ) -> None:
        post = handler.command == "POST"
        scopes = tuple(scope for value in fields.get("scope", []) for scope in value.split())
        status, answer = 200, dict[str, Any]()
        if post and not self.oauth:
            status, answer = 405, _error("UNSUPPORTED", "only GET is served")
        elif not known:
            status, answer = 401, _error("UNAUTHORIZED", "incorrect username or password")
        else:
            access = self.granted(user, scopes)
            token = self.sign(user, access)
            # The OAuth2 answer has but one name for the token.
            if post or self.answer != "token":
                answer["access_token"] = token
            if not post and self.answer != "access_token":
                answer["token"] = token
            if post:
                answer["scope"] = " ".join(f"{a['type']}:{a['name']}:{','.join(a['actions'])}" for a in access)
            if self.expires_in is not None:
                answer["expires_in"] = self.expires_in
                answer["issued_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            if (self.refresh or self.rotate) and offline and user:
                answer["refresh_token"] = self.refresh_token(user)
        self.requests.append(
            TokenRequest(
                method=handler.command,
                user=user,
                service=_first(fields, "service"),
                scopes=scopes,
                grant_type=_first(fields, "grant_type") if post else "",
                authorization="Authorization" in handler.headers,
                status=status,
            )
        )
        body = json.dumps(answer).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@functools.cache
def _signer() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key, self_signed(key, "regscope test token signer")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _first(fields: dict[str, list[str]], name: str) -> str:
    return fields.get(name, [""])[0]


def _error(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": message, "detail": None}]}
