"""Opening journal files: links are not followed, and folders in which others could replace a journal are refused."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from pathlib import Path

from regscope.errors import StoreError
from regscope.pieces import PIECE


def open_file(path: Path, flags: int) -> int:
    """Open a journal's file; returns its descriptor. A new file, if `flags` allow one, is private to its owner.

    Raises:
        StoreError: others may write into the folder, or the file in a shared folder (`/tmp`) is another user's.
        OSError: the file cannot be opened, or is a link, a device or a pipe.
    """
    folder = check_folder(path.parent)
    try:
        # O_NONBLOCK: opening a pipe would wait for its other end.
        file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise OSError(error.errno, "it is a link, and links are not followed") from None
        raise
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "it is not a regular file")
    if _others_may_write(folder) and found.st_uid not in (os.geteuid(), 0):
        os.close(file)
        raise StoreError(
            f"{path} is another user's file, in a shared folder", next_step="Name a journal in a folder of your own."
        )
    return file


def check_folder(folder: Path) -> os.stat_result:
    """Check that nobody else can replace a journal in a folder; returns the folder's `stat`.

    Raises:
        StoreError: others may write into the folder, and no sticky bit (as on `/tmp`) protects its files.
        OSError: the folder does not exist.
    """
    found = folder.stat()
    if _others_may_write(found) and not found.st_mode & stat.S_ISVTX:
        raise StoreError(
            f"others may write into {folder}, and could replace a journal there",
            next_step=f"Remove their permission (chmod go-w {folder}), or name a journal in another folder.",
        )
    return found


def _others_may_write(folder: os.stat_result) -> bool:
    if folder.st_mode & stat.S_IWOTH:
        return True
    return bool(folder.st_mode & stat.S_IWGRP) and not _is_own_group(folder.st_gid)


def _is_own_group(number: int) -> bool:
    """Whether a group is private to this user: it has the user's name, and with umask 002 it may write new folders."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return (group.gr_gid, group.gr_name) == (user.pw_gid, user.pw_name) and {*group.gr_mem} <= {user.pw_name}


def whole(file: int) -> bytes:
    """The whole content of an open file."""
    found = bytearray()
    while piece := os.pread(file, PIECE, len(found)):
        found += piece
    return bytes(found)
