"""The key that signs schema 1 manifests before they are pushed."""

from __future__ import annotations

import logging
import os
from typing import Any

from libtrust.keys import ec_key, rs_key

_logger = logging.getLogger(__name__)


def get_private_key() -> Any:
    """The private key (libtrust, EC or RSA) in the environment variable `MOBY_DISTRIBUTION_PRIVATE_KEY`, as PEM.

    `MOBY_DISTRIBUTION_PRIVATE_KEY_PASSWORD` decrypts it. Where the variable is unset or invalid, a new EC key.
    """
    stated = os.environ.get("MOBY_DISTRIBUTION_PRIVATE_KEY")
    password = os.environ.get("MOBY_DISTRIBUTION_PRIVATE_KEY_PASSWORD")
    if stated:
        for read in (ec_key.ECPrivateKey.from_pem, rs_key.RSAPrivateKey.from_pem):
            try:
                return read(stated, password)
            except Exception:  # libtrust raises any error of the libraries that it uses
                continue
        _logger.warning("MOBY_DISTRIBUTION_PRIVATE_KEY is not a readable PEM key: a new key is used to sign")
    return ec_key.generate_private_key()
