"""A registry that was named without a scheme and does not speak TLS: it is read over plain HTTP, and not written to.

An attacker on the network can block TLS to force the fallback, and then receives all that is sent.
"""

from __future__ import annotations

import warnings

from regscope.errors import RegscopeWarning, TLSFailed
from regscope.registry.origin import without_secrets
from regscope.registry.request_body import READING


def warn_of_reading(base_url: str) -> None:
    """Say once, as a registry is opened, that it is read in the clear.

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
    """Refuse a request that changes something, where nobody has said that it may go in the clear.

    Raises:
        TLSFailed: it does.
    """
    if method in READING:
        return
    shown = without_secrets(base_url)
    raise TLSFailed(
        f"nothing is sent to {shown}: it speaks no TLS, and its address has no http://",
        url=shown,
        next_step=f"If plain HTTP is intended, write {shown}, or pass insecure=True (--insecure).",
    )
