"""Giving a file that is complete its name, without taking that from another one."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# What systems say that know no hard links, such as CIFS, and where no more are allowed.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def give_name(temporary: str | Path, name: str | Path, *, folder: int | None = None) -> bool:
    """Give a file its true name too, or instead, where nothing has that; whether that was so.

    Whatever has the name counts, such as a link or a folder. Where the file keeps its temporary
    name too, it is for the caller to remove.

    Args:
        temporary: what the file is called.
        name: what it is to be called, in the same file system.
        folder: descriptor of the open folder that both are relative to; None for paths.

    Raises:
        OSError: it cannot have the name.
    """
    try:
        # Renaming would replace what somebody else has put there meanwhile.
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if _is_there(name, folder):
            return False
        # From one call to the next; to make an empty file first would leave that after a crash.
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    return True


def _is_there(name: str | Path, folder: int | None) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
