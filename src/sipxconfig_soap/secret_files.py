"""Secrets in files of their own, as container engines and service managers hand them out.

Functions that read raise ValueError whose message completes the sentence "… names a file that …".
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

LONGEST = 64 * 1024
"""Bytes that a secret may have; a file that is longer is some other one."""

ENGINE_DIRECTORY = Path("/run/secrets")
"""Where container engines put secrets, readable by all: nobody else is in a container."""


def read(path: str) -> str:
    """The text of a file without the line end at its end, which editors and ``echo`` put there.

    Raises:
        ValueError: there is no such text.
    """
    try:
        # Without waiting for who may write into a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ValueError("is no plain file")
            content = opened.read(LONGEST + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {os.strerror(error.errno or 0)}") from None
    if len(content) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not in UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise ValueError("is empty")
    return text


def is_open_to_all(path: str) -> bool:
    """Whether every user of this machine can read the file; one that is not there is not open.

    That takes the right to enter all folders on the way too. What is in the directory of container
    engines is open to nobody else.
    """
    try:
        real = Path(path).resolve()
        if real.is_relative_to(ENGINE_DIRECTORY):
            return False
        entered = all(folder.stat().st_mode & stat.S_IXOTH for folder in real.parents)
        return entered and bool(real.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
