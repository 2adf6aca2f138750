"""File capabilities in the extended attribute `security.capability` (capabilities(7); linux/capability.h)."""

from __future__ import annotations

import base64
import json
import struct

_NAMES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)  # fmt: skip
_EFFECTIVE = 1
_WORDS = {1: 1, 2: 2, 3: 2}  # by revision: number of words of permitted and inheritable bits


def file_capabilities(xattrs: str) -> str | None:
    """The file capabilities in extended attributes, as `getcap` prints them: `cap_net_raw=ep`, separated by commas.

    Args:
        xattrs: a cell of the column `xattrs` of the table `files`.

    Returns:
        The capabilities; None if the file has none; `unreadable` if the attribute has an unknown format.
    """
    kept = json.loads(xattrs).get("security.capability")
    if kept is None:
        return None
    value = base64.b64decode(kept)
    if len(value) < 4:
        return "unreadable"
    (magic,) = struct.unpack_from("<I", value)
    words = _WORDS.get(magic >> 24, 0)
    if not words or len(value) < 4 + 8 * words:
        return "unreadable"
    pairs = struct.unpack_from(f"<{2 * words}I", value, 4)
    permitted, inheritable = (sum(word << 32 * place for place, word in enumerate(pairs[way::2])) for way in (0, 1))
    return _written(permitted, inheritable, bool(magic & _EFFECTIVE)) or None


def _written(permitted: int, inheritable: int, is_effective: bool) -> str:
    """The capabilities as text; those with the same flags are written together."""
    by_flags: dict[str, list[str]] = {}
    for bit in range((permitted | inheritable).bit_length()):
        flags = "i" * (inheritable >> bit & 1) + "p" * (permitted >> bit & 1)
        if flags:
            name = f"cap_{_NAMES[bit]}" if bit < len(_NAMES) else str(bit)
            by_flags.setdefault("e" * is_effective + flags, []).append(name)
    return " ".join(f"{','.join(names)}={flags}" for flags, names in by_flags.items())
