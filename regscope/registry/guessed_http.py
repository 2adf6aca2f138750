"""A registry that was named without a scheme and does not use TLS: it is read over plain HTTP, and not written to.

An attacker on the network can block TLS to force this fallback, and then receives everything that is sent.
"""

from __future__ import annotations

import warnings

from regscope.errors import RegscopeWarning, TLSFailed
from regscope.registry.origin import without_secrets
from regscope.registry.request_body import READING


def warn_of_reading(base_url: str) -> None:
    """Warn, when a registry is opened, that it is read over plain HTTP.

    Warns:
        RegscopeWarning: always.
    """
    warnings.warn(
        RegscopeWarning(
            f"{without_secrets(base_url)} speaks no TLS, and its address has no http://: what is read can be seen and "
            "changed on the way, and nothing is written to it. Put http:// before the address if that is intended."
        ),
        stacklevel=3,
    )


def refuse_writing(method: str, base_url: str) -> None:
    """Refuse a request that changes something, unless the user allowed plain HTTP.

    Raises:
        TLSFailed: the request would change something.
    """
    if method in READING:
        return
    shown = without_secrets(base_url)
    raise TLSFailed(
        f"nothing is sent to {shown}: it speaks no TLS, and its address has no http://",
        url=shown,
        next_step=f"If plain HTTP is intended, write {shown}, or pass insecure=True (--insecure).",
    )
