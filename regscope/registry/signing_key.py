"""The key that signs the schema 1 manifests which are pushed."""

from __future__ import annotations

import logging
import os
from typing import Any

from libtrust.keys import ec_key, rs_key

_logger = logging.getLogger(__name__)


def get_private_key() -> Any:
    """The PEM key in `MOBY_DISTRIBUTION_PRIVATE_KEY`, as the older client names it; without one, a key made anew.

    `MOBY_DISTRIBUTION_PRIVATE_KEY_PASSWORD` opens it. It is a private key of libtrust's, EC or RSA.
    """
    stated = os.environ.get("MOBY_DISTRIBUTION_PRIVATE_KEY")
    password = os.environ.get("MOBY_DISTRIBUTION_PRIVATE_KEY_PASSWORD")
    if stated:
        for read in (ec_key.ECPrivateKey.from_pem, rs_key.RSAPrivateKey.from_pem):
            try:
                return read(stated, password)
            except Exception:  # libtrust lets everything through that its own libraries raise
                continue
        _logger.warning("MOBY_DISTRIBUTION_PRIVATE_KEY is no PEM key that can be read: a new key signs instead")
    return ec_key.generate_private_key()
