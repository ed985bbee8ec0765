"""Directories of others: whether they can be written, and where something temporary can be."""

from __future__ import annotations

import tempfile
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - files there are made as by tempfile anywhere else
_PIECE = bytes(4096)


class NoTemporaryDirectory(Exception):
    """Nothing temporary can be written; the text says what to do."""


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


def temporary_directory() -> Path:
    """A directory for what is temporary; `tempfile` takes the same from now on.

    Raises:
        NoTemporaryDirectory: there is none.
    """
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        if why_not_writable(_IN_MEMORY):
            raise NoTemporaryDirectory(
                "Nothing temporary can be written, neither in the usual directories nor in "
                f"{_IN_MEMORY}: name a directory that can be written in TMPDIR."
            ) from None
    tempfile.tempdir = str(_IN_MEMORY)
    return _IN_MEMORY
