"""A directory that never answers, as one of a file server that is away."""

from __future__ import annotations

import ctypes
import functools
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_FUSE = "/dev/fuse"
_DETACH = 2


@contextmanager
def hung(directory: Path) -> Iterator[None]:
    """Let a directory not answer until the context ends; then it is an ordinary one again.

    It is a file system of FUSE behind which no program is.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(_FUSE, os.O_RDWR | os.O_CLOEXEC)
    try:
        options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0".encode()
        if libc.mount(b"hung", bytes(directory), b"fuse", 0, options):
            raise OSError(ctypes.get_errno(), "mount")
        try:
            yield
        finally:
            if libc.umount2(bytes(directory), _DETACH):
                raise OSError(ctypes.get_errno(), "umount2")
    finally:
        # Whoever waits there gets an error.
        os.close(descriptor)


@functools.cache
def _may_hang() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        try:
            with hung(Path(directory)):
                return True
        except OSError:
            return False


needs_fuse = pytest.mark.skipif(not _may_hang(), reason="only root may mount, where there is FUSE")
