"""Directories of others: whether they can be written."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PIECE = bytes(4096)


def why_not_writable(directory: Path) -> str | None:
    """The reason why no file can be written in a directory, None if it can.

    Of a directory that is missing it is the reason why it cannot be made. Nothing is left behind.
    """
    try:
        nearest = next(each for each in (directory, *directory.parents) if each.exists())
        with tempfile.TemporaryFile(dir=nearest) as file:
            # On a full disk a file can be made, but nothing written into it.
            file.write(_PIECE)
            file.flush()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None
