"""TLS: the certificate authorities that are trusted, and the client's certificate."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import certifi

ClientCertificate = str | tuple[str, str]
"""A PEM file with certificate and key, or one file for each."""


def home_context(verify: bool | str, certificate: ClientCertificate | None) -> ssl.SSLContext:
    """The TLS context for the registry itself.

    Args:
        verify: True for the usual authorities, False for no verification, or the path of a PEM file or folder with the
            only authorities to trust.
        certificate: the client's own, for a server that asks for one.

    Raises:
        OSError: a file cannot be read.
    """
    context = _trusting(verify) if isinstance(verify, str) else usual_context()
    if verify is False:
        _trust_all(context)
    if certificate is not None:
        context.load_cert_chain(*((certificate,) if isinstance(certificate, str) else certificate))
    return context


def elsewhere_context(verify: bool | str) -> ssl.SSLContext:
    """The TLS context for the registry's token service and storage; they may have public or private certificates."""
    context = usual_context()
    if isinstance(verify, str):
        _trust_also(context, verify)
    elif not verify:
        _trust_all(context)
    return context


def usual_context() -> ssl.SSLContext:
    """Trusts what `REQUESTS_CA_BUNDLE` names, else the system's (`SSL_CERT_FILE`) and certifi's authorities."""
    if named := os.environ.get("REQUESTS_CA_BUNDLE"):
        return _trusting(named)
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())  # a minimal system has no certificate authorities
    return context


def _trusting(path: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _trust_also(context, path)
    return context


def _trust_also(context: ssl.SSLContext, path: str) -> None:
    is_folder = Path(path).is_dir()
    context.load_verify_locations(cafile=None if is_folder else path, capath=path if is_folder else None)


def _trust_all(context: ssl.SSLContext) -> None:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
